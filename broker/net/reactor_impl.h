// What stands behind Reactor: for the adapters of this folder.
#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <map>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "broker/net/reactor.h"

namespace kurier::net {

struct Reactor::Impl {
  explicit Impl(const Clock& its_clock);

  void run();
  void post(Callback callback);
  void post_all(std::vector<Callback>& callbacks);  // leaves it empty
  void wake();
  // What a socket or timer calls says this before anything else: the thread is at work, looks at what is posted before it
  // sleeps, and nobody stands in for it.
  void take_turn() {
    if (!std::exchange(has_turn, true)) begin_turn();
    asleep.store(false, std::memory_order_relaxed);
  }

  void arm();
  void fire();

  const Clock& clock;
  boost::asio::io_context context{1};

  std::size_t tasks = 0;

 private:
  void begin_turn();
  void sleep();
  bool has_time();
  void wait_for_wake();
  void run_posted();
  void put(std::vector<Callback>& callbacks);  // leaves it empty; wakes nobody
  void end_round();

  // Posted work: swapped out as a whole, so that a burst of posts costs one wake-up.
  std::mutex mutex;
  std::vector<Callback> posted;
  // Changes with the mutex held; whoever only looks needs none. That this and `asleep` are in one sequentially
  // consistent order keeps wake-ups from being lost: who posts stores this, then exchanges `asleep`; who goes to sleep
  // stores `asleep`, then loads this. At least one of them sees what the other has stored.
  std::atomic<bool> has_posted{false};
  std::vector<Callback> running_batch;
  std::atomic<bool> asleep{false};
  std::atomic<bool> stopping{false};
  std::mutex turn;  // held by the thread that runs what this reactor has to run: its own except while that sleeps
  bool has_turn = false;  // the own thread has; known to it alone
  bool is_running = false;  // told by whoever has the turn
  std::atomic<const void*> team{nullptr};
  boost::asio::posix::stream_descriptor wake_up;  // an eventfd
  std::uint64_t wake_ups = 0;

  // What this thread's round has deferred: to itself, and to others.
  friend class Reactor;
  struct Parcel {
    Impl* to;
    std::vector<Callback> callbacks;
    // Standing in took long: so many parcels are given to the thread itself, each time twice as many; half as many when it did not.
    std::uint32_t wake_for = 0;
    std::uint32_t wake_for_next = 1;
  };
  std::vector<Callback> deferred;
  std::vector<Callback> running_deferred;
  std::vector<Parcel> outbox;
  MonotonicClock::duration stood_in{};  // at the end of this round
  // A thread that is always busy may lose its core while it has two turns: it stands in for nobody.
  bool had_time = true;  // in the last window
  MonotonicTime window_began{};
  MonotonicTime sleep_began{};
  MonotonicClock::duration slept{};  // since the window began
  Parcel& parcel_for(Impl* to);
  [[nodiscard]] bool may_stand_in(const Parcel& parcel);
  void deliver(Parcel& parcel);
  void run_for_sleeper();

  using Key = std::pair<MonotonicTime, TimerId>;
  std::map<Key, Callback> timers;
  std::unordered_map<TimerId, MonotonicTime> deadlines;
  TimerId last_timer = 0;
  boost::asio::steady_timer alarm;
  MonotonicTime armed_for = MonotonicTime::max();
};

}  // namespace kurier::net
