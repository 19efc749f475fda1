// A node's compacted logs on a simulated disk and their cleaner, in virtual time.
#pragma once

#include <catch2/catch.hpp>

#include <algorithm>

#include "broker/log_cleaner_runner.h"
#include "tests/simulation/simulated_file_system.h"
#include "tests/support/manual_shard.h"
#include "tests/support/record_batch.h"

namespace kurier::broker {

struct CleanerFixture {
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

  // Goes last: what the shard still has to do may remove files when it is dropped.
  simulation::SimulatedFileSystem files{1};
  test::ManualShard shard;
  Numbers random;
  NobodyLeads observer;
  Pool pool{shard};
  config::NodeConfig config;
  PartitionTable table;
  PartitionTable table_of_another_shard;
  LogDirectories directories{files};
  LogManager logs{LogManagerPorts{files, shard, shard, shard, pool, pool, observer,
                                  [](LogDirectoryState&, const Error&) {}, [](const auto&) {}, [] {}},
                  config,
                  table,
                  directories,
                  ShardIndex(0),
                  ShardIndex(1)};
  std::unique_ptr<LogCleanerRunner> cleaner;
  std::vector<std::shared_ptr<Partition>> partitions;
  std::vector<MonotonicTime> cleaned;  // when
  std::string order;  // the topics of the logs that have been cleaned

  CleanerFixture() {
    config.log.cleaner_io_max_bytes_per_second = 1e300;
    config.log.cleaner_backoff = std::chrono::milliseconds(10);
  }

  static storage::LogConfig compacted() {
    storage::LogConfig log_config;
    log_config.compact = true;
    log_config.delete_old = false;
    return log_config;
  }

  Partition& add(std::uint8_t id, const storage::LogConfig& log_config = compacted(), PartitionTable* to = nullptr) {
    const std::string topic = "t" + std::to_string(id);
    auto log = std::move(
        storage::Log::open(files, {.directory = "/d/" + topic + "-0", .config = log_config}, shard.wall()).value());
    const BrokerId self(1);
    auto partition = std::make_shared<Partition>(
        PartitionPorts{shard, shard, shard, pool, logs}, topic, TopicId{Uuid{0, id}}, PartitionIndex(0), std::move(log),
        replication::PartitionLeaderState{self, LeaderEpoch(0), PartitionEpoch(0), {self}, {self}},
        config::TopicConfig{});
    partitions.push_back(partition);
    (to == nullptr ? table : *to).add(partition);
    return *partition;
  }

  // Batches of one record; keys from 0 on.
  void write(Partition& partition, int records) {
    for (int i = 0; i < records; ++i) {
      test::TestRecord record;
      record.key = std::to_string(i);
      record.value = std::string(1000, 'v');
      Bytes batch = test::batch_of({record}, {.timestamp = shard.wall()}, protocol::Codec::kNone);
      REQUIRE(partition.append(batch, false, shard.wall()).error == protocol::ErrorCode::kNone);
    }
  }
  // What was written can be cleaned from here on.
  void roll(Partition& partition) { REQUIRE(partition.log().roll(shard.wall())); }

  // As if all of it had been cleaned before.
  void mark_clean(Partition& partition) {
    known_[partition.topic()] = partition.log().log_end_offset();
    partition.log().cleaning_has_reached(partition.log().log_end_offset());
  }

  // Once.
  void start() {
    REQUIRE_FALSE(cleaner);
    cleaner = std::make_unique<LogCleanerRunner>(
        CleanerPorts{files, shard, random, shard, shard, pool, [this] { was_cleaned(); },
                     [](auto done) { done(true); }},
        config.log,
        std::vector<LogCleanerRunner::Shard>{{&shard, &table, &logs}, {&shard, &table_of_another_shard, &logs}});
    cleaner->start();
  }
  void clean(std::chrono::milliseconds time) {
    start();
    shard.pass(time);
  }

 private:
  void was_cleaned() {
    cleaned.push_back(shard.monotonic());
    for (const auto& partition : partitions) {
      const auto cleaned_to = partition->log().cleaned_to();
      auto& known = known_[partition->topic()];
      if (!cleaned_to || known == *cleaned_to) continue;
      known = *cleaned_to;
      order += (order.empty() ? "" : " ") + partition->topic();
    }
  }
  std::map<std::string, Offset> known_;
};

}  // namespace kurier::broker
