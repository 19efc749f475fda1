#include "protocol/record.h"

#include <catch2/catch.hpp>

#include <limits>
#include <random>

#include "tests/support/record_batch.h"

using namespace kurier;
using namespace kurier::protocol;
using test::batch_of;
using test::copy_of;
using test::TestRecord;

namespace {

constexpr Timestamp kBase{1'000'000};

struct Walked {
  std::vector<TestRecord> records;
  bool ok = false;
  std::string error;
};

Walked walk(const Bytes& bytes, ByteView payload) {
  const auto batch = RecordBatchView::parse(bytes);
  REQUIRE(batch);
  RecordReader reader(*batch, payload);
  Walked walked;
  while (const RecordView* record = reader.next()) walked.records.push_back(copy_of(*record, kBase));
  walked.ok = reader.ok();
  walked.error = reader.error();
  return walked;
}

Walked walk_payload(const Bytes& payload, std::int32_t count) {
  return walk(test::raw_batch({.records = count, .timestamp = kBase}, payload), payload);
}

Bytes varints(std::initializer_list<std::int64_t> values) {
  Bytes bytes;
  for (const std::int64_t value : values) append_varlong(bytes, value);
  return bytes;
}

}  // namespace

TEST_CASE("varints are zigzag, and end where they say") {
  for (const std::int64_t value :
       {std::int64_t{0}, std::int64_t{-1}, std::int64_t{63}, std::int64_t{-65}, std::int64_t{300},
        std::numeric_limits<std::int64_t>::max(), std::numeric_limits<std::int64_t>::min()}) {
    Bytes bytes;
    append_varlong(bytes, value);
    VarintReader reader(bytes);
    REQUIRE(reader.varlong() == value);
    REQUIRE(reader.ok());
    REQUIRE(reader.remaining() == 0);
    bytes.pop_back();
    VarintReader cut(bytes);
    REQUIRE(cut.varlong() == 0);
    REQUIRE_FALSE(cut.ok());
  }
  REQUIRE(varints({-1}) == Bytes{std::byte{1}});
  REQUIRE(varints({1, 64}) == Bytes{std::byte{2}, std::byte{0x80}, std::byte{1}});
  const Bytes no_end(6, std::byte{0xff});
  VarintReader endless(no_end);
  endless.varint();
  REQUIRE_FALSE(endless.ok());
  REQUIRE(endless.int8() == 0);
  REQUIRE(endless.view(0).empty());
}

TEST_CASE("what is written is what is read: keys, values and headers, there or not, empty or not") {
  const std::vector<TestRecord> records{
      {.key = "k", .value = "v", .timestamp_delta = 5, .offset_delta = 0},
      {.key = std::nullopt, .value = std::nullopt, .timestamp_delta = -7, .offset_delta = 1},
      {.key = "", .value = "", .headers = {{"", std::nullopt}, {"h", ""}, {"h", "x"}}, .offset_delta = 2}};
  const Bytes payload = test::payload_of(records);
  const Walked walked = walk_payload(payload, 3);
  REQUIRE(walked.ok);
  REQUIRE(walked.records == records);
}

TEST_CASE("log append time is the timestamp of every record") {
  const Bytes bytes = batch_of({{}, {.timestamp_delta = 9}}, {.timestamp = kBase, .attributes = kTimestampTypeMask});
  const Walked walked = walk(bytes, ByteView(bytes).subspan(kBatchHeaderBytes));
  REQUIRE(walked.records.at(0).timestamp_delta == 9);
  REQUIRE(walked.records.at(1).timestamp_delta == 9);
}

TEST_CASE("offsets and timestamps of any size wrap instead of failing") {
  const Bytes payload = test::payload_of({{.timestamp_delta = std::numeric_limits<std::int64_t>::max()},
                                          {.timestamp_delta = std::numeric_limits<std::int64_t>::min()}});
  REQUIRE(walk_payload(payload, 2).ok);
}

