#include "protocol/api_table.h"

#include <algorithm>

namespace kurier::protocol {

const ApiInfo* find_api(std::int16_t key) {
  const auto found = std::ranges::lower_bound(kApis, key, {}, [](const ApiInfo& api) { return static_cast<std::int16_t>(api.key); });
  return found != kApis.end() && static_cast<std::int16_t>(found->key) == key ? &*found : nullptr;
}

std::int16_t request_header_version(const ApiInfo& api, std::int16_t version) {
  return version >= api.first_flexible_request ? 2 : 1;
}

std::int16_t response_header_version(const ApiInfo& api, std::int16_t version) {
  if (api.key == ApiKey::kApiVersions) return 0;
  return version >= api.first_flexible_response ? 1 : 0;
}

}  // namespace kurier::protocol
