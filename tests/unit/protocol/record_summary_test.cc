// The fast walk is held to a plainly written one, and a batch's verdict to what the plain one finds.
#include "protocol/record_summary.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <random>

#include "protocol/batch_validation.h"
#include "tests/support/record_batch.h"

using namespace kurier;
using namespace kurier::protocol;
using test::raw_batch;
using test::TestRecord;

namespace {

constexpr Timestamp kNow{1'700'000'000'000};

// Bytes one by one; throws where there is none, or a number goes on too long.
struct Plain {
  ByteView bytes;
  std::size_t at = 0;

  std::uint8_t byte() { return at < bytes.size() ? static_cast<std::uint8_t>(bytes[at++]) : throw "the end"; }
  std::int64_t number(int bytes_max) {
    std::uint64_t zigzag = 0;
    for (int i = 0; i < bytes_max; ++i) {
      const std::uint8_t next = byte();
      zigzag |= std::uint64_t{next & 0x7fU} << (7 * i);
      if (next < 0x80) {
        if (bytes_max == 5) zigzag &= 0xffff'ffff;
        return static_cast<std::int64_t>(zigzag >> 1) ^ -static_cast<std::int64_t>(zigzag & 1);
      }
    }
    throw "no end";
  }
  // Whether there are some.
  bool skip(std::int64_t size) {
    if (size > static_cast<std::int64_t>(bytes.size() - at)) throw "too long";
    if (size > 0) at += static_cast<std::size_t>(size);
    return size >= 0;
  }
};

struct Walked {
  std::string error;
  std::int32_t records = 0;  // before the error
  std::vector<std::int64_t> timestamp_deltas;
  std::vector<std::int64_t> offset_deltas;
  std::vector<bool> keys;
};

void walk_body(ByteView bytes, Walked& walked) {
  Plain body{bytes};
  body.byte();
  walked.timestamp_deltas.push_back(body.number(10));
  walked.offset_deltas.push_back(body.number(5));
  walked.keys.push_back(body.skip(body.number(5)));
  body.skip(body.number(5));
  const std::int64_t headers = body.number(5);
  if (headers < 0) throw "negative";
  for (std::int64_t i = 0; i < headers; ++i) {
    if (!body.skip(body.number(5))) throw "no name";
    body.skip(body.number(5));
  }
  if (body.at != bytes.size()) throw "bytes behind it";
}

Walked walk(ByteView payload, std::int32_t count) {
  Walked walked;
  Plain left{payload};
  const char* step = "";
  try {
    for (; walked.records < count; ++walked.records) {
      step = "the batch ends before its last record";
      const std::int64_t length = left.number(5);
      step = "a record has a negative length";
      if (length < 0) throw step;
      step = "a record goes on beyond the end of the batch";
      const std::size_t from = left.at;
      left.skip(length);
      step = "what is in a record does not fit its length";
      walk_body(payload.subspan(from, static_cast<std::size_t>(length)), walked);
    }
    step = "there are bytes behind the last record of the batch";
    if (left.at != payload.size()) throw step;
  } catch (const char*) {
    walked.error = step;
  }
  return walked;
}

// What is said of a batch of base timestamp kNow in a topic of create time; the texts of the first errors.
struct Said {
  ErrorCode error = ErrorCode::kNone;
  std::string reason;
  std::vector<std::int32_t> records;
  std::int64_t max_timestamp = -1;
};

Said expected(const Walked& walked, const BatchRules& rules) {
  if (!walked.error.empty()) {
    return {ErrorCode::kInvalidRecord, "record " + std::to_string(walked.records) + ": " + walked.error, {}, -1};
  }
  Said said;
  bool is_about_time = false;
  std::int32_t misplaced = -1;
  for (std::int32_t i = 0; i < walked.records; ++i) {
    const auto at = static_cast<std::size_t>(i);
    const std::int64_t timestamp = test::wrapping_sum(kNow.value(), walked.timestamp_deltas[at]);
    const auto age =
        static_cast<std::int64_t>(static_cast<std::uint64_t>(kNow.value()) - static_cast<std::uint64_t>(timestamp));
    said.max_timestamp = std::max(said.max_timestamp, timestamp);
    if (misplaced < 0 && walked.offset_deltas[at] != i) misplaced = i;
    if (rules.compact && !walked.keys[at]) {
      said.records.push_back(i);
    } else if (timestamp != -1 && (age > rules.before_ms_max ||
                                   static_cast<std::int64_t>(-static_cast<std::uint64_t>(age)) > rules.after_ms_max)) {
      said.records.push_back(i);
      is_about_time = true;
    }
  }
  if (!said.records.empty()) {
    return {is_about_time ? ErrorCode::kInvalidTimestamp : ErrorCode::kInvalidRecord, "listed", said.records, -1};
  }
  if (misplaced >= 0) {
    const std::string index = std::to_string(misplaced);
    return {ErrorCode::kInvalidRecord, "record " + index + " does not have the offset delta " + index, {}, -1};
  }
  return said;
}

Said verdict_on(const Bytes& payload, std::int32_t count, const BatchRules& rules) {
  Bytes bytes = raw_batch({.records = count, .timestamp = kNow}, payload);
  const BatchVerdict verdict = validate_batch(bytes, rules, kNow);
  Said said{verdict.error, verdict.record_errors.empty() ? verdict.reason : "listed", {}, -1};
  for (const auto& error : verdict.record_errors) said.records.push_back(error.index);
  if (verdict.accepted()) said.max_timestamp = RecordBatchView::parse(verdict.batch)->max_timestamp().value();
  return said;
}

void compare(const Bytes& payload, std::int32_t count) {
  // Of its own size: a sanitizer sees who reads behind it.
  const Bytes exact(payload.begin(), payload.end());
  const Walked walked = walk(exact, count);
  CAPTURE(count, walked.error, walked.records);
  bool in_place = true;
  for (std::size_t i = 0; i < walked.offset_deltas.size(); ++i)
    in_place = in_place && walked.offset_deltas[i] == static_cast<std::int64_t>(i);
  const auto summary = summarize_records(exact, count);
  REQUIRE(summary.has_value() == (walked.error.empty() && in_place));
  if (summary) {
    REQUIRE(summary->timestamp_delta_min == *std::ranges::min_element(walked.timestamp_deltas));
    REQUIRE(summary->timestamp_delta_max == *std::ranges::max_element(walked.timestamp_deltas));
    REQUIRE(summary->all_have_keys == std::ranges::all_of(walked.keys, [](bool has) { return has; }));
  }
  if (exact.empty()) return;  // raw_batch would take another payload
  for (const BatchRules& rules : {BatchRules{.topic = "t"}, BatchRules{.topic = "t", .compact = true},
                                  BatchRules{.topic = "t", .before_ms_max = 900, .after_ms_max = 900},
                                  BatchRules{.topic = "t", .after_ms_max = std::numeric_limits<std::int64_t>::max()}}) {
    const Said found = verdict_on(exact, count, rules);
    const Said wanted = expected(walked, rules);
    CAPTURE(rules.compact, rules.before_ms_max, rules.after_ms_max, found.reason, wanted.reason);
    REQUIRE(found.error == wanted.error);
    REQUIRE(found.reason == wanted.reason);
    REQUIRE(found.records == wanted.records);
    REQUIRE(found.max_timestamp == wanted.max_timestamp);
  }
}

}  // namespace

