// ListGroups: what its filters may name.
#pragma once

#include "protocol/messages/list_groups_request.h"

namespace kurier::coordinator {

// Takes out of both filters what names no state and no type, and what is there already: the request then names a few, however
// many it came with. A filter that named nothing that exists keeps one name, because an empty filter lets everything through.
void keep_what_can_match(protocol::ListGroupsRequest& request);

}  // namespace kurier::coordinator
