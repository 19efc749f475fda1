// Join: waits for several tasks; Signal: wakes one waiter, again and again. Both on one reactor's thread.
#pragma once

#include <coroutine>
#include <functional>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "base/task.h"
#include "broker/net/reactor.h"

namespace kurier::client {

class Signal {
 public:
  // Resumes the waiter before it returns; without one it does nothing.
  void notify() {
    if (const auto waiter = std::exchange(waiter_, nullptr)) waiter.resume();
  }
  auto operator co_await() noexcept {
    struct Awaiter {
      Signal& signal;
      [[nodiscard]] bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<> waiter) const noexcept { signal.waiter_ = waiter; }
      void await_resume() const noexcept {}
    };
    return Awaiter{*this};
  }

 private:
  std::coroutine_handle<> waiter_;
};

// Lives until `wait` has returned. The first failure calls `abort`, which ends the other tasks early.
class Join {
 public:
  Join(net::Reactor& reactor, std::function<void()> abort) : reactor_(reactor), abort_(std::move(abort)) {}

  void start(std::string_view name, Task<Result<void>> task) {
    ++running_;
    reactor_.spawn(name, run(*this, std::move(task)));
  }
  void fail(Error error) {
    if (!outcome_) return;
    outcome_ = std::unexpected(std::move(error));
    abort_();
  }
  // When the last task has ended: the first failure, if any.
  Task<Result<void>> wait() {
    waiting_ = true;
    if (running_ == 0) co_return outcome_;
    co_await ended_;
    co_return outcome_;
  }

 private:
  static Task<void> run(Join& join, Task<Result<void>> task) {
    const Result<void> result = co_await std::move(task);
    if (!result) join.fail(result.error());
    // Posted, because whoever waits may destroy what is still on the stack here.
    if (--join.running_ == 0 && join.waiting_) join.reactor_.post([&join] { join.ended_.set(true); });
  }

  net::Reactor& reactor_;
  std::function<void()> abort_;
  std::size_t running_ = 0;
  bool waiting_ = false;
  Result<void> outcome_;
  Event<bool> ended_;
};

}  // namespace kurier::client
