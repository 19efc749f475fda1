#include "broker/batch_rules.h"

#include <catch2/catch.hpp>

using namespace kurier;
using namespace kurier::broker;
using protocol::Codec;

TEST_CASE("the rules for a topic's batches are its configuration's") {
  config::TopicConfig config;
  const protocol::BatchRules defaults = batch_rules(config, "t", PartitionIndex(3), 9);
  REQUIRE(defaults.topic == "t");
  REQUIRE(defaults.partition == PartitionIndex(3));
  REQUIRE(defaults.produce_version == 9);
  REQUIRE_FALSE(defaults.codec);
  REQUIRE(defaults.batch_bytes_max == protocol::BatchRules{}.batch_bytes_max);
  REQUIRE(defaults.decompressed_bytes_max == protocol::BatchRules{}.decompressed_bytes_max);
  REQUIRE(defaults.segment_bytes == protocol::BatchRules{}.segment_bytes);
  REQUIRE(defaults.before_ms_max == protocol::BatchRules{}.before_ms_max);
  REQUIRE(defaults.after_ms_max == protocol::BatchRules{}.after_ms_max);
  config.compact = true;
  config.timestamp_type = config::TimestampType::kLogAppendTime;
  REQUIRE(batch_rules(config, "t", PartitionIndex(0), 9).compact);
  REQUIRE(batch_rules(config, "t", PartitionIndex(0), 9).timestamp_type == protocol::TimestampType::kLogAppendTime);
}

TEST_CASE("compression.type comes with its own level") {
  config::TopicConfig config;
  config.gzip_level = 7;
  config.lz4_level = 8;
  config.zstd_level = 9;
  const auto of = [&](config::Compression compression) {
    config.compression = compression;
    const protocol::BatchRules rules = batch_rules(config, "t", PartitionIndex(0), 13);
    return std::pair(rules.codec.value(), rules.level);
  };
  REQUIRE(of(config::Compression::kUncompressed) == std::pair(Codec::kNone, 0));
  REQUIRE(of(config::Compression::kGzip) == std::pair(Codec::kGzip, 7));
  REQUIRE(of(config::Compression::kSnappy) == std::pair(Codec::kSnappy, 0));
  REQUIRE(of(config::Compression::kLz4) == std::pair(Codec::kLz4, 8));
  REQUIRE(of(config::Compression::kZstd) == std::pair(Codec::kZstd, 9));
}
