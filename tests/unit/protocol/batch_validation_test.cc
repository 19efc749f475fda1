// The rules one by one. tests/interop/produce_rules.py compares them with Apache Kafka's.
#include "protocol/batch_validation.h"

#include <catch2/catch.hpp>

#include <random>

#include "tests/support/record_batch.h"

using namespace kurier;
using namespace kurier::protocol;
using test::batch_of;
using test::BatchOptions;
using test::payload_of;
using test::raw_batch;
using test::TestRecord;

namespace {

constexpr Timestamp kNow{1'700'000'000'000};
constexpr std::int64_t kHourMs = 3'600'000;
constexpr std::array kCompressing{Codec::kGzip, Codec::kSnappy, Codec::kLz4, Codec::kZstd};

// Whether the batch has been read before makes no difference, neither to the verdict nor to the bytes.
BatchVerdict verdict_on(Bytes bytes, const BatchRules& rules = {.topic = "t"}) {
  Bytes read_before = bytes;
  const auto reading = read_batch(read_before, 1'000);
  const BatchVerdict expected = validate_batch(read_before, rules, kNow, reading);
  BatchVerdict verdict = validate_batch(bytes, rules, kNow);
  REQUIRE(expected.error == verdict.error);
  REQUIRE(expected.message == verdict.message);
  REQUIRE(expected.reason == verdict.reason);
  REQUIRE(expected.record_errors.size() == verdict.record_errors.size());
  REQUIRE(expected.rebuilt == verdict.rebuilt);
  REQUIRE(read_before == bytes);
  return verdict;
}
ErrorCode error_of(Bytes bytes, const BatchRules& rules = {.topic = "t"}) {
  return verdict_on(std::move(bytes), rules).error;
}

Bytes good(BatchOptions options = {}, std::vector<TestRecord> records = {{}}, Codec codec = Codec::kNone) {
  if (options.timestamp == Timestamp(0)) options.timestamp = kNow;
  return batch_of(records, options, codec);
}

template <class T>
Bytes with(Bytes batch, std::size_t position, T value, bool stamp = true) {
  store_big_endian(batch.data() + position, value);
  if (stamp) stamp_crc(batch);
  return batch;
}

// The accepted batch, which the bytes that were passed must outlive.
RecordBatchView accepted(const BatchVerdict& verdict) {
  CAPTURE(verdict.reason);
  REQUIRE(verdict.error == ErrorCode::kNone);
  const auto batch = RecordBatchView::parse(verdict.batch);
  REQUIRE(batch);
  REQUIRE(batch->crc_is_valid());
  REQUIRE(batch->size_bytes() == verdict.batch.size());
  return *batch;
}

std::vector<TestRecord> records_in(const RecordBatchView& batch) {
  const Bytes payload = decompress(batch.codec(), batch.payload(), kDecompressedBytesMax).value();
  RecordReader reader(batch, payload);
  std::vector<TestRecord> records;
  while (const RecordView* record = reader.next()) records.push_back(test::copy_of(*record, batch.base_timestamp()));
  REQUIRE(reader.ok());
  return records;
}

}  // namespace

TEST_CASE("a batch as a client makes it stays as it is") {
  for (const Codec codec : {Codec::kNone, Codec::kGzip, Codec::kSnappy, Codec::kLz4, Codec::kZstd}) {
    Bytes bytes = good({}, {{}, {.key = std::nullopt}}, codec);
    const Bytes before = bytes;
    REQUIRE(read_batch(bytes, 2));
    REQUIRE_FALSE(read_batch(bytes, 1));
    REQUIRE(read_batch(bytes, 2)->records.has_value() == (codec == Codec::kNone));
    const BatchVerdict verdict = validate_batch(bytes, {.topic = "t"}, kNow);
    REQUIRE(accepted(verdict).bytes().data() == bytes.data());
    REQUIRE(bytes == before);
    REQUIRE(verdict.rebuilt.empty());
  }
  REQUIRE(error_of(good({.producer_id = ProducerId(1), .producer_epoch = ProducerEpoch(0), .base_sequence = 0})) ==
          ErrorCode::kNone);
}

TEST_CASE("there is exactly one batch of format 2") {
  const Bytes one = good();
  REQUIRE(error_of({}) == ErrorCode::kInvalidRecord);
  for (std::size_t size = 1; size < one.size(); ++size) {
    REQUIRE(error_of(Bytes(one.begin(), one.begin() + static_cast<std::ptrdiff_t>(size))) == ErrorCode::kInvalidRecord);
  }
  Bytes two = one;
  two.insert(two.end(), one.begin(), one.end());
  REQUIRE(error_of(two) == ErrorCode::kInvalidRecord);
  REQUIRE(error_of(with(one, batch_layout::kMagic, std::int8_t{0})) == ErrorCode::kInvalidRecord);
  REQUIRE(error_of(with(one, batch_layout::kMagic, std::int8_t{1})) == ErrorCode::kInvalidRecord);
  const BatchVerdict future = verdict_on(with(one, batch_layout::kMagic, std::int8_t{3}));
  REQUIRE(future.error == ErrorCode::kCorruptMessage);
  REQUIRE(future.message == "Invalid magic found in record: 3");
  for (const std::int32_t length : {-1, 0, 13}) {
    const BatchVerdict verdict = verdict_on(with(one, batch_layout::kLength, length, false));
    REQUIRE(verdict.error == ErrorCode::kCorruptMessage);
    REQUIRE(verdict.message ==
            "Record size " + std::to_string(length) + " is less than the minimum record overhead (14)");
    REQUIRE_FALSE(verdict.tells_log_start);
  }
  for (const std::int32_t length : {14, 48, 49, static_cast<std::int32_t>(one.size()) - 13}) {
    REQUIRE(error_of(with(one, batch_layout::kLength, length, false)) == ErrorCode::kCorruptMessage);
  }
  REQUIRE(error_of(with(one, batch_layout::kLength, std::numeric_limits<std::int32_t>::max(), false)) ==
          ErrorCode::kInvalidRecord);
}

TEST_CASE("less than a batch behind the batch is ignored") {
  const Bytes one = good();
  for (const std::size_t behind : {std::size_t{1}, std::size_t{11}}) {
    Bytes bytes = one;
    bytes.resize(bytes.size() + behind);
    const BatchVerdict verdict = validate_batch(bytes, {.topic = "t"}, kNow);
    REQUIRE(accepted(verdict).size_bytes() == one.size());
  }
  Bytes cut = one;
  cut.insert(cut.end(), one.begin(), one.end() - 1);
  REQUIRE(error_of(cut) == ErrorCode::kNone);
  Bytes zeros = one;
  zeros.resize(zeros.size() + 12);
  REQUIRE(error_of(zeros) == ErrorCode::kCorruptMessage);
}

TEST_CASE("what is wrong with a header has its own error, in Apache Kafka's order") {
  const BatchRules small{.topic = "t", .batch_bytes_max = 100};
  const Bytes large = good({}, {{.value = std::string(100, 'v')}});
  REQUIRE(error_of(with(large, batch_layout::kBaseOffset, std::int64_t{1}), small) == ErrorCode::kInvalidRecord);
  REQUIRE(error_of(with(large, batch_layout::kCrc, 1, false), small) == ErrorCode::kMessageTooLarge);
  REQUIRE(error_of(with(good({.attributes = kControlMask}), batch_layout::kCrc, 1, false)) ==
          ErrorCode::kCorruptMessage);
  REQUIRE(error_of(with(good(), batch_layout::kAttributes, std::int16_t{5})) == ErrorCode::kUnknownServerError);
  REQUIRE(error_of(with(good(), batch_layout::kAttributes, kControlMask)) == ErrorCode::kInvalidRecord);
  REQUIRE(error_of(with(good(), batch_layout::kAttributes, kTransactionalMask)) ==
          ErrorCode::kTransactionalIdAuthorizationFailed);
  REQUIRE(error_of(with(good(), batch_layout::kAttributes, kTransactionalMask), {.has_transactional_id = true}) ==
          ErrorCode::kNone);
  REQUIRE(verdict_on(with(good(), batch_layout::kBaseOffset, std::int64_t{1})).tells_log_start);
  REQUIRE_FALSE(verdict_on(large, small).tells_log_start);
}

TEST_CASE("max.message.bytes and segment.bytes are the largest batch") {
  const Bytes batch = good();
  REQUIRE(error_of(batch, {.batch_bytes_max = batch.size()}) == ErrorCode::kNone);
  REQUIRE(error_of(batch, {.batch_bytes_max = batch.size() - 1}) == ErrorCode::kMessageTooLarge);
  REQUIRE(error_of(batch, {.segment_bytes = batch.size()}) == ErrorCode::kNone);
  REQUIRE(error_of(batch, {.segment_bytes = batch.size() - 1}) == ErrorCode::kRecordListTooLarge);
}

TEST_CASE("the number of records is told three times alike") {
  const Bytes payload = payload_of({{}, {}, {}});
  const auto batch = [&](std::int32_t count, std::int32_t last_offset_delta) {
    const Bytes counted = with(raw_batch({.timestamp = kNow}, payload), batch_layout::kRecordCount, count);
    return with(counted, batch_layout::kLastOffsetDelta, last_offset_delta);
  };
  REQUIRE(error_of(batch(3, 2)) == ErrorCode::kNone);
  for (const auto& [count, delta] : std::vector<std::pair<std::int32_t, std::int32_t>>{{2, 1},
                                                                                       {4, 3},
                                                                                       {3, 1},
                                                                                       {3, 3},
                                                                                       {0, -1},
                                                                                       {0, 0},
                                                                                       {-1, -2},
                                                                                       {3, -1},
                                                                                       {INT32_MAX, INT32_MAX - 1},
                                                                                       {INT32_MIN, INT32_MAX}}) {
    CAPTURE(count, delta);
    REQUIRE(error_of(batch(count, delta)) == ErrorCode::kInvalidRecord);
  }
}

TEST_CASE("offset deltas count from 0") {
  for (const auto& deltas : std::vector<std::vector<std::int32_t>>{{1}, {0, 2}, {1, 0}, {0, 0}}) {
    std::vector<TestRecord> records;
    for (const std::int32_t delta : deltas) records.push_back({.offset_delta = delta});
    REQUIRE(error_of(good({}, records)) == ErrorCode::kInvalidRecord);
    // Built anew, they are counted anew.
    const BatchVerdict verdict = verdict_on(good({}, records), {.codec = Codec::kLz4});
    REQUIRE(records_in(accepted(verdict)).back().offset_delta == static_cast<std::int32_t>(deltas.size()) - 1);
  }
}

TEST_CASE("a producer id comes with a sequence") {
  const auto batch = [](std::int64_t id, std::int16_t epoch, std::int32_t sequence) {
    return good({.producer_id = ProducerId(id), .producer_epoch = ProducerEpoch(epoch), .base_sequence = sequence});
  };
  REQUIRE(error_of(batch(1, 0, -1)) == ErrorCode::kInvalidRecord);
  REQUIRE(error_of(batch(1, 0, -2)) == ErrorCode::kInvalidRecord);
  REQUIRE(error_of(batch(1, -1, 0)) == ErrorCode::kNone);
  REQUIRE(error_of(batch(-1, -1, 5)) == ErrorCode::kNone);
  REQUIRE(error_of(batch(1, -1, 0), {.codec = Codec::kGzip}) == ErrorCode::kUnknownServerError);
}

TEST_CASE("zstd needs Produce version 7") {
  for (const std::int16_t version : {std::int16_t{3}, std::int16_t{6}}) {
    REQUIRE(error_of(good({}, {{}}, Codec::kZstd), {.produce_version = version}) ==
            ErrorCode::kUnsupportedCompressionType);
    REQUIRE(error_of(good({}, {{}}, Codec::kLz4), {.produce_version = version}) == ErrorCode::kNone);
  }
  REQUIRE(error_of(good({}, {{}}, Codec::kZstd), {.produce_version = 7}) == ErrorCode::kNone);
}

TEST_CASE("compacted topics need keys, in compressed batches too") {
  const BatchRules compacted{.topic = "some-topic", .partition = PartitionIndex(3), .compact = true};
  for (const Codec codec : {Codec::kNone, Codec::kGzip, Codec::kZstd}) {
    REQUIRE(error_of(good({}, {{}, {.key = ""}}, codec), compacted) == ErrorCode::kNone);
    const BatchVerdict verdict =
        verdict_on(good({}, {{.key = std::nullopt}, {}, {.key = std::nullopt}}, codec), compacted);
    REQUIRE(verdict.error == ErrorCode::kInvalidRecord);
    REQUIRE(verdict.tells_log_start);
    REQUIRE(verdict.record_errors.size() == 2);
    REQUIRE(verdict.record_errors[1].index == 2);
    REQUIRE(verdict.record_errors[1].message ==
            "Compacted topic cannot accept message without key in topic partition some-topic-3");
    REQUIRE(verdict.message ==
            "One or more records have been rejected due to 2 record errors in total, and only showing the first three "
            "errors at most: "
            "[RecordError(batchIndex=0, message='Compacted topic cannot accept message without key in topic partition "
            "some-topic-3'), "
            "RecordError(batchIndex=2, message='Compacted topic cannot accept message without key in topic partition "
            "some-topic-3')]");
  }
  const std::vector<TestRecord> many(kRecordErrorsMax + 5, TestRecord{.key = std::nullopt});
  const BatchVerdict verdict = verdict_on(good({}, many), compacted);
  REQUIRE(verdict.record_errors.size() == kRecordErrorsMax);
  REQUIRE(verdict.message.find("1005 record errors in total") != std::string::npos);
}

TEST_CASE("every record's timestamp is within the topic's bounds") {
  const BatchRules bounded{.before_ms_max = 1000, .after_ms_max = 2000};
  const auto at = [&](std::int64_t delta, const BatchRules& rules) {
    return error_of(good({}, {{}, {.timestamp_delta = delta}}), rules);
  };
  REQUIRE(at(2000, bounded) == ErrorCode::kNone);
  REQUIRE(at(2001, bounded) == ErrorCode::kInvalidTimestamp);
  REQUIRE(at(-1000, bounded) == ErrorCode::kNone);
  REQUIRE(at(-1001, bounded) == ErrorCode::kInvalidTimestamp);
  REQUIRE(at(-1 - kNow.value(), bounded) == ErrorCode::kNone);  // -1: it has none
  REQUIRE(at(kHourMs, {}) == ErrorCode::kNone);
  REQUIRE(at(kHourMs + 1, {}) == ErrorCode::kInvalidTimestamp);
  REQUIRE(at(std::numeric_limits<std::int64_t>::max(), {}) == ErrorCode::kInvalidTimestamp);
  REQUIRE(at(std::numeric_limits<std::int64_t>::min(), {}) ==
          ErrorCode::kNone);  // the difference wraps, as in Apache Kafka
  REQUIRE(at(kHourMs + 1, {.timestamp_type = TimestampType::kLogAppendTime}) == ErrorCode::kNone);
  const BatchVerdict verdict = verdict_on(good({}, {{}, {.timestamp_delta = 2001}}), bounded);
  REQUIRE(verdict.message == "One or more records have been rejected due to invalid timestamp");
  REQUIRE(verdict.record_errors.at(0).index == 1);
  REQUIRE(verdict.record_errors.at(0).message ==
          "Timestamp 1700000002001 of message with offset 1 is out of range. The timestamp should be within "
          "[1699999999000, 1700000002000]");
}

TEST_CASE("an invalid timestamp decides about the error where keys are missing too") {
  const BatchVerdict verdict =
      verdict_on(good({}, {{.key = std::nullopt}, {.timestamp_delta = 2 * kHourMs}}), {.compact = true});
  REQUIRE(verdict.error == ErrorCode::kInvalidTimestamp);
  REQUIRE(verdict.record_errors.size() == 2);
}

TEST_CASE("the maximum timestamp of an uncompressed batch is its records'") {
  for (const std::int64_t told : {std::int64_t{-1}, std::int64_t{5}, kNow.value() + 100 * kHourMs}) {
    Bytes bytes = with(good({}, {{}, {.timestamp_delta = 7}, {}}), batch_layout::kMaxTimestamp, told);
    REQUIRE(accepted(validate_batch(bytes, {}, kNow)).max_timestamp() == kNow + 7);
  }
  Bytes none = good({.timestamp = Timestamp(-1)});
  REQUIRE(accepted(validate_batch(none, {}, kNow)).max_timestamp() == Timestamp(-1));
}

TEST_CASE("log append time is the broker's, and nobody else's") {
  const BatchRules append_time{.timestamp_type = TimestampType::kLogAppendTime};
  for (const Codec codec : {Codec::kNone, Codec::kZstd}) {
    Bytes bytes = good({.timestamp = Timestamp(5)}, {{}, {}}, codec);
    const RecordBatchView stamped = accepted(validate_batch(bytes, append_time, kNow));
    REQUIRE(stamped.max_timestamp() == kNow);
    REQUIRE(stamped.base_timestamp() == Timestamp(5));
    REQUIRE(stamped.timestamp_type() == TimestampType::kLogAppendTime);
    REQUIRE(stamped.codec() == codec);
    const BatchVerdict again = validate_batch(bytes, append_time, kNow);
    REQUIRE(again.error == ErrorCode::kInvalidTimestamp);
    REQUIRE(again.record_errors.size() == 2);
  }
  // In a topic of create time the flag goes, and the batch's maximum stays as what all of its records have.
  for (const Codec codec : {Codec::kNone, Codec::kZstd}) {
    Bytes bytes =
        with(good({.attributes = kTimestampTypeMask}, {{}}, codec), batch_layout::kMaxTimestamp, kNow.value() - 50);
    const RecordBatchView cleared = accepted(validate_batch(bytes, {}, kNow));
    REQUIRE(cleared.timestamp_type() == TimestampType::kCreateTime);
    REQUIRE(cleared.max_timestamp() == kNow - 50);
    REQUIRE(error_of(with(good({.attributes = kTimestampTypeMask}, {{}}, codec), batch_layout::kMaxTimestamp,
                          std::int64_t{-1})) == ErrorCode::kInvalidTimestamp);
  }
}

TEST_CASE("attributes that nobody knows stay until something else changes in them") {
  const std::int16_t unknown = 0x0780;
  Bytes kept = good({.attributes = static_cast<std::int16_t>(unknown | kDeleteHorizonMask)});
  REQUIRE(accepted(validate_batch(kept, {}, kNow)).attributes() == (unknown | kDeleteHorizonMask));
  Bytes changed = good({.attributes = static_cast<std::int16_t>(unknown | kDeleteHorizonMask)});
  REQUIRE(accepted(validate_batch(changed, {.timestamp_type = TimestampType::kLogAppendTime}, kNow)).attributes() ==
          (kTimestampTypeMask | kDeleteHorizonMask));
}

TEST_CASE("a compressed batch is looked into only where the topic demands it") {
  for (const Codec codec : kCompressing) {
    CAPTURE(to_string(codec));
    const auto garbage = [&] { return raw_batch({.timestamp = kNow, .attributes = static_cast<std::int16_t>(codec)}); };
    REQUIRE(error_of(garbage()) == ErrorCode::kNone);
    REQUIRE(error_of(garbage(), {.timestamp_type = TimestampType::kLogAppendTime}) == ErrorCode::kNone);
    REQUIRE(error_of(garbage(), {.codec = codec}) == ErrorCode::kNone);
    for (const BatchRules& rules : {BatchRules{.compact = true}, BatchRules{.before_ms_max = kHourMs},
                                    BatchRules{.decompressed_bytes_max = 1000}, BatchRules{.codec = Codec::kNone}}) {
      REQUIRE(error_of(garbage(), rules) == ErrorCode::kUnknownServerError);
    }
    // A header that cannot be right is no longer believed.
    REQUIRE(error_of(with(good({}, {{}}, codec), batch_layout::kMaxTimestamp, kNow.value() + 2 * kHourMs)) ==
            ErrorCode::kNone);
    REQUIRE(error_of(good({}, {{.timestamp_delta = 2 * kHourMs}}, codec)) == ErrorCode::kInvalidTimestamp);
  }
}

TEST_CASE("max.decompressed.message.bytes") {
  const std::size_t size = payload_of({{.value = std::string(1000, 'v')}}).size();
  for (const Codec codec : kCompressing) {
    const Bytes batch = good({}, {{.value = std::string(1000, 'v')}}, codec);
    REQUIRE(error_of(batch, {.decompressed_bytes_max = size}) == ErrorCode::kNone);
    REQUIRE(error_of(batch, {.decompressed_bytes_max = size - 1}) == ErrorCode::kInvalidRecord);
    REQUIRE(error_of(batch, {.decompressed_bytes_max = size - 1, .codec = Codec::kNone}) == ErrorCode::kInvalidRecord);
  }
}

TEST_CASE("compression.type: the batch is built anew in the topic's codec") {
  const std::vector<TestRecord> records{{.timestamp_delta = 3, .headers = {{"h", "x"}, {"n", std::nullopt}}},
                                        {.key = std::nullopt, .value = std::nullopt, .timestamp_delta = -4},
                                        {.key = "", .value = std::string(5000, 'v')}};
  for (const Codec source : {Codec::kNone, Codec::kGzip, Codec::kSnappy, Codec::kLz4, Codec::kZstd}) {
    for (const Codec target : {Codec::kNone, Codec::kGzip, Codec::kSnappy, Codec::kLz4, Codec::kZstd}) {
      CAPTURE(to_string(source), to_string(target));
      Bytes bytes =
          good({.producer_id = ProducerId(7), .producer_epoch = ProducerEpoch(2), .base_sequence = 9}, records, source);
      const BatchVerdict verdict = validate_batch(bytes, {.codec = target, .level = default_level(target)}, kNow);
      const RecordBatchView batch = accepted(verdict);
      REQUIRE(verdict.rebuilt.empty() == (source == target));
      REQUIRE(batch.codec() == target);
      REQUIRE(batch.max_timestamp() == kNow + 3);
      REQUIRE(batch.producer_id() == ProducerId(7));
      REQUIRE(batch.producer_epoch() == ProducerEpoch(2));
      REQUIRE(batch.base_sequence() == 9);
      REQUIRE(batch.record_count() == 3);
      REQUIRE(batch.last_offset_delta() == 2);
      // Built anew, the first record's time is the base.
      REQUIRE(batch.base_timestamp() == (source == target ? kNow : kNow + 3));
      const auto found = records_in(batch);
      REQUIRE(found.at(1).timestamp_delta == kNow - 4 - batch.base_timestamp());
      REQUIRE(found.at(0).headers == records[0].headers);
      REQUIRE(found.at(2).value == records[2].value);
    }
  }
}

TEST_CASE("built anew with log append time, and too large") {
  Bytes bytes = good({.timestamp = Timestamp(5)}, {{}, {.timestamp_delta = 1}});
  const BatchVerdict verdict =
      validate_batch(bytes, {.timestamp_type = TimestampType::kLogAppendTime, .codec = Codec::kZstd}, kNow);
  REQUIRE(accepted(verdict).max_timestamp() == kNow);
  REQUIRE(accepted(verdict).base_timestamp() == Timestamp(5));
  const BatchVerdict grown = verdict_on(good({}, {{.value = std::string(1000, 'v')}}, Codec::kZstd),
                                        {.batch_bytes_max = 300, .codec = Codec::kNone});
  REQUIRE(grown.error == ErrorCode::kMessageTooLarge);
  REQUIRE_FALSE(grown.tells_log_start);
  REQUIRE(error_of(good({.timestamp = Timestamp(-2)}), {.codec = Codec::kGzip}) == ErrorCode::kUnknownServerError);
  REQUIRE(error_of(good({.timestamp = Timestamp(-2)})) == ErrorCode::kNone);
}

TEST_CASE("random damage is refused or accepted, and what is accepted can be read", "[property]") {
  const auto seed = GENERATE(range(0U, 300U));
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  std::vector<TestRecord> records(1 + random() % 5);
  const auto codec = static_cast<Codec>(random() % 5);
  const Bytes whole = good({}, records, codec);
  for (int damage = 0; damage < 40; ++damage) {
    Bytes bytes = whole;
    for (auto changes = 1 + random() % 3; changes > 0; --changes)
      bytes[random() % bytes.size()] = static_cast<std::byte>(random());
    if (random() % 4 == 0) bytes.resize(random() % (bytes.size() + 1));
    if (random() % 4 != 0 && bytes.size() >= kBatchHeaderBytes) {
      // Only what passes the checksum comes to the other rules.
      store_big_endian(bytes.data() + batch_layout::kLength,
                       static_cast<std::int32_t>(bytes.size() - kLogOverheadBytes));
      stamp_crc(bytes);
    }
    BatchRules rules{.topic = "t", .compact = random() % 2 == 0};
    if (random() % 2 == 0) rules.codec = static_cast<Codec>(random() % 5);
    if (random() % 4 == 0) rules.timestamp_type = TimestampType::kLogAppendTime;
    static_cast<void>(verdict_on(bytes, rules));
    const BatchVerdict verdict = validate_batch(bytes, rules, kNow);
    if (!verdict.accepted()) continue;
    const RecordBatchView batch = accepted(verdict);
    REQUIRE(batch.last_offset_delta() + 1 == batch.record_count());
    if (batch.codec() == Codec::kNone)
      REQUIRE(records_in(batch).size() == static_cast<std::size_t>(batch.record_count()));
  }
}
