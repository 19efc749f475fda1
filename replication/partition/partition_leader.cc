#include "replication/partition/partition_leader.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace kurier::replication {

using protocol::ErrorCode;

PartitionLeader::PartitionLeader(PartitionLeaderState state, LogPosition log, MonotonicTime now)
    : state_(std::move(state)),
      log_end_(log.end),
      replicated_(log.replicated),
      high_watermark_(log.high_watermark),
      epoch_start_(log.end),
      first_unstable_(log.first_unstable) {
  KURIER_CHECK_COMPARE(high_watermark_, <=, log_end_);
  for (BrokerId replica : state_.replicas) {
    if (replica == state_.self) continue;
    // A new leader gives the followers it inherits the whole of replica.lag.time.max.ms.
    followers_[replica] = {.caught_up = in_isr(replica) ? now : MonotonicTime{}, .last_fetch = {}};
  }
  PartitionActions nobody_waits;
  advance(nobody_waits, now);
}

std::int32_t PartitionLeader::effective_min_isr() const {
  return std::min(state_.min_insync_replicas, static_cast<std::int32_t>(state_.replicas.size()));
}

bool PartitionLeader::is_follower(BrokerId broker) const {
  return broker != state_.self && std::ranges::find(state_.replicas, broker) != state_.replicas.end();
}

bool PartitionLeader::is_under_min_isr() const {
  return static_cast<std::int32_t>(state_.isr.size()) < effective_min_isr();
}

ErrorCode PartitionLeader::check_acks_all() const {
  return is_under_min_isr() ? ErrorCode::kNotEnoughReplicas : ErrorCode::kNone;
}

Offset PartitionLeader::last_stable_offset() const {
  return first_unstable_ ? std::min(*first_unstable_, high_watermark_) : high_watermark_;
}

Offset PartitionLeader::bound(FetchBound bound) const {
  switch (bound) {
    case FetchBound::kLogEnd: return log_end_;
    case FetchBound::kHighWatermark: return high_watermark_;
    case FetchBound::kLastStableOffset: break;
  }
  return last_stable_offset();
}

bool PartitionLeader::in_isr(BrokerId replica) const {
  return std::ranges::find(state_.isr, replica) != state_.isr.end();
}

bool PartitionLeader::lags(const Follower& follower, MonotonicTime now) const {
  return follower.log_end < log_end_ && now - follower.caught_up > state_.replica_lag_time_max;
}

PartitionActions PartitionLeader::log_advanced(Offset end, Offset replicated, std::optional<Offset> first_unstable,
                                               MonotonicTime now) {
  KURIER_CHECK_COMPARE(log_end_, <=, end);
  KURIER_CHECK_COMPARE(replicated, <=, end);
  log_end_ = end;
  replicated_ = std::max(replicated_, replicated);
  first_unstable_ = first_unstable;
  PartitionActions actions;
  advance(actions, now);
  return actions;
}

void PartitionLeader::advance(PartitionActions& actions, MonotonicTime now) {
  // KIP-966: below min.insync.replicas the high watermark stands still, so that an eligible replica has all of it.
  if (!is_under_min_isr()) {
    Offset candidate = replicated_;
    for (const auto& [replica, follower] : followers_) {
      // One that is about to join counts already, or the high watermark could pass what it has when it joins.
      const bool joining = std::ranges::find(wanted_, replica) != wanted_.end();
      const bool catching_up = follower.log_end >= Offset(0) && follower.log_end >= epoch_start_ &&
                               now - follower.caught_up <= state_.replica_lag_time_max && joining;
      if (in_isr(replica) || catching_up) candidate = std::min(candidate, follower.log_end);
    }
    if (candidate > high_watermark_) {
      high_watermark_ = candidate;
      actions.high_watermark_advanced = true;
    }
  }
  complete_produce(actions);
  wake_fetches(actions);
}

void PartitionLeader::complete_produce(PartitionActions& actions) {
  // The ISR may have shrunk after the append: the records stay, but the promise of min.insync.replicas does not hold.
  const ErrorCode error = is_under_min_isr() ? ErrorCode::kNotEnoughReplicasAfterAppend : ErrorCode::kNone;
  while (!producers_by_offset_.empty() && producers_by_offset_.begin()->first <= high_watermark_) {
    const WaiterId waiter = producers_by_offset_.begin()->second;
    actions.produce.push_back({waiter, error});
    cancel_produce(waiter);
  }
}

void PartitionLeader::wake_fetches(PartitionActions& actions) {
  if (fetches_.empty()) return;
  for (const FetchBound which : {FetchBound::kLogEnd, FetchBound::kHighWatermark, FetchBound::kLastStableOffset}) {
    auto& waiting = fetches_by_bound_[static_cast<std::size_t>(which)];
    while (!waiting.empty() && waiting.begin()->first < bound(which)) {
      actions.fetch.push_back(waiting.begin()->second);
      cancel_fetch(waiting.begin()->second);
    }
  }
}

