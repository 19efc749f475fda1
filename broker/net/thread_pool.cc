#include "broker/net/thread_pool.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace kurier::net {

std::size_t core_count() { return std::max(1U, std::thread::hardware_concurrency()); }

ThreadPool::ThreadPool(const std::string& name, std::size_t threads) {
  KURIER_CHECK(threads > 0);
  for (std::size_t i = 0; i < threads; ++i) {
    threads_.emplace_back([this] { work_loop(); });
    ::pthread_setname_np(threads_.back().native_handle(), name.substr(0, 15).c_str());
  }
}

ThreadPool::~ThreadPool() { stop(); }

void ThreadPool::stop() {
  {
    const std::lock_guard lock(mutex_);
    draining_ = true;
  }
  changed_.notify_all();
  for (auto& thread : threads_) thread.join();
  threads_.clear();
}

void ThreadPool::run(Callback work) {
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back(std::move(work));
  }
  changed_.notify_one();
}

void ThreadPool::work_loop() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return draining_ || !queue_.empty(); });
    if (queue_.empty()) return;
    Callback work = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    work();
    work = nullptr;  // What it holds is released outside the lock.
    lock.lock();
  }
}

}  // namespace kurier::net
