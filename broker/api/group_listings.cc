// DescribeGroups, ListGroups, DeleteGroups: over all coordinators of this broker.
#include <algorithm>
#include <iterator>
#include <memory>
#include <numeric>
#include <optional>
#include <string_view>

#include "broker/api/group_calls.h"
#include "broker/api/handlers.h"
#include "coordinator/group/group_listing.h"
#include "protocol/messages/delete_groups_request.h"
#include "protocol/messages/delete_groups_response.h"
#include "protocol/messages/describe_groups_request.h"
#include "protocol/messages/describe_groups_response.h"
#include "protocol/messages/list_groups_request.h"
#include "protocol/messages/list_groups_response.h"

namespace kurier::broker::api {

using coordinator::GroupMachine;
using coordinator::Now;
using coordinator::RequestToken;
using protocol::DeleteGroupsResponse;
using protocol::DescribeGroupsResponse;
using protocol::ErrorCode;
using protocol::ListGroupsResponse;

namespace {
// In the order in which they are named first.
std::vector<std::string_view> each_once(const std::vector<std::string>& names) {
  std::vector<std::string_view> once(names.begin(), names.end());
  std::vector<std::uint32_t> order(names.size());
  std::iota(order.begin(), order.end(), 0U);
  std::ranges::sort(order, [&](std::uint32_t left, std::uint32_t right) {
    const auto compared = names[left] <=> names[right];
    return compared < 0 || (compared == 0 && left < right);
  });
  const auto twice =
      std::ranges::unique(order, [&](std::uint32_t left, std::uint32_t right) { return names[left] == names[right]; });
  order.erase(twice.begin(), twice.end());
  std::ranges::sort(order);
  std::ranges::transform(order, once.begin(), [&](std::uint32_t at) { return std::string_view(names[at]); });
  once.resize(order.size());
  return once;
}

// READ 3, DELETE 6, DESCRIBE 8, DESCRIBE_CONFIGS 10, ALTER_CONFIGS 11: what there is to be done to a group.
constexpr std::int32_t kAllGroupOperations = 1 << 3 | 1 << 6 | 1 << 8 | 1 << 10 | 1 << 11;
}  // namespace

Task<net::Reply> describe_groups(Broker& broker, Call call) {
  auto request = parse_inline<protocol::DescribeGroupsRequest>(call);
  if (call.is_large) request = co_await parse_large<protocol::DescribeGroupsRequest>(broker, call);
  if (!request) co_return refuse(call, request.error());
  const auto context = request_context(call);
  DescribeGroupsResponse response;
  response.groups.reserve(request->groups.size());
  Turns turns = turns_of(broker);
  std::size_t elements = 0;
  for (const std::string& group : request->groups) {
    co_await turns.next(kGroupElements);
    std::vector<DescribeGroupsResponse::DescribedGroup> described;
    const ErrorCode error = co_await read_group(broker, group, true, [&](GroupMachine& machine, Now) {
      described = machine.groups().describe_groups(context, {group});
    });
    if (error != ErrorCode::kNone) {
      described.assign(1, {});
      described.front().group_id = group;
      described.front().error_code = error;
    }
    for (auto& one : described) {
      if (request->include_authorized_operations && one.error_code == ErrorCode::kNone)
        one.authorized_operations = kAllGroupOperations;
      elements += 1 + one.members.size();
      if (elements > kAnswerElementsMax) co_return refuse(call, answer_too_large());
      response.groups.push_back(std::move(one));
    }
  }
  co_return co_await answer_with(broker, call, response, *request);
}

namespace {

struct Listing {
  const protocol::ListGroupsRequest& request;
  std::vector<ListGroupsResponse> of_shard;
};

// The next groups of one coordinator; true: there are more.
bool list_some(GroupRuntime& runtime, const protocol::ListGroupsRequest& request, std::optional<std::string>& after,
               ListGroupsResponse& response) {
  constexpr std::size_t kGroupsPerTurn = kElementsPerTurn / kGroupElements;
  // One that could not be loaded does not hide the groups of the others.
  if (runtime.availability() == ErrorCode::kNotCoordinator) return false;
  response.error_code = runtime.availability();
  if (response.error_code != ErrorCode::kNone) return false;
  auto groups = runtime.machine().groups().list_groups(request, after, kGroupsPerTurn);
  if (!runtime.is_sound()) response.error_code = ErrorCode::kCoordinatorNotAvailable;
  std::ranges::move(groups, std::back_inserter(response.groups));
  return after && response.error_code == ErrorCode::kNone;
}

// The coordinators may come and go while the shard serves others.
Task<void> list_here(Broker& broker, Listing& listing) {
  ListGroupsResponse& response = listing.of_shard[broker.shard()];
  std::vector<std::shared_ptr<GroupRuntime>> runtimes;
  for (const auto& [index, runtime] : broker.groups().all()) runtimes.push_back(runtime);
  Turns turns = turns_of(broker);
  for (const auto& runtime : runtimes) {
    std::optional<std::string> after;
    while (list_some(*runtime, listing.request, after, response)) co_await turns.next(kElementsPerTurn);
    if (response.error_code != ErrorCode::kNone) co_return;
  }
}

}  // namespace

Task<net::Reply> list_groups(Broker& broker, Call call) {
  auto request = parse_inline<protocol::ListGroupsRequest>(call);
  if (call.is_large) request = co_await parse_large<protocol::ListGroupsRequest>(broker, call);
  if (!request) co_return refuse(call, request.error());
  if (call.is_large) {
    co_await aside(broker, true, [&] {
      coordinator::keep_what_can_match(*request);
      return true;
    });
  }
  Listing listing{*request, std::vector<ListGroupsResponse>(broker.shards().count())};
  std::vector<ShardIndex> everywhere;
  for (ShardIndex i = 0; i < broker.shards().count(); ++i) everywhere.push_back(i);
  co_await on_shards(broker.shards(), broker.shard(), everywhere, list_here, listing);
  ListGroupsResponse response;
  for (ListGroupsResponse& part : listing.of_shard) {
    if (part.error_code != ErrorCode::kNone) response.error_code = part.error_code;
    response.groups.insert(response.groups.end(), std::make_move_iterator(part.groups.begin()),
                           std::make_move_iterator(part.groups.end()));
  }
  if (response.error_code != ErrorCode::kNone) response.groups.clear();
  co_return co_await answer_with(broker, call, response, *request);
}

namespace {

// Of a group with many offsets most go before it does, in parts.
Task<DeleteGroupsResponse> delete_group(Broker& broker, const std::string& group, Turns& turns) {
  const auto more = std::make_shared<bool>(false);
  for (;;) {
    auto answered =
        co_await ask_group(broker, group, [group, more](GroupMachine& machine, RequestToken token, Now now) {
          coordinator::Outcome part = machine.groups().delete_some_offsets(token, group, kOffsetsAtOnce, *more);
          return *more ? std::move(part) : machine.groups().delete_groups(token, {group}, now);
        });
    DeleteGroupsResponse response;
    if (answered) {
      response = std::get<DeleteGroupsResponse>(std::move(*answered));
    } else {
      auto& result = response.results.emplace_back();
      result.group_id = group;
      result.error_code = answered.error();
    }
    if (!*more || response.results.front().error_code != ErrorCode::kNone) co_return response;
    co_await turns.next(kOffsetsAtOnce);
  }
}

}  // namespace

Task<net::Reply> delete_groups(Broker& broker, Call call) {
  auto request = parse_inline<protocol::DeleteGroupsRequest>(call);
  if (call.is_large) request = co_await parse_large<protocol::DeleteGroupsRequest>(broker, call);
  if (!request) co_return refuse(call, request.error());
  DeleteGroupsResponse response;
  auto groups = co_await aside(broker, call.is_large, [&] { return each_once(request->groups_names); });
  response.results.reserve(groups.size());
  Turns turns = turns_of(broker);
  for (const std::string_view name : groups) {
    co_await turns.next(kGroupElements);
    const std::string group(name);
    DeleteGroupsResponse deleted = co_await delete_group(broker, group, turns);
    std::ranges::move(deleted.results, std::back_inserter(response.results));
  }
  co_return co_await answer_with(broker, call, response, *request, groups);
}

}  // namespace kurier::broker::api
