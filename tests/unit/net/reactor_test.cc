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

// Reactors of one team, each with its thread.
struct Team {
  Team() {
    here.reactor().join_team(this);
    there.reactor().join_team(this);
  }
  SystemClock clock;
  ReactorThread here{"here", clock};
  ReactorThread there{"there", clock};

  // The thread that does what `here` posts to `there` next.
  template <class Work>
  std::thread::id thread_of(Work work) {
    std::promise<std::thread::id> ran_on;
    here.reactor().post([&] {
      there.reactor().post([&] {
        work();
        ran_on.set_value(std::this_thread::get_id());
      });
    });
    return ran_on.get_future().get();
  }
  [[nodiscard]] std::thread::id own_thread_of(Reactor& reactor) {
    std::promise<std::thread::id> id;
    reactor.post([&] { id.set_value(std::this_thread::get_id()); });
    return id.get_future().get();
  }
  // Until `there` slept when something came for it: what `here` did of it then is done.
  template <class Work>
  bool here_stands_in(Work work) {
    const std::thread::id own = own_thread_of(here.reactor());
    for (int i = 0; i < 1'000'000; ++i) {
      if (thread_of(work) == own) return true;
    }
    return false;
  }
};

TEST_CASE("a thread does what it has to say to one of its team that sleeps, and no other's") {
  Team team;
  CHECK(team.here_stands_in([] {}));
  SystemClock clock;
  ReactorThread stranger("stranger", clock);
  const std::thread::id own = team.own_thread_of(stranger.reactor());
  for (int i = 0; i < 1'000; ++i) {
    std::promise<std::thread::id> ran_on;
    team.here.reactor().post([&] { stranger.reactor().post([&] { ran_on.set_value(std::this_thread::get_id()); }); });
    REQUIRE(ran_on.get_future().get() == own);
  }
  // The stranger may go when `here` has returned from its last post.
  static_cast<void>(team.own_thread_of(team.here.reactor()));
}

TEST_CASE("a thread that has not slept for a while leaves to the others what is theirs") {
  Team team;
  REQUIRE(team.here_stands_in([] {}));
  const auto work = [&] {
    const MonotonicTime end = team.clock.monotonic() + std::chrono::milliseconds(3);
    while (team.clock.monotonic() < end) {
    }
  };
  std::promise<std::thread::id> ran_on;
  run_on(team.here.reactor(), [&] {
    for (int i = 0; i < 5; ++i) {  // it slept before, and may find the other awake
      work();
      team.there.reactor().post([] {});
    }
    work();
    team.there.reactor().post([&] { ran_on.set_value(std::this_thread::get_id()); });
  });
  CHECK(ran_on.get_future().get() == team.own_thread_of(team.there.reactor()));
}

TEST_CASE("after standing in took long, the thread itself is given the next") {
  Team team;
  const auto long_work = [&] {
    const MonotonicTime end = team.clock.monotonic() + std::chrono::milliseconds(1);
    while (team.clock.monotonic() < end) {
    }
  };
  const std::thread::id there = team.own_thread_of(team.there.reactor());
  for (int i = 0; i < 3; ++i) {
    REQUIRE(team.here_stands_in(long_work));
    CHECK(team.thread_of([] {}) == there);
  }
}

TEST_CASE(
    "whoever runs it, what a reactor has to do runs one after the other, and what it posts, defers and starts is not "
    "lost") {
  Team team;
  constexpr int kRounds = 3'000;
  struct Side {
    Reactor& own;
    Reactor& other;
    std::uint64_t steps = 0;  // touched by what `own` runs only
    std::atomic<bool> is_at_work = false;
  };
  Side sides[2]{{team.here.reactor(), team.there.reactor()}, {team.there.reactor(), team.here.reactor()}};
  std::atomic<int> overlaps = 0;
  std::atomic<int> left = 0;
  std::promise<void> all;
  const auto step = [&](Side& side, auto&& work) {
    if (side.is_at_work.exchange(true)) ++overlaps;
    ++side.steps;
    work();
    side.is_at_work = false;
  };
  const auto last = [&] {
    if (--left == 0) all.set_value();
  };
  // From each side to the other: there something posted, something deferred and a timer, and an answer.
  std::function<void(Side&, int)> begin = [&](Side& side, int round) {
    step(side, [&] {
      Side& other = &side == &sides[0] ? sides[1] : sides[0];
      auto ask = [&, round] {
        step(other, [&] {
          other.own.post([&] { step(other, last); });
          other.own.defer([&] { step(other, last); });
          other.own.start(team.clock.monotonic() + std::chrono::microseconds(20), [&] { step(other, last); });
          side.own.post([&, round] {
            if (round + 1 < kRounds) return begin(side, round + 1);
            step(side, last);
          });
        });
      };
      round % 2 == 0 ? other.own.post(std::move(ask)) : other.own.defer(std::move(ask));
    });
  };
  left = 2 * (3 * kRounds + 1);
  for (Side& side : sides) side.own.post([&] { begin(side, 0); });
  all.get_future().wait();
  CHECK(overlaps == 0);
  // Each side: its beginnings and last answer, and four of the other's.
  std::uint64_t steps = 0;
  for (Side& side : sides) {
    run_on(side.own, [&] { steps += side.steps; });
  }
  CHECK(steps == 2 * (kRounds + 1 + 4 * kRounds));
}

TEST_CASE("nobody does what one that has stopped was told") {
  Team team;
  CHECK(team.here_stands_in([] {}));
  team.there.stop();
  bool is_done = false;
  for (int i = 0; i < 100; ++i) {
    run_on(team.here.reactor(), [&] { team.there.reactor().post([&] { is_done = true; }); });
  }
  run_on(team.here.reactor(), [] {});
  CHECK(!is_done);
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
