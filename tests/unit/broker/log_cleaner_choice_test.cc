// Which log the cleaner takes next, when, and what stops it: Apache Kafka's rules, on several logs at once, in virtual time.
#include "tests/unit/broker/cleaner_fixture.h"

using namespace kurier;
using namespace kurier::broker;
using std::chrono::milliseconds;

namespace {

struct Fixture : CleanerFixture {
  // So many records that are clean, and so many that are not.
  Partition& add_log(std::uint8_t id, int clean, int dirty, const storage::LogConfig& log_config = compacted(),
                     PartitionTable* to = nullptr) {
    Partition& partition = add(id, log_config, to);
    if (clean > 0) {
      write(partition, clean);
      roll(partition);
      mark_clean(partition);
    }
    write(partition, dirty);
    roll(partition);
    return partition;
  }
  static storage::LogConfig with(void (*change)(storage::LogConfig&)) {
    storage::LogConfig log_config = compacted();
    change(log_config);
    return log_config;
  }
  void damage(Partition& partition, Offset offset) {
    const auto read = partition.log().read(offset, 1 << 20, partition.log().log_end_offset(), true);
    REQUIRE(read);
    const std::string path = storage::segment_path(partition.log().directory(), read->segment_base_offset, ".log");
    const auto file = std::move(files.open(path, OpenMode::kReadWrite).value());
    REQUIRE(file->write_at(read->position + protocol::kBatchHeaderBytes + 20, as_bytes("?")));
  }
};

}  // namespace

TEST_CASE("the dirtiest log is cleaned first, whatever shard it belongs to") {
  Fixture f;
  f.add_log(1, 6, 6);
  f.add_log(2, 1, 6, Fixture::compacted(), &f.table_of_another_shard);
  f.add_log(3, 2, 6);
  f.add_log(4, 3, 6, Fixture::compacted(), &f.table_of_another_shard);
  f.clean(milliseconds(0));
  CHECK(f.order == "t2 t3 t4");  // the first is not dirty enough
}

TEST_CASE("the topic's min.cleanable.dirty.ratio decides, of the bytes before the active segment") {
  Fixture f;
  f.add_log(1, 6, 6, Fixture::with([](auto& config) { config.min_cleanable_dirty_ratio = 0.5; }));
  f.add_log(2, 6, 6, Fixture::with([](auto& config) { config.min_cleanable_dirty_ratio = 0.49; }));
  Partition& third = f.add_log(3, 6, 3);
  f.write(third, 20);  // not sealed: does not count
  f.clean(milliseconds(0));
  CHECK(f.order == "t2");
  f.roll(third);
  f.shard.pass(milliseconds(10));
  CHECK(f.order == "t2 t3");
}

TEST_CASE("min.compaction.lag.ms holds a log back until its records are old enough") {
  Fixture f;
  Partition& young = f.add_log(1, 0, 5, Fixture::with([](auto& config) { config.min_compaction_lag_ms = 1000; }));
  f.clean(milliseconds(990));
  CHECK(f.order.empty());
  CHECK_FALSE(young.log().cleaned_to());
  f.shard.pass(milliseconds(20));
  CHECK(f.order == "t1");
}

TEST_CASE("max.compaction.lag.ms makes a log due that is not dirty enough; dirtier ones come first") {
  Fixture f;
  f.add_log(1, 6, 2, Fixture::with([](auto& config) { config.max_compaction_lag_ms = 1000; }));
  f.clean(milliseconds(1000));
  CHECK(f.order.empty());
  f.add_log(2, 0, 5);
  f.shard.pass(milliseconds(20));
  CHECK(f.order == "t2 t1");
}

TEST_CASE("only logs with cleanup.policy compact are cleaned, and a change of it is seen at once") {
  Fixture f;
  Partition& one =
      f.add_log(1, 0, 5, Fixture::with([](auto& config) { config.compact = false, config.delete_old = true; }));
  Partition& both = f.add_log(2, 0, 5, Fixture::with([](auto& config) { config.delete_old = true; }));
  f.add_log(3, 0, 5, Fixture::with([](auto& config) { config.keeps_everything = true; }));
  f.clean(milliseconds(0));
  CHECK(f.order == "t2");
  one.set_config({}, Fixture::compacted());
  f.shard.pass(milliseconds(10));
  CHECK(f.order == "t2 t1");
  // To delete alone: what is dirty from here on stays dirty, and where it was cleaned to is not forgotten.
  const Offset reached = *both.log().cleaned_to();
  both.set_config({}, Fixture::with([](auto& config) { config.compact = false, config.delete_old = true; }));
  f.write(both, 9);
  f.roll(both);
  f.shard.pass(milliseconds(100));
  CHECK(both.log().cleaned_to() == reached);
  both.set_config({}, Fixture::with([](auto& config) { config.delete_old = true; }));
  f.shard.pass(milliseconds(10));
  CHECK(f.order == "t2 t1 t2");
  CHECK(both.log().cleaned_to() == both.log().active_base_offset());
}

