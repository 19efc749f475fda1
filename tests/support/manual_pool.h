// A pool without threads: work is done when a test says so.
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
  [[nodiscard]] std::size_t size() const { return queue_.size(); }

 private:
  std::deque<Callback> queue_;
};

}  // namespace kurier::test
