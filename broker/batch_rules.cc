#include "broker/batch_rules.h"

namespace kurier::broker {
namespace {

// compression.type; none: as the producer has it.
std::optional<protocol::Codec> codec_of(config::Compression compression) {
  switch (compression) {
    case config::Compression::kProducer: return std::nullopt;
    case config::Compression::kUncompressed: return protocol::Codec::kNone;
    case config::Compression::kGzip: return protocol::Codec::kGzip;
    case config::Compression::kSnappy: return protocol::Codec::kSnappy;
    case config::Compression::kLz4: return protocol::Codec::kLz4;
    case config::Compression::kZstd: return protocol::Codec::kZstd;
  }
  return std::nullopt;
}

int level_of(const config::TopicConfig& config) {
  switch (config.compression) {
    case config::Compression::kGzip: return config.gzip_level;
    case config::Compression::kLz4: return config.lz4_level;
    case config::Compression::kZstd: return config.zstd_level;
    default: return 0;
  }
}

}  // namespace

protocol::BatchRules batch_rules(const config::TopicConfig& config, std::string_view topic, PartitionIndex partition,
                                 std::int16_t produce_version) {
  const bool append_time = config.timestamp_type == config::TimestampType::kLogAppendTime;
  return {
      .topic = topic,
      .partition = partition,
      .produce_version = produce_version,
      .has_transactional_id = false,  // a transactional id is refused before
      .batch_bytes_max = static_cast<std::size_t>(config.max_message_bytes),
      .decompressed_bytes_max = static_cast<std::size_t>(config.max_decompressed_message_bytes),
      .segment_bytes = static_cast<std::size_t>(config.segment_bytes),
      .compact = config.compact,
      .timestamp_type = append_time ? protocol::TimestampType::kLogAppendTime : protocol::TimestampType::kCreateTime,
      .before_ms_max = config.timestamp_before_max.count(),
      .after_ms_max = config.timestamp_after_max.count(),
      .codec = codec_of(config.compression),
      .level = level_of(config)};
}

}  // namespace kurier::broker
