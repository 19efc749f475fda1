// IoRate: when may work that has moved so many bytes go on? A core: log.cleaner.io.max.bytes.per.second.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "base/clock.h"

namespace kurier::broker {

class IoRate {
 public:
  explicit IoRate(double bytes_per_second) : bytes_per_second_(std::max(bytes_per_second, 1.0)) {}

  // What may be moved before it is asked again: about 300 ms' worth.
  [[nodiscard]] std::uint64_t slice_bytes() const {
    return static_cast<std::uint64_t>(std::clamp(bytes_per_second_ * 0.3, 16.0 * 1024, 4.0 * 1024 * 1024));
  }

  // How long to wait after `bytes` have been moved. Who waits longer than was asked gains nothing by it.
  [[nodiscard]] std::chrono::nanoseconds moved(std::uint64_t bytes, MonotonicTime now) {
    const double seconds = std::min(static_cast<double>(bytes) / bytes_per_second_, 3600.0);
    free_at_ = std::max(free_at_, now) + std::chrono::nanoseconds(static_cast<std::int64_t>(seconds * 1e9));
    // A millisecond is no more than a timer can tell.
    return free_at_ - now < std::chrono::milliseconds(1) ? std::chrono::nanoseconds(0) : free_at_ - now;
  }

 private:
  const double bytes_per_second_;
  MonotonicTime free_at_{};
};

}  // namespace kurier::broker
