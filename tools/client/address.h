// Addresses of brokers as they are written on a command line.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/transport.h"

namespace kurier::client {

// "host:port", "[::1]:port". kInvalid names the option.
Result<Endpoint> parse_endpoint(const std::string& text, std::string_view option);
// The same, several with commas between them; at least one.
Result<std::vector<Endpoint>> parse_endpoints(const std::string& text, std::string_view option);

}  // namespace kurier::client
