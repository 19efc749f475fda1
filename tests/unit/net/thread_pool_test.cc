#include "broker/net/thread_pool.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <condition_variable>
#include <deque>
#include <future>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

using namespace kurier;

TEST_CASE("a pool finishes all that was queued before it is gone") {
  std::atomic<int> done = 0;
  {
    net::ThreadPool pool("test", 2);
    for (int i = 0; i < 1000; ++i) pool.run([&done] { ++done; });
  }
  CHECK(done == 1000);
}

namespace {

// Runs what is posted when the test says so.
class ManualExecutor final : public Executor {
 public:
  void post(Callback callback) override {
    const std::lock_guard lock(mutex_);
    posted_.push_back(std::move(callback));
    changed_.notify_one();
  }
  void run_next() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !posted_.empty(); });
    Callback next = std::move(posted_.front());
    posted_.pop_front();
    lock.unlock();
    next();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Callback> posted_;
};

}  // namespace

TEST_CASE("work that waits for a thread is made when one is free, by the executor that wanted it") {
  ManualExecutor home;
  net::ThreadPool pool("test", 1);
  std::promise<void> go_on;
  std::promise<void> began;
  pool.run([&, wait = go_on.get_future()]() mutable {
    began.set_value();
    wait.get();
  });
  began.get_future().get();

  std::vector<int> made;
  std::promise<void> ran;
  pool.run_when_free(home, [&] { return made.push_back(1), Callback(); });  // there is nothing to do for it any more
  pool.run_when_free(home, [&] { return made.push_back(2), Callback([&] { ran.set_value(); }); });
  CHECK(made.empty());
  go_on.set_value();
  home.run_next();
  CHECK(made == std::vector{1});
  home.run_next();
  CHECK(made == std::vector{1, 2});
  ran.get_future().get();
}

TEST_CASE("what waits to be made keeps its place before what came later") {
  ManualExecutor home;
  net::ThreadPool pool("test", 1);
  std::promise<void> go_on;
  pool.run([wait = go_on.get_future()]() mutable { wait.get(); });
  std::vector<int> order;
  std::promise<void> all;
  pool.run_when_free(home, [&] { return Callback([&] { order.push_back(1); }); });
  pool.run([&] { order.push_back(2); });
  pool.run_when_free(home, [&] {
    return Callback([&] {
      order.push_back(3);
      all.set_value();
    });
  });
  go_on.set_value();
  home.run_next();
  home.run_next();
  all.get_future().get();
  CHECK(order == std::vector{1, 2, 3});
}

TEST_CASE("a thread that is free is given work at once; what still waits at the stop is dropped") {
  ManualExecutor home;
  net::ThreadPool pool("test", 1);
  std::promise<void> go_on;
  std::promise<void> began;
  pool.run_when_free(home, [&] {
    return Callback([&, wait = go_on.get_future()]() mutable {
      began.set_value();
      wait.get();
    });
  });
  began.get_future().get();
  auto token = std::make_shared<int>();
  const std::weak_ptr<int> watched = token;
  bool was_made = false;
  pool.run_when_free(home, [&was_made, token = std::move(token)] { return was_made = true, Callback(); });
  CHECK(!watched.expired());
  std::thread stopping([&] { pool.stop(); });
  while (!watched.expired()) std::this_thread::yield();
  go_on.set_value();
  stopping.join();
  CHECK(!was_made);
}
