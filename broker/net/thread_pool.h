// The real WorkPool: a fixed number of named threads for work that may block. `run` may be called from any thread;
// the destructor finishes everything that was queued before it returns, so nobody may call `run` by then.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/executor.h"

namespace kurier::net {

// As many threads as can run at once; at least 1.
[[nodiscard]] std::size_t core_count();

class ThreadPool final : public WorkPool {
 public:
  // `name` shows in top and gdb; the kernel keeps 15 characters.
  ThreadPool(const std::string& name, std::size_t threads);
  ~ThreadPool() override;
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  void run(Callback work) override;
  // What waits for a thread when the pool stops is destroyed, not made.
  void run_when_free(Executor& home, MakeWork make) override;
  // Finishes everything that was queued and returns when the threads are gone. May be called again; nobody may call `run` then.
  void stop();

 private:
  // Work, or what makes it when its turn comes.
  struct Entry {
    Callback work;
    Executor* home = nullptr;
    MakeWork make;
  };

  void work_loop();
  void make_and_run(MakeWork make);
  [[nodiscard]] bool is_free() const { return running_ + making_ < count_; }

  const std::size_t count_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Entry> queue_;
  std::size_t running_ = 0;
  std::size_t making_ = 0;  // threads that are kept for work that is about to be made
  bool draining_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace kurier::net
