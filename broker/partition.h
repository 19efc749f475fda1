// Partition: a partition that this node leads: its log, its leader core, and the requests that wait for either.
//
// A shell: it feeds the core what the log did and completes the waiters that the core names. On its shard's thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/executor.h"
#include "base/task.h"
#include "config/topic_config.h"
#include "replication/partition/partition_leader.h"
#include "storage/log.h"

namespace kurier::broker {

// Who is told that a partition's disk does not work any more. On the partition's shard.
class DiskMonitor {
 public:
  virtual ~DiskMonitor() = default;
  virtual void disk_failed(const std::string& partition_path, const Error& error) = 0;
};

struct PartitionPorts {
  const Clock& clock;
  Executor& executor;  // of the partition's shard
  Timers& timers;
  WorkPool& flusher;
  DiskMonitor& disks;
};

class Partition final : public std::enable_shared_from_this<Partition> {
 public:
  Partition(PartitionPorts ports, std::string topic, TopicId topic_id, PartitionIndex index, std::unique_ptr<storage::Log> log,
            replication::PartitionLeaderState leadership, config::TopicConfig config);

  // Once, after it was made. With flush.messages=1, what was recovered but may not be on the disk is made durable before
  // anything of it is shown; it blocks for that.
  Result<void> begin();

  struct Appended {
    protocol::ErrorCode error = protocol::ErrorCode::kNone;
    storage::AppendResult result;
    std::string message;
  };
  // Checked batches. The frame that holds them may be released when this returns.
  Appended append(MutableByteView batches, bool acks_all, Timestamp now,
                  storage::AppendOrigin origin = storage::AppendOrigin::kClient);
  // Whether a response must wait although its append has succeeded: acks=all, or flush.messages=1 with any acks but 0.
  [[nodiscard]] bool must_wait(bool acks_all) const;
  // Until everything before `required` is replicated (and durable, with flush.messages=1), or the deadline.
  Task<protocol::ErrorCode> replicated(Offset required, MonotonicTime deadline);

  // Wakes `wake` once when the bound moves beyond `beyond`, or leadership ends.
  using Wake = std::move_only_function<void()>;
  replication::WaiterId wake_when_beyond(replication::FetchBound bound, Offset beyond, Wake wake);
  void forget(replication::WaiterId waiter);
  // Called whenever the high watermark has advanced; null: nobody.
  void on_high_watermark(std::move_only_function<void(Offset)> advanced) {
    high_watermark_advanced_ = std::move(advanced);
  }

  void flush_if_due();
  // Calls `done` on the shard when everything before `end` is durable, the indexes of sealed segments too (true), or when
  // that will not be any more (false).
  void flush_to(Offset end, std::move_only_function<void(bool)> done);
  // What lies before the active segment will not change any more: it is made durable, so that a restart need not check it.
  void flush_sealed();
  // A new leader epoch: whoever waits for the old one is sent away.
  void lead(replication::PartitionLeaderState leadership);
  void set_config(config::TopicConfig config, const storage::LogConfig& log_config);
  // No more requests, because it was deleted or its disk has failed: everybody who waits is answered NOT_LEADER_OR_FOLLOWER.
  void resign();

  [[nodiscard]] storage::Log& log() { return *log_; }
  [[nodiscard]] const replication::PartitionLeader& leader() const { return leader_; }
  [[nodiscard]] const std::string& topic() const { return topic_; }
  [[nodiscard]] TopicId topic_id() const { return topic_id_; }
  [[nodiscard]] PartitionIndex index() const { return index_; }
  [[nodiscard]] const config::TopicConfig& config() const { return config_; }
  [[nodiscard]] bool is_offline() const { return offline_; }

 private:
  void log_advanced();
  void perform(replication::PartitionActions actions);
  void start_flush();
  [[nodiscard]] Callback make_flush();
  void answer_flushed(bool is_over);
  void arm_flush_timer();
  void disk_full(const Error& error);
  void disk_failed(const char* doing, const Error& error);
  [[nodiscard]] bool syncs_every_append() const { return log_->config().flush_messages == 1; }
  [[nodiscard]] Offset replicated_end() const {
    return syncs_every_append() ? log_->durable_end() : log_->log_end_offset();
  }
  void arm_deadline();

  PartitionPorts ports_;
  const std::string topic_;
  const TopicId topic_id_;
  const PartitionIndex index_;
  std::unique_ptr<storage::Log> log_;
  replication::PartitionLeader leader_;
  config::TopicConfig config_;
  std::unordered_map<replication::WaiterId, Event<protocol::ErrorCode>*> producers_;
  std::unordered_map<replication::WaiterId, Wake> fetches_;
  std::move_only_function<void(Offset)> high_watermark_advanced_;
  replication::WaiterId last_waiter_ = 0;
  struct FlushWaiter {
    Offset end;
    std::move_only_function<void(bool)> done;
  };
  std::vector<FlushWaiter> flush_waiters_;
  bool flushing_ = false;
  bool full_ = false;     // the disk, at the last append
  bool offline_ = false;  // deleted, or its disk has failed
  TimerId flush_timer_ = 0;  // flush.ms
  TimerId deadline_timer_ = 0;
  MonotonicTime deadline_;
};

}  // namespace kurier::broker
