#include "coordinator/group/response_versions.h"

namespace kurier::coordinator {

using protocol::ErrorCode;

void adapt(protocol::JoinGroupResponse& response, std::int16_t api_version) {
  constexpr std::int16_t kFirstVersionWithoutName = 7;  // "no protocol" is null from here on
  if (api_version < kFirstVersionWithoutName && !response.protocol_name) response.protocol_name = "";
  if (api_version >= kFirstVersionWithoutName && response.protocol_name == "") response.protocol_name.reset();
}

void adapt(protocol::LeaveGroupResponse& response, std::int16_t api_version) {
  constexpr std::int16_t kFirstVersionWithMembers = 3;
  if (api_version >= kFirstVersionWithMembers) return;
  if (response.error_code == ErrorCode::kNone && !response.members.empty())
    response.error_code = response.members.front().error_code;
  response.members.clear();
}

}  // namespace kurier::coordinator
