// The APIs by number: names, schema versions, and which header version goes with which request version.
#pragma once

#include "protocol/messages/api_keys.h"

namespace kurier::protocol {

// Null if there is no such API.
[[nodiscard]] const ApiInfo* find_api(std::int16_t key);

// RequestHeader's version: 2 with tagged fields, else 1.
[[nodiscard]] std::int16_t request_header_version(const ApiInfo& api, std::int16_t version);
// ResponseHeader's version: 1 with tagged fields, else 0. ApiVersions answers with 0 always, since its client cannot know
// what the node understands (KIP-511).
[[nodiscard]] std::int16_t response_header_version(const ApiInfo& api, std::int16_t version);

}  // namespace kurier::protocol
