// SimulatedBroker: one life of a node, as far as it coordinates groups: its log directory with the checkpoints, the one
// partition of __consumer_offsets, its log cleaner, its coordinator with a view.
//
// All of that is the broker's own code; simulated are the disk, the store, time and the threads: whatever a pool has to do
// waits until `work` lets it, in an order that a seed decides. Ends as a process does: what it still wants to do is of no effect.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "broker/group_coordinators.h"
#include "broker/log_cleaner_runner.h"
#include "tests/simulation/simulated_file_system.h"
#include "tests/simulation/simulated_key_value_store.h"
#include "tests/support/manual_pool.h"
#include "tests/support/manual_shard.h"

namespace kurier::simulation {

class SimulatedBroker {
 public:
  static constexpr const char* kDirectory = "/data";
  static constexpr const char* kTopic = "__consumer_offsets";
  static constexpr TopicId kTopicId{7, 8};
  static constexpr DirectoryId kDirectoryId{9, 10};

  struct Options {
    config::NodeConfig config;
    std::map<std::string, std::string> topic_config;  // of __consumer_offsets
    LeaderEpoch leader_epoch;
    MonotonicTime begins;  // time goes on from life to life
    bool others_have_cleaned = false;  // another program has led the partition since this one did
    bool store_opens = true;
    std::vector<std::string> topics{"t0", "t1", "t2"};  // that there are, beside __consumer_offsets
  };
  SimulatedBroker(SimulatedFileSystem& machine, SimulatedKeyValueStore& store, Random& random, Options options);
  ~SimulatedBroker();

  // Opens the log, recovers it, and lets the coordinator load. An error: the log could not be opened.
  Result<void> start();
  // Lets a thread, chosen at random, do one thing, and the shard what comes of it. False: none has anything to do.
  bool work();
  void work_until_idle();
  void pass(std::chrono::milliseconds time) { shard_.pass(time); }
  void write_checkpoints(broker::CheckpointKinds kinds, std::move_only_function<void(bool)> done = {});
  // As a node that is told to stop; everything is on the disk afterwards.
  Result<void> stop();

  [[nodiscard]] test::ManualShard& shard() { return shard_; }
  [[nodiscard]] broker::Partition& partition() { return *partition_; }
  [[nodiscard]] broker::LogManager& logs() { return *logs_; }
  [[nodiscard]] broker::GroupCoordinators& groups() { return *groups_; }
  // Null while it does not answer.
  [[nodiscard]] std::shared_ptr<broker::GroupRuntime> coordinator() const;
  // Every gap behind the recovery point is a loss (LogOptions::cleaned_before_recovery_point).
  [[nodiscard]] bool knows_its_gaps() const { return directories_.cleaned_before_recovery_points(); }

  // So for the log as it was opened: without a recovery point nothing is known of what was cleaned.
  [[nodiscard]] bool log_knew_its_gaps() {
    return knows_its_gaps() && directories_.all().front().recovery_points.contains({kTopic, PartitionIndex(0)});
  }

 private:
  [[nodiscard]] static replication::MetadataImage image_of(const Options& options);
  void start_cleaner();

  SimulatedFileSystem& machine_;
  SimulatedKeyValueStore& store_;
  Random& random_;
  Options options_;
  const std::shared_ptr<const replication::MetadataImage> image_;
  test::ManualShard shard_;
  test::ManualPool reads_;
  test::ManualPool flusher_;
  test::ManualPool directory_work_;
  test::ManualPool cleaning_;
  broker::LogDirectories directories_{machine_};
  broker::PartitionTable table_;
  std::unique_ptr<broker::GroupCoordinators> groups_;
  std::unique_ptr<broker::LogManager> logs_;
  std::unique_ptr<broker::LogCleanerRunner> cleaner_;
  std::shared_ptr<broker::Partition> partition_;
};

}  // namespace kurier::simulation
