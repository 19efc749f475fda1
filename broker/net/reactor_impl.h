// What stands behind Reactor: for the adapters of this folder.
#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <map>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "broker/net/reactor.h"

namespace kurier::net {

struct Reactor::Impl {
  explicit Impl(const Clock& its_clock) : clock(its_clock), alarm(context) {}

  void run_posted();
  void arm();
  void fire();

  const Clock& clock;
  boost::asio::io_context context{1};

  // Posted work: swapped out as a whole, so that a burst of posts costs one wake-up.
  std::mutex mutex;
  std::vector<Callback> posted;
  std::vector<Callback> running_batch;

  using Key = std::pair<MonotonicTime, TimerId>;
  std::map<Key, Callback> timers;
  std::unordered_map<TimerId, MonotonicTime> deadlines;
  TimerId last_timer = 0;
  boost::asio::steady_timer alarm;
  MonotonicTime armed_for = MonotonicTime::max();

  std::size_t tasks = 0;
};

}  // namespace kurier::net
