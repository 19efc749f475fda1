// What a cleaning leaves of a log: records, tombstones, transactions, producers, batches; and how it meets other changes.
#include "storage/cleaner.h"

#include <catch2/catch.hpp>

#include "tests/simulation/simulated_file_system.h"
#include "tests/support/cleaning.h"
#include "tests/support/log_content.h"
#include "tests/support/record_batch.h"
#include "tests/support/segment_indexes.h"

using namespace kurier;
using namespace kurier::storage;
using protocol::Codec;
using test::batch_of;
using test::content_of;
using test::DecodedBatch;
using test::TestRecord;

namespace {

constexpr const char* kDirectory = "/d/t-0";

LogConfig compacted() {
  LogConfig config;
  config.compact = true;
  config.delete_old = false;
  config.index_interval_bytes = 100;
  config.delete_retention_ms = 1000;
  return config;
}

struct Fixture {
  simulation::SimulatedFileSystem files{1};
  LogConfig config;
  std::unique_ptr<Log> log;
  Timestamp now{5000};
  CleaningLimits limits;

  explicit Fixture(LogConfig its_config = compacted()) : config(its_config) { open(); }
  void open(std::optional<Offset> cleaned_to = std::nullopt) {
    log.reset();
    auto opened = Log::open(files, {.directory = kDirectory, .config = config, .cleaned_to = cleaned_to}, now);
    REQUIRE(opened);
    log = std::move(*opened);
  }
  Offset append(Bytes batch) {
    const auto appended = log->append(batch, LeaderEpoch(3), now, AppendOrigin::kCoordinator);
    REQUIRE(appended);
    return appended->first_offset;
  }
  // "a=1" is a record, "a" a tombstone, "=1" a value without key.
  Offset put(const std::vector<std::string>& records, test::BatchOptions options = {}, Codec codec = Codec::kNone) {
    std::vector<TestRecord> all;
    for (const std::string& text : records) {
      const auto at = text.find('=');
      TestRecord& record = all.emplace_back();
      record.key = text.substr(0, at);
      record.value = at == std::string::npos ? std::nullopt : std::optional(text.substr(at + 1));
      if (at == 0) record.key.reset();
    }
    if (options.timestamp == Timestamp(0)) options.timestamp = now;
    return append(batch_of(all, options, codec));
  }
  void roll() { REQUIRE(log->roll(now)); }
  test::Cleaned clean() {
    log->high_watermark_is(log->log_end_offset());
    const auto cleaned =
        test::clean(*log, files, now, log->first_unstable_offset().value_or(log->log_end_offset()), limits);
    if (!cleaned) FAIL(cleaned.error().context);
    REQUIRE(cleaned->has_value());
    return **cleaned;
  }
  // "0:a=1 2:b" with [] around what one batch holds.
  std::string text() {
    std::string all;
    for (const DecodedBatch& batch : content_of(*log)) {
      all += '[';
      for (const auto& record : batch.records) {
        if (all.back() != '[') all += ' ';
        all += std::to_string(record.offset.value()) + ":";
        if (batch.control) {
          all += record.key->at(3) == 1 ? "commit" : "abort";
          continue;
        }
        all += record.key.value_or("") + (record.value ? "=" + *record.value : "");
      }
      all += ']';
    }
    return all;
  }
  std::vector<std::string> names() {
    std::vector<std::string> all;
    for (const auto& entry : *files.list(kDirectory)) all.push_back(entry.name);
    return all;
  }
};

test::BatchOptions producer(std::int64_t id, std::int32_t sequence, bool transactional = false) {
  return {.producer_id = ProducerId(id),
          .producer_epoch = ProducerEpoch(0),
          .base_sequence = sequence,
          .attributes = transactional ? protocol::kTransactionalMask : std::int16_t{0}};
}

Bytes marker(std::int64_t id, bool commit, Timestamp now) {
  return test::marker_batch(ProducerId(id), ProducerEpoch(0), commit, now);
}

}  // namespace

