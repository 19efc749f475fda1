// Ports: running work later. An Executor is one shard's queue; Timers belong to one shard; a WorkPool may block.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>

#include "base/clock.h"

namespace kurier {

using Callback = std::move_only_function<void()>;

// Runs callbacks one after the other, in the order in which a thread posts them; between executors there is none. `post`: any thread.
class Executor {
 public:
  virtual ~Executor() = default;
  virtual void post(Callback callback) = 0;
  // The same, but it may be kept until the calling shard has done what it is at: so that what one burst of work has to say
  // leaves together. What a thread posts or defers to the executor of another shard keeps its order; to its own, what is deferred
  // comes before what is posted.
  virtual void defer(Callback callback) { post(std::move(callback)); }
};

using TimerId = std::uint64_t;  // 0: no timer

// One-shot timers of one shard; called, and calling back, from what that shard runs only.
class Timers {
 public:
  virtual ~Timers() = default;
  // Calls back at or soon after `deadline`, never from within `start`.
  virtual TimerId start(MonotonicTime deadline, Callback callback) = 0;
  // False if it has fired already. A cancelled callback is destroyed, not called.
  virtual bool cancel(TimerId timer) = 0;
};

// Threads for what may block. `work` runs on one of them; it posts its own result back.
class WorkPool {
 public:
  using MakeWork = std::move_only_function<Callback()>;

  virtual ~WorkPool() = default;
  virtual void run(Callback work) = 0;
  // The work is made when a thread is free to run it, so that it covers everything that came while it waited: at once, or later
  // on `home`, which is the caller's executor. What is made may be null: then nothing is run.
  virtual void run_when_free([[maybe_unused]] Executor& home, MakeWork make) {
    if (Callback work = make()) run(std::move(work));
  }
};

}  // namespace kurier
