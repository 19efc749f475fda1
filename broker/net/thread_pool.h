// The real WorkPool: a fixed number of named threads for work that may block. `run` may be called from any thread;
// the destructor finishes everything that was queued before it returns, so nobody may call `run` by then.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
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
  struct Waiting {
    Executor* home;
    MakeWork make;
  };

  void work_loop();
  void make_and_run(MakeWork make);
  // Of a pool that is locked.
  [[nodiscard]] bool is_busy() const { return running_ + queue_.size() >= threads_.size(); }
  [[nodiscard]] std::optional<Waiting> next_waiting();
  void begin(std::optional<Waiting> next);

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Callback> queue_;
  std::deque<Waiting> waiting_;
  std::size_t running_ = 0;
  bool draining_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace kurier::net
