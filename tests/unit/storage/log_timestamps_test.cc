// ListOffsets by time, down to the record.
#include <catch2/catch.hpp>

#include "storage/log.h"
#include "tests/simulation/simulated_file_system.h"
#include "tests/support/record_batch.h"

using namespace kurier;
using namespace kurier::storage;
using protocol::Codec;
using test::batch_of;
using test::TestRecord;

namespace {

struct Fixture {
  simulation::SimulatedFileSystem files{1};
  std::unique_ptr<Log> log;

  explicit Fixture(LogConfig config = {}) {
    log = std::move(Log::open(files, {.directory = "/d/t-0", .config = config}, Timestamp(1000)).value());
  }
  void append(std::int64_t base, const std::vector<std::int64_t>& deltas, Codec codec, std::int16_t attributes = 0) {
    std::vector<TestRecord> records;
    for (const std::int64_t delta : deltas) records.push_back({.timestamp_delta = delta});
    append(batch_of(records, {.timestamp = Timestamp(base), .attributes = attributes}, codec));
  }
  void append(Bytes batch) { REQUIRE(log->append(batch, LeaderEpoch(4), Timestamp(1000))); }

  // Offset and timestamp; -1 and -1 if there is none.
  std::pair<std::int64_t, std::int64_t> at(std::int64_t timestamp) {
    return plain(log->offset_for_timestamp(Timestamp(timestamp)));
  }
  std::pair<std::int64_t, std::int64_t> latest() { return plain(log->offset_of_max_timestamp()); }

  static std::pair<std::int64_t, std::int64_t> plain(const Result<std::optional<Log::TimestampOffset>>& found) {
    REQUIRE(found);
    if (!*found) return {-1, -1};
    REQUIRE((*found)->epoch == LeaderEpoch(4));
    return {(*found)->offset.value(), (*found)->timestamp.value()};
  }
};

using Answer = std::pair<std::int64_t, std::int64_t>;

}  // namespace

TEST_CASE("the first record at or after a time is found inside a batch, compressed or not") {
  for (const Codec codec : {Codec::kNone, Codec::kGzip, Codec::kSnappy, Codec::kLz4, Codec::kZstd}) {
    CAPTURE(to_string(codec));
    Fixture f;
    REQUIRE(f.at(0) == Answer(-1, -1));
    REQUIRE(f.latest() == Answer(-1, -1));
    f.append(100, {0, 10, 5, 20}, codec);  // offsets 0 to 3
    f.append(90, {0, 35, 35, 1}, codec);   // 4 to 7
    REQUIRE(f.at(0) == Answer(0, 100));
    REQUIRE(f.at(100) == Answer(0, 100));
    REQUIRE(f.at(101) == Answer(1, 110));
    REQUIRE(f.at(111) == Answer(3, 120));
    REQUIRE(f.at(121) == Answer(5, 125));
    REQUIRE(f.at(125) == Answer(5, 125));
    REQUIRE(f.at(126) == Answer(-1, -1));
    REQUIRE(f.latest() == Answer(5, 125));
  }
}

TEST_CASE("with log append time every record of a batch has its time") {
  for (const Codec codec : {Codec::kNone, Codec::kZstd}) {
    Fixture f;
    f.append(100, {0, 50}, codec, protocol::kTimestampTypeMask);
    f.append(200, {0, 50}, codec, protocol::kTimestampTypeMask);
    REQUIRE(f.at(120) == Answer(0, 150));
    REQUIRE(f.at(150) == Answer(0, 150));
    REQUIRE(f.at(151) == Answer(2, 250));
    REQUIRE(f.latest() == Answer(2, 250));
  }
}

TEST_CASE("where no record has a time the first one has the latest") {
  Fixture f;
  f.append(-1, {0, 0}, Codec::kNone);
  f.append(-1, {0}, Codec::kNone);
  REQUIRE(f.latest() == Answer(0, -1));
  REQUIRE(f.at(0) == Answer(-1, -1));
}

TEST_CASE("a record below the log start offset is not found") {
  Fixture f;
  f.append(100, {0, 10, 20}, Codec::kLz4);
  REQUIRE(f.log->set_log_start_offset(Offset(2)));
  REQUIRE(f.at(0) == Answer(2, 120));
}

TEST_CASE("a batch whose header promises a later time than its records have is passed over") {
  Fixture f;
  Bytes batch = batch_of({{}, {.timestamp_delta = 10}}, {.timestamp = Timestamp(100)}, Codec::kGzip);
  protocol::stamp_max_timestamp(batch, Timestamp(500));
  f.append(batch);
  f.append(300, {0}, Codec::kNone);
  REQUIRE(f.at(105) == Answer(1, 110));
  REQUIRE(f.at(200) == Answer(2, 300));
}

TEST_CASE("a batch that cannot be walked answers with its first offset: too early, never too late") {
  for (const std::int16_t attributes : {std::int16_t{0}, std::int16_t{1}}) {
    Fixture f;
    f.append(100, {0, 10}, Codec::kNone);
    f.append(test::raw_batch({.records = 3, .timestamp = Timestamp(200), .attributes = attributes}));
    REQUIRE(f.at(150) == Answer(2, 200));
  }
}

TEST_CASE("the right segment is found among many") {
  LogConfig config;
  config.segment_bytes = 300;
  config.index_interval_bytes = 100;
  Fixture f(config);
  for (int i = 0; i < 60; ++i) f.append(1000 + 10 * i, {0, 5}, i % 2 == 0 ? Codec::kNone : Codec::kSnappy);
  REQUIRE(f.log->segment_count() > 5);
  for (int i = 0; i < 60; ++i) {
    REQUIRE(f.at(1000 + 10 * i) == Answer(2 * i, 1000 + 10 * i));
    REQUIRE(f.at(1001 + 10 * i) == Answer(2 * i + 1, 1005 + 10 * i));
  }
  REQUIRE(f.latest() == Answer(119, 1595));
}
