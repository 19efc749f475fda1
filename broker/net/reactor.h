// Reactor: the loop of one thread: its queue of posted work, its timers, its tasks.
//
// One shard is one Reactor. `post`, `defer` and `stop` may be called from any thread; everything else on the thread that runs
// `run` (or before it runs). Asio's io_context is inside; sockets of this folder attach to it.
//
// `run` goes in rounds: what was posted, or what a socket or timer has ready; then what the round deferred. A thread that
// sleeps is woken through an eventfd, once for all that is posted meanwhile. Not through Asio's own post: that wakes the
// sleeper while it holds the lock that the sleeper needs first (measured: six futex calls a request).
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
