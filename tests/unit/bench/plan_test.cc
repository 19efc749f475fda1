// Who sends how much where, and when.
#include "tools/bench/plan.h"

#include <catch2/catch.hpp>
#include <numeric>
#include <set>

#include "tools/bench/options.h"
#include "tools/bench/schedule.h"

using namespace kurier;
using namespace kurier::bench;

TEST_CASE("every partition has a connection to its leader, every connection a partition") {
  for (const std::size_t connections : {2UL, 3UL, 8UL, 20UL}) {
    PlanInput input{.leaders = {}, .connections = connections, .batches = 1001};
    for (int i = 0; i < 8; ++i) input.leaders.emplace_back(i % 3 == 0 ? 7 : 4);
    const auto plans = plan_connections(input);
    REQUIRE(plans);
    REQUIRE(plans->size() == connections);
    std::set<std::int32_t> seen;
    for (const ConnectionPlan& plan : *plans) {
      REQUIRE_FALSE(plan.partitions.empty());
      for (const std::int32_t partition : plan.partitions) {
        REQUIRE(input.leaders[static_cast<std::size_t>(partition)] == plan.broker);
        seen.insert(partition);
      }
    }
    REQUIRE(seen.size() == 8);
    const auto batches = batches_of_partitions(*plans, 1, 8);
    const auto total = std::accumulate(batches.begin(), batches.end(), std::uint64_t{0});
    REQUIRE(total >= 1001);
    REQUIRE(total < 1001 + connections);
  }
}

TEST_CASE("the batches of a partition are those that its connection sends in turn") {
  for (const std::size_t each : {1UL, 2UL, 3UL}) {
    ConnectionPlan plan{.broker = BrokerId(1), .partitions = {5, 6, 7}, .requests = 11};
    std::vector<std::uint64_t> counted(3);
    std::size_t at = 0;
    for (std::uint64_t i = 0; i < plan.requests * each; ++i) ++counted[at++ % 3];
    for (std::size_t i = 0; i < 3; ++i) REQUIRE(plan.batches_to(i, each) == counted[i]);
  }
}

TEST_CASE("a plan that cannot be is refused") {
  const PlanInput two_brokers{.leaders = {BrokerId(1), BrokerId(2)}, .connections = 1};
  REQUIRE_FALSE(plan_connections(two_brokers));
  const PlanInput too_many{.leaders = {BrokerId(1), BrokerId(1)}, .connections = 2, .batches_per_request = 2};
  REQUIRE_FALSE(plan_connections(too_many));
}

TEST_CASE("options that cannot be are refused") {
  REQUIRE(validate(Options{}));
  REQUIRE_FALSE(validate(Options{.batches_per_request = 0}));
  REQUIRE_FALSE(validate(Options{.pid = -5}));
}

TEST_CASE("a schedule says when each event is due, whatever has been done by then") {
  const MonotonicTime start{std::chrono::seconds(100)};
  const Schedule schedule(start, 3);
  REQUIRE(schedule.time_of(0) == start);
  REQUIRE(schedule.time_of(3) == start + std::chrono::seconds(1));
  REQUIRE(schedule.due(start - std::chrono::nanoseconds(1)) == 0);
  REQUIRE(schedule.due(start) == 1);
  for (const double rate : {0.7, 3.0, 1000.0, 123'456.7}) {
    const Schedule one(start, rate);
    for (std::uint64_t event = 0; event < 5000; event += 7) {
      REQUIRE(one.due(one.time_of(event)) == event + 1);
      REQUIRE(one.due(one.time_of(event) - std::chrono::nanoseconds(1)) == event);
    }
  }
}

TEST_CASE("whoever keeps a schedule is awake before an event for a tenth of the time at most, and 100 µs") {
  const MonotonicTime start{std::chrono::seconds(100)};
  REQUIRE(Schedule(start, 1).awake_before() == std::chrono::microseconds(100));
  REQUIRE(Schedule(start, 1'000).awake_before() == std::chrono::microseconds(100));
  REQUIRE(Schedule(start, 10'000).awake_before() == std::chrono::microseconds(10));
}

TEST_CASE("options that make no sense are refused, and the refusal names them") {
  const auto refusal = [](const Options& options) {
    const Result<void> valid = validate(options);
    return valid ? std::string("(accepted)") : valid.error().context;
  };
  using Catch::Contains;
  REQUIRE(refusal({}) == "(accepted)");
  REQUIRE_THAT(refusal({.address = "127.0.0.1"}), Contains("--address '127.0.0.1'"));
  REQUIRE_THAT(refusal({.address = "host:70000"}), Contains("--address"));
  REQUIRE_THAT(refusal({.address = "host:12x"}), Contains("--address"));
  REQUIRE_THAT(refusal({.topic_configs = {"flush.messages"}}), Contains("--topic-config 'flush.messages'"));
  REQUIRE_THAT(refusal({.partitions = 0}), Contains("--partitions is 0"));
  REQUIRE_THAT(refusal({.in_flight = 0}), Contains("--in-flight is 0"));
  REQUIRE_THAT(refusal({.acks = 2}), Contains("--acks is 2"));
  REQUIRE_THAT(refusal({.idempotent = true}), Contains("--idempotent needs --acks -1"));
  REQUIRE_THAT(refusal({.in_flight = 6, .acks = -1, .idempotent = true}), Contains("--in-flight"));
  REQUIRE_THAT(refusal({.batches_per_request = 2}), Contains("--batches-per-request is 2"));
  REQUIRE(refusal({.connections = 2, .batches_per_request = 4}) == "(accepted)");
  REQUIRE_THAT(refusal({.workload = Workload::kLatency, .rate = 0}), Contains("--rate is 0"));
  REQUIRE_THAT(refusal({.workload = Workload::kLatency, .connections = 9}), Contains("--connections is 9"));
  REQUIRE_THAT(refusal({.workload = Workload::kLatency, .acks = 0}), Contains("--acks 0"));
  REQUIRE_THAT(refusal({.workload = Workload::kStart}), Contains("command"));
}

TEST_CASE("addresses are split into host and port") {
  REQUIRE(parse_address("localhost:9092")->host == "localhost");
  REQUIRE(parse_address("localhost:9092")->port == 9092);
  REQUIRE(parse_address("[::1]:9092")->host == "::1");
  REQUIRE_FALSE(parse_address(":9092"));
  REQUIRE_FALSE(parse_address("[]:9092"));
  REQUIRE_FALSE(parse_address("host:0"));
}
