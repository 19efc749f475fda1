// Node: one process from start to stop: directories, controller, partitions, listeners, and everything undone in order.
#pragma once

#include <functional>
#include <memory>

#include "base/clock.h"
#include "base/file_system.h"
#include "base/random.h"
#include "config/node_config.h"

namespace kurier::broker {

// Serves until SIGTERM or SIGINT. Blocks; called on the main thread before others exist. An error says what kept the node
// from starting or from stopping cleanly. `started` is when the process began, for the line that says it is ready.
Result<void> serve(config::LoadedConfig config, MonotonicTime started);

}  // namespace kurier::broker
