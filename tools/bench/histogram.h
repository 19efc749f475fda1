// Histogram: how long did it take? Counts of durations with a relative error below 1 %, percentiles of them.
//
// A plain value without clock; one thread. Buckets: exact below 128 ns, then 128 to each power of two, up to about 68
// s; anything longer counts as the longest bucket but keeps its exact maximum.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>

namespace kurier::bench {

class Histogram {
 public:
  using Duration = std::chrono::nanoseconds;

  // Negative durations count as 0.
  void record(Duration duration);
  void merge(const Histogram& other);
  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] Duration max() const { return max_; }
  [[nodiscard]] Duration mean() const;  // 0 without any
  // The smallest bucket's upper end that at least `fraction` of the durations do not exceed, never more than max(); 0
  // without any. `fraction` in [0, 1].
  [[nodiscard]] Duration percentile(double fraction) const;

 private:
  static constexpr int kSubBits = 7;
  static constexpr std::uint64_t kSubBuckets = 1U << kSubBits;
  static constexpr std::size_t kBuckets = kSubBuckets * 31;

  static std::size_t bucket_of(std::uint64_t ns);
  static std::uint64_t upper_end(std::size_t bucket);  // inclusive

  std::array<std::uint64_t, kBuckets> counts_{};
  std::uint64_t count_ = 0;
  Duration sum_{0};
  Duration max_{0};
};

}  // namespace kurier::bench
