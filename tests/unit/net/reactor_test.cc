// Reactor: what is posted and deferred runs in order, nothing starves, and nobody sleeps through a message.
#include "broker/net/reactor.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "broker/net/reactor_thread.h"
#include "broker/net/system_clock.h"

namespace kurier::net {
namespace {

// Runs `work` on the reactor's thread and waits until it has run.
template <class Work>
void run_on(Reactor& reactor, Work work) {
  std::promise<void> done;
  reactor.post([&] {
    work();
    done.set_value();
  });
  done.get_future().wait();
}

TEST_CASE("what a thread posts runs in its order, and none is slept through") {
  SystemClock clock;
  ReactorThread there("there", clock);
  constexpr int kThreads = 3;
  constexpr int kMessages = 20'000;
  std::vector<int> next(kThreads, 0);
  bool in_order = true;
  std::promise<void> all;
  int left = kThreads * kMessages;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < kMessages; ++i) {
        there.reactor().post([&, thread, i] {
          in_order = in_order && next[static_cast<std::size_t>(thread)]++ == i;
          if (--left == 0) all.set_value();
        });
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  all.get_future().wait();
  CHECK(in_order);
}

TEST_CASE("two reactors that only answer each other never both sleep") {
  SystemClock clock;
  ReactorThread one("one", clock);
  ReactorThread other("other", clock);
  constexpr int kRounds = 20'000;
  std::promise<void> done;
  std::function<void(int)> serve = [&](int round) {
    if (round == kRounds) return done.set_value();
    Reactor& next = round % 2 == 0 ? other.reactor() : one.reactor();
    // Both ways of saying it, in turn.
    if (round % 4 < 2) {
      next.defer([&serve, round] { serve(round + 1); });
    } else {
      next.post([&serve, round] { serve(round + 1); });
    }
  };
  one.reactor().post([&] { serve(0); });
  done.get_future().wait();
}

TEST_CASE("what is deferred comes after what the round has done, and keeps its order with what is posted") {
  SystemClock clock;
  ReactorThread here("here", clock);
  ReactorThread there("there", clock);
  std::vector<std::string> seen_here;
  std::vector<std::string> seen_there;
  run_on(here.reactor(), [&] {
    here.reactor().defer([&] { seen_here.emplace_back("deferred"); });
    there.reactor().defer([&] { seen_there.emplace_back("first"); });
    there.reactor().defer([&] { seen_there.emplace_back("second"); });
    there.reactor().post([&] { seen_there.emplace_back("third"); });
    there.reactor().defer([&] { seen_there.emplace_back("fourth"); });
    seen_here.emplace_back("at hand");
  });
  run_on(here.reactor(), [&] { seen_here.emplace_back("next round"); });
  run_on(there.reactor(), [] {});
  CHECK(seen_here == std::vector<std::string>{"at hand", "deferred", "next round"});
  CHECK(seen_there == std::vector<std::string>{"first", "second", "third", "fourth"});
}

TEST_CASE("what posts itself again and again does not keep a timer waiting") {
  SystemClock clock;
  ReactorThread here("here", clock);
  std::atomic<bool> fired = false;
  std::promise<void> done;
  std::function<void()> again = [&] {
    if (fired) return done.set_value();
    here.reactor().post([&] { again(); });
  };
  here.reactor().post([&] {
    here.reactor().start(clock.monotonic() + std::chrono::milliseconds(1), [&] { fired = true; });
    again();
  });
  done.get_future().wait();
}

TEST_CASE("a reactor that was stopped runs again") {
  SystemClock clock;
  Reactor reactor(clock);
  int runs = 0;
  for (int i = 0; i < 3; ++i) {
    reactor.post([&] {
      ++runs;
      reactor.stop();
    });
    reactor.run();
  }
  CHECK(runs == 3);
}

}  // namespace
}  // namespace kurier::net
