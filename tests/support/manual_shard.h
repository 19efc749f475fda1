// A shard without a thread: time stands still until it is told to pass; tasks run where they are spawned.
#pragma once

#include <deque>
#include <map>

#include "base/executor.h"
#include "base/spawner.h"

namespace kurier::test {

class ManualShard final : public Clock, public Timers, public Executor, public Spawner {
 public:
  // Clock
  [[nodiscard]] MonotonicTime monotonic() const override { return now_; }
  [[nodiscard]] Timestamp wall() const override {
    return Timestamp(1'000'000 +
                     std::chrono::duration_cast<std::chrono::milliseconds>(now_.time_since_epoch()).count());
  }
  // Everything that is due on the way happens at its own time.
  void pass(std::chrono::milliseconds duration) {
    const MonotonicTime until = now_ + duration;
    run_posted();
    while (!timers_.empty() && timers_.begin()->first.first <= until) {
      auto entry = timers_.extract(timers_.begin());
      now_ = std::max(now_, entry.key().first);
      entry.mapped()();
      run_posted();
    }
    now_ = until;
  }

  // Timers
  TimerId start(MonotonicTime deadline, Callback callback) override {
    timers_.emplace(std::pair(deadline, ++last_timer_), std::move(callback));
    return last_timer_;
  }
  bool cancel(TimerId timer) override {
    for (auto at = timers_.begin(); at != timers_.end(); ++at) {
      if (at->first.second != timer) continue;
      timers_.erase(at);
      return true;
    }
    return false;
  }

  // Executor
  void post(Callback callback) override { posted_.push_back(std::move(callback)); }
  bool run_one_posted() {
    if (posted_.empty()) return false;
    Callback next = std::move(posted_.front());
    posted_.pop_front();
    next();
    return true;
  }
  void run_posted() {
    while (run_one_posted()) {
    }
  }

  // Spawner
  void spawn(std::string_view, Task<void> task) override { run(std::move(task), running_); }
  [[nodiscard]] std::size_t running() const override { return running_; }

 private:
  struct Detached {
    struct promise_type {
      Detached get_return_object() const noexcept { return {}; }
      std::suspend_never initial_suspend() const noexcept { return {}; }
      std::suspend_never final_suspend() const noexcept { return {}; }
      void return_void() const noexcept {}
      [[noreturn]] void unhandled_exception() const noexcept { std::terminate(); }
    };
  };
  static Detached run(Task<void> task, std::size_t& running) {
    ++running;
    co_await std::move(task);
    --running;
  }

  MonotonicTime now_{};
  std::map<std::pair<MonotonicTime, TimerId>, Callback> timers_;
  std::deque<Callback> posted_;
  TimerId last_timer_ = 0;
  std::size_t running_ = 0;
};

}  // namespace kurier::test
