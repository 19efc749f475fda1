#include "tools/bench/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace kurier::bench {

// 0 to 127 map to themselves; then each power of two has 128 buckets: its number and the seven bits below its leading
// one.
std::size_t Histogram::bucket_of(std::uint64_t ns) {
  if (ns < kSubBuckets) return ns;
  const int shift = static_cast<int>(std::bit_width(ns)) - 1 - kSubBits;
  const std::size_t bucket = static_cast<std::size_t>(shift + 1) * kSubBuckets + (ns >> shift) - kSubBuckets;
  return std::min(bucket, kBuckets - 1);
}

std::uint64_t Histogram::upper_end(std::size_t bucket) {
  if (bucket < kSubBuckets) return bucket;
  const std::size_t shift = bucket / kSubBuckets - 1;
  return ((kSubBuckets + bucket % kSubBuckets + 1) << shift) - 1;
}

void Histogram::record(Duration duration) {
  duration = std::max(duration, Duration::zero());
  ++counts_[bucket_of(static_cast<std::uint64_t>(duration.count()))];
  ++count_;
  sum_ += duration;
  max_ = std::max(max_, duration);
}

void Histogram::merge(const Histogram& other) {
  for (std::size_t bucket = 0; bucket < kBuckets; ++bucket) counts_[bucket] += other.counts_[bucket];
  count_ += other.count_;
  sum_ += other.sum_;
  max_ = std::max(max_, other.max_);
}

Histogram::Duration Histogram::mean() const {
  return count_ == 0 ? Duration::zero() : sum_ / static_cast<std::int64_t>(count_);
}

Histogram::Duration Histogram::percentile(double fraction) const {
  if (count_ == 0) return Duration::zero();
  const auto wanted =
      std::max<std::uint64_t>(1, static_cast<std::uint64_t>(std::ceil(fraction * static_cast<double>(count_))));
  std::uint64_t seen = 0;
  for (std::size_t bucket = 0; bucket < kBuckets - 1; ++bucket) {
    seen += counts_[bucket];
    if (seen >= wanted) return std::min(Duration(static_cast<std::int64_t>(upper_end(bucket))), max_);
  }
  return max_;
}

}  // namespace kurier::bench
