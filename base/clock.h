// Port: time. Real in broker/net, virtual in tests/simulation; nothing else reads a clock.
#pragma once

#include <chrono>

#include "base/ids.h"

namespace kurier {

// A point on a clock that never goes back and has no relation to the date.
struct MonotonicClock {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<MonotonicClock>;
  static constexpr bool is_steady = true;
};
using MonotonicTime = MonotonicClock::time_point;

class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual MonotonicTime monotonic() const = 0;
  [[nodiscard]] virtual Timestamp wall() const = 0;  // milliseconds since 1970
};

}  // namespace kurier
