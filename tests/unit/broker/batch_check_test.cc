#include "broker/batch_check.h"

#include <catch2/catch.hpp>

#include "tests/support/raw_batch.h"

using namespace kurier;
using namespace kurier::broker;
using protocol::ErrorCode;
using test::raw_batch;

namespace {
constexpr Timestamp kNow{1'000'000'000};

ErrorCode check(Bytes batch, const config::TopicConfig& config = {}, std::int16_t version = 13) {
  return check_batch(batch, config, version, kNow).error;
}
}  // namespace

TEST_CASE("a batch as a client makes it is accepted") {
  REQUIRE(check(raw_batch({.records = 3, .timestamp = kNow})) == ErrorCode::kNone);
  REQUIRE(check(raw_batch({.producer_id = ProducerId(1), .producer_epoch = ProducerEpoch(0), .base_sequence = 0, .timestamp = kNow})) ==
          ErrorCode::kNone);
}

TEST_CASE("what is wrong with a batch has its own error") {
  Bytes damaged = raw_batch({.timestamp = kNow});
  damaged.back() ^= std::byte{1};
  REQUIRE(check(damaged) == ErrorCode::kCorruptMessage);
  Bytes old_format = raw_batch({.timestamp = kNow});
  old_format[protocol::batch_layout::kMagic] = std::byte{1};
  REQUIRE(check(old_format) == ErrorCode::kInvalidRecord);
  Bytes two = raw_batch({.timestamp = kNow});
  const Bytes second = two;
  two.insert(two.end(), second.begin(), second.end());
  REQUIRE(check(two) == ErrorCode::kInvalidRecord);
  Bytes cut = raw_batch({.timestamp = kNow});
  cut.pop_back();
  REQUIRE(check(cut) == ErrorCode::kCorruptMessage);
  REQUIRE(check(raw_batch({.timestamp = kNow, .attributes = protocol::kControlMask})) == ErrorCode::kInvalidRecord);
  REQUIRE(check(raw_batch({.producer_id = ProducerId(1), .producer_epoch = ProducerEpoch(0), .timestamp = kNow})) ==
          ErrorCode::kInvalidRecord);
  REQUIRE(check(raw_batch({.records = 0, .timestamp = kNow})) == ErrorCode::kInvalidRecord);
  REQUIRE(check(raw_batch({.timestamp = kNow, .attributes = 4}), {}, 6) == ErrorCode::kUnsupportedCompressionType);
  config::TopicConfig small;
  small.max_message_bytes = 70;
  REQUIRE(check(raw_batch({.timestamp = kNow, .payload_bytes = 9}), small) == ErrorCode::kNone);
  REQUIRE(check(raw_batch({.timestamp = kNow, .payload_bytes = 10}), small) == ErrorCode::kMessageTooLarge);
}

TEST_CASE("timestamps stay within the topic's bounds; log append time is the broker's") {
  REQUIRE(check(raw_batch({.timestamp = kNow + 3'600'000})) == ErrorCode::kNone);
  REQUIRE(check(raw_batch({.timestamp = kNow + 3'600'001})) == ErrorCode::kInvalidTimestamp);
  config::TopicConfig narrow;
  narrow.timestamp_before_max = std::chrono::milliseconds(10);
  REQUIRE(check(raw_batch({.timestamp = kNow - 11}), narrow) == ErrorCode::kInvalidTimestamp);
  config::TopicConfig append_time;
  append_time.timestamp_type = config::TimestampType::kLogAppendTime;
  Bytes batch = raw_batch({.timestamp = Timestamp(5)});
  REQUIRE(check_batch(batch, append_time, 13, kNow).error == ErrorCode::kNone);
  const auto stamped = protocol::RecordBatchView::parse(batch);
  REQUIRE(stamped->max_timestamp() == kNow);
  REQUIRE(stamped->timestamp_type() == protocol::TimestampType::kLogAppendTime);
  REQUIRE(stamped->crc_is_valid());
  REQUIRE(check(batch, append_time) == ErrorCode::kInvalidTimestamp);
}
