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

Result<void> parse_request(ByteView frame, RequestFrame& request) {
  TRY_ASSIGN(const RequestKind kind, kind_of_request(frame));
  request.api = kind.api;
  request.version = kind.version;
  // Of a version from the future nothing but the beginning of its header is known, and that is the same in all of them.
  const bool known = kind.version >= 0 && kind.version <= kind.api->max_version;
  if (!known) {
    request.header.request_api_key = load_big_endian<std::int16_t>(frame.data());
    request.header.request_api_version = kind.version;
    request.header.correlation_id = load_big_endian<std::int32_t>(frame.data() + 4);
    return {};
  }
  protocol::Reader reader(frame);
  request.header.decode(reader, protocol::request_header_version(*kind.api, kind.version));
  if (!reader.ok()) {
    return fail(Failure::kMalformed, fmt::format("a header of {} version {} that cannot be read: {}", kind.api->name,
                                                 kind.version, reader.error()));
  }
  request.body = frame.subspan(reader.position());
  return {};
}

}  // namespace kurier::broker
