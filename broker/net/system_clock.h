// The real Clock: CLOCK_MONOTONIC and CLOCK_REALTIME. Stateless; any thread.
#pragma once

#include <chrono>

#include "base/clock.h"

namespace kurier::net {

class SystemClock final : public Clock {
 public:
  [[nodiscard]] MonotonicTime monotonic() const override {
    return MonotonicTime(std::chrono::steady_clock::now().time_since_epoch());
  }
  [[nodiscard]] Timestamp wall() const override {
    const auto since_1970 = std::chrono::system_clock::now().time_since_epoch();
    return Timestamp(std::chrono::duration_cast<std::chrono::milliseconds>(since_1970).count());
  }
};

}  // namespace kurier::net
