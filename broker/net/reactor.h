// Reactor: the loop of one thread: its queue of posted work, its timers, its tasks.
//
// One shard is one Reactor. `post`, `defer` and `stop` may be called from any thread; everything else from what the reactor
// runs (or before it runs). Asio's io_context is inside; sockets of this folder attach to it.
//
// `run` goes in rounds: what was posted, or what a socket or timer has ready; then what the round deferred. A thread that
// sleeps is woken through an eventfd, once for all that is posted meanwhile. Not through Asio's own post: that wakes the
// sleeper while it holds the lock that the sleeper needs first (measured: six futex calls a request).
//
// Reactors of one team stand in for each other: a thread that has a little to say to one that sleeps does that one's posted work
// itself, at the end of its own round, instead of waking it. What a reactor runs still runs one after the other and never at
// the same time: whoever runs it has its turn. But not always on the same thread. See docs/decisions/0005-standing-in.md. A reactor
// of a team is destroyed when the threads of all of the team have ended.
#pragma once

#include <memory>

#include "base/clock.h"
#include "base/executor.h"
#include "base/spawner.h"

namespace kurier::net {

class Reactor final : public Executor, public Timers, public Spawner {
 public:
  explicit Reactor(const Clock& clock);
  ~Reactor() override;
  Reactor(const Reactor&) = delete;
  Reactor& operator=(const Reactor&) = delete;

  void run();   // until stop
  void stop();  // ends run after the round that is running now
  // From now on it stands in for the others of this team and they for it. From any thread; `team` is compared only.
  void join_team(const void* team);
  [[nodiscard]] const Clock& clock() const;

  // Executor
  void post(Callback callback) override;
  void defer(Callback callback) override;
  // Timers
  TimerId start(MonotonicTime deadline, Callback callback) override;
  bool cancel(TimerId timer) override;
  // Spawner
  void spawn(std::string_view name, Task<void> task) override;
  [[nodiscard]] std::size_t running() const override;

  struct Impl;  // known to this folder only
  [[nodiscard]] Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace kurier::net
