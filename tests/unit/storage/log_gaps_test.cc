// Gaps that compaction leaves between records and between segments: what a truncation and a recovery make of them.
#include <catch2/catch.hpp>

#include "storage/log.h"
#include "tests/simulation/simulated_file_system.h"
#include "tests/support/cleaning.h"
#include "tests/support/log_content.h"
#include "tests/support/record_batch.h"

using namespace kurier;
using namespace kurier::storage;

namespace {

struct CompactedLog {
  simulation::SimulatedFileSystem files{1};
  LogOptions options{.directory = "/d/t-0"};
  std::unique_ptr<Log> log;
  Timestamp now{5000};

  explicit CompactedLog(std::uint64_t segment_bytes) {
    options.config.compact = true;
    options.config.delete_old = false;
    options.config.segment_bytes = segment_bytes;
    open();
  }
  void clean() {
    log->high_watermark_is(log->log_end_offset());
    REQUIRE(test::clean(*log, files, now, log->log_end_offset()));
    options.cleaned_to = log->cleaned_to();
  }
  void flush() {
    auto job = log->begin_flush(false);
    REQUIRE(job);
    REQUIRE(job->run());
    log->complete_flush(*job);
  }
  void open() {
    log.reset();
    auto opened = Log::open(files, options, now);
    REQUIRE(opened);
    log = std::move(*opened);
  }
  Offset put(const std::string& key, const std::string& value) {
    Bytes batch = test::batch_of({{.key = key, .value = value}}, {.timestamp = now});
    const auto appended = log->append(batch, LeaderEpoch(3), now);
    REQUIRE(appended);
    return appended->first_offset;
  }
  std::string text() {
    std::string all;
    for (const auto& batch : test::content_of(*log)) {
      for (const auto& record : batch.records) {
        all +=
            (all.empty() ? "" : " ") + std::to_string(record.offset.value()) + ":" + *record.key + "=" + *record.value;
      }
    }
    return all;
  }
};

// [0:k=1][1:a=1] | [2:a=2][3:m=1] | [4:c=1], which lose the record at 1: a segment holds two such batches.
struct Cleaned : CompactedLog {
  Cleaned() : CompactedLog(200) {
    for (const auto& [key, value] : {std::pair("k", "1"), {"a", "1"}, {"a", "2"}, {"m", "1"}, {"c", "1"}})
      put(key, value);
    REQUIRE(log->segment_count() == 3);
    clean();
    REQUIRE(text() == "0:k=1 2:a=2 3:m=1 4:c=1");
    REQUIRE(log->segment_count() == 3);
    REQUIRE(options.cleaned_to == Offset(4));
  }
};

}  // namespace

TEST_CASE("a truncation into a gap ends the log at its target, and what follows begins there") {
  // [0:k=1][1:a=1][2:b=1] | [3:a=2][4:b=2][5:c=1] | …: what lies at 1 and 2 goes.
  CompactedLog f(230);
  for (const auto& [key, value] : {std::pair("k", "1"), {"a", "1"}, {"b", "1"}, {"a", "2"}, {"b", "2"}, {"c", "1"}})
    f.put(key, value);
  const bool is_flushed = GENERATE(true, false);
  if (is_flushed) f.flush();  // as the broker does it before a cleaning
  REQUIRE(f.log->roll(f.now));
  f.clean();
  REQUIRE(f.text() == "0:k=1 3:a=2 4:b=2 5:c=1");
  REQUIRE(f.log->segment_count() == 3);
  REQUIRE(f.log->truncate_to(Offset(4)));  // what was cleaned counts as dirty from here on, but its gaps are known
  REQUIRE(f.log->truncate_to(Offset(2)));
  f.options.recovery_point = f.log->recovery_point();
  f.options.cleaned_before_recovery_point = is_flushed;
  CHECK(f.log->log_end_offset() == Offset(2));
  CHECK(f.text() == "0:k=1");
  SECTION("and goes on") {
    CHECK(f.put("n", "1") == Offset(2));
    CHECK(f.text() == "0:k=1 2:n=1");
    f.open();
    CHECK(f.text() == "0:k=1 2:n=1");
    CHECK(f.log->log_end_offset() == Offset(3));
  }
  // Behind the recovery point a recovery would take the gap for a cut.
  SECTION("and a new segment begins there, if the gap lies before the recovery point") {
    REQUIRE(f.log->roll(f.now));
    CHECK(f.log->active_base_offset() == Offset(is_flushed ? 2 : 1));
    CHECK(f.log->log_end_offset() == Offset(2));
    CHECK(f.put("n", "1") == Offset(2));
    f.options.cleaned_before_recovery_point = true;
    f.open();
    CHECK(f.text() == "0:k=1 2:n=1");
  }
  SECTION("and is flushed and closed") {
    REQUIRE(f.log->close_clean());
    f.options.had_clean_shutdown = true;
    f.open();
    CHECK(f.text() == "0:k=1");
    CHECK(f.log->log_end_offset() == Offset(1));  // as in Apache Kafka: what is there says where it ends
    CHECK(f.log->recovery_point() == Offset(1));
  }
}

TEST_CASE("a truncation to where a segment begins keeps it, empty") {
  Cleaned f;
  REQUIRE(f.log->truncate_to(Offset(2)));
  CHECK(f.text() == "0:k=1");
  CHECK(f.log->log_end_offset() == Offset(2));
  CHECK(f.log->active_base_offset() == Offset(2));
  CHECK(f.log->cleaned_to() == Offset(2));
  REQUIRE(f.log->roll(f.now));  // nothing to end
  CHECK(f.log->segment_count() == 2);
  SECTION("and goes on in it") {
    CHECK(f.put("n", "1") == Offset(2));
    CHECK(f.log->segment_count() == 2);
    f.open();
    CHECK(f.text() == "0:k=1 2:n=1");
  }
  SECTION("and is opened again") {
    f.open();
    CHECK(f.text() == "0:k=1");
    CHECK(f.log->log_end_offset() == Offset(2));
  }
}

TEST_CASE("a truncation to the inside of a batch takes the whole batch") {
  Cleaned f;
  Bytes batch = test::batch_of({{.key = "x", .value = "1"}, {.key = "y", .value = "1"}}, {.timestamp = f.now});
  REQUIRE(f.log->append(batch, LeaderEpoch(3), f.now));
  REQUIRE(f.log->truncate_to(Offset(6)));
  CHECK(f.log->log_end_offset() == Offset(5));
}

TEST_CASE("gaps between segments are not taken for what a power cut has lost, when compaction is off by now too") {
  for (const bool compact : {true, false}) {
    Cleaned f;
    f.options.config.compact = compact;
    f.open();
    CHECK(f.text() == "0:k=1 2:a=2 3:m=1 4:c=1");
  }
}

TEST_CASE("where everything compacted lies before the recovery point, a gap behind it is a cut") {
  for (const bool compact : {true, false}) {
    Cleaned f;
    f.options.config.compact = compact;
    f.options.cleaned_before_recovery_point = true;
    SECTION("the gap lies before it") {
      f.options.recovery_point = Offset(4);
      f.open();
      CHECK(f.text() == "0:k=1 2:a=2 3:m=1 4:c=1");
    }
    SECTION("it does not: here it is a lie that shows what happens") {
      f.options.recovery_point = Offset(0);
      f.open();
      CHECK(f.text() == "0:k=1");
    }
  }
}

TEST_CASE("a log that was never compacted has no gaps") {
  Cleaned f;
  f.options.config.compact = false;
  f.options.cleaned_to.reset();
  f.open();
  CHECK(f.text() == "0:k=1");
}
