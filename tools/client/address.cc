#include "tools/client/address.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>

namespace kurier::client {

Result<Endpoint> parse_endpoint(const std::string& text, std::string_view option) {
  const std::size_t colon = text.rfind(':');
  const auto wrong = [&] {
    return fail(Failure::kInvalid, fmt::format("{} '{}' is not host:port, as in 127.0.0.1:9092", option, text));
  };
  if (colon == std::string::npos || colon == 0) return wrong();
  std::uint16_t port = 0;
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data() + colon + 1, end, port);
  if (error != std::errc{} || at != end || port == 0) return wrong();
  std::string host = text.substr(0, colon);
  if (host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  if (host.empty()) return wrong();
  return Endpoint{host, port};
}

Result<std::vector<Endpoint>> parse_endpoints(const std::string& text, std::string_view option) {
  std::vector<Endpoint> endpoints;
  std::size_t from = 0;
  while (from <= text.size()) {
    const std::size_t comma = std::min(text.find(',', from), text.size());
    TRY_ASSIGN(Endpoint endpoint, parse_endpoint(text.substr(from, comma - from), option));
    endpoints.push_back(std::move(endpoint));
    from = comma + 1;
  }
  return endpoints;
}

}  // namespace kurier::client
