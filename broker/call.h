// Call: one request on its way through a handler, and how handlers answer.
#pragma once

#include "base/log.h"
#include "broker/large_requests.h"
#include "broker/net/connection.h"
#include "broker/wire.h"

namespace kurier::broker {

class Broker;

struct Call {
  net::ConnectionContext& connection;
  RequestFrame request;    // views into the frame
  net::FrameBuffer frame;
  bool on_controller_listener = false;
  bool is_large = false;  // broker/large_requests.h
  LargeRequests::Ticket ticket;
};

// One function an API (broker/api/): runs on the connection's shard.
using Handler = Task<net::Reply> (*)(Broker& broker, Call call);

template <class Message>
net::Reply respond(const Call& call, const Message& message, std::int16_t version) {
  constexpr std::size_t kUsualBytes = 128;
  protocol::Writer writer(kUsualBytes);
  write_response(writer, call.request, version, message);
  if (!writer.ok()) {
    LOG_ERROR("no response to {} version {} of {}: {}", call.request.api->name, version,
              call.connection.peer.to_string(), writer.error());
    return {.close = true};
  }
  return {.parts = writer.take_parts(), .bytes = writer.take_bytes()};
}
template <class Message>
net::Reply respond(const Call& call, const Message& message) {
  return respond(call, message, call.request.version);
}

// The body of a request cannot be read: the connection is closed, and the log says why.
inline net::Reply refuse(const Call& /*whose connection says so*/, Error error) {
  return {.close = true, .malformed = std::move(error)};
}

}  // namespace kurier::broker
