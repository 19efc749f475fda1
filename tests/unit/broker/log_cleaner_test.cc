// log.cleaner.io.max.bytes.per.second: what the rate grants, and that the runner keeps to it, in virtual time.
#include <catch2/catch.hpp>

#include "broker/io_rate.h"
#include "tests/unit/broker/cleaner_fixture.h"

using namespace kurier;
using namespace kurier::broker;
using std::chrono::milliseconds;

namespace {

MonotonicTime at(std::int64_t ms) { return MonotonicTime(milliseconds(ms)); }

struct Fixture : CleanerFixture {
  static constexpr double kBytesPerSecond = 100'000;
  std::uint64_t bytes = 0;  // of the sealed segments

  Fixture() { config.log.cleaner_io_max_bytes_per_second = kBytesPerSecond; }
  void add_log(std::uint8_t id, int records) {
    Partition& partition = add(id);
    write(partition, records);
    bytes += partition.log().size_bytes();
    roll(partition);
  }
  // Read for the map, read to be cleaned, and all written again.
  [[nodiscard]] milliseconds time_at_the_rate() const {
    return milliseconds(static_cast<std::int64_t>(3.0 * static_cast<double>(bytes) / kBytesPerSecond * 1000));
  }
};

}  // namespace

TEST_CASE("the rate grants bytes by the second, and what was too much is waited for") {
  IoRate rate(1000);
  CHECK(rate.moved(500, at(0)) == milliseconds(500));
  CHECK(rate.moved(500, at(500)) == milliseconds(500));
  // Somebody else at the same time: both wait for what both have moved.
  CHECK(rate.moved(100, at(500)) == milliseconds(600));
  // Time that nobody used is not saved up.
  CHECK(rate.moved(100, at(10'000)) == milliseconds(100));
  CHECK(rate.moved(0, at(10'100)) == milliseconds(0));
  CHECK(rate.moved(100, at(10'100)) == milliseconds(100));
}

TEST_CASE("a slice is about 300 ms' worth, within bounds") {
  CHECK(IoRate(1'000'000).slice_bytes() == 300'000);
  CHECK(IoRate(1).slice_bytes() == 16 * 1024);
  CHECK(IoRate(1e300).slice_bytes() == 4 << 20);
  CHECK(IoRate(1e300).moved(1 << 30, at(0)) == milliseconds(0));
  CHECK(IoRate(0).moved(1 << 20, at(0)) <= std::chrono::hours(2));
}

TEST_CASE("a log is cleaned no faster than the rate") {
  Fixture f;
  f.add_log(1, 500);
  f.clean(f.time_at_the_rate() * 9 / 10);
  CHECK(f.cleaned.empty());
  f.shard.pass(f.time_at_the_rate() * 2 / 10);
  CHECK(f.cleaned.size() == 1);
}

TEST_CASE("many small logs together are cleaned no faster than the rate") {
  Fixture f;
  for (std::uint8_t i = 1; i <= 50; ++i) f.add_log(i, 8);
  f.clean(f.time_at_the_rate() * 9 / 10);
  CHECK(f.cleaned.size() < 50);
  CHECK(f.cleaned.size() > 40);
  f.shard.pass(f.time_at_the_rate() * 2 / 10);
  CHECK(f.cleaned.size() == 50);
}
