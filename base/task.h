// Task<T>: a coroutine that starts when it is awaited (or spawned) and returns one value.
//
// Used by shells only, per request or batch, never per record. A task runs on the thread that resumes it; whoever
// completes an Event resumes its waiter through the shard's Executor or inline, as its own header says. Tasks do not
// throw: an exception that escapes one ends the process through KURIER_CHECK, because nobody could answer for it.
// docs/decisions/0001-own-task.md says why this is not Asio's awaitable.
#pragma once

#include <coroutine>
#include <cstddef>
#include <exception>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/recycled_memory.h"

namespace kurier {

template <class T = void>
class [[nodiscard]] Task;

namespace detail {

// Of promises whose coroutines come and go with every request.
struct RecycledFrame {
  static void* operator new(std::size_t bytes) { return RecycledMemory::take(bytes); }
  static void operator delete(void* frame, std::size_t bytes) noexcept { RecycledMemory::leave(frame, bytes); }
};

struct TaskPromiseBase : RecycledFrame {
  std::coroutine_handle<> continuation = std::noop_coroutine();

  struct FinalAwaiter {
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> finished) const noexcept {
      return finished.promise().continuation;
    }
    void await_resume() const noexcept {}
  };

  [[nodiscard]] std::suspend_always initial_suspend() const noexcept { return {}; }
  [[nodiscard]] FinalAwaiter final_suspend() const noexcept { return {}; }
  [[noreturn]] void unhandled_exception() const noexcept {
    check_failed(__FILE__, __LINE__, "no exception leaves a task", {});
  }
};

template <class T>
struct TaskPromise : TaskPromiseBase {
  std::optional<T> value;
  Task<T> get_return_object();
  template <class U>
  void return_value(U&& result) { value.emplace(std::forward<U>(result)); }
  T take() { return std::move(*value); }
};

template <>
struct TaskPromise<void> : TaskPromiseBase {
  Task<void> get_return_object();
  void return_void() const noexcept {}
  void take() const noexcept {}
};

}  // namespace detail

template <class T>
class [[nodiscard]] Task {
 public:
  using promise_type = detail::TaskPromise<T>;
  using Handle = std::coroutine_handle<promise_type>;

  explicit Task(Handle handle) : handle_(handle) {}
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      destroy();
      handle_ = std::exchange(other.handle_, nullptr);
    }
    return *this;
  }
  ~Task() { destroy(); }

  auto operator co_await() && noexcept {
    struct Awaiter {
      Handle handle;
      [[nodiscard]] bool await_ready() const noexcept { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting) const noexcept {
        handle.promise().continuation = awaiting;
        return handle;
      }
      T await_resume() const { return handle.promise().take(); }
    };
    return Awaiter{handle_};
  }

 private:
  void destroy() {
    if (handle_) handle_.destroy();
  }
  Handle handle_;
};

namespace detail {
template <class T>
Task<T> TaskPromise<T>::get_return_object() {
  return Task<T>(std::coroutine_handle<TaskPromise>::from_promise(*this));
}
inline Task<void> TaskPromise<void>::get_return_object() {
  return Task<void>(std::coroutine_handle<TaskPromise>::from_promise(*this));
}
}  // namespace detail

// One value that arrives once, for one waiter, both on the same shard. `set` resumes the waiter before it returns.
template <class T>
class Event {
 public:
  Event() = default;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  [[nodiscard]] bool is_set() const { return value_.has_value(); }

  void set(T value) {
    KURIER_CHECK(!value_.has_value());
    value_.emplace(std::move(value));
    if (auto waiter = std::exchange(waiter_, nullptr)) waiter.resume();
  }

  auto operator co_await() noexcept {
    struct Awaiter {
      Event& event;
      [[nodiscard]] bool await_ready() const noexcept { return event.value_.has_value(); }
      void await_suspend(std::coroutine_handle<> awaiting) const noexcept {
        KURIER_CHECK(!event.waiter_);
        event.waiter_ = awaiting;
      }
      T await_resume() const { return std::move(*event.value_); }
    };
    return Awaiter{*this};
  }

 private:
  std::optional<T> value_;
  std::coroutine_handle<> waiter_;
};

}  // namespace kurier
