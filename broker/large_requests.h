// Requests of very many elements: how they are kept from being noticed by anybody else.
//
// A request of more than kElementsInline elements is large. Decoding it, encoding its answer and what else needs nothing but
// the request and the metadata image happens on a pool of its own (`aside`); what needs the partitions happens on their
// shards, which get to others' work every kElementsPerTurn elements (`Turns`). Large requests of the whole node are worked on
// one at a time, so that what they take in memory beside their frames is that of one (up to about a KiB for each element,
// of which there may be kElementsMax); they wait in the order of their arrival.
// A handler gives its place up (`Call::ticket`) before it waits for anything that others have to do.
#pragma once

#include <coroutine>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>

#include "base/executor.h"

namespace kurier::broker {

// About a millisecond's worth of decoding.
inline constexpr std::size_t kElementsInline = 5'000;
// Apache Kafka has a limit for each array only. The connection of who sends more is closed.
inline constexpr std::size_t kElementsMax = 2'500'000;
inline constexpr std::size_t kElementsPerTurn = 256;
// What an answer may be made of when something small, named often, would make it endless: the connection is closed instead.
inline constexpr std::size_t kAnswerElementsMax = 2'000'000;

class LargeRequests {
 public:
  // `pool` outlives it; one thread is enough, since one request is worked on at a time.
  explicit LargeRequests(WorkPool& pool) : pool_(pool) {}
  [[nodiscard]] WorkPool& pool() { return pool_; }

  // The place of the one request that is worked on. Given up on any thread.
  class Ticket {
   public:
    Ticket() = default;
    explicit Ticket(LargeRequests& its_owner) : owner_(&its_owner) {}
    Ticket(Ticket&& other) noexcept : owner_(std::exchange(other.owner_, nullptr)) {}
    Ticket& operator=(Ticket&& other) noexcept {
      std::swap(owner_, other.owner_);
      return *this;
    }
    ~Ticket() { give_up(); }
    void give_up() {
      if (auto* owner = std::exchange(owner_, nullptr)) owner->next();
    }
    [[nodiscard]] bool is_held() const { return owner_ != nullptr; }

   private:
    LargeRequests* owner_ = nullptr;
  };

  // Returns a Ticket when it is this request's turn, on the shard of `home`.
  [[nodiscard]] auto admit(Executor& home) {
    struct Awaiter {
      LargeRequests& owner;
      Executor& home;
      [[nodiscard]] bool await_ready() const noexcept { return false; }
      [[nodiscard]] bool await_suspend(std::coroutine_handle<> waiter) const { return owner.has_to_wait(home, waiter); }
      [[nodiscard]] Ticket await_resume() const { return Ticket(owner); }
    };
    return Awaiter{*this, home};
  }

 private:
  struct Waiter {
    Executor* home;
    std::coroutine_handle<> handle;
  };
  bool has_to_wait(Executor& home, std::coroutine_handle<> waiter) {
    const std::lock_guard lock(mutex_);
    if (!std::exchange(is_busy_, true)) return false;
    waiting_.push_back({&home, waiter});
    return true;
  }
  void next() {
    std::optional<Waiter> waiter;
    {
      const std::lock_guard lock(mutex_);
      if (waiting_.empty()) {
        is_busy_ = false;
        return;
      }
      waiter = waiting_.front();
      waiting_.pop_front();
    }
    waiter->home->post([handle = waiter->handle] { handle.resume(); });
  }

  WorkPool& pool_;
  std::mutex mutex_;
  bool is_busy_ = false;
  std::deque<Waiter> waiting_;
};

// `co_await`ed: runs `work` here, or on the pool if there is one, and returns on the shard of `home` what it returned. What
// it captures by reference must be left alone meanwhile, and what it makes and does not return goes where it ran.
template <class Work>
class Aside {
 public:
  using Value = decltype(std::declval<Work&>()());
  Aside(WorkPool* pool, Executor& home, Work work) : pool_(pool), home_(home), work_(std::move(work)) {}

  [[nodiscard]] bool await_ready() {
    if (pool_ == nullptr) value_.emplace(work_());
    return pool_ == nullptr;
  }
  void await_suspend(std::coroutine_handle<> waiter) {
    pool_->run([this, waiter] {
      value_.emplace(work_());
      home_.post([waiter] { waiter.resume(); });
    });
  }
  Value await_resume() { return std::move(*value_); }

 private:
  WorkPool* pool_;
  Executor& home_;
  Work work_;
  std::optional<Value> value_;
};

// For loops over what a request names: `co_await turns.next();` lets the shard do others' work from time to time.
class Turns {
 public:
  explicit Turns(Executor& shard) : shard_(shard) {}
  // `elements`: of what comes next.
  [[nodiscard]] auto next(std::size_t elements = 1) {
    struct Awaiter {
      Executor& shard;
      bool goes_on;
      [[nodiscard]] bool await_ready() const noexcept { return goes_on; }
      void await_suspend(std::coroutine_handle<> waiter) const {
        shard.post([waiter] { waiter.resume(); });
      }
      void await_resume() const noexcept {}
    };
    left_ -= static_cast<std::ptrdiff_t>(elements);
    const bool goes_on = left_ >= 0;
    if (!goes_on) left_ = static_cast<std::ptrdiff_t>(kElementsPerTurn);
    return Awaiter{shard_, goes_on};
  }

 private:
  Executor& shard_;
  std::ptrdiff_t left_ = static_cast<std::ptrdiff_t>(kElementsPerTurn);
};

}  // namespace kurier::broker
