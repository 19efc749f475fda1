// PartitionLeader: what the leader of one partition decides. How far is it replicated, who is in sync, which waiting
// produce and fetch requests are done?
//
// A core: no I/O, no clock. Its shard calls it after each append, flush, follower fetch, metadata change and timer; each
// call returns what must happen now, in this order: answer producers, look again at waiting fetches, ask the controller.
// Always: high watermark ≤ log end offset; it never goes back; last stable offset ≤ high watermark.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "protocol/error_code.h"

namespace kurier::replication {

using WaiterId = std::uint64_t;  // chosen by the caller, unique among the waiters of one partition

enum class FetchBound { kLogEnd, kHighWatermark, kLastStableOffset };

struct PartitionLeaderState {
  BrokerId self;
  LeaderEpoch leader_epoch;
  PartitionEpoch partition_epoch;
  std::vector<BrokerId> replicas;
  std::vector<BrokerId> isr;
  std::int32_t min_insync_replicas = 1;                    // min.insync.replicas
  std::chrono::milliseconds replica_lag_time_max{30'000};  // replica.lag.time.max.ms
};

struct LogPosition {
  Offset end;           // log end offset
  Offset replicated;    // up to where this replica counts as having the log: the end, or the durable end (flush.messages=1)
  Offset high_watermark;
  std::optional<Offset> first_unstable;  // of the first open transaction
};

struct FollowerFetch {
  BrokerId replica;
  BrokerEpoch broker_epoch{-1};
  Offset fetch_offset;  // the follower's log end offset
  Offset log_start_offset{-1};
};

struct ProduceCompletion {
  WaiterId waiter = 0;
  protocol::ErrorCode error = protocol::ErrorCode::kNone;
  friend bool operator==(const ProduceCompletion&, const ProduceCompletion&) = default;
};

// What the leader wants the controller to change; it counts only when it comes back as metadata.
struct AlterPartitionWish {
  std::vector<BrokerId> isr;
  PartitionEpoch partition_epoch;
  friend bool operator==(const AlterPartitionWish&, const AlterPartitionWish&) = default;
};

struct PartitionActions {
  std::vector<ProduceCompletion> produce;
  std::vector<WaiterId> fetch;  // no longer waiting: look again
  std::optional<AlterPartitionWish> wish;
  bool high_watermark_advanced = false;
};

class PartitionLeader {
 public:
  PartitionLeader(PartitionLeaderState state, LogPosition log, MonotonicTime now);

  // Before an append with acks=all: kNotEnoughReplicas if the ISR is too small. Others are always let in.
  [[nodiscard]] protocol::ErrorCode check_acks_all() const;

  // The log grew or became durable further.
  PartitionActions log_advanced(Offset end, Offset replicated, std::optional<Offset> first_unstable, MonotonicTime now);
  // A produce request with acks=all that was appended waits until everything before `required` is replicated. It may be
  // complete at once.
  PartitionActions wait_for_replication(WaiterId waiter, Offset required, MonotonicTime deadline);
  // A fetch at `from` that found nothing (or too little) waits until the bound moves beyond `beyond`.
  void wait_for_data(WaiterId waiter, FetchBound bound, Offset beyond);
  void cancel_fetch(WaiterId waiter);
  // The client went away: no completion is returned for it any more.
  void cancel_produce(WaiterId waiter);

  // A follower fetched; `ineligible` followers (fenced, shutting down) do not join the ISR.
  PartitionActions follower_fetched(const FollowerFetch& fetch, bool eligible, MonotonicTime now);
  // What the controller decided. A new leader epoch is a new PartitionLeader.
  PartitionActions isr_changed(std::vector<BrokerId> isr, PartitionEpoch partition_epoch, MonotonicTime now);
  // The controller refused or did not answer: the wish may be made again.
  void wish_failed() { wish_pending_ = false; wanted_.clear(); }
  PartitionActions min_insync_replicas_changed(std::int32_t min_insync_replicas, MonotonicTime now);

  // Times out producers and notices followers that lag. Call at next_deadline() and every replica.lag.time.max.ms / 2.
  PartitionActions tick(MonotonicTime now);
  [[nodiscard]] std::optional<MonotonicTime> next_deadline() const;

  // This replica leads no longer: every producer is answered kNotLeaderOrFollower, every fetch looks again.
  PartitionActions resign();

  [[nodiscard]] Offset high_watermark() const { return high_watermark_; }
  [[nodiscard]] Offset last_stable_offset() const;
  [[nodiscard]] Offset log_end_offset() const { return log_end_; }
  [[nodiscard]] Offset bound(FetchBound bound) const;
  [[nodiscard]] LeaderEpoch leader_epoch() const { return state_.leader_epoch; }
  [[nodiscard]] PartitionEpoch partition_epoch() const { return state_.partition_epoch; }
  [[nodiscard]] const std::vector<BrokerId>& isr() const { return state_.isr; }
  [[nodiscard]] bool is_follower(BrokerId broker) const;
  [[nodiscard]] bool is_under_min_isr() const;
  [[nodiscard]] bool is_under_replicated() const { return state_.isr.size() < state_.replicas.size(); }

 private:
  struct Follower {
    Offset log_end{-1};
    BrokerEpoch broker_epoch{-1};
    MonotonicTime caught_up{};          // the last moment at which it had everything
    MonotonicTime last_fetch{};
    Offset leader_end_at_last_fetch{-1};
  };

  void advance(PartitionActions& actions, MonotonicTime now);
  void complete_produce(PartitionActions& actions);
  void wake_fetches(PartitionActions& actions);
  void wish_for(std::vector<BrokerId> isr, PartitionActions& actions);
  [[nodiscard]] bool in_isr(BrokerId replica) const;
  [[nodiscard]] bool lags(const Follower& follower, MonotonicTime now) const;
  [[nodiscard]] std::int32_t effective_min_isr() const;

  struct Producer {
    Offset required;
    MonotonicTime deadline;
  };

  PartitionLeaderState state_;
  Offset log_end_;
  Offset replicated_;
  Offset high_watermark_;
  Offset epoch_start_;
  std::optional<Offset> first_unstable_;
  std::map<BrokerId, Follower> followers_;
  bool wish_pending_ = false;
  std::vector<BrokerId> wanted_;  // the ISR of the pending wish
  std::map<WaiterId, Producer> producers_;
  std::set<std::pair<Offset, WaiterId>> producers_by_offset_;
  std::set<std::pair<MonotonicTime, WaiterId>> producers_by_deadline_;
  struct Fetch {
    FetchBound bound;
    Offset beyond;
  };
  std::map<WaiterId, Fetch> fetches_;
  std::set<std::pair<Offset, WaiterId>> fetches_by_bound_[3];
};

}  // namespace kurier::replication
