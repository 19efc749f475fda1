#include "tests/unit/coordinator/bench.h"

#include "base/check.h"

namespace kurier::coordinator {
namespace {

void replay_entry(MemoryGroupState& state, const LogEntry& entry, std::size_t offset) {
  if (entry.marker) return replay_end_transaction(state, entry.producer, *entry.marker);
  const auto value = entry.record.value ? std::optional<ByteView>(*entry.record.value) : std::nullopt;
  const auto done = replay(state, entry.record.key, value, Offset(static_cast<std::int64_t>(offset)), entry.producer);
  KURIER_CHECK_MESSAGE(done.has_value(), done ? "" : done.error().context);
}

}  // namespace

void Bench::start() {
  core_ = std::make_unique<GroupCoordinator>(options_, state_, random_);
  take(core_->load(now_));
}

void Bench::take(Outcome outcome) {
  for (Append& append : outcome.appends) {
    const ProducerId producer = append.transaction ? append.transaction->producer_id : ProducerId(-1);
    for (CoordinatorRecord& record : append.records) {
      if (std::exchange(lose_next_record_, false)) continue;
      log_.push_back({append.id, std::move(record), producer, std::nullopt});
      replay_entry(state_, log_.back(), log_.size() - 1);
    }
    pending_.push_back(append.id);
    ++log_changes_;
  }
  for (Answer& answer : outcome.answers) answers_.push_back(std::move(answer));
  while (!hold_ && !pending_.empty()) commit_next();
}

void Bench::hold_appends(bool hold) {
  hold_ = hold;
  take({});
}

void Bench::commit_next() {
  const AppendId append = pending_.front();
  pending_.pop_front();
  take(core_->committed(append, now_));
}

void Bench::fail_next(protocol::ErrorCode error) {
  const AppendId append = pending_.front();
  pending_.pop_front();
  std::erase_if(log_, [&](const LogEntry& entry) { return entry.append == append && !entry.marker; });
  state_ = replayed();
  ++log_changes_;
  take(core_->append_failed(append, error, now_));
}

void Bench::pass(std::chrono::milliseconds time) {
  const Now until{now_.monotonic + time, now_.wall + time.count()};
  while (true) {
    const auto next = core_->next_deadline();
    if (!next || *next > until.monotonic) break;
    const auto step = std::chrono::duration_cast<std::chrono::milliseconds>(*next - now_.monotonic);
    now_ = {*next, now_.wall + step.count()};
    take(core_->tick(now_));
  }
  now_ = until;
}

void Bench::end_transaction(ProducerId producer, bool commit) {
  log_.push_back({0, {}, producer, commit});
  ++log_changes_;
  replay_entry(state_, log_.back(), log_.size() - 1);
}

void Bench::expire_offsets() {
  OffsetSweep sweep;
  while (!sweep.is_over) take(core_->sweep(sweep, now_));
}

void Bench::resign() {
  Outcome outcome = core_->resign(now_);
  KURIER_CHECK(outcome.appends.empty());
  for (Answer& answer : outcome.answers) answers_.push_back(std::move(answer));
  for (const AppendId append : pending_) {
    std::erase_if(log_, [&](const LogEntry& entry) { return entry.append == append && !entry.marker; });
  }
  // Append ids of the next core count from 1 again.
  for (LogEntry& entry : log_) entry.append = 0;
  pending_.clear();
}

void Bench::restart() {
  resign();
  state_ = replayed();
  ++log_changes_;
  start();
}

void Bench::forget_last_entry() {
  if (log_.empty()) return;
  log_.pop_back();
  state_ = replayed();
  ++log_changes_;
}

MemoryGroupState Bench::replayed() const {
  MemoryGroupState fresh;
  for (std::size_t i = 0; i < log_.size(); ++i) replay_entry(fresh, log_[i], i);
  return fresh;
}

}  // namespace kurier::coordinator
