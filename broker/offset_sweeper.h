// OffsetSweeper: forgets offsets that have expired, and those of deleted topics, in the coordinators of one shard: one coordinator
// after the other, a bounded part at each turn of the shard, so that it serves everybody else in between; no faster than the view
// of the coordinator can be saved.
//
// What is not over when a coordinator resigns is left to the next one; a deletion that a clean stop interrupts is finished first, so that
// a topic that is made again does not find the offsets of the one before. On the shard's thread.
#pragma once

#include <deque>
#include <memory>

#include "base/executor.h"
#include "coordinator/group/group_machine.h"
#include "coordinator/group/offset_sweep.h"
#include "coordinator/runtime/coordinator_runtime.h"

namespace kurier::broker {

using GroupRuntime = coordinator::CoordinatorRuntime<coordinator::GroupMachine>;

class OffsetSweeper {
 public:
  OffsetSweeper(Executor& executor, Timers& timers, const Clock& clock)
      : executor_(executor), timers_(timers), clock_(clock) {}

  // What has expired. Nothing if that is under way there already.
  void expire(const std::shared_ptr<GroupRuntime>& runtime);
  void forget(const std::shared_ptr<GroupRuntime>& runtime, const coordinator::DeletedTopics& topics);
  // What a deletion has left that nobody has carried on. `is_gone` is asked on this thread, as long as the coordinator lives.
  void forget(const std::shared_ptr<GroupRuntime>& runtime, coordinator::IsGone is_gone);
  // Deletions to their end, now; nothing else goes on.
  void finish();

 private:
  struct Job {
    std::weak_ptr<GroupRuntime> runtime;
    coordinator::OffsetSweep sweep;
    bool has_begun = false;
  };
  void add(const std::shared_ptr<GroupRuntime>& runtime, coordinator::GoneTopics topics);
  void go_on();
  void take_turn();
  // False: it is over.
  static bool do_part(Job& job);

  Executor& executor_;
  Timers& timers_;
  const Clock& clock_;
  std::deque<Job> jobs_;
  bool is_posted_ = false;
};

}  // namespace kurier::broker
