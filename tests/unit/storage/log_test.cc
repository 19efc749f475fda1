#include "storage/log.h"

#include <catch2/catch.hpp>
#include <set>

#include "tests/simulation/simulated_file_system.h"
#include "tests/support/raw_batch.h"

using namespace kurier;
using namespace kurier::storage;
using kurier::test::marker_batch;
using kurier::test::raw_batch;

namespace {

struct Fixture {
  simulation::SimulatedFileSystem files{1};
  LogConfig config;
  std::unique_ptr<Log> log;
  Timestamp now{1000};

  explicit Fixture(LogConfig its_config = {}) : config(its_config) { open(false); }

  void open(bool clean) {
    log.reset();
    auto opened = Log::open(files, {.directory = "/d/t-0", .config = config, .had_clean_shutdown = clean}, now);
    REQUIRE(opened);
    log = std::move(*opened);
  }
  AppendResult append(Bytes batch, std::int32_t epoch = 0) {
    auto result = log->append(batch, LeaderEpoch(epoch), now);
    REQUIRE(result);
    return *result;
  }
  Bytes bytes(const LogRead& read) {
    Bytes all(read.slice.size_bytes);
    if (!all.empty()) REQUIRE(read.slice.file->read_at(read.slice.position, all) == all.size());
    return all;
  }
};

LogConfig small_segments() {
  LogConfig config;
  config.segment_bytes = 300;
  config.index_interval_bytes = 100;
  return config;
}

}  // namespace

TEST_CASE("offsets are assigned one after the other, and stamped with the leader's epoch") {
  Fixture f;
  REQUIRE(f.append(raw_batch({.records = 3})).last_offset == Offset(2));
  const AppendResult second = f.append(raw_batch({.records = 2}), 4);
  REQUIRE(second.first_offset == Offset(3));
  REQUIRE(f.log->log_end_offset() == Offset(5));
  const auto read = f.log->read(Offset(4), 1000, Offset(5), true);
  REQUIRE(read);
  const Bytes bytes = f.bytes(*read);
  const auto batch = protocol::RecordBatchView::parse(bytes);
  REQUIRE(batch);
  REQUIRE(batch->base_offset() == Offset(3));
  REQUIRE(batch->leader_epoch() == LeaderEpoch(4));
  REQUIRE(batch->crc_is_valid());
}

