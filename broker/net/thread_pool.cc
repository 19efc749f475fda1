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
  std::deque<Waiting> dropped;
  {
    const std::lock_guard lock(mutex_);
    draining_ = true;
    dropped.swap(waiting_);
  }
  dropped.clear();
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

void ThreadPool::run_when_free(Executor& home, MakeWork make) {
  {
    const std::lock_guard lock(mutex_);
    if (is_busy()) {
      waiting_.push_back({&home, std::move(make)});
      return;
    }
  }
  make_and_run(std::move(make));
}

void ThreadPool::make_and_run(MakeWork make) {
  if (Callback work = make()) return run(std::move(work));
  std::unique_lock lock(mutex_);
  auto next = next_waiting();
  lock.unlock();
  begin(std::move(next));
}

std::optional<ThreadPool::Waiting> ThreadPool::next_waiting() {
  if (waiting_.empty() || is_busy()) return std::nullopt;
  Waiting next = std::move(waiting_.front());
  waiting_.pop_front();
  return next;
}

void ThreadPool::begin(std::optional<Waiting> next) {
  if (!next) return;
  next->home->post([this, make = std::move(next->make)]() mutable { make_and_run(std::move(make)); });
}

void ThreadPool::work_loop() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return draining_ || !queue_.empty(); });
    if (queue_.empty()) return;
    Callback work = std::move(queue_.front());
    queue_.pop_front();
    ++running_;
    lock.unlock();
    work();
    work = nullptr;  // What it holds is released outside the lock.
    lock.lock();
    --running_;
    if (auto next = next_waiting()) {
      lock.unlock();
      begin(std::move(next));
      lock.lock();
    }
  }
}

}  // namespace kurier::net
