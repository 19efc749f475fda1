// JoinGroup, SyncGroup, Heartbeat, LeaveGroup: the group's coordinator decides.
#include <algorithm>
#include <iterator>

#include "broker/api/group_calls.h"
#include "broker/api/handlers.h"
#include "coordinator/group/response_versions.h"
#include "protocol/messages/heartbeat_request.h"
#include "protocol/messages/join_group_request.h"
#include "protocol/messages/leave_group_request.h"
#include "protocol/messages/sync_group_request.h"

namespace kurier::broker::api {

using coordinator::GroupMachine;
using coordinator::Now;
using coordinator::RequestToken;
using protocol::ErrorCode;

namespace {

template <class Response>
Response response_of(std::expected<coordinator::Response, ErrorCode> answer) {
  if (answer) return std::get<Response>(std::move(*answer));
  Response response;
  response.error_code = answer.error();
  return response;
}

}  // namespace

Task<net::Reply> join_group(Broker& broker, Call call) {
  auto request = parse_inline<protocol::JoinGroupRequest>(call);
  if (call.is_large) request = co_await parse_large<protocol::JoinGroupRequest>(broker, call);
  if (!request) co_return refuse(call, request.error());
  // The coordinator keeps what a member says and compares it with the others': nobody knows so many assignors.
  if (request->protocols.size() > kElementsInline) {
    protocol::JoinGroupResponse refused;
    refused.error_code = ErrorCode::kInconsistentGroupProtocol;
    refused.member_id = request->member_id;
    coordinator::adapt(refused, call.request.version);
    co_return co_await answer_with(broker, call, refused, *request);
  }
  call.ticket.give_up();
  const std::string group = request->group_id;
  auto context = request_context(call);
  auto answered = co_await ask_group(
      broker, group,
      [context, request = std::move(*request)](GroupMachine& machine, RequestToken token, Now now) mutable {
        return machine.groups().join_group(token, context, std::move(request), now);
      });
  auto response = response_of<protocol::JoinGroupResponse>(std::move(answered));
  coordinator::adapt(response, call.request.version);
  co_return respond(call, response);
}

Task<net::Reply> sync_group(Broker& broker, Call call) {
  auto request = parse_inline<protocol::SyncGroupRequest>(call);
  if (call.is_large) request = co_await parse_large<protocol::SyncGroupRequest>(broker, call);
  if (!request) co_return refuse(call, request.error());
  // KIP-559: from version 5 on a member says which protocol it believes in.
  constexpr std::int16_t kFirstVersionWithProtocol = 5;
  if (call.request.version >= kFirstVersionWithProtocol && !(request->protocol_type && request->protocol_name)) {
    protocol::SyncGroupResponse refused;
    refused.error_code = ErrorCode::kInconsistentGroupProtocol;
    co_return respond(call, refused);
  }
  call.ticket.give_up();
  const std::string group = request->group_id;
  auto answered = co_await ask_group(
      broker, group, [request = std::move(*request)](GroupMachine& machine, RequestToken token, Now now) mutable {
        return machine.groups().sync_group(token, std::move(request), now);
      });
  co_return respond(call, response_of<protocol::SyncGroupResponse>(std::move(answered)));
}

Task<net::Reply> heartbeat(Broker& broker, Call call) {
  const auto request = parse_body<protocol::HeartbeatRequest>(call.request);
  if (!request) co_return refuse(call, request.error());
  protocol::HeartbeatResponse response;
  const ErrorCode error = co_await read_group(
      broker, request->group_id, false,
      [&request, &response](GroupMachine& machine, Now now) { response = machine.groups().heartbeat(*request, now); });
  // While the groups are loaded members are let go on, as Apache Kafka does.
  if (error != ErrorCode::kNone && error != ErrorCode::kCoordinatorLoadInProgress) response.error_code = error;
  co_return respond(call, response);
}

namespace {

// The members that a request names, a part at a time: the coordinator's shard has others to serve in between.
Task<protocol::LeaveGroupResponse> leave_in_parts(Broker& broker, coordinator::RequestContext context,
                                                  protocol::LeaveGroupRequest request) {
  protocol::LeaveGroupResponse response;
  response.members.reserve(request.members.size());
  Turns turns = turns_of(broker);
  auto next = request.members.begin();
  do {
    const auto end =
        next + std::min<std::ptrdiff_t>(static_cast<std::ptrdiff_t>(kElementsPerTurn), request.members.end() - next);
    protocol::LeaveGroupRequest part;
    part.group_id = request.group_id;
    part.member_id = request.member_id;
    part.members.assign(std::make_move_iterator(next), std::make_move_iterator(end));
    next = end;
    auto answered = co_await ask_group(
        broker, request.group_id,
        [context, part = std::move(part)](GroupMachine& machine, RequestToken token, Now now) mutable {
          return machine.groups().leave_group(token, context, std::move(part), now);
        });
    auto left = response_of<protocol::LeaveGroupResponse>(std::move(answered));
    if (left.error_code != ErrorCode::kNone) co_return left;
    std::ranges::move(left.members, std::back_inserter(response.members));
    co_await turns.next(kElementsPerTurn);
  } while (next != request.members.end());
  co_return response;
}

}  // namespace

Task<net::Reply> leave_group(Broker& broker, Call call) {
  auto request = parse_inline<protocol::LeaveGroupRequest>(call);
  if (call.is_large) request = co_await parse_large<protocol::LeaveGroupRequest>(broker, call);
  if (!request) co_return refuse(call, request.error());
  auto response = co_await leave_in_parts(broker, request_context(call), std::move(*request));
  coordinator::adapt(response, call.request.version);
  co_return co_await answer_with(broker, call, response);
}

}  // namespace kurier::broker::api