TEST_CASE("the summary of records, and the verdict on them, is that of a plain walk", "[property]") {
  const auto seed = GENERATE(range(0U, 200U));
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  const auto below = [&](std::uint64_t bound) { return random() % bound; };
  const bool has_keys = below(3) != 0;
  const auto text = [&](bool must) -> std::optional<std::string> {
    if (!must && below(4) == 0) return std::nullopt;
    // Lengths of one, two and three bytes.
    const std::uint64_t sizes[] = {0, 1, 5, 63, 64, 300, below(10) == 0 ? 8'192U + below(3) - 1 : 7U};
    return std::string(sizes[below(7)], static_cast<char>(random()));
  };
  std::vector<TestRecord> records(1 + below(12));
  for (std::size_t i = 0; i < records.size(); ++i) {
    const std::int64_t deltas[] = {0,
                                   1,
                                   -1,
                                   700,
                                   -1000,
                                   8'191,
                                   8'192,
                                   1'048'576,
                                   std::int64_t{1} << 40,
                                   std::numeric_limits<std::int64_t>::max(),
                                   std::numeric_limits<std::int64_t>::min(),
                                   -1 - kNow.value()};
    records[i] = {text(has_keys), text(false), deltas[below(below(4) == 0 ? 12 : 5)], {}, static_cast<std::int32_t>(i)};
    if (below(30) == 0) records[i].offset_delta = static_cast<std::int32_t>(below(3) * 5000);
    for (std::uint64_t left = below(4) == 0 ? below(70) : 0; left > 0; --left)
      records[i].headers.emplace_back(text(true).value(), text(false));
  }
  const auto count = static_cast<std::int32_t>(records.size());
  const Bytes payload = test::payload_of(records);
  compare(payload, count);
  compare(payload, count + 1);
  if (count > 1) compare(payload, count - 1);
  for (int damage = 0; damage < 60; ++damage) {
    Bytes damaged = payload;
    // The numbers in front of a record are hit more often than its value.
    const std::size_t reach = below(2) == 0 ? std::min<std::size_t>(16, damaged.size()) : damaged.size();
    for (std::uint64_t changes = 1 + below(3); changes > 0; --changes)
      damaged[below(reach)] = static_cast<std::byte>(below(2) == 0 ? below(32) : random());
    if (below(4) == 0) damaged.resize(below(damaged.size() + 1));
    compare(damaged, count);
  }
  for (int tiny = 0; tiny < 60; ++tiny) {
    Bytes bytes(below(20));
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(below(4) == 0 ? random() : below(16));
    if (!bytes.empty() && below(2) == 0) bytes[0] = static_cast<std::byte>(2 * (bytes.size() - 1));
    compare(bytes, 1 + static_cast<std::int32_t>(below(2)));
  }
}

TEST_CASE("no records have no summary") {
  REQUIRE_FALSE(summarize_records({}, 0));
  REQUIRE_FALSE(summarize_records({}, -1));
  REQUIRE_FALSE(summarize_records({}, 1));
}
