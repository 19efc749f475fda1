#include "broker/wire.h"

#include <fmt/core.h>

namespace kurier::broker {

Result<RequestKind> kind_of_request(ByteView frame) {
  if (frame.size() < 8) return fail(Failure::kMalformed, fmt::format("a request of {} bytes", frame.size()));
  const auto key = load_big_endian<std::int16_t>(frame.data());
  const protocol::ApiInfo* api = protocol::find_api(key);
  if (api == nullptr) return fail(Failure::kMalformed, fmt::format("a request for the unknown API {}", key));
  return RequestKind{api, load_big_endian<std::int16_t>(frame.data() + 2)};
}

Result<RequestFrame> parse_request(ByteView frame) {
  TRY_ASSIGN(const RequestKind kind, kind_of_request(frame));
  RequestFrame request{.api = kind.api, .version = kind.version, .header = {}, .body = {}};
  // Of a version from the future nothing but the beginning of its header is known, and that is the same in all of them.
  const bool known = request.version >= 0 && request.version <= request.api->max_version;
  protocol::Reader reader(frame);
  if (!known) {
    request.header.request_api_key = load_big_endian<std::int16_t>(frame.data());
    request.header.request_api_version = request.version;
    request.header.correlation_id = load_big_endian<std::int32_t>(frame.data() + 4);
    return request;
  }
  request.header.decode(reader, protocol::request_header_version(*request.api, request.version));
  if (!reader.ok()) {
    return fail(Failure::kMalformed, fmt::format("a header of {} version {} that cannot be read: {}", request.api->name,
                                                 request.version, reader.error()));
  }
  request.body = frame.subspan(reader.position());
  return request;
}

}  // namespace kurier::broker
