#include "broker/partition.h"

#include <utility>

#include "base/log.h"

namespace kurier::broker {

using protocol::ErrorCode;
using replication::FetchBound;
using replication::PartitionActions;
using replication::WaiterId;

namespace {

constexpr std::chrono::milliseconds kFlushIntervalMax = std::chrono::hours(24 * 365);  // beyond it: never

replication::LogPosition position_of(const storage::Log& log) {
  // A single replica's log is replicated as far as it goes.
  const bool durable_only = log.config().flush_messages == 1;
  const Offset replicated = durable_only ? log.durable_end() : log.log_end_offset();
  return {log.log_end_offset(), replicated, replicated, log.first_unstable_offset()};
}

}  // namespace

Partition::Partition(PartitionPorts ports, std::string topic, TopicId topic_id, PartitionIndex index,
                     std::unique_ptr<storage::Log> log, replication::PartitionLeaderState leadership, config::TopicConfig config)
    : ports_(ports),
      topic_(std::move(topic)),
      topic_id_(topic_id),
      index_(index),
      log_(std::move(log)),
      leader_(std::move(leadership), position_of(*log_), ports.clock.monotonic()),
      config_(std::move(config)) {
  log_->begin_epoch(leader_.leader_epoch());
  log_->high_watermark_is(leader_.high_watermark());
}

Result<void> Partition::begin() {
  if (!syncs_every_append() || log_->durable_end() == log_->log_end_offset()) return {};
  TRY_ASSIGN(const storage::FlushJob job, log_->begin_flush(false));
  TRY(job.run());
  log_->complete_flush(job);
  log_advanced();
  return {};
}

Partition::Appended Partition::append(MutableByteView batches, bool acks_all, Timestamp now,
                                      storage::AppendOrigin origin) {
  Appended appended;
  if (offline_) {
    appended.error = ErrorCode::kKafkaStorageError;
    return appended;
  }
  if (acks_all) appended.error = leader_.check_acks_all();
  if (appended.error != ErrorCode::kNone) return appended;
  auto result = log_->append(batches, leader_.leader_epoch(), now, origin);
  if (!result) {
    if (is_passing(result.error().failure)) {
      disk_full(result.error());
    } else {
      disk_failed("appending", result.error());
    }
    appended.error = ErrorCode::kKafkaStorageError;
    return appended;
  }
  full_ = false;
  appended.result = *result;
  switch (result->verdict) {
    case storage::ProducerVerdict::kInSequence: break;
    case storage::ProducerVerdict::kDuplicate: return appended;
    case storage::ProducerVerdict::kOutOfOrderSequence: appended.error = ErrorCode::kOutOfOrderSequenceNumber; return appended;
    case storage::ProducerVerdict::kInvalidProducerEpoch: appended.error = ErrorCode::kInvalidProducerEpoch; return appended;
  }
  log_advanced();
  flush_if_due();
  return appended;
}

bool Partition::must_wait(bool acks_all) const { return acks_all || syncs_every_append(); }

Task<ErrorCode> Partition::replicated(Offset required, MonotonicTime deadline) {
  const auto self = shared_from_this();
  // Nobody would be told any more: a request that waits for one partition after the other may come too late.
  if (offline_) co_return ErrorCode::kNotLeaderOrFollower;
  if (leader_.high_watermark() >= required) co_return ErrorCode::kNone;
  Event<ErrorCode> done;
  const WaiterId waiter = ++last_waiter_;
  producers_.emplace(waiter, &done);
  perform(leader_.wait_for_replication(waiter, required, deadline));
  arm_deadline();
  co_return co_await done;
}

WaiterId Partition::wake_when_beyond(FetchBound bound, Offset beyond, Wake wake) {
  const WaiterId waiter = ++last_waiter_;
  fetches_.emplace(waiter, std::move(wake));
  leader_.wait_for_data(waiter, bound, beyond);
  return waiter;
}

void Partition::forget(WaiterId waiter) {
  if (fetches_.erase(waiter) > 0) leader_.cancel_fetch(waiter);
}

void Partition::log_advanced() {
  perform(leader_.log_advanced(log_->log_end_offset(), replicated_end(), log_->first_unstable_offset(), ports_.clock.monotonic()));
}

void Partition::perform(PartitionActions actions) {
  if (actions.high_watermark_advanced) log_->high_watermark_is(leader_.high_watermark());
  const bool is_heard = actions.high_watermark_advanced && high_watermark_advanced_;
  if (!is_heard && actions.produce.empty() && actions.fetch.empty()) return;
  const auto self = shared_from_this();  // whoever is told may let go of it
  if (is_heard) high_watermark_advanced_(leader_.high_watermark());
  for (const replication::ProduceCompletion& completion : actions.produce) {
    if (auto found = producers_.extract(completion.waiter)) found.mapped()->set(completion.error);
  }
  for (const WaiterId waiter : actions.fetch) {
    if (auto found = fetches_.extract(waiter)) found.mapped()();
  }
}

// One timer for the earliest waiting producer.
void Partition::arm_deadline() {
  const auto next = leader_.next_deadline();
  if (!next || (deadline_timer_ != 0 && deadline_ <= *next)) return;
  if (deadline_timer_ != 0) ports_.timers.cancel(deadline_timer_);
  deadline_ = *next;
  deadline_timer_ = ports_.timers.start(deadline_, [self = weak_from_this()] {
    const auto partition = self.lock();
    if (!partition) return;
    partition->deadline_timer_ = 0;
    partition->perform(partition->leader_.tick(partition->ports_.clock.monotonic()));
    partition->arm_deadline();
  });
}

void Partition::flush_if_due() {
  const std::int64_t unflushed = log_->log_end_offset() - log_->durable_end();
  if (!flush_waiters_.empty()) start_flush();
  if (unflushed > 0 && static_cast<std::uint64_t>(unflushed) >= log_->config().flush_messages) start_flush();
  arm_flush_timer();
}

// flush.ms: the first append that is not on the disk begins the time.
void Partition::arm_flush_timer() {
  const bool is_dirty = log_->durable_end() < log_->log_end_offset();
  if (flush_timer_ != 0 || flushing_ || offline_ || !is_dirty || config_.flush_interval > kFlushIntervalMax) return;
  flush_timer_ = ports_.timers.start(ports_.clock.monotonic() + config_.flush_interval, [self = weak_from_this()] {
    const auto partition = self.lock();
    if (!partition) return;
    partition->flush_timer_ = 0;
    partition->start_flush();
  });
}

void Partition::flush_to(Offset end, std::move_only_function<void(bool)> done) {
  if (offline_ || log_->is_flushed_to(end)) return done(!offline_);
  flush_waiters_.push_back({end, std::move(done)});
  start_flush();
}

void Partition::answer_flushed(bool is_over) {
  const auto self = shared_from_this();
  std::vector<FlushWaiter> waiters = std::exchange(flush_waiters_, {});
  for (FlushWaiter& waiter : waiters) {
    const bool is_durable = log_->is_flushed_to(waiter.end);
    if (is_durable || is_over) {
      waiter.done(is_durable);
    } else {
      flush_waiters_.push_back(std::move(waiter));
    }
  }
}

// One fsync at a time covers everything appended before it began, whoever waits for it. It begins when this burst of requests is
// done and a thread of the pool is free: what has come by then is in it.
void Partition::start_flush() {
  if (flushing_ || offline_) return;
  flushing_ = true;
  ports_.executor.defer([self = weak_from_this(), &executor = ports_.executor, &flusher = ports_.flusher] {
    flusher.run_when_free(executor, [self]() -> Callback {
      const auto partition = self.lock();
      return partition && !partition->offline_ ? partition->make_flush() : Callback();
    });
  });
}

// Null after a failure.
Callback Partition::make_flush() {
  auto job = log_->begin_flush(!syncs_every_append());
  if (!job) {
    disk_failed("flushing", job.error());
    return {};
  }
  return [self = std::weak_ptr(weak_from_this()), &executor = ports_.executor, job = std::move(*job)]() mutable {
    Result<void> synced = job.run();
    executor.post([self, job = std::move(job), synced = std::move(synced)] {
      const auto partition = self.lock();
      // Of a partition that was deleted meanwhile nothing is wanted any more; its directory has another name by now.
      if (!partition || partition->offline_) return;
      partition->flushing_ = false;
      if (!synced) {
        // Never tried again: what the kernel dropped would seem to be there.
        partition->disk_failed("flushing", synced.error());
        return;
      }
      partition->log_->complete_flush(job);
      partition->log_advanced();
      partition->answer_flushed(false);
      partition->flush_if_due();
    });
  };
}

// Nothing is lost and nothing goes offline: clients try again, and succeed when there is space.
void Partition::disk_full(const Error& error) {
  if (!std::exchange(full_, true)) LOG_ERROR("partition {}-{} takes no records: {}", topic_, index_.value(), error.context);
}

void Partition::disk_failed(const char* doing, const Error& error) {
  LOG_ERROR("partition {}-{} goes offline: {} failed: {}", topic_, index_.value(), doing, error.context);
  resign();
  ports_.disks.disk_failed(log_->directory(), error);
}

void Partition::flush_sealed() {
  if (log_->active_base_offset() > log_->recovery_point()) start_flush();
}

void Partition::lead(replication::PartitionLeaderState leadership) {
  perform(leader_.resign());
  leader_ = replication::PartitionLeader(std::move(leadership), position_of(*log_), ports_.clock.monotonic());
  log_->begin_epoch(leader_.leader_epoch());
  log_->high_watermark_is(leader_.high_watermark());
}

void Partition::set_config(config::TopicConfig config, const storage::LogConfig& log_config) {
  config_ = std::move(config);
  log_->set_config(log_config);
  perform(leader_.min_insync_replicas_changed(config_.min_insync_replicas, ports_.clock.monotonic()));
  if (flush_timer_ != 0) ports_.timers.cancel(std::exchange(flush_timer_, 0));
  arm_flush_timer();
}

void Partition::resign() {
  offline_ = true;
  if (deadline_timer_ != 0) ports_.timers.cancel(std::exchange(deadline_timer_, 0));
  if (flush_timer_ != 0) ports_.timers.cancel(std::exchange(flush_timer_, 0));
  answer_flushed(true);
  perform(leader_.resign());
}

}  // namespace kurier::broker
