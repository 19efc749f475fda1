#include "tools/bench/plan.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>

namespace kurier::bench {

std::uint64_t ConnectionPlan::batches_to(std::size_t nth, std::size_t batches_per_request) const {
  const std::uint64_t all = requests * batches_per_request;
  return (all + partitions.size() - 1 - nth) / partitions.size();
}

Result<std::vector<ConnectionPlan>> plan_connections(const PlanInput& input) {
  std::map<BrokerId, std::vector<std::int32_t>> led;
  for (std::size_t i = 0; i < input.leaders.size(); ++i) led[input.leaders[i]].push_back(static_cast<std::int32_t>(i));
  if (input.connections < led.size()) {
    return fail(Failure::kInvalid,
                fmt::format("{} connections for {} brokers that lead partitions", input.connections, led.size()));
  }
  // Connections are dealt to the brokers in turn; within a broker, partitions to connections, going round whichever are
  // fewer.
  std::vector<ConnectionPlan> plans(input.connections);
  std::map<BrokerId, std::vector<ConnectionPlan*>> of_broker;
  auto broker = led.begin();
  for (ConnectionPlan& plan : plans) {
    plan.broker = broker->first;
    of_broker[plan.broker].push_back(&plan);
    if (++broker == led.end()) broker = led.begin();
  }
  for (const auto& [id, partitions] : led) {
    const std::vector<ConnectionPlan*>& connections = of_broker[id];
    for (std::size_t i = 0; i < std::max(partitions.size(), connections.size()); ++i) {
      connections[i % connections.size()]->partitions.push_back(partitions[i % partitions.size()]);
    }
  }
  const std::uint64_t batches_a_round = input.batches_per_request * input.connections;
  for (ConnectionPlan& plan : plans) {
    plan.requests = (input.batches + batches_a_round - 1) / batches_a_round;
    if (plan.partitions.size() < input.batches_per_request) {
      return fail(Failure::kInvalid, fmt::format("{} batches a request, but a connection with {} partitions",
                                                 input.batches_per_request, plan.partitions.size()));
    }
  }
  return plans;
}

std::vector<std::uint64_t> batches_of_partitions(const std::vector<ConnectionPlan>& plans,
                                                 std::size_t batches_per_request, std::size_t partitions) {
  std::vector<std::uint64_t> batches(partitions);
  for (const ConnectionPlan& plan : plans) {
    for (std::size_t i = 0; i < plan.partitions.size(); ++i) {
      batches[static_cast<std::size_t>(plan.partitions[i])] += plan.batches_to(i, batches_per_request);
    }
  }
  return batches;
}

}  // namespace kurier::bench
