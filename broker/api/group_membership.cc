// JoinGroup, SyncGroup, Heartbeat, LeaveGroup: the group's coordinator decides.
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
  auto request = parse_body<protocol::JoinGroupRequest>(call.request);
  if (!request) co_return refuse(call, request.error());
  const std::string group = request->group_id;
  auto context = request_context(call);
  const std::string member = request->member_id;
  auto answer = co_await ask_group(
      broker, group,
      [context, request = std::move(*request)](GroupMachine& machine, RequestToken token, Now now) mutable {
        return machine.groups().join_group(token, context, std::move(request), now);
      });
  const bool coordinated = answer.has_value();
  auto response = response_of<protocol::JoinGroupResponse>(std::move(answer));
  if (!coordinated) response.member_id = member;
  coordinator::adapt(response, call.request.version);
  co_return respond(call, response);
}

Task<net::Reply> sync_group(Broker& broker, Call call) {
  auto request = parse_body<protocol::SyncGroupRequest>(call.request);
  if (!request) co_return refuse(call, request.error());
  // KIP-559: from version 5 on a member says which protocol it believes in.
  constexpr std::int16_t kFirstVersionWithProtocol = 5;
  if (call.request.version >= kFirstVersionWithProtocol && !(request->protocol_type && request->protocol_name)) {
    protocol::SyncGroupResponse refused;
    refused.error_code = ErrorCode::kInconsistentGroupProtocol;
    co_return respond(call, refused);
  }
  const std::string group = request->group_id;
  auto answer = co_await ask_group(
      broker, group, [request = std::move(*request)](GroupMachine& machine, RequestToken token, Now now) mutable {
        return machine.groups().sync_group(token, std::move(request), now);
      });
  co_return respond(call, response_of<protocol::SyncGroupResponse>(std::move(answer)));
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

Task<net::Reply> leave_group(Broker& broker, Call call) {
  auto request = parse_body<protocol::LeaveGroupRequest>(call.request);
  if (!request) co_return refuse(call, request.error());
  const std::string group = request->group_id;
  auto context = request_context(call);
  auto answer = co_await ask_group(
      broker, group,
      [context, request = std::move(*request)](GroupMachine& machine, RequestToken token, Now now) mutable {
        return machine.groups().leave_group(token, context, std::move(request), now);
      });
  auto response = response_of<protocol::LeaveGroupResponse>(std::move(answer));
  coordinator::adapt(response, call.request.version);
  co_return respond(call, response);
}

}  // namespace kurier::broker::api
