#include "protocol/api_table.h"

#include <array>
#include <cstddef>

namespace kurier::protocol {
namespace {

constexpr auto kByNumber = [] {
  std::array<const ApiInfo*, static_cast<std::size_t>(kApis.back().key) + 1> apis{};
  for (const ApiInfo& api : kApis) apis[static_cast<std::size_t>(api.key)] = &api;
  return apis;
}();

}  // namespace

const ApiInfo* find_api(std::int16_t key) {
  const auto at = static_cast<std::uint16_t>(key);
  return at < kByNumber.size() ? kByNumber[at] : nullptr;
}

std::int16_t request_header_version(const ApiInfo& api, std::int16_t version) {
  return version >= api.first_flexible_request ? 2 : 1;
}

std::int16_t response_header_version(const ApiInfo& api, std::int16_t version) {
  if (api.key == ApiKey::kApiVersions) return 0;
  return version >= api.first_flexible_response ? 1 : 0;
}

}  // namespace kurier::protocol
