// DescribeGroups and ListGroups: what people see of the groups of one coordinator.
#include <fmt/core.h>

#include <algorithm>
#include <span>

#include "coordinator/group/group_coordinator.h"
#include "coordinator/group/group_listing.h"

namespace kurier::coordinator {

using protocol::DescribeGroupsResponse;
using protocol::ErrorCode;
using protocol::ListGroupsResponse;

namespace {

constexpr std::int16_t kFirstDescribeVersionWithNotFound = 6;  // KIP-1043

std::string lower(std::string_view text) {
  std::string lowered(text);
  std::ranges::transform(lowered, lowered.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return lowered;
}

std::string_view trim(std::string_view text) {
  const auto is_space = [](char c) { return static_cast<unsigned char>(c) <= ' '; };
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

// A filter that names nothing lets everything through.
struct Filter {
  std::vector<std::string> names;
  bool lets(std::string_view name) const {
    return names.empty() || std::ranges::find(names, lower(name)) != names.end();
  }
};

DescribeGroupsResponse::DescribedGroup describe(const ClassicGroup& group) {
  DescribeGroupsResponse::DescribedGroup described;
  described.group_id = group.group_id();
  described.group_state = to_string(group.state());
  described.protocol_type = group.protocol_type().value_or("");
  const bool stable = group.is(ClassicGroupState::kStable);  // otherwise no protocol has been agreed on
  if (stable) described.protocol_data = group.protocol_name().value_or("");
  for (const auto& [id, member] : group.members()) {
    auto& listed = described.members.emplace_back();
    listed.member_id = id;
    listed.group_instance_id = member.group_instance_id;
    listed.client_id = member.client_id;
    listed.client_host = member.client_host;
    listed.member_assignment = member.assignment;
    if (!stable) continue;
    if (const GroupProtocol* protocol = member.protocol(described.protocol_data))
      listed.member_metadata = protocol->metadata;
  }
  return described;
}

// Of every kind of group.
constexpr std::string_view kStates[] = {"preparingrebalance", "completingrebalance", "stable",   "dead",   "empty",
                                        "assigning",          "reconciling",         "notready", "unknown"};
constexpr std::string_view kTypes[] = {"classic", "consumer", "share", "streams", "unknown"};

// `normal`: as the filter compares it.
template <class Normal>
void keep(std::vector<std::string>& names, std::span<const std::string_view> known, Normal normal) {
  if (names.empty()) return;
  std::vector<std::string> kept;
  for (const std::string& name : names) {
    const std::string compared = normal(name);
    if (std::ranges::find(known, compared) == known.end() || std::ranges::find(kept, compared) != kept.end()) continue;
    kept.push_back(compared);
  }
  if (kept.empty()) kept.push_back(names.front());
  names = std::move(kept);
}

}  // namespace

void keep_what_can_match(protocol::ListGroupsRequest& request) {
  keep(request.states_filter, kStates, [](const std::string& state) { return lower(trim(lower(state))); });
  keep(request.types_filter, kTypes, [](const std::string& type) { return lower(type); });
}

std::vector<DescribeGroupsResponse::DescribedGroup> GroupCoordinator::describe_groups(
    const RequestContext& context, const std::vector<std::string>& group_ids) const {
  std::vector<DescribeGroupsResponse::DescribedGroup> all;
  for (const std::string& id : group_ids) {
    if (const Shared group = look(id)) {
      all.push_back(describe(*group));
      continue;
    }
    auto& described = all.emplace_back();
    described.group_id = id;
    described.group_state = to_string(ClassicGroupState::kDead);
    if (context.api_version < kFirstDescribeVersionWithNotFound) continue;
    described.error_code = ErrorCode::kGroupIdNotFound;
    described.error_message = fmt::format("Group {} {}.", id, find_other(id) ? "is not a classic group" : "not found");
  }
  return all;
}

std::vector<ListGroupsResponse::ListedGroup> GroupCoordinator::list_groups(const protocol::ListGroupsRequest& request,
                                                                           std::optional<std::string>& after,
                                                                           std::size_t count) const {
  Filter states;
  Filter types;
  for (const std::string& state : request.states_filter) states.names.push_back(lower(trim(lower(state))));
  for (const std::string& type : request.types_filter) types.names.push_back(lower(type));
  std::vector<ListGroupsResponse::ListedGroup> all;
  const auto list = [&](const std::string& id, std::string_view protocol_type, std::string_view state, GroupType type) {
    if (!states.lets(state) || !types.lets(to_string(type))) return;
    auto& listed = all.emplace_back();
    listed.group_id = id;
    listed.protocol_type = protocol_type;
    listed.group_state = state;
    listed.group_type = to_string(type);
  };
  const auto ids = groups_behind(after, count);
  after = ids.size() < count ? std::nullopt : std::optional(ids.back());
  for (const std::string& id : ids) {
    if (const Shared group = look(id)) {
      list(id, group->protocol_type().value_or(""), to_string(group->state()), GroupType::kClassic);
    } else if (const auto other = find_other(id)) {
      list(id, to_string(other->type), other->state, other->type);
    }
  }
  return all;
}

}  // namespace kurier::coordinator
