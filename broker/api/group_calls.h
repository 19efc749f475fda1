// How a request reaches the coordinator of its group: one message to the shard that leads the group's partition.
#pragma once

#include <expected>
#include <functional>
#include <string>

#include "broker/broker.h"
#include "broker/group_coordinators.h"

namespace kurier::broker::api {

// What asking for one group costs, in elements of a loop.
inline constexpr std::size_t kGroupElements = 8;

// Offsets of one group that are read or deleted in one piece.
inline constexpr std::size_t kOffsetsAtOnce = 1'000;

struct GroupPlace {
  PartitionIndex partition;
  ShardIndex owner = 0;
};
// NOT_COORDINATOR where this broker does not lead the group's partition of __consumer_offsets, or where that topic is missing.
[[nodiscard]] std::expected<GroupPlace, protocol::ErrorCode> place_of_group(Broker& broker, const std::string& group);

[[nodiscard]] coordinator::RequestContext request_context(const Call& call);

// The answer of the group's coordinator, or why there is none.
Task<std::expected<coordinator::Response, protocol::ErrorCode>> ask_group(Broker& broker, const std::string& group,
                                                                          GroupRuntime::Operation operation);

// The same for what is answered at once. With `committed`, what it saw is told only when it is committed.
using GroupReading = std::move_only_function<void(coordinator::GroupMachine& machine, coordinator::Now now)>;
Task<protocol::ErrorCode> read_group(Broker& broker, const std::string& group, bool committed, GroupReading read);

}  // namespace kurier::broker::api
