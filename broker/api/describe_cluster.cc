#include "broker/api/handlers.h"
#include "broker/api/topic_views.h"
#include "protocol/messages/describe_cluster_request.h"
#include "protocol/messages/describe_cluster_response.h"

namespace kurier::broker::api {
namespace {

using protocol::DescribeClusterResponse;
using protocol::ErrorCode;

constexpr std::int8_t kBrokers = 1;  // endpoint types, KIP-919
constexpr std::int8_t kControllers = 2;

void list_controllers(const Broker& broker, const Call& call, DescribeClusterResponse& response) {
  for (const auto& [id, controller] : broker.image()->controllers()) {
    for (const auto& endpoint : controller.end_points) {
      if (endpoint.name != call.connection.listener_name) continue;
      auto& entry = response.brokers.emplace_back();
      entry.broker_id = id;
      entry.host = endpoint.host;
      entry.port = endpoint.port;
    }
  }
  response.controller_id = broker.config().node_id;
}

void list_brokers(const Broker& broker, const Call& call, bool with_fenced, DescribeClusterResponse& response) {
  for (const auto& [id, node] : broker.image()->brokers()) {
    const auto address = address_of(node, call.connection.listener_name);
    if (!address || (node.fenced && !with_fenced)) continue;
    auto& entry = response.brokers.emplace_back();
    entry.broker_id = id;
    entry.host = address->host;
    entry.port = address->port;
    entry.rack = node.rack;
    if (call.request.version >= 2) entry.is_fenced = node.fenced;
  }
  response.controller_id = response.brokers.empty() ? BrokerId(-1) : response.brokers.front().broker_id;
}

}  // namespace

Task<net::Reply> describe_cluster(Broker& broker, Call call) {
  const auto request = parse_body<protocol::DescribeClusterRequest>(call.request);
  if (!request) co_return refuse(call, request.error());
  DescribeClusterResponse response;
  response.cluster_id = broker.cluster_id();
  const std::int8_t here = call.on_controller_listener ? kControllers : kBrokers;
  if (request->endpoint_type != here) {
    const bool known = request->endpoint_type == kBrokers || request->endpoint_type == kControllers;
    const ErrorCode mismatch = call.request.version == 0 ? ErrorCode::kInvalidRequest : ErrorCode::kMismatchedEndpointType;
    response.error_code = known ? mismatch : ErrorCode::kUnsupportedEndpointType;
    const std::string types = call.on_controller_listener ? "CONTROLLER, but we wanted an endpoint of type BROKER"
                                                          : "BROKER, but we wanted an endpoint of type CONTROLLER";
    response.error_message = known ? "The request was sent to an endpoint of type " + types
                                   : "Unsupported endpoint type " + std::to_string(request->endpoint_type);
    response.cluster_id.clear();
    co_return respond(call, response);
  }
  if (call.request.version >= 1) response.endpoint_type = here;
  if (call.on_controller_listener) {
    list_controllers(broker, call, response);
  } else {
    list_brokers(broker, call, request->include_fenced_brokers, response);
  }
  if (request->include_cluster_authorized_operations) response.cluster_authorized_operations = kAllClusterOperations;
  co_return respond(call, response);
}

}  // namespace kurier::broker::api
