// What Apache Kafka changes in an answer for the version that was asked: the handler calls this before it encodes one.
// Pure functions.
#pragma once

#include "coordinator/group/outcome.h"

namespace kurier::coordinator {

void adapt(protocol::JoinGroupResponse& response, std::int16_t api_version);
void adapt(protocol::LeaveGroupResponse& response, std::int16_t api_version);

}  // namespace kurier::coordinator
