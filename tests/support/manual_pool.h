// A pool without threads: one work at a time, in the order given, when it is told to.
#pragma once

#include <deque>
#include <utility>

#include "base/executor.h"

namespace kurier::test {

class ManualPool final : public WorkPool {
 public:
  void run(Callback work) override { queue_.push_back(std::move(work)); }
  // False: there is none.
  bool run_one() {
    if (queue_.empty()) return false;
    Callback next = std::move(queue_.front());
    queue_.pop_front();
    next();
    return true;
  }
  [[nodiscard]] bool is_idle() const { return queue_.empty(); }
  void forget_all() { queue_.clear(); }
  [[nodiscard]] std::size_t size() const { return queue_.size(); }

 private:
  std::deque<Callback> queue_;
};

}  // namespace kurier::test
