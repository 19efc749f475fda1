// A pool without threads: one work at a time, in the order given, when it is told to.
#pragma once

#include <deque>
#include <utility>

#include "base/executor.h"

namespace kurier::test {

class ManualPool final : public WorkPool {
 public:
  void run(Callback work) override { works_.push_back(std::move(work)); }
  bool run_one() {
    if (works_.empty()) return false;
    Callback work = std::move(works_.front());
    works_.pop_front();
    work();
    return true;
  }
  [[nodiscard]] bool is_idle() const { return works_.empty(); }
  void forget_all() { works_.clear(); }

 private:
  std::deque<Callback> works_;
};

}  // namespace kurier::test
