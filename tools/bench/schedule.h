// Schedule: when is the next request meant to be sent? A fixed rate from a start on, whatever happens meanwhile: what
// is late is sent late and measured from the time for which it was meant, so that a stall of the broker is not left out
// of the result (no coordinated omission). A plain value; the caller has the clock.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "base/check.h"
#include "base/clock.h"

namespace kurier::bench {

class Schedule {
 public:
  // `rate` events a second, more than 0; the first one at `start`.
  Schedule(MonotonicTime start, double rate) : start_(start), rate_(rate) { KURIER_CHECK(rate > 0); }

  // A timer finds the processor asleep, and what that takes (some 50 µs on a virtual machine) would count as the broker's: so whoever
  // sends is awake so long before an event, at most a tenth of the time.
  [[nodiscard]] MonotonicClock::duration awake_before() const {
    return std::min<MonotonicClock::duration>(std::chrono::microseconds(100),
                                              std::chrono::nanoseconds(static_cast<std::int64_t>(1e8 / rate_)));
  }
  [[nodiscard]] MonotonicTime time_of(std::uint64_t event) const {
    return start_ + std::chrono::nanoseconds(static_cast<std::int64_t>(static_cast<double>(event) * 1e9 / rate_));
  }
  // How many events lie at or before `now`.
  [[nodiscard]] std::uint64_t due(MonotonicTime now) const {
    if (now < start_) return 0;
    auto events = static_cast<std::uint64_t>(static_cast<double>((now - start_).count()) * rate_ / 1e9);
    while (time_of(events) <= now) ++events;  // what rounding lost
    while (events > 0 && time_of(events - 1) > now) --events;
    return events;
  }

 private:
  MonotonicTime start_;
  double rate_;
};

}  // namespace kurier::bench