PartitionActions PartitionLeader::wait_for_replication(WaiterId waiter, Offset required, MonotonicTime deadline) {
  KURIER_CHECK_COMPARE(required, <=, log_end_);
  PartitionActions actions;
  const auto [position, is_new] = producers_.emplace(waiter, Producer{required, deadline});
  KURIER_CHECK(is_new);
  producers_by_offset_.emplace(required, waiter);
  producers_by_deadline_.emplace(deadline, waiter);
  complete_produce(actions);
  return actions;
}

void PartitionLeader::cancel_produce(WaiterId waiter) {
  const auto found = producers_.find(waiter);
  if (found == producers_.end()) return;
  producers_by_offset_.erase({found->second.required, waiter});
  producers_by_deadline_.erase({found->second.deadline, waiter});
  producers_.erase(found);
}

void PartitionLeader::wait_for_data(WaiterId waiter, FetchBound bound, Offset beyond) {
  const auto [position, is_new] = fetches_.emplace(waiter, Fetch{bound, beyond});
  KURIER_CHECK(is_new);
  fetches_by_bound_[static_cast<std::size_t>(bound)].emplace(beyond, waiter);
}

void PartitionLeader::cancel_fetch(WaiterId waiter) {
  const auto found = fetches_.find(waiter);
  if (found == fetches_.end()) return;
  fetches_by_bound_[static_cast<std::size_t>(found->second.bound)].erase({found->second.beyond, waiter});
  fetches_.erase(found);
}

PartitionActions PartitionLeader::follower_fetched(const FollowerFetch& fetch, bool eligible, MonotonicTime now) {
  PartitionActions actions;
  const auto found = followers_.find(fetch.replica);
  if (found == followers_.end()) return actions;
  Follower& follower = found->second;
  // Caught up at this fetch, or at the one before if it now has what the leader had then: a busy leader is always ahead.
  if (fetch.fetch_offset >= log_end_) {
    follower.caught_up = now;
  } else if (follower.leader_end_at_last_fetch >= Offset(0) && fetch.fetch_offset >= follower.leader_end_at_last_fetch) {
    follower.caught_up = std::max(follower.caught_up, follower.last_fetch);
  }
  follower.log_end = fetch.fetch_offset;
  follower.broker_epoch = fetch.broker_epoch;
  follower.last_fetch = now;
  follower.leader_end_at_last_fetch = log_end_;
  // A follower joins once it has everything that may be committed and has entered this epoch.
  if (eligible && !in_isr(fetch.replica) && follower.log_end >= high_watermark_ && follower.log_end >= epoch_start_) {
    std::vector<BrokerId> isr = state_.isr;
    isr.push_back(fetch.replica);
    wish_for(std::move(isr), actions);
  }
  advance(actions, now);
  return actions;
}

void PartitionLeader::wish_for(std::vector<BrokerId> isr, PartitionActions& actions) {
  if (wish_pending_) return;  // one at a time: the next one is made from what the controller answers
  wish_pending_ = true;
  wanted_ = isr;
  actions.wish = AlterPartitionWish{std::move(isr), state_.partition_epoch};
}

PartitionActions PartitionLeader::isr_changed(std::vector<BrokerId> isr, PartitionEpoch partition_epoch,
                                              MonotonicTime now) {
  PartitionActions actions;
  if (partition_epoch <= state_.partition_epoch) return actions;
  state_.isr = std::move(isr);
  state_.partition_epoch = partition_epoch;
  wish_failed();
  advance(actions, now);
  return actions;
}

PartitionActions PartitionLeader::min_insync_replicas_changed(std::int32_t min_insync_replicas, MonotonicTime now) {
  state_.min_insync_replicas = min_insync_replicas;
  PartitionActions actions;
  advance(actions, now);
  return actions;
}

PartitionActions PartitionLeader::tick(MonotonicTime now) {
  PartitionActions actions;
  while (!producers_by_deadline_.empty() && producers_by_deadline_.begin()->first <= now) {
    const WaiterId waiter = producers_by_deadline_.begin()->second;
    actions.produce.push_back({waiter, ErrorCode::kRequestTimedOut});
    cancel_produce(waiter);
  }
  std::vector<BrokerId> keeps;
  for (BrokerId replica : state_.isr) {
    const auto found = followers_.find(replica);
    if (found == followers_.end() || !lags(found->second, now)) keeps.push_back(replica);
  }
  if (keeps.size() < state_.isr.size()) wish_for(std::move(keeps), actions);
  return actions;
}

std::optional<MonotonicTime> PartitionLeader::next_deadline() const {
  if (producers_by_deadline_.empty()) return std::nullopt;
  return producers_by_deadline_.begin()->first;
}

PartitionActions PartitionLeader::resign() {
  PartitionActions actions;
  for (const auto& [waiter, producer] : producers_) actions.produce.push_back({waiter, ErrorCode::kNotLeaderOrFollower});
  for (const auto& [waiter, fetch] : fetches_) actions.fetch.push_back(waiter);
  producers_.clear();
  producers_by_offset_.clear();
  producers_by_deadline_.clear();
  fetches_.clear();
  for (auto& waiting : fetches_by_bound_) waiting.clear();
  return actions;
}

}  // namespace kurier::replication