TEST_CASE("a cleaning whose topic is not compacted any more ends, and leaves the log as it is") {
  Fixture f;
  f.config.log.cleaner_io_max_bytes_per_second = 100'000;
  Partition& log = f.add_log(1, 0, 200);
  const std::uint64_t size = log.log().size_bytes();
  f.clean(milliseconds(500));  // in the midst of it
  log.set_config({}, Fixture::with([](auto& config) { config.compact = false, config.delete_old = true; }));
  f.shard.pass(std::chrono::minutes(1));
  CHECK(f.cleaned.empty());
  CHECK(log.log().size_bytes() == size);
  CHECK_FALSE(log.log().cleaned_to());
  log.set_config({}, Fixture::compacted());
  f.shard.pass(std::chrono::minutes(1));
  CHECK(f.order == "t1");
}

TEST_CASE("a damaged log is left alone until the next start, and the others are cleaned") {
  Fixture f;
  Partition& damaged = f.add_log(1, 0, 9);
  f.add_log(2, 1, 9);
  f.add_log(3, 2, 9);
  f.damage(damaged, Offset(4));
  const std::uint64_t size = damaged.log().size_bytes();
  f.clean(milliseconds(100));
  CHECK(f.order == "t2 t3");
  CHECK(damaged.log().size_bytes() == size);
  CHECK_FALSE(damaged.log().cleaned_to());
  const auto entries = f.files.list(damaged.log().directory()).value();
  for (const auto& entry : entries) CHECK_FALSE(entry.name.ends_with(".cleaned"));
  // It is still the dirtiest, and keeps nobody waiting.
  f.write(*f.partitions[1], 40);
  f.roll(*f.partitions[1]);
  f.shard.pass(milliseconds(10));
  CHECK(f.order == "t2 t3 t2");
  CHECK_FALSE(damaged.log().cleaned_to());
}

TEST_CASE("a log is cleaned again at once while it is due, and after nothing was due log.cleaner.backoff.ms later") {
  Fixture f;
  f.config.log.cleaner_backoff = milliseconds(5000);
  f.config.log.cleaner_dedupe_buffer_bytes = 24 * 10;  // nine keys a round
  Partition& log = f.add_log(1, 0, 30, Fixture::with([](auto& config) { config.min_cleanable_dirty_ratio = 0; }));
  f.clean(milliseconds(0));
  CHECK(f.order == "t1 t1 t1 t1");
  CHECK(log.log().cleaned_to() == Offset(30));
  f.write(log, 5);
  f.roll(log);
  f.shard.pass(milliseconds(4999));
  CHECK(f.order == "t1 t1 t1 t1");
  f.shard.pass(milliseconds(1));
  CHECK(f.order == "t1 t1 t1 t1 t1");
}

TEST_CASE("nothing is cleaned without log.cleaner.enable, and no more logs at once than log.cleaner.threads") {
  Fixture f;
  f.add_log(1, 0, 100);
  f.add_log(2, 0, 100);
  f.config.log.cleaner_io_max_bytes_per_second = 1e6;
  SECTION("off") {
    f.config.log.cleaner_enable = false;
    f.clean(std::chrono::minutes(1));
    CHECK(f.order.empty());
  }
  SECTION("no threads") {
    f.config.log.cleaner_threads = 0;
    f.clean(std::chrono::minutes(1));
    CHECK(f.order.empty());
  }
  SECTION("one") {
    f.clean(milliseconds(500));  // 0.3 s a log
    CHECK(f.cleaned.size() == 1);
  }
  SECTION("two share the rate") {
    f.config.log.cleaner_threads = 2;
    f.clean(milliseconds(400));
    CHECK(f.cleaned.empty());
    f.shard.pass(milliseconds(300));
    CHECK(f.cleaned.size() == 2);
  }
}
