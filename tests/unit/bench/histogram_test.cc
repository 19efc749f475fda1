#include "tools/bench/histogram.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <vector>

#include "base/random.h"

using namespace kurier;
using namespace kurier::bench;
using std::chrono::nanoseconds;

TEST_CASE("percentiles are exact where numbers are small") {
  Histogram histogram;
  REQUIRE(histogram.percentile(0.99) == nanoseconds(0));
  for (int i = 1; i <= 100; ++i) histogram.record(nanoseconds(i));
  REQUIRE(histogram.count() == 100);
  REQUIRE(histogram.percentile(0.5) == nanoseconds(50));
  REQUIRE(histogram.percentile(0.99) == nanoseconds(99));
  REQUIRE(histogram.percentile(1) == nanoseconds(100));
  REQUIRE(histogram.percentile(0) == nanoseconds(1));
  REQUIRE(histogram.mean() == nanoseconds(50));
}

TEST_CASE("percentiles are within 1 % of the sorted durations, and the maximum is exact") {
  SeededRandom random(7);
  Histogram histogram;
  Histogram first_half;
  Histogram second_half;
  std::vector<std::int64_t> all;
  for (int i = 0; i < 20'000; ++i) {
    const auto ns =
        static_cast<std::int64_t>(random.next() >> (24 + random.below(40)));  // of every order of magnitude, below 2^40
    all.push_back(std::min<std::int64_t>(ns, 60'000'000'000));
    histogram.record(nanoseconds(all.back()));
    (i % 2 == 0 ? first_half : second_half).record(nanoseconds(all.back()));
  }
  std::ranges::sort(all);
  first_half.merge(second_half);
  for (const double fraction : {0.1, 0.5, 0.9, 0.99, 0.999}) {
    const auto exact = static_cast<double>(all[static_cast<std::size_t>(fraction * 20'000) - 1]);
    const auto found = static_cast<double>(histogram.percentile(fraction).count());
    INFO("fraction " << fraction);
    REQUIRE(found >= exact);
    REQUIRE(found <= exact * 1.01);
    REQUIRE(first_half.percentile(fraction) == histogram.percentile(fraction));
  }
  REQUIRE(histogram.max() == nanoseconds(all.back()));
  REQUIRE(histogram.percentile(1) == histogram.max());
  REQUIRE(first_half.count() == 20'000);
  REQUIRE(first_half.mean() == histogram.mean());
}

TEST_CASE("what is negative counts as nothing, what is beyond the last bucket keeps its maximum") {
  Histogram histogram;
  histogram.record(nanoseconds(-5));
  REQUIRE(histogram.percentile(1) == nanoseconds(0));
  histogram.record(std::chrono::hours(2));
  REQUIRE(histogram.max() == std::chrono::hours(2));
  REQUIRE(histogram.percentile(1) == std::chrono::hours(2));
  REQUIRE(histogram.percentile(0.5) == nanoseconds(0));
}
