#include "tools/client/groups.h"

#include <fmt/core.h>

#include <algorithm>

#include "protocol/messages/consumer_group_describe_request.h"
#include "protocol/messages/consumer_group_describe_response.h"
#include "protocol/messages/delete_groups_request.h"
#include "protocol/messages/delete_groups_response.h"
#include "protocol/messages/describe_groups_request.h"
#include "protocol/messages/describe_groups_response.h"
#include "protocol/messages/list_groups_request.h"
#include "protocol/messages/list_groups_response.h"

namespace kurier::client {
namespace {

using protocol::ErrorCode;

std::unexpected<Error> refused(std::string_view what, const std::string& group, ErrorCode code,
                               const std::optional<std::string>& message = std::nullopt) {
  const bool says_more = message && !message->empty();
  const Failure failure = code == ErrorCode::kGroupIdNotFound ? Failure::kNotFound : Failure::kInvalid;
  return fail(failure, fmt::format("{} group '{}': {}{}{}", what, group, protocol::to_string(code),
                                   says_more ? ": " : "", says_more ? *message : ""));
}

std::vector<ListedGroup> groups_of(const protocol::ListGroupsResponse& response) {
  std::vector<ListedGroup> groups;
  for (const auto& group : response.groups) {
    groups.push_back({group.group_id, group.group_type, group.protocol_type, group.group_state});
  }
  return groups;
}

template <class Response>
ErrorCode error_of_first_group(const Response& response) {
  return response.groups.empty() ? ErrorCode::kUnknownServerError : response.groups[0].error_code;
}

ErrorCode error_of_first_result(const protocol::DeleteGroupsResponse& response) {
  return response.results.empty() ? ErrorCode::kUnknownServerError : response.results[0].error_code;
}

Task<Result<GroupDescription>> describe_classic(Cluster& cluster, std::string group, BrokerId coordinator) {
  protocol::DescribeGroupsRequest request;
  request.groups.push_back(group);
  const auto response = co_await cluster.ask_coordinator<protocol::DescribeGroupsResponse>(
      group, std::move(request), error_of_first_group<protocol::DescribeGroupsResponse>);
  if (!response) co_return std::unexpected(response.error());
  if (response->groups.size() != 1) co_return fail(Failure::kMalformed, "DescribeGroups: no answer for the group");
  const auto& described = response->groups[0];
  if (described.error_code != ErrorCode::kNone) {
    co_return refused("describing", group, described.error_code, described.error_message);
  }
  // Before version 6 a group that does not exist is described as a dead one.
  if (described.group_state == "Dead") co_return refused("describing", group, ErrorCode::kGroupIdNotFound);
  GroupDescription result{.id = group,
                          .type = "classic",
                          .state = described.group_state,
                          .protocol_type = described.protocol_type,
                          .assignor = described.protocol_data,
                          .coordinator = coordinator,
                          .coordinator_address = cluster.brokers().at(coordinator),
                          .members = {}};
  for (const auto& member : described.members) {
    GroupMember one{member.member_id, member.group_instance_id, member.client_id, member.client_host, {}};
    // What members of another protocol type (Connect) store there is theirs.
    if (described.protocol_type == kConsumerProtocolType) {
      if (auto assignment = parse_assignment(member.member_assignment)) one.assignment = std::move(*assignment);
    }
    result.members.push_back(std::move(one));
  }
  co_return result;
}

// Nothing if the broker does not offer it or the group is none of the consumer protocol (KIP-848).
Task<Result<std::optional<GroupDescription>>> describe_consumer(Cluster& cluster, std::string group,
                                                                BrokerId coordinator) {
  protocol::ConsumerGroupDescribeRequest request;
  request.group_ids.push_back(group);
  const auto response = co_await cluster.ask_coordinator<protocol::ConsumerGroupDescribeResponse>(
      group, std::move(request), error_of_first_group<protocol::ConsumerGroupDescribeResponse>);
  if (!response && response.error().failure == Failure::kUnsupported) co_return std::nullopt;
  if (!response) co_return std::unexpected(response.error());
  if (response->groups.size() != 1) co_return fail(Failure::kMalformed, "ConsumerGroupDescribe: no answer");
  const auto& described = response->groups[0];
  if (described.error_code == ErrorCode::kGroupIdNotFound || described.error_code == ErrorCode::kUnsupportedVersion) {
    co_return std::nullopt;
  }
  if (described.error_code != ErrorCode::kNone) {
    co_return refused("describing", group, described.error_code, described.error_message);
  }
  GroupDescription result{.id = group,
                          .type = "consumer",
                          .state = described.group_state,
                          .protocol_type = kConsumerProtocolType,
                          .assignor = described.assignor_name,
                          .coordinator = coordinator,
                          .coordinator_address = cluster.brokers().at(coordinator),
                          .members = {}};
  for (const auto& member : described.members) {
    GroupMember one{member.member_id, member.instance_id, member.client_id, member.client_host, {}};
    for (const auto& topic : member.assignment.topic_partitions) one.assignment[topic.topic_name] = topic.partitions;
    result.members.push_back(std::move(one));
  }
  co_return result;
}

}  // namespace

Task<Result<std::vector<ListedGroup>>> list_groups(Cluster& cluster, std::vector<std::string> states,
                                                   std::vector<std::string> types) {
  std::vector<ListedGroup> all;
  std::vector<BrokerId> brokers;
  for (const auto& [broker, address] : cluster.brokers()) brokers.push_back(broker);
  for (const BrokerId broker : brokers) {
    protocol::ListGroupsRequest request;
    request.states_filter = states;
    request.types_filter = types;
    const MonotonicTime give_up = cluster.loop().now() + cluster.patience();
    while (true) {
      const auto response = co_await cluster.ask<protocol::ListGroupsResponse>(broker, request);
      if (!response) co_return std::unexpected(response.error());
      if (is_passing(response->error_code) && cluster.loop().now() < give_up) {
        co_await sleep_until(cluster.loop().reactor, cluster.loop().now() + std::chrono::milliseconds(50));
        continue;
      }
      if (response->error_code != ErrorCode::kNone) {
        co_return fail(Failure::kInvalid, fmt::format("listing the groups of broker {}: {}", broker.value(),
                                                      protocol::to_string(response->error_code)));
      }
      std::ranges::move(groups_of(*response), std::back_inserter(all));
      break;
    }
  }
  std::ranges::sort(all, {}, &ListedGroup::id);
  co_return all;
}

Task<Result<GroupDescription>> describe_group(Cluster& cluster, std::string group) {
  const Result<BrokerId> coordinator = co_await cluster.coordinator_of(group);
  if (!coordinator) co_return std::unexpected(coordinator.error());
  auto described = co_await describe_consumer(cluster, group, *coordinator);
  if (!described) co_return std::unexpected(described.error());
  if (*described) co_return std::move(**described);
  co_return co_await describe_classic(cluster, group, *coordinator);
}

Task<Result<void>> delete_group(Cluster& cluster, std::string group) {
  protocol::DeleteGroupsRequest request;
  request.groups_names.push_back(group);
  const auto response = co_await cluster.ask_coordinator<protocol::DeleteGroupsResponse>(group, std::move(request),
                                                                                         error_of_first_result);
  if (!response) co_return std::unexpected(response.error());
  if (response->results.size() != 1) co_return fail(Failure::kMalformed, "DeleteGroups: no answer for the group");
  const auto& result = response->results[0];
  if (result.error_code == ErrorCode::kNone) co_return Result<void>{};
  co_return refused("deleting", group, result.error_code, result.error_message);
}

}  // namespace kurier::client
