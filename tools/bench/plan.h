// Plan: who sends how much where. Connections and partitions are paired off, and everything that will be sent is known
// before the first byte is, so that a consumer knows where each log will end. A pure function of the options and the
// leaders.
#pragma once

#include <cstdint>
#include <vector>

#include "base/ids.h"
#include "base/result.h"

namespace kurier::bench {

struct ConnectionPlan {
  BrokerId broker;
  std::vector<std::int32_t> partitions;  // in turn
  std::uint64_t requests = 0;

  // How many of its batches go to the n-th of its partitions.
  [[nodiscard]] std::uint64_t batches_to(std::size_t nth, std::size_t batches_per_request) const;
};

struct PlanInput {
  std::vector<BrokerId> leaders;  // of each partition
  std::size_t connections = 1;
  std::size_t batches_per_request = 1;
  std::uint64_t batches = 1;  // at least so many, the same number of requests on every connection
};

// Every partition has a connection and every connection a partition; those of one connection have the same leader.
// kInvalid: fewer connections than brokers that lead something, or fewer partitions on a connection than batches in its
// requests.
Result<std::vector<ConnectionPlan>> plan_connections(const PlanInput& input);

// Batches that each partition will hold.
std::vector<std::uint64_t> batches_of_partitions(const std::vector<ConnectionPlan>& plans,
                                                 std::size_t batches_per_request, std::size_t partitions);

}  // namespace kurier::bench
