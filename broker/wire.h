// Requests and responses as frames: header, version, body.
//
// Pure functions. A frame that does not follow the rules is an Error; the connection is then closed, as Apache Kafka
// does.
#pragma once

#include "base/result.h"
#include "protocol/api_table.h"
#include "protocol/messages/request_header.h"
#include "protocol/messages/response_header.h"
#include "protocol/primitives.h"

namespace kurier::broker {

struct RequestFrame {
  const protocol::ApiInfo* api = nullptr;
  std::int16_t version = 0;
  protocol::RequestHeader header;
  ByteView body;  // of the frame
};

struct RequestKind {
  const protocol::ApiInfo* api = nullptr;
  std::int16_t version = 0;
};
// What every header begins with.
Result<RequestKind> kind_of_request(ByteView frame);

// Reads the header into `request`, a fresh one. A version outside the schema's range is accepted here (ApiVersions
// answers it); the body is then not to be read.
Result<void> parse_request(ByteView frame, RequestFrame& request);

// `is_too_large` is set where it has more than `elements_max` elements; it is then not read to its end.
template <class Message>
Result<Message> parse_body(const RequestFrame& request, std::size_t elements_max = SIZE_MAX,
                           bool* is_too_large = nullptr) {
  protocol::Reader reader(request.body, elements_max);
  Result<Message> message;
  message->decode(reader, request.version);
  if (is_too_large != nullptr) *is_too_large = reader.has_too_many_elements();
  if (!reader.ok()) {
    message = fail(Failure::kMalformed, std::string(request.api->name) + " version " + std::to_string(request.version) +
                                            " that cannot be read: " + reader.error());
  }
  return message;
}

// With its 4-byte length. An error of the writer's: the response says what its version cannot express, a mistake of
// ours.
template <class Message>
void write_response(protocol::Writer& writer, const RequestFrame& request, std::int16_t version,
                    const Message& message) {
  writer.int32(0);
  protocol::ResponseHeader header;
  header.correlation_id = request.header.correlation_id;
  header.encode(writer, protocol::response_header_version(*request.api, version));
  message.encode(writer, version);
  if (writer.ok()) writer.patch_int32(0, static_cast<std::int32_t>(writer.size_bytes() - 4));
}

}  // namespace kurier::broker
