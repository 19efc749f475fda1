// Fetch on a controller listener: the metadata log, for voters, observers and whoever else follows it.
#include "broker/api/handlers.h"
#include "broker/cluster_control.h"
#include "protocol/messages/fetch_request.h"
#include "protocol/messages/fetch_response.h"

namespace kurier::broker::api {

Task<net::Reply> fetch_metadata(Broker& broker, Call call) {
  auto request = parse_inline<protocol::FetchRequest>(call);
  if (call.is_large) request = co_await parse_large<protocol::FetchRequest>(broker, call);
  if (!request) co_return refuse(call, request.error());
  call.ticket.give_up();  // it may wait
  auto response = co_await broker.control().fetch_metadata(std::move(*request), call.request.version,
                                                           call.connection.listener_name);
  co_return co_await answer_with(broker, call, response);
}

}  // namespace kurier::broker::api
