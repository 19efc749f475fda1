// Echo: everything comes back, nothing before it was due, and what cannot be in time ends.
#include "tools/bench/echo.h"

#include <catch2/catch.hpp>

#include "broker/net/system_clock.h"
#include "broker/net/thread_pool.h"
#include "tools/bench/latency_json.h"
#include "tools/bench/loopback.h"

using namespace kurier;
using namespace kurier::bench;

TEST_CASE("every message comes back, each after it was due, and takes the time that the rate gives") {
  const net::SystemClock clock;
  net::Reactor reactor(clock);
  net::ThreadPool lookup("lookup", 1);
  const Loop loop{reactor, lookup, clock.monotonic() + std::chrono::seconds(60)};
  const MonotonicTime began = clock.monotonic();
  const auto latency = measure_echo(loop, 2'000, 200);
  REQUIRE(latency);
  CHECK(latency->count() == 200);
  CHECK(latency->percentile(0.0) > std::chrono::nanoseconds(0));
  CHECK(clock.monotonic() - began >= std::chrono::microseconds(99'500));  // the last is due then
}

TEST_CASE("an echo that cannot be finished in time says so") {
  const net::SystemClock clock;
  net::Reactor reactor(clock);
  net::ThreadPool lookup("lookup", 1);
  const Loop loop{reactor, lookup, clock.monotonic() + std::chrono::milliseconds(20)};
  const auto latency = measure_echo(loop, 10, 1'000);
  REQUIRE_FALSE(latency);
  CHECK(latency.error().failure == Failure::kTimeout);
}

TEST_CASE("a latency is told in microseconds") {
  Histogram latency;
  for (int i = 1; i <= 100; ++i) latency.record(std::chrono::nanoseconds(i));
  CHECK(to_json(latency).text() ==
        R"({"count": 100, "mean": 0.05, "p50": 0.05, "p90": 0.09, "p99": 0.099, "p99_9": 0.1, "max": 0.1})");
}
