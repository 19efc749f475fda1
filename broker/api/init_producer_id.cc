#include "broker/api/handlers.h"
#include "broker/cluster_control.h"
#include "protocol/messages/init_producer_id_request.h"
#include "protocol/messages/init_producer_id_response.h"

namespace kurier::broker::api {

Task<net::Reply> init_producer_id(Broker& broker, Call call) {
  const auto request = parse_body<protocol::InitProducerIdRequest>(call.request);
  if (!request) co_return refuse(call, request.error());
  protocol::InitProducerIdResponse response;
  response.producer_epoch = ProducerEpoch(-1);
  if (request->transactional_id) {
    response.error_code = protocol::ErrorCode::kInvalidRequest;  // there are no transactions yet
    co_return respond(call, response);
  }
  // An id and its epoch, or neither (KIP-360).
  if ((request->producer_id.value() == -1) != (request->producer_epoch.value() == -1)) {
    response.error_code = protocol::ErrorCode::kInvalidRequest;
    co_return respond(call, response);
  }
  const auto id = co_await broker.control().next_producer_id();
  if (!id) {
    LOG_WARN("no producer id for {}: {}", call.connection.peer.to_string(), id.error().context);
    response.error_code = protocol::ErrorCode::kCoordinatorLoadInProgress;  // clients try again
    co_return respond(call, response);
  }
  response.producer_id = *id;
  response.producer_epoch = ProducerEpoch(0);
  co_return respond(call, response);
}

}  // namespace kurier::broker::api
