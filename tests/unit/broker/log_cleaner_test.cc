// log.cleaner.io.max.bytes.per.second: what the rate grants, and that the runner keeps to it, in virtual time.
#include <catch2/catch.hpp>

#include "broker/io_rate.h"
#include "broker/log_cleaner_runner.h"
#include "tests/simulation/simulated_file_system.h"
#include "tests/support/manual_shard.h"
#include "tests/support/record_batch.h"

using namespace kurier;
using namespace kurier::broker;
using std::chrono::milliseconds;

namespace {

MonotonicTime at(std::int64_t ms) { return MonotonicTime(milliseconds(ms)); }

struct Numbers final : Random {
  std::uint64_t next() override { return ++last; }
  std::uint64_t last = 0;
};

struct NobodyLeads final : PartitionObserver {
  void leads(const std::shared_ptr<Partition>&, PartitionPorts) override {}
  void leads_no_longer(const std::shared_ptr<Partition>&) override {}
};

// The pool's work is done on the shard's thread.
struct Pool final : WorkPool {
  explicit Pool(Executor& its_shard) : shard(its_shard) {}
  void run(Callback work) override { shard.post(std::move(work)); }
  Executor& shard;
};

// A node's compacted logs and their cleaner.
struct Fixture {
  static constexpr double kBytesPerSecond = 100'000;

  test::ManualShard shard;
  simulation::SimulatedFileSystem files{1};
  Numbers random;
  NobodyLeads observer;
  Pool pool{shard};
  config::NodeConfig config;
  PartitionTable table;
  LogDirectories directories{files};
  std::unique_ptr<LogManager> logs;
  std::unique_ptr<LogCleanerRunner> cleaner;
  std::vector<MonotonicTime> cleaned;
  std::uint64_t bytes = 0;  // of the sealed segments

  Fixture() {
    logs = std::make_unique<LogManager>(
        LogManagerPorts{files, shard, shard, shard, pool, observer, [](LogDirectoryState&, const Error&) {},
                        [](const auto&) {}, [] {}},
        config, table, directories, ShardIndex(0), ShardIndex(1));
    config.log.cleaner_io_max_bytes_per_second = kBytesPerSecond;
    config.log.cleaner_backoff = milliseconds(10);
  }

  void add_log(std::uint8_t id, std::size_t records) {
    const std::string topic = "t" + std::to_string(id);
    storage::LogConfig log_config;
    log_config.compact = true;
    log_config.delete_old = false;
    auto log = std::move(
        storage::Log::open(files, {.directory = "/d/" + topic + "-0", .config = log_config}, shard.wall()).value());
    for (std::size_t i = 0; i < records; ++i) {
      test::TestRecord record;
      record.key = std::to_string(i);
      record.value = std::string(1000, 'v');
      Bytes batch = test::batch_of({record}, {.timestamp = shard.wall()}, protocol::Codec::kNone);
      REQUIRE(log->append(batch, LeaderEpoch(0), shard.wall()));
    }
    bytes += log->size_bytes();
    REQUIRE(log->roll(shard.wall()));
    const BrokerId self(1);
    auto partition = std::make_shared<Partition>(
        PartitionPorts{shard, shard, shard, pool, *logs}, topic, TopicId{Uuid{0, id}}, PartitionIndex(0),
        std::move(log), replication::PartitionLeaderState{self, LeaderEpoch(0), PartitionEpoch(0), {self}, {self}},
        config::TopicConfig{});
    REQUIRE(partition->begin());
    table.add(std::move(partition));
  }

  void clean(std::chrono::milliseconds time) {
    cleaner = std::make_unique<LogCleanerRunner>(
        CleanerPorts{files, shard, random, shard, shard, pool, [this] { cleaned.push_back(shard.monotonic()); },
                     [](auto done) { done(true); }},
        config.log, std::vector<LogCleanerRunner::Shard>{{&shard, &table, logs.get()}});
    cleaner->start();
    shard.pass(time);
  }

  // Read for the map, read to be cleaned, and all written again.
  [[nodiscard]] milliseconds time_at_the_rate() const {
    return milliseconds(static_cast<std::int64_t>(3.0 * static_cast<double>(bytes) / kBytesPerSecond * 1000));
  }
};

}  // namespace

TEST_CASE("the rate grants bytes by the second, and what was too much is waited for") {
  IoRate rate(1000);
  CHECK(rate.moved(500, at(0)) == milliseconds(500));
  CHECK(rate.moved(500, at(500)) == milliseconds(500));
  // Somebody else at the same time: both wait for what both have moved.
  CHECK(rate.moved(100, at(500)) == milliseconds(600));
  // Time that nobody used is not saved up.
  CHECK(rate.moved(100, at(10'000)) == milliseconds(100));
  CHECK(rate.moved(0, at(10'100)) == milliseconds(0));
  CHECK(rate.moved(100, at(10'100)) == milliseconds(100));
}

TEST_CASE("a slice is about 300 ms' worth, within bounds") {
  CHECK(IoRate(1'000'000).slice_bytes() == 300'000);
  CHECK(IoRate(1).slice_bytes() == 16 * 1024);
  CHECK(IoRate(1e300).slice_bytes() == 4 << 20);
  CHECK(IoRate(1e300).moved(1 << 30, at(0)) == milliseconds(0));
  CHECK(IoRate(0).moved(1 << 20, at(0)) <= std::chrono::hours(2));
}

TEST_CASE("a log is cleaned no faster than the rate") {
  Fixture f;
  f.add_log(1, 500);
  f.clean(f.time_at_the_rate() * 9 / 10);
  CHECK(f.cleaned.empty());
  f.shard.pass(f.time_at_the_rate() * 2 / 10);
  CHECK(f.cleaned.size() == 1);
}

TEST_CASE("many small logs together are cleaned no faster than the rate") {
  Fixture f;
  for (std::uint8_t i = 1; i <= 50; ++i) f.add_log(i, 8);
  f.clean(f.time_at_the_rate() * 9 / 10);
  CHECK(f.cleaned.size() < 50);
  CHECK(f.cleaned.size() > 40);
  f.shard.pass(f.time_at_the_rate() * 2 / 10);
  CHECK(f.cleaned.size() == 50);
}