TEST_CASE("the latest record of each key stays where it was, and the active segment as it is") {
  Fixture f;
  f.put({"a=1", "b=1", "c=1"});
  f.put({"a=2"});
  f.roll();
  f.put({"b=2", "d=1"});
  f.roll();
  f.put({"a=3"});
  CHECK(f.clean().cleaned_to == Offset(6));
  CHECK(f.text() == "[2:c=1][3:a=2][4:b=2 5:d=1][6:a=3]");
  CHECK(f.log->segment_count() == 2);
  const auto batches = content_of(*f.log);
  CHECK(batches[0].base == Offset(0));
  CHECK(batches[0].last == Offset(2));
  CHECK(batches[0].leader_epoch == LeaderEpoch(3));
  // A restart finds the same.
  REQUIRE(f.log->close_clean());
  f.open(Offset(6));
  CHECK(f.text() == "[2:c=1][3:a=2][4:b=2 5:d=1][6:a=3]");
}

TEST_CASE("every codec is kept, and timestamps with it") {
  for (const Codec codec : {Codec::kNone, Codec::kGzip, Codec::kSnappy, Codec::kLz4, Codec::kZstd}) {
    CAPTURE(to_string(codec));
    Fixture f;
    std::vector<TestRecord> records;
    for (int i = 0; i < 6; ++i) {
      records.push_back({.key = std::to_string(i % 4),
                         .value = std::to_string(i),
                         .timestamp_delta = 10 * (6 - i),
                         .headers = {{"h", "v"}, {"none", std::nullopt}}});
    }
    f.append(batch_of(records, {.timestamp = Timestamp(70)}, codec));
    f.roll();
    f.clean();
    const auto batches = content_of(*f.log);
    REQUIRE(batches.size() == 1);
    CHECK(batches[0].codec == codec);
    CHECK(batches[0].max_timestamp == 110);  // of the record at offset 2; those before it are gone
    REQUIRE(batches[0].records.size() == 4);
    for (int i = 0; i < 4; ++i)
      CHECK(batches[0].records[static_cast<std::size_t>(i)].timestamp == Timestamp(70 + 10 * (4 - i)));
    CHECK(batches[0].records[0].offset == Offset(2));
  }
}

TEST_CASE("a batch with log append time keeps it") {
  Fixture f;
  f.append(batch_of(
      {{.key = "a", .timestamp_delta = 1}, {.key = "a", .timestamp_delta = 2}, {.key = "b", .timestamp_delta = 3}},
      {.timestamp = Timestamp(5), .attributes = protocol::kTimestampTypeMask}));
  f.roll();
  f.clean();
  const auto batches = content_of(*f.log);
  REQUIRE(batches.size() == 1);
  CHECK(batches[0].max_timestamp == 8);
  CHECK(batches[0].records[0].timestamp == Timestamp(8));
}

