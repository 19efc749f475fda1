// NextRound: co_await lets an executor run what it has been given before, once. On the shard of that executor only.
#pragma once

#include <coroutine>

#include "base/executor.h"

namespace kurier {

struct NextRound {
  Executor& executor;
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiter) const {
    executor.post([waiter] { waiter.resume(); });
  }
  void await_resume() const noexcept {}
};

}  // namespace kurier
