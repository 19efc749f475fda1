#include "broker/large_requests.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <deque>
#include <string>
#include <vector>

#include "base/task.h"

namespace kurier::broker {
namespace {

// Runs what was posted when it is told to; also a pool that works at once, and says so.
struct Queue final : Executor, WorkPool {
  std::deque<Callback> posted;
  std::size_t aside = 0;
  void post(Callback callback) override { posted.push_back(std::move(callback)); }
  void run(Callback work) override {
    ++aside;
    work();
  }
  bool run_one() {
    if (posted.empty()) return false;
    Callback next = std::move(posted.front());
    posted.pop_front();
    next();
    return true;
  }
};

// Starts a task and leaves it alone.
struct Detached {
  struct promise_type {
    Detached get_return_object() const noexcept { return {}; }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    [[noreturn]] void unhandled_exception() const noexcept { std::abort(); }
  };
};

Detached hold(LargeRequests& requests, Queue& queue, std::string name, std::vector<std::string>& log,
              Event<bool>& end) {
  LargeRequests::Ticket ticket = co_await requests.admit(queue);
  log.push_back(name + " begins");
  co_await end;
  log.push_back(name + " ends");
}

Detached count(Queue& queue, std::size_t elements, std::size_t* counted) {
  Turns turns(queue);
  for (std::size_t i = 0; i < elements; ++i) {
    co_await turns.next();
    ++*counted;
  }
}

Detached work_aside(WorkPool* pool, Queue& queue, int* result) {
  *result = co_await Aside(pool, queue, [] { return 42; });
}

}  // namespace

TEST_CASE("large requests are worked on one at a time, in the order in which they came") {
  Queue queue;
  LargeRequests requests(queue);
  std::vector<std::string> log;
  Event<bool> ends[3];
  hold(requests, queue, "first", log, ends[0]);
  hold(requests, queue, "second", log, ends[1]);
  hold(requests, queue, "third", log, ends[2]);
  CHECK(log == std::vector<std::string>{"first begins"});
  ends[0].set(true);
  CHECK(log.back() == "first ends");
  while (queue.run_one()) {
  }
  CHECK(log.back() == "second begins");
  ends[2].set(true);  // its turn has not come
  CHECK(log.back() == "second begins");
  ends[1].set(true);
  while (queue.run_one()) {
  }
  CHECK(log.back() == "third ends");
  // And the place is free again.
  Event<bool> end;
  hold(requests, queue, "fourth", log, end);
  CHECK(log.back() == "fourth begins");
  end.set(true);
}

TEST_CASE("a ticket is given up once, and moves") {
  Queue queue;
  LargeRequests requests(queue);
  std::vector<std::string> log;
  Event<bool> end;
  {
    LargeRequests::Ticket moved;
    [](LargeRequests& its, Queue& home, LargeRequests::Ticket& into) -> Detached { into = co_await its.admit(home); }(
                                                                         requests, queue, moved);
    CHECK(moved.is_held());
    hold(requests, queue, "next", log, end);
    CHECK(log.empty());
    moved.give_up();
    CHECK_FALSE(moved.is_held());
    queue.run_one();
    CHECK(log.size() == 1);
    moved.give_up();
  }
  Event<bool> end_after;
  hold(requests, queue, "after", log, end_after);
  CHECK(log.size() == 1);  // "next" has it still
  end.set(true);
  queue.run_one();
  CHECK(log.back() == "after begins");
  end_after.set(true);
}

TEST_CASE("a long loop lets others have their turn") {
  Queue queue;
  std::size_t counted = 0;
  count(queue, 3 * kElementsPerTurn, &counted);
  CHECK(counted == kElementsPerTurn);
  std::size_t turns = 1;
  while (queue.run_one()) ++turns;
  CHECK(counted == 3 * kElementsPerTurn);
  CHECK(turns == 3);
}

TEST_CASE("work is done aside where there is a pool, and comes back to its shard") {
  Queue queue;
  int result = 0;
  work_aside(nullptr, queue, &result);
  CHECK(result == 42);
  CHECK(queue.aside == 0);
  result = 0;
  work_aside(&queue, queue, &result);
  CHECK(queue.aside == 1);
  CHECK(result == 0);
  CHECK(queue.run_one());
  CHECK(result == 42);
}

}  // namespace kurier::broker