TEST_CASE("the number of records is the batch's") {
  const Bytes payload = test::payload_of({{}, {}, {}});
  REQUIRE(walk_payload(payload, 3).ok);
  REQUIRE_FALSE(walk_payload(payload, 2).ok);
  REQUIRE_FALSE(walk_payload(payload, 4).ok);
  REQUIRE_FALSE(walk_payload(payload, -1).ok);
  REQUIRE_FALSE(walk_payload(payload, std::numeric_limits<std::int32_t>::max()).ok);
  REQUIRE(walk_payload(payload, 4).records.size() == 3);
}

TEST_CASE("a record whose parts do not fit is an error, and stays one") {
  const auto bad = [](Bytes payload) {
    const Walked walked = walk_payload(payload, 1);
    return !walked.ok && walked.records.empty() && !walked.error.empty();
  };
  // length, attributes, timestamp and offset delta, key and value length, number of headers
  REQUIRE(walk_payload(varints({6, 0, 0, 0, -1, -1, 0}), 1).ok);
  REQUIRE(walk_payload(varints({6, 0, 0, 0, -5, -1, 0}), 1).ok);  // any negative length is none
  REQUIRE(bad(varints({5, 0, 0, 0, -1, -1, 0})));                 // too short
  REQUIRE(bad(varints({7, 0, 0, 0, -1, -1, 0})));                 // too long
  REQUIRE(bad(varints({7, 0, 0, 0, -1, -1, 0, 0})));              // a byte that belongs to nothing
  REQUIRE(bad(varints({6, 0, 0, 0, -1, -1, 0, 0})));              // a byte behind the last record
  REQUIRE(bad(varints({-1, 0, 0, 0, -1, -1, 0})));
  REQUIRE(bad(varints({0})));
  REQUIRE(bad(varints({std::numeric_limits<std::int32_t>::max()})));
  REQUIRE(bad(varints({6, 0, 0, 0, 50, -1, 0})));          // a key beyond the record
  REQUIRE(bad(varints({6, 0, 0, 0, -1, -1, -1})));         // negative number of headers
  REQUIRE(bad(varints({6, 0, 0, 0, -1, -1, 1})));          // a header that is not there
  REQUIRE(bad(varints({8, 0, 0, 0, -1, -1, 1, -1, -1})));  // a header without a name
  REQUIRE(bad(varints({10, 0, 0, 0, -1, -1, std::numeric_limits<std::int32_t>::max()})));
  REQUIRE(bad(Bytes(7, std::byte{0xff})));
}

TEST_CASE("random batches: encoded, walked, equal; damaged ones are walked without harm", "[property]") {
  const auto seed = GENERATE(range(0U, 200U));
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  const auto below = [&](std::uint64_t bound) { return random() % bound; };
  const auto text = [&]() -> std::optional<std::string> {
    if (below(5) == 0) return std::nullopt;
    std::string bytes(below(below(10) == 0 ? 3000 : 20), '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    return bytes;
  };
  std::vector<TestRecord> records(1 + below(20));
  for (std::size_t i = 0; i < records.size(); ++i) {
    records[i] = {text(), text(), static_cast<std::int64_t>(below(2000)) - 1000, {}, static_cast<std::int32_t>(i)};
    for (std::uint64_t left = below(4); left > 0; --left)
      records[i].headers.emplace_back(text().value_or("name"), text());
  }
  const auto count = static_cast<std::int32_t>(records.size());
  const Bytes payload = test::payload_of(records);
  const Walked walked = walk_payload(payload, count);
  REQUIRE(walked.ok);
  REQUIRE(walked.records == records);
  for (int damage = 0; damage < 50; ++damage) {
    Bytes damaged = payload;
    for (std::uint64_t changes = 1 + below(3); changes > 0; --changes)
      damaged[below(damaged.size())] = static_cast<std::byte>(random());
    if (below(3) == 0) damaged.resize(below(damaged.size() + 1));
    const Walked result = walk_payload(damaged.empty() ? Bytes(1) : damaged, count);
    REQUIRE(result.ok == result.error.empty());
    REQUIRE(result.records.size() <= records.size());
  }
}
