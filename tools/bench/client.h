// The client's side of the protocol (tools/client/) under the names by which the benchmark calls it.
#pragma once

#include "tools/client/channel.h"
#include "tools/client/join.h"
#include "tools/client/json.h"

namespace kurier::bench {

using client::Channel;
using client::frame_request;
using client::Join;
using client::JsonObject;
using client::kFrameHeadBytes;
using client::Loop;
using client::parse_response;
using client::Signal;
using client::sleep_until;

}  // namespace kurier::bench