TEST_CASE("a tombstone stays delete.retention.ms after the cleaning that first saw it") {
  Fixture f;
  f.put({"a=1", "b=1", "a"});
  f.roll();
  f.put({"c=1"});
  f.roll();
  f.now = Timestamp(10'000);
  f.clean();
  CHECK(f.text() == "[1:b=1 2:a][3:c=1]");
  CHECK(content_of(*f.log)[0].delete_horizon == 11'000);
  CHECK(content_of(*f.log)[0].records[0].timestamp ==
        Timestamp(5000));  // although the base timestamp is the horizon now
  CHECK_FALSE(content_of(*f.log)[1].delete_horizon);
  f.now = Timestamp(10'999);
  f.put({"d=1"});
  f.roll();
  f.clean();
  CHECK(f.text() == "[1:b=1 2:a][3:c=1][4:d=1]");
  CHECK(content_of(*f.log)[0].delete_horizon == 11'000);
  f.now = Timestamp(11'000);
  f.put({"e=1"});
  f.roll();
  f.clean();
  CHECK(f.text() == "[1:b=1][3:c=1][4:d=1][5:e=1]");
  CHECK(content_of(*f.log)[0].delete_horizon == 11'000);
}

TEST_CASE("a record without a key goes") {
  Fixture f;
  f.put({"=1", "a=1"});
  f.roll();
  CHECK(f.clean().stats.records.records_without_key == 1);
  CHECK(f.text() == "[1:a=1]");
}

TEST_CASE("the batch that ends at the high watermark stays as a header") {
  Fixture f;
  f.put({"a=1"});
  f.put({"=1"});
  f.roll();
  f.clean();
  CHECK(f.text() == "[0:a=1][]");
  const auto batches = content_of(*f.log);
  CHECK(batches[1].last == Offset(1));
  CHECK(batches[1].max_timestamp == 5000);
  f.open();  // after a crash, with all indexes made anew
  CHECK(f.log->log_end_offset() == Offset(2));
  f.put({"b=1"});
  f.roll();
  f.clean();
  CHECK(f.text() == "[0:a=1][2:b=1]");
}

TEST_CASE("the last batch of each producer stays as a header: idempotence survives") {
  Fixture f;
  f.put({"a=1", "a=2"}, producer(7, 0));
  f.put({"a=3"}, producer(7, 2));
  f.put({"a=4"}, producer(8, 0));
  f.put({"b=1"});
  f.roll();
  f.put({"a=5"});
  f.roll();
  f.put({"c=1"});
  f.clean();
  CHECK(f.text() == "[][][4:b=1][5:a=5][6:c=1]");
  const auto batches = content_of(*f.log);
  CHECK(batches[0].producer == ProducerId(7));
  CHECK(batches[0].base_sequence == 2);
  f.open();  // the state of the producers is made anew from these headers
  auto next = batch_of({TestRecord{}}, producer(7, 3));
  CHECK(f.log->append(next, LeaderEpoch(3), f.now)->verdict == ProducerVerdict::kInSequence);
  auto again = batch_of({TestRecord{}}, producer(8, 0));
  const auto duplicate = f.log->append(again, LeaderEpoch(3), f.now);
  CHECK(duplicate->verdict == ProducerVerdict::kDuplicate);
  CHECK(duplicate->first_offset == Offset(3));
}

TEST_CASE("aborted data goes, its marker when nothing of it is left and the delete horizon has passed") {
  Fixture f;
  f.put({"k=kept"});
  f.put({"a=aborted", "k=aborted"}, producer(5, 0, true));
  f.append(marker(5, false, f.now));
  f.put({"b=1"}, producer(5, 2, true));
  f.append(marker(5, true, f.now));
  f.put({"z=1"}, producer(5, 3, true));
  f.append(marker(5, true, f.now));
  f.roll();
  f.put({"l=1"});
  f.now = Timestamp(10'000);
  f.clean();
  CHECK(f.text() == "[0:k=kept][3:abort][4:b=1][5:commit][6:z=1][7:commit][8:l=1]");
  // Its data has gone in this round, so the marker is not without data before the next.
  CHECK_FALSE(content_of(*f.log)[1].delete_horizon);
  f.roll();
  f.clean();
  CHECK(content_of(*f.log)[1].delete_horizon == 11'000);
  CHECK_FALSE(content_of(*f.log)[3].delete_horizon);  // of a commit whose data is there
  f.put({"m=1", "b=2"});
  f.roll();
  f.now = Timestamp(11'000);
  f.clean();
  CHECK(f.text() == "[0:k=kept][5:commit][6:z=1][7:commit][8:l=1][9:m=1 10:b=2]");
}

TEST_CASE("an open transaction, and what lies behind its beginning, is left alone") {
  Fixture f;
  f.put({"a=1", "a=2"});
  f.roll();
  f.put({"a=3"}, producer(5, 0, true));
  f.put({"a=4"});
  f.roll();
  f.clean();
  CHECK(f.text() == "[1:a=2][2:a=3][3:a=4]");
  f.append(marker(5, false, f.now));
  f.roll();
  f.clean();
  CHECK(f.text() == "[][3:a=4][4:abort]");
}

TEST_CASE("aborted data whose marker lies in a later segment is known as aborted") {
  Fixture f;
  f.put({"k=1"});
  f.put({"k=aborted"}, producer(5, 0, true));
  f.roll();
  f.put({"x=1"}, producer(5, 1, true));
  f.roll();
  f.append(marker(5, false, f.now));
  f.put({"y=1"});
  f.clean();
  CHECK(f.text() == "[0:k=1][][3:abort][4:y=1]");
  const auto aborted = f.log->aborted_transactions(Offset(0), Offset(5));
  REQUIRE(aborted);
  CHECK(aborted->size() == 1);
}

TEST_CASE("the index of aborted transactions is kept for what is still there") {
  Fixture f;
  f.put({"k=aborted"}, producer(5, 0, true));
  f.append(marker(5, false, f.now));
  f.roll();
  f.put({"y=1"});
  f.clean();
  CHECK(f.text() == "[][1:abort][2:y=1]");  // the producer's last batch, as a header
  CHECK(f.log->aborted_transactions(Offset(0), Offset(3))->size() == 1);
}

TEST_CASE("a truncation does not bring back what a cleaning has left out of the index of aborted transactions") {
  LogConfig config = compacted();
  config.segment_bytes = 200;  // so that segments stay apart, with the snapshots between them
  Fixture f(config);
  f.put({"m=1"});
  f.put({"k=aborted"}, producer(5, 0, true));
  f.roll();
  f.append(marker(5, false, f.now));
  f.put({"y=1"}, producer(5, 1));
  f.roll();
  f.put({"z=1"});
  f.roll();
  f.clean();
  CHECK(f.log->aborted_transactions(Offset(0), Offset(5))->size() == 1);
  f.put({"z=2"});
  f.roll();
  f.clean();
  CHECK(f.text() == "[0:m=1][2:abort][3:y=1][5:z=2]");
  CHECK(f.log->aborted_transactions(Offset(0), Offset(6))->empty());
  REQUIRE(f.log->truncate_to(Offset(3)));
  CHECK(f.text() == "[0:m=1][2:abort]");
  CHECK(f.log->aborted_transactions(Offset(0), Offset(3))->empty());
}

TEST_CASE("a round that begins behind an abort marker does not take the producer's next transaction for aborted") {
  Fixture f;
  f.limits.map_bytes = 24 * 3;
  f.limits.map_load_factor = 0.7;  // two keys
  f.put({"gone=1"});
  f.put({"x=1"}, producer(5, 0, true));
  f.append(marker(5, false, f.now));
  f.put({"a=1"});
  f.put({"gone"}, producer(5, 1, true));
  f.append(marker(5, true, f.now));
  f.roll();
  CHECK(f.clean().cleaned_to == Offset(4));
  CHECK(f.text() == "[0:gone=1][2:abort][3:a=1][4:gone][5:commit]");
  CHECK(f.clean().cleaned_to == Offset(6));
  CHECK(f.text() == "[2:abort][3:a=1][4:gone][5:commit]");
}

TEST_CASE("a full map ends the round inside a batch; the next rounds do the rest") {
  Fixture f;
  f.limits.map_bytes = 24 * 3;
  f.limits.map_load_factor = 0.7;  // two keys
  f.put({"a=1", "b=1", "c=1", "a=2", "d=1"});
  f.put({"b=2"});
  f.roll();
  CHECK(f.clean().cleaned_to == Offset(2));
  CHECK(f.text() == "[0:a=1 1:b=1 2:c=1 3:a=2 4:d=1][5:b=2]");
  CHECK(f.clean().cleaned_to == Offset(4));
  CHECK(f.text() == "[1:b=1 2:c=1 3:a=2 4:d=1][5:b=2]");
  CHECK(f.clean().cleaned_to == Offset(6));
  CHECK(f.text() == "[2:c=1 3:a=2 4:d=1][5:b=2]");
  CHECK_FALSE(f.log->assess_cleaning(Offset(6), f.now)->is_due);
}

TEST_CASE("segments become one up to segment.bytes, and snapshots go with those that are no more") {
  LogConfig config = compacted();
  config.segment_bytes = 500;
  Fixture f(config);
  for (int i = 0; i < 6; ++i) {
    f.put({"k" + std::to_string(i) + "=" + std::string(100, 'v')});
    f.roll();
  }
  CHECK(f.log->segment_count() == 7);
  CHECK(f.clean().groups == 3);
  CHECK(f.log->segment_count() == 4);
  std::vector<std::string> logs;
  std::vector<std::string> snapshots;
  for (const std::string& name : f.names()) {
    if (name.ends_with(".log")) logs.push_back(name.substr(18, 2));
    if (name.ends_with(".snapshot")) snapshots.push_back(name.substr(18, 2));
    CHECK_FALSE(name.ends_with(".swap"));
    CHECK_FALSE(name.ends_with(".cleaned"));
  }
  CHECK(logs == std::vector<std::string>{"00", "02", "04", "06"});
  CHECK(snapshots == std::vector<std::string>{"02", "04", "06"});
}

TEST_CASE("a read that has begun goes on with the old segment") {
  Fixture f;
  f.put({"a=1"});
  f.put({"a=2"});
  f.roll();
  f.put({"a=3"});
  f.roll();
  const auto read = f.log->read(Offset(0), 10'000, Offset(3), true);
  REQUIRE(read);
  Bytes before(read->slice.size_bytes);
  REQUIRE(read->slice.file->read_at(read->slice.position, before) == before.size());
  f.clean();
  CHECK(f.text() == "[2:a=3]");
  Bytes after(before.size());
  REQUIRE(read->slice.file->read_at(read->slice.position, after) == after.size());
  CHECK(before == after);
}

TEST_CASE("a cleaning whose log was truncated or shortened meanwhile is thrown away") {
  for (const bool truncated : {true, false}) {
    CAPTURE(truncated);
    Fixture f;
    f.put({"a=1"});
    f.put({"a=2"});
    f.roll();
    f.put({"b=1"});
    f.roll();
    f.put({"c=1"});
    const auto assessment = f.log->assess_cleaning(Offset(4), f.now);
    REQUIRE(assessment);
    auto job = f.log->begin_cleaning(*assessment, f.now);
    REQUIRE(job);
    Cleaning cleaning(std::move(*job), {});
    REQUIRE(cleaning.run(UINT64_MAX).value() == Cleaning::Progress::kGroup);
    if (truncated) {
      REQUIRE(f.log->truncate_to(Offset(1)));
    } else {
      REQUIRE(f.log->set_log_start_offset(Offset(2)));
      REQUIRE(f.log->delete_old_segments(f.now, Offset(4))->size() > 0);
    }
    const std::string text = f.text();
    CHECK_FALSE(f.log->offer_cleaned(cleaning.take_group()).value());
    CHECK(f.text() == text);
    for (const std::string& name : f.names()) CHECK_FALSE(name.ends_with(".cleaned"));
  }
}

TEST_CASE("a start finishes a swap beside what a crash has left of a snapshot") {
  Fixture f;
  f.put({"a=1"});
  f.put({"a=2"});
  f.roll();
  f.put({"b=1"});
  const auto assessment = f.log->assess_cleaning(Offset(3), f.now);
  Cleaning cleaning(std::move(*f.log->begin_cleaning(*assessment, f.now)), {});
  REQUIRE(cleaning.run(UINT64_MAX).value() == Cleaning::Progress::kGroup);
  REQUIRE(f.log->offer_cleaned(cleaning.take_group()).value());
  REQUIRE(f.files.open(f.log->directory() + "/00000000000000000001.snapshot.tmp", OpenMode::kTruncate));
  f.open();
  CHECK(f.text() == "[1:a=2][2:b=1]");
}

TEST_CASE("a truncation between the steps of a swap finds a log in order") {
  for (int steps = 1; steps <= 2; ++steps) {
    CAPTURE(steps);
    Fixture f;
    f.put({"a=1"});
    f.put({"a=2"});
    f.roll();
    f.put({"b=1"});
    const auto assessment = f.log->assess_cleaning(Offset(3), f.now);
    Cleaning cleaning(std::move(*f.log->begin_cleaning(*assessment, f.now)), {});
    REQUIRE(cleaning.run(UINT64_MAX).value() == Cleaning::Progress::kGroup);
    REQUIRE(f.log->offer_cleaned(cleaning.take_group()).value());
    if (steps == 2) REQUIRE(f.log->take_cleaned());
    REQUIRE(f.log->delete_old_segments(f.now, Offset(3))->empty());
    REQUIRE(f.log->truncate_to(Offset(2)));
    CHECK(f.text() == (steps == 1 ? "[0:a=1][1:a=2]" : "[1:a=2]"));
    REQUIRE(f.log->take_cleaned()->empty());
    REQUIRE(f.log->settle_cleaned());
    for (const std::string& name : f.names()) CHECK_FALSE(name.ends_with(".swap"));
    f.open();
    CHECK(f.text() == (steps == 1 ? "[0:a=1][1:a=2]" : "[1:a=2]"));
  }
}

TEST_CASE("nothing is cleaned behind the bound that a view of the log has set") {
  Fixture f;
  f.put({"a=1", "a=2"});
  f.roll();
  f.put({"a=3"});
  f.roll();
  f.log->never_clean_beyond(Offset(2));
  f.clean();
  CHECK(f.text() == "[1:a=2][2:a=3]");
  f.log->never_clean_beyond(std::nullopt);
  f.clean();
  CHECK(f.text() == "[2:a=3]");
}

TEST_CASE("a checkpoint follows truncation, to where the active segment begins now") {
  Fixture f;
  f.put({"a=1", "b=1"});
  f.put({"c=1"});
  f.roll();
  f.clean();
  CHECK(f.log->cleaned_to() == Offset(3));
  f.put({"d=1"});
  f.put({"e=1"});
  REQUIRE(f.log->truncate_to(Offset(4)));
  CHECK(f.log->cleaned_to() == Offset(3));
  REQUIRE(f.log->truncate_to(Offset(2)));
  CHECK(f.log->cleaned_to() == Offset(0));
}

TEST_CASE("min.compaction.lag.ms counts from when a record without timestamp was written") {
  LogConfig config = compacted();
  config.min_compaction_lag_ms = 100;
  Fixture f(config);
  f.put({"a=1"}, {.timestamp = Timestamp(-1)});
  f.put({"a=2"}, {.timestamp = Timestamp(-1)});
  f.roll();
  f.now = f.now + 99;
  CHECK_FALSE(f.log->assess_cleaning(Offset(2), f.now)->is_due);
  f.now = f.now + 1;
  CHECK(f.log->assess_cleaning(Offset(2), f.now)->is_due);
}

TEST_CASE("max.compaction.lag.ms ends the active segment, so that it can be cleaned") {
  LogConfig config = compacted();
  config.max_compaction_lag_ms = 100;
  Fixture f(config);
  f.put({"a=1"});
  f.put({"a=2"}, {.timestamp = f.now + 100});
  CHECK(f.log->segment_count() == 1);
  f.put({"a=3"}, {.timestamp = f.now + 101});
  CHECK(f.log->segment_count() == 2);
  config.compact = false;
  f.log->set_config(config);
  f.put({"a=4"}, {.timestamp = f.now + 1000});
  CHECK(f.log->segment_count() == 2);
}

TEST_CASE("what a cleaning has written is indexed, and found by its time") {
  Fixture f;
  const Timestamp first = f.now;
  for (int i = 0; i < 100; ++i, f.now = f.now + 1) f.put({"key " + std::to_string(i % 60) + "=value"});
  f.roll();
  f.clean();
  const auto index = read_file(f.files, segment_path(kDirectory, Offset(0), kIndexSuffix));
  REQUIRE((index && index->size() >= 10 * OffsetIndex::kEntryBytes));
  CHECK(test::indexes_are_whole(f.files, kDirectory, Offset(0), f.config));
  const auto found = f.log->offset_for_timestamp(first + 50);
  REQUIRE(found);
  REQUIRE(*found);
  CHECK((*found)->offset == Offset(50));
}

TEST_CASE("a damaged batch stops the cleaning, and the log stays as it is") {
  Fixture f;
  f.put({"a=1"});
  f.put({"a=2"});
  f.roll();
  const auto file = f.files.open(segment_path(kDirectory, Offset(0), kLogSuffix), OpenMode::kReadWrite);
  REQUIRE(file);
  const Bytes rot(1, std::byte{0x7f});
  REQUIRE((*file)->write_at(65, rot));
  const auto cleaned = test::clean(*f.log, f.files, f.now, Offset(2));
  REQUIRE_FALSE(cleaned);
  CHECK(cleaned.error().failure == Failure::kCorrupt);
  for (const std::string& name : f.names()) CHECK_FALSE(name.ends_with(".cleaned"));
}

TEST_CASE("a full disk stops the cleaning, and the log stays as it is") {
  Fixture f;
  f.put({"a=1"});
  f.put({"a=2"});
  f.roll();
  f.files.space_left_is(10);
  const auto cleaned = test::clean(*f.log, f.files, f.now, Offset(2));
  REQUIRE_FALSE(cleaned);
  CHECK(cleaned.error().failure == Failure::kNoSpace);
  CHECK(f.text() == "[0:a=1][1:a=2]");
  f.files.space_left_is(UINT64_MAX);
  f.clean();
  CHECK(f.text() == "[1:a=2]");
}

TEST_CASE("in small slices the same comes out") {
  Fixture whole;
  Fixture sliced;
  for (int i = 0; i < 300; ++i) {
    const std::string record = "k" + std::to_string(i % 37) + "=" + std::to_string(i) + std::string(200, 'x');
    for (Fixture* f : {&whole, &sliced}) {
      f->put({record, record + "y"});
      if (i % 60 == 59) f->roll();
    }
  }
  whole.clean();
  sliced.limits.buffer_bytes = 1;  // what is least
  REQUIRE(test::clean(*sliced.log, sliced.files, sliced.now, Offset(600), sliced.limits, 1));
  CHECK(content_of(*whole.log) == content_of(*sliced.log));
  CHECK(content_of(*whole.log).size() == 37);
}
