#include "broker/net/thread_pool.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace kurier::net {

std::size_t core_count() { return std::max(1U, std::thread::hardware_concurrency()); }

ThreadPool::ThreadPool(const std::string& name, std::size_t threads) : count_(threads) {
  KURIER_CHECK(threads > 0);
  for (std::size_t i = 0; i < threads; ++i) {
    threads_.emplace_back([this] { work_loop(); });
    ::pthread_setname_np(threads_.back().native_handle(), name.substr(0, 15).c_str());
  }
}

ThreadPool::~ThreadPool() { stop(); }

void ThreadPool::stop() {
  std::deque<Entry> dropped;
  {
    const std::lock_guard lock(mutex_);
    draining_ = true;
    for (Entry& entry : queue_) {
      if (entry.home != nullptr) dropped.push_back(std::move(entry));
    }
    std::erase_if(queue_, [](const Entry& entry) { return !entry.work; });
  }
  dropped.clear();
  changed_.notify_all();
  for (auto& thread : threads_) thread.join();
  threads_.clear();
}

void ThreadPool::run(Callback work) {
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back({.work = std::move(work), .home = nullptr, .make = {}});
  }
  changed_.notify_one();
}

void ThreadPool::run_when_free(Executor& home, MakeWork make) {
  {
    const std::lock_guard lock(mutex_);
    if (!queue_.empty() || !is_free()) {
      queue_.push_back({.work = {}, .home = &home, .make = std::move(make)});
      return changed_.notify_one();
    }
    ++making_;
  }
  make_and_run(std::move(make));
}

// By the executor that wants it; a thread is kept for it.
void ThreadPool::make_and_run(MakeWork make) {
  Callback work = make();
  {
    const std::lock_guard lock(mutex_);
    --making_;
    if (work) queue_.push_front({.work = std::move(work), .home = nullptr, .make = {}});
  }
  changed_.notify_one();
}

void ThreadPool::work_loop() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return draining_ || (!queue_.empty() && is_free()); });
    if (queue_.empty()) return;
    Entry entry = std::move(queue_.front());
    queue_.pop_front();
    if (entry.home != nullptr) {
      ++making_;
      lock.unlock();
      entry.home->post([this, make = std::move(entry.make)]() mutable { make_and_run(std::move(make)); });
      lock.lock();
      continue;
    }
    ++running_;
    lock.unlock();
    entry.work();
    entry.work = nullptr;  // What it holds is released outside the lock.
    lock.lock();
    --running_;
  }
}

}  // namespace kurier::net