TEST_CASE("a read ends at its upper bound, is cut at its size, and holds one whole batch if it must") {
  Fixture f;
  for (int i = 0; i < 5; ++i) f.append(raw_batch({.records = 2, .payload_bytes = 39}));  // 100 bytes each
  REQUIRE(f.log->read(Offset(0), 10'000, Offset(6), true)->slice.size_bytes == 300);
  REQUIRE(f.log->read(Offset(0), 10'000, Offset(10), true)->slice.size_bytes == 500);
  REQUIRE(f.log->read(Offset(0), 250, Offset(10), true)->slice.size_bytes == 250);
  REQUIRE(f.log->read(Offset(0), 10, Offset(10), true)->slice.size_bytes == 100);
  REQUIRE(f.log->read(Offset(0), 10, Offset(10), false)->slice.size_bytes == 10);
  REQUIRE(f.log->read(Offset(10), 10, Offset(10), true)->slice.size_bytes == 0);
  // A batch that goes beyond the bound is not readable in part.
  REQUIRE(f.log->read(Offset(4), 10'000, Offset(5), true)->slice.size_bytes == 0);
  REQUIRE(f.log->read(Offset(11), 10, Offset(10), true).error().failure == Failure::kOutOfRange);
  REQUIRE(f.log->read(Offset(-1), 10, Offset(10), true).error().failure == Failure::kOutOfRange);
}

TEST_CASE("segments roll by size, and every offset is found in them") {
  Fixture f(small_segments());
  for (int i = 0; i < 40; ++i) f.append(raw_batch({.records = 3, .payload_bytes = 30}));
  REQUIRE(f.log->segment_count() == 14);
  for (const bool clean : {false, true}) {
    for (std::int64_t offset = 0; offset < 120; ++offset) {
      const auto read = f.log->read(Offset(offset), 1, Offset(120), true);
      REQUIRE(read);
      const Bytes bytes = f.bytes(*read);
      const auto batch = protocol::RecordBatchView::parse(bytes);
      REQUIRE(batch);
      REQUIRE(batch->base_offset() == Offset(offset / 3 * 3));
    }
    REQUIRE(f.log->close_clean());
    f.open(clean);
    REQUIRE(f.log->log_end_offset() == Offset(120));
  }
}

TEST_CASE("segments roll by the time between their records, not by the clock") {
  LogConfig config;
  config.segment_time = std::chrono::milliseconds(100);
  Fixture f(config);
  f.append(raw_batch({.timestamp = Timestamp(1000)}));
  f.append(raw_batch({.timestamp = Timestamp(1100)}));
  REQUIRE(f.log->segment_count() == 1);
  f.append(raw_batch({.timestamp = Timestamp(1101)}));
  REQUIRE(f.log->segment_count() == 2);
  // Without an append the active segment stays, as in Apache Kafka.
  REQUIRE(f.log->delete_old_segments(Timestamp(5000), Offset(INT64_MAX))->empty());
  REQUIRE(f.log->segment_count() == 2);
}

TEST_CASE("retention by size keeps at least retention.bytes; by time goes by the records; both stop at the high watermark") {
  LogConfig config = small_segments();
  config.retention_ms = -1;
  config.retention_bytes = 500;
  {
    Fixture f(config);
    for (int i = 0; i < 40; ++i) f.append(raw_batch({.payload_bytes = 39}));
    const std::uint64_t before = f.log->size_bytes();
    REQUIRE(f.log->delete_old_segments(f.now, Offset(0))->empty());
    REQUIRE_FALSE(f.log->delete_old_segments(f.now, Offset(40))->empty());
    REQUIRE(f.log->size_bytes() >= 500);
    REQUIRE(f.log->size_bytes() < 500 + 300);
    REQUIRE(f.log->size_bytes() < before);
    REQUIRE(f.log->log_start_offset() > Offset(0));
    REQUIRE(f.log->read(Offset(0), 1, Offset(40), true).error().failure == Failure::kOutOfRange);
  }
  config.retention_bytes = -1;
  config.retention_ms = 50;
  Fixture f(config);
  for (int i = 0; i < 10; ++i) f.append(raw_batch({.timestamp = Timestamp(1000 + i), .payload_bytes = 39}));
  REQUIRE(f.log->delete_old_segments(Timestamp(1050), Offset(10))->empty());
  config.keeps_everything = true;
  f.log->set_config(config);
  REQUIRE(f.log->delete_old_segments(Timestamp(2000), Offset(10))->empty());
  config.keeps_everything = false;
  f.log->set_config(config);
  REQUIRE_FALSE(f.log->delete_old_segments(Timestamp(2000), Offset(10))->empty());
  // All of it, the active segment too: an empty one says where the log goes on.
  REQUIRE(f.log->log_start_offset() == Offset(10));
  REQUIRE(f.log->log_end_offset() == Offset(10));
  REQUIRE(f.append(raw_batch({})).first_offset == Offset(10));
}

TEST_CASE("idempotent producers: duplicates, gaps, stale epochs, new incarnations, after a restart too") {
  Fixture f;
  const auto batch = [](std::int32_t sequence, std::int16_t epoch = 0) {
    return raw_batch({.records = 2, .producer_id = ProducerId(9), .producer_epoch = ProducerEpoch(epoch), .base_sequence = sequence});
  };
  for (int i = 0; i < 6; ++i) REQUIRE(f.append(batch(i * 2)).appended());
  const AppendResult duplicate = f.append(batch(4));
  REQUIRE(duplicate.verdict == ProducerVerdict::kDuplicate);
  REQUIRE(duplicate.first_offset == Offset(4));
  REQUIRE(duplicate.last_offset == Offset(5));
  REQUIRE(f.append(batch(0)).verdict == ProducerVerdict::kOutOfOrderSequence);  // older than five batches
  REQUIRE(f.append(batch(20)).verdict == ProducerVerdict::kOutOfOrderSequence);
  REQUIRE(f.append(batch(12, -1)).verdict == ProducerVerdict::kInvalidProducerEpoch);
  REQUIRE(f.append(batch(5, 1)).verdict == ProducerVerdict::kOutOfOrderSequence);
  REQUIRE(f.log->log_end_offset() == Offset(12));
  f.open(false);  // as after a kill
  REQUIRE(f.append(batch(10)).verdict == ProducerVerdict::kDuplicate);
  REQUIRE(f.append(batch(4)).verdict == ProducerVerdict::kDuplicate);
  REQUIRE(f.log->close_clean());
  f.open(true);
  REQUIRE(f.append(batch(10)).verdict == ProducerVerdict::kDuplicate);
  REQUIRE(f.append(batch(0, 1)).appended());
  REQUIRE(f.append(batch(2, 0)).verdict == ProducerVerdict::kInvalidProducerEpoch);
}

TEST_CASE("sequence numbers wrap to 0") {
  Fixture f;
  const auto batch = [](std::int32_t sequence, std::int32_t records) {
    return raw_batch({.records = records, .producer_id = ProducerId(1), .producer_epoch = ProducerEpoch(0), .base_sequence = sequence});
  };
  REQUIRE(f.append(batch(INT32_MAX - 1, 3)).appended());  // up to sequence 0
  REQUIRE(f.append(batch(1, 1)).appended());
}

TEST_CASE("open transactions hold the first unstable offset; aborted ones are listed, also after a kill") {
  Fixture f;
  const auto data = [](std::int64_t producer, std::int32_t sequence) {
    return raw_batch({.producer_id = ProducerId(producer), .producer_epoch = ProducerEpoch(0), .base_sequence = sequence,
                      .attributes = protocol::kTransactionalMask});
  };
  f.append(data(1, 0));                                                              // 0
  f.append(data(2, 0));                                                              // 1
  f.append(data(1, 1));                                                              // 2
  REQUIRE(f.log->first_unstable_offset() == Offset(0));
  f.append(marker_batch(ProducerId(1), ProducerEpoch(0), false, Timestamp(5)));      // 3: abort
  f.log->high_watermark_is(Offset(3));
  REQUIRE(f.log->first_unstable_offset() == Offset(0));  // the marker is not replicated yet
  f.log->high_watermark_is(Offset(4));
  REQUIRE(f.log->first_unstable_offset() == Offset(1));
  f.append(marker_batch(ProducerId(2), ProducerEpoch(0), true, Timestamp(6)));       // 4: commit
  f.log->high_watermark_is(Offset(5));
  REQUIRE_FALSE(f.log->first_unstable_offset());
  for (int life = 0; life < 2; ++life) {
    const auto aborted = f.log->aborted_transactions(Offset(0), Offset(5));
    REQUIRE(aborted);
    REQUIRE(*aborted == std::vector<AbortedTransaction>{{ProducerId(1), Offset(0), Offset(3), Offset(1)}});
    REQUIRE(f.log->aborted_transactions(Offset(4), Offset(5))->empty());
    f.open(false);
  }
}

TEST_CASE("leader epochs: where each one ended, through truncation and restart") {
  Fixture f;
  f.append(raw_batch({.records = 5}), 1);
  f.append(raw_batch({.records = 5}), 3);
  f.append(raw_batch({.records = 5}), 3);
  using End = LeaderEpochs::EndOffset;
  REQUIRE(f.log->offset_for_leader_epoch(LeaderEpoch(3)) == End{LeaderEpoch(3), Offset(15)});
  REQUIRE(f.log->offset_for_leader_epoch(LeaderEpoch(2)) == End{LeaderEpoch(1), Offset(5)});
  REQUIRE(f.log->offset_for_leader_epoch(LeaderEpoch(1)) == End{LeaderEpoch(1), Offset(5)});
  REQUIRE(f.log->offset_for_leader_epoch(LeaderEpoch(0)) == End{LeaderEpoch(0), Offset(0)});
  REQUIRE(f.log->offset_for_leader_epoch(LeaderEpoch(4)) == End{});
  REQUIRE(f.log->truncate_to(Offset(5)));
  REQUIRE(f.log->latest_epoch() == LeaderEpoch(1));
  f.open(false);
  REQUIRE(f.log->latest_epoch() == LeaderEpoch(1));
  REQUIRE(f.log->log_end_offset() == Offset(5));
}

TEST_CASE("a recovery leaves epochs where they began, also in segments that it does not look at") {
  Fixture f;
  f.append(raw_batch({.records = 5}), 1);
  f.append(raw_batch({.records = 5}), 2);
  REQUIRE(f.log->roll(f.now));
  f.append(raw_batch({.records = 5}), 2);
  f.append(raw_batch({.records = 5}), 3);
  f.log.reset();
  auto opened = Log::open(f.files, {.directory = "/d/t-0", .config = f.config, .recovery_point = Offset(10)}, f.now);
  REQUIRE(opened);
  using End = LeaderEpochs::EndOffset;
  CHECK((*opened)->offset_for_leader_epoch(LeaderEpoch(1)) == End{LeaderEpoch(1), Offset(5)});
  CHECK((*opened)->offset_for_leader_epoch(LeaderEpoch(2)) == End{LeaderEpoch(2), Offset(15)});
  CHECK((*opened)->offset_for_leader_epoch(LeaderEpoch(3)) == End{LeaderEpoch(3), Offset(20)});
  CHECK((*opened)->epoch_at(Offset(7)) == LeaderEpoch(2));
}

TEST_CASE("a truncation takes back aborted transactions, also where the log begins inside the segment") {
  Fixture f;
  for (const std::int32_t sequence : {0, 5}) {
    f.append(raw_batch({.records = 5,
                        .producer_id = ProducerId(7),
                        .producer_epoch = ProducerEpoch(0),
                        .base_sequence = sequence,
                        .attributes = protocol::kTransactionalMask}));
    Bytes marker = marker_batch(ProducerId(7), ProducerEpoch(0), false, f.now);
    REQUIRE(f.log->append(marker, LeaderEpoch(0), f.now, AppendOrigin::kCoordinator));
  }
  REQUIRE(f.log->aborted_transactions(Offset(0), Offset(12))->size() == 2);
  REQUIRE(f.log->set_log_start_offset(Offset(6)));
  REQUIRE(f.log->truncate_to(Offset(11)));
  CHECK(f.log->aborted_transactions(Offset(0), Offset(12))->size() == 1);
}

TEST_CASE("a transaction stays open when the log's start moves into it, and what is left of it can be aborted") {
  Fixture f;
  for (const std::int32_t sequence : {0, 5}) {
    f.append(raw_batch({.records = 5,
                        .producer_id = ProducerId(7),
                        .producer_epoch = ProducerEpoch(0),
                        .base_sequence = sequence,
                        .attributes = protocol::kTransactionalMask}));
  }
  REQUIRE(f.log->first_unstable_offset() == Offset(0));
  REQUIRE(f.log->set_log_start_offset(Offset(5)));
  CHECK(f.log->first_unstable_offset() == Offset(5));
  Bytes marker = marker_batch(ProducerId(7), ProducerEpoch(0), false, f.now);
  REQUIRE(f.log->append(marker, LeaderEpoch(0), f.now, AppendOrigin::kCoordinator));
  CHECK(f.log->aborted_transactions(Offset(5), Offset(11))->size() == 1);
}

TEST_CASE("a transaction stays open when the log begins inside its only batch, after a start and a truncation too") {
  Fixture f;
  f.append(raw_batch({.records = 5,
                      .producer_id = ProducerId(7),
                      .producer_epoch = ProducerEpoch(0),
                      .base_sequence = 0,
                      .attributes = protocol::kTransactionalMask}));
  f.append(raw_batch({.records = 5}));
  f.append(raw_batch({.records = 5}));
  REQUIRE(f.log->set_log_start_offset(Offset(3)));
  REQUIRE(f.log->truncate_to(Offset(10)));
  CHECK(f.log->first_unstable_offset() == Offset(3));
  f.log.reset();
  const auto opened =
      Log::open(f.files, {.directory = "/d/t-0", .config = f.config, .log_start_offset = Offset(3)}, f.now);
  REQUIRE(opened);
  CHECK((*opened)->first_unstable_offset() == Offset(3));
}

TEST_CASE("behind a gap that no index can span a follower's segment begins with its first batch") {
  Fixture f;
  Bytes first = raw_batch({.records = 5});
  protocol::stamp_offset(first, Offset(0), LeaderEpoch(1));
  Bytes far = raw_batch({.records = 5});
  protocol::stamp_offset(far, Offset(0) + (std::int64_t{1} << 32), LeaderEpoch(1));
  REQUIRE(f.log->append_as_follower(first, Timestamp(1000)));
  REQUIRE(f.log->append_as_follower(far, Timestamp(1000)));
  CHECK(f.log->active_base_offset() == Offset(std::int64_t{1} << 32));
}

TEST_CASE("retention.ms counts from when a record without timestamp was written") {
  LogConfig config;
  config.retention_ms = 100;
  Fixture f(config);
  f.append(raw_batch({.records = 5, .timestamp = Timestamp(-1)}));
  CHECK(f.log->delete_old_segments(Timestamp(1100), Offset(5))->empty());
  CHECK_FALSE(f.log->delete_old_segments(Timestamp(1101), Offset(5))->empty());
}

TEST_CASE("a leader's epoch begins with its leadership, and is on the disk with its first batch") {
  Fixture f;
  f.append(raw_batch({.records = 3}), 1);
  f.log->begin_epoch(LeaderEpoch(4));
  // What was written in epoch 1 ended where 4 began; nothing of 2 and 3 was ever here.
  REQUIRE(f.log->offset_for_leader_epoch(LeaderEpoch(1)).end_offset == Offset(3));
  REQUIRE(f.log->offset_for_leader_epoch(LeaderEpoch(3)) == LeaderEpochs::EndOffset{LeaderEpoch(1), Offset(3)});
  REQUIRE(f.log->offset_for_leader_epoch(LeaderEpoch(4)) == LeaderEpochs::EndOffset{LeaderEpoch(4), Offset(3)});
  f.open(false);
  REQUIRE(f.log->latest_epoch() == LeaderEpoch(1));
  f.log->begin_epoch(LeaderEpoch(5));
  f.append(raw_batch({}), 5);
  f.open(false);
  REQUIRE(f.log->latest_epoch() == LeaderEpoch(5));
}

TEST_CASE("leader epochs that are lost or damaged are made anew from the batches") {
  const char* path = "/d/t-0/leader-epoch-checkpoint";
  for (const bool clean : {true, false}) {
    for (const char* content : {"", "0\n2\n3 0\n", "1\n0\n", "junk"}) {
      Fixture f(small_segments());
      for (int i = 0; i < 30; ++i) f.append(raw_batch({.records = 3, .payload_bytes = 30}), 3 + i / 10);
      const Bytes written = *read_file(f.files, path);
      REQUIRE(f.log->close_clean());
      f.log.reset();
      if (*content == '\0') {
        REQUIRE(f.files.remove(path));
      } else {
        REQUIRE(write_file_atomically(f.files, path, as_bytes(content)));
      }
      f.open(clean);
      CHECK(f.log->offset_for_leader_epoch(LeaderEpoch(3)) == LeaderEpochs::EndOffset{LeaderEpoch(3), Offset(30)});
      CHECK(f.log->offset_for_leader_epoch(LeaderEpoch(4)) == LeaderEpochs::EndOffset{LeaderEpoch(4), Offset(60)});
      CHECK(f.log->log_end_offset() == Offset(90));
      CHECK(*read_file(f.files, path) == written);
    }
  }
}

TEST_CASE("a torn tail is cut, damaged or lost indexes are built anew") {
  Fixture f(small_segments());
  for (int i = 0; i < 10; ++i) f.append(raw_batch({.payload_bytes = 39, .fill = static_cast<std::uint64_t>(i)}));
  REQUIRE(f.log->close_clean());
  f.log.reset();
  const auto damage = [&](const std::string& path, std::uint64_t position, std::string_view with) {
    auto file = f.files.open(path, OpenMode::kReadWrite);
    REQUIRE(file);
    REQUIRE((*file)->write_at(position, as_bytes(with)));
  };
  damage("/d/t-0/00000000000000000009.log", 100, "garbage that is no batch, as a torn write leaves it");
  damage("/d/t-0/00000000000000000003.index", 0, "\x01\x02\x03\x04\x7f\x7f\x7f\x7f");
  REQUIRE(f.files.remove("/d/t-0/00000000000000000000.timeindex"));
  f.open(false);
  REQUIRE(f.log->log_end_offset() == Offset(10));
  for (std::int64_t offset = 0; offset < 10; ++offset) {
    const Bytes bytes = f.bytes(*f.log->read(Offset(offset), 1, Offset(10), true));
    REQUIRE(protocol::RecordBatchView::parse(bytes)->base_offset() == Offset(offset));
  }
  REQUIRE(*f.files.exists("/d/t-0/00000000000000000000.timeindex"));
}

TEST_CASE("a follower appends what continues its log and nothing else") {
  Fixture f;
  Bytes batch = raw_batch({.records = 2});
  protocol::stamp_offset(batch, Offset(0), LeaderEpoch(7));
  REQUIRE(f.log->append_as_follower(batch, f.now));
  REQUIRE(f.log->latest_epoch() == LeaderEpoch(7));
  REQUIRE(f.log->append_as_follower(batch, f.now).error().failure == Failure::kOutOfRange);
  REQUIRE(f.log->log_end_offset() == Offset(2));
}

TEST_CASE("a flush makes durable what was there when it began") {
  Fixture f;
  f.append(raw_batch({}));
  const auto job = f.log->begin_flush(false);
  REQUIRE(job);
  f.append(raw_batch({}));
  REQUIRE(job->run());
  REQUIRE(f.log->durable_end() == Offset(0));
  f.log->complete_flush(*job);
  REQUIRE(f.log->durable_end() == Offset(1));
}

TEST_CASE("a flush covers the indexes of a segment once it is sealed; until then the recovery point lies inside it") {
  LogConfig config;
  config.index_interval_bytes = 0;
  Fixture f(config);
  const auto flush = [&] {
    const auto job = f.log->begin_flush(false);
    REQUIRE(job);
    REQUIRE(job->run());
    f.log->complete_flush(*job);
    return job->files.size();
  };
  for (int i = 0; i < 3; ++i) f.append(raw_batch({.timestamp = Timestamp(i)}));
  REQUIRE(flush() == 1);
  REQUIRE(f.log->durable_end() == Offset(3));
  REQUIRE(f.log->recovery_point() == Offset(2));
  REQUIRE(f.log->is_flushed_to(Offset(3)));
  REQUIRE(f.log->roll(f.now));
  REQUIRE(!f.log->is_flushed_to(Offset(3)));
  REQUIRE(flush() == 4);
  REQUIRE(f.log->recovery_point() == Offset(3));
  REQUIRE(f.log->is_flushed_to(Offset(3)));
  f.append(raw_batch({}));
  REQUIRE(flush() == 1);
  REQUIRE(f.log->recovery_point() == Offset(3));
  // A start that has found everything flushed, and then the segment ends: its indexes are flushed at once.
  REQUIRE(f.log->close_clean());
  REQUIRE(f.log->recovery_point() == Offset(4));
  f.open(true);
  REQUIRE(f.log->recovery_point() == Offset(4));
  REQUIRE(f.log->roll(f.now));
  REQUIRE(f.log->recovery_point() == Offset(4));
  REQUIRE(f.log->is_flushed_to(Offset(4)));
}

TEST_CASE("a full disk leaves the log as it was, and it goes on when there is space") {
  LogConfig config = small_segments();
  Fixture f(config);
  f.append(raw_batch({.records = 1}));
  // At every point at which the space may end, in the middle of a batch, of a roll, of an epoch checkpoint.
  std::int32_t epoch = 0;
  for (std::uint64_t space = 0; space < 600; space += 7) {
    ++epoch;
    f.files.space_left_is(space);
    while (true) {
      const Offset end = f.log->log_end_offset();
      Bytes batch = raw_batch({.records = 2});
      const auto result = f.log->append(batch, LeaderEpoch(epoch), f.now);
      if (result) continue;
      REQUIRE(result.error().failure == Failure::kNoSpace);
      REQUIRE(f.log->log_end_offset() == end);
      break;
    }
    f.files.space_left_is(UINT64_MAX);
    f.append(raw_batch({.records = 3}), epoch);
    REQUIRE(f.log->latest_epoch() == LeaderEpoch(epoch));
  }
  const Offset end = f.log->log_end_offset();
  const auto epochs = f.log->offset_for_leader_epoch(LeaderEpoch(epoch - 1));
  f.open(false);
  REQUIRE(f.log->log_end_offset() == end);
  REQUIRE(f.log->latest_epoch() == LeaderEpoch(epoch));
  REQUIRE(f.log->offset_for_leader_epoch(LeaderEpoch(epoch - 1)).end_offset == epochs.end_offset);
  // All of it can be read, batch after batch.
  Offset next(0);
  while (next < end) {
    const auto read = f.log->read(next, 1, end, true);
    REQUIRE(read);
    const Bytes bytes = f.bytes(*read);
    const auto batch = protocol::RecordBatchView::parse(bytes);
    REQUIRE(batch);
    REQUIRE(batch->crc_is_valid());
    REQUIRE(batch->base_offset() == next);
    next = batch->next_offset();
  }
}

TEST_CASE("segment.jitter.ms takes off a part of segment.ms that differs from segment to segment") {
  LogConfig config;
  config.segment_time = std::chrono::milliseconds(10'000);
  config.segment_jitter = std::chrono::milliseconds(9'000);
  Fixture f(config);
  std::set<std::int64_t> ages;
  for (int i = 0; i < 20; ++i) {
    const Timestamp began = f.now;
    if (i == 0) f.append(raw_batch({.records = 1, .timestamp = f.now}));
    for (const std::size_t segments = f.log->segment_count(); f.log->segment_count() == segments;) {
      f.now = f.now + 100;
      f.append(raw_batch({.records = 1, .timestamp = f.now}));
    }
    ages.insert(f.now - began);
    REQUIRE(f.now - began > 1'000);
    REQUIRE(f.now - began <= 10'100);
  }
  REQUIRE(ages.size() > 5);
}
