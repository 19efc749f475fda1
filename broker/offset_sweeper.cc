#include "broker/offset_sweeper.h"

#include <chrono>
#include <utility>

namespace kurier::broker {

void OffsetSweeper::expire(const std::shared_ptr<GroupRuntime>& runtime) {
  for (const Job& job : jobs_) {
    if (!job.sweep.topics.any() && job.runtime.lock() == runtime) return;
  }
  add(runtime, {});
}

void OffsetSweeper::forget(const std::shared_ptr<GroupRuntime>& runtime, const coordinator::DeletedTopics& topics) {
  if (topics.empty()) return;
  for (Job& job : jobs_) {
    if (job.has_begun || !job.sweep.topics.any() || job.runtime.lock() != runtime) continue;
    job.sweep.topics.deleted.insert(topics.begin(), topics.end());
    return;
  }
  add(runtime, {.deleted = topics});
}

void OffsetSweeper::forget(const std::shared_ptr<GroupRuntime>& runtime, coordinator::IsGone is_gone) {
  add(runtime, {.deleted = {}, .others = std::move(is_gone)});
}

void OffsetSweeper::add(const std::shared_ptr<GroupRuntime>& runtime, coordinator::GoneTopics topics) {
  jobs_.push_back({runtime, {.topics = std::move(topics)}});
  go_on();
}

void OffsetSweeper::go_on() {
  if (jobs_.empty() || std::exchange(is_posted_, true)) return;
  executor_.post([this] { take_turn(); });
}

void OffsetSweeper::take_turn() {
  constexpr std::chrono::milliseconds kPause(5);
  is_posted_ = false;
  if (jobs_.empty()) return;
  const auto runtime = jobs_.front().runtime.lock();
  if (runtime && !runtime->has_room()) {
    is_posted_ = true;
    timers_.start(clock_.monotonic() + kPause, [this] { take_turn(); });
    return;
  }
  if (runtime && runtime->availability() == protocol::ErrorCode::kCoordinatorLoadInProgress) {
    // Later: what is loaded may have what is to be forgotten.
    jobs_.push_back(std::move(jobs_.front()));
    jobs_.pop_front();
    is_posted_ = true;
    timers_.start(clock_.monotonic() + kPause, [this] { take_turn(); });
    return;
  }
  if (!do_part(jobs_.front())) jobs_.pop_front();
  go_on();
}

bool OffsetSweeper::do_part(Job& job) {
  const auto runtime = job.runtime.lock();
  if (!runtime || runtime->availability() != protocol::ErrorCode::kNone) return false;
  job.has_begun = true;
  runtime->perform([&job](coordinator::GroupMachine& machine, coordinator::Now now) {
    return machine.groups().sweep(job.sweep, now);
  });
  return !job.sweep.is_over;
}

void OffsetSweeper::finish() {
  for (Job& job : std::exchange(jobs_, {})) {
    while (job.sweep.topics.any() && do_part(job)) {
    }
  }
}

}  // namespace kurier::broker
