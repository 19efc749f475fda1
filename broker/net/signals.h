// SIGTERM, SIGINT and SIGHUP as an event of a Reactor. The first asks for a clean stop; a second one ends the process at once
// with 128 + its number, from a thread of its own, so that a stuck shard cannot delay it. SIGPIPE is ignored.
#pragma once

#include <functional>

#include "broker/net/reactor.h"

namespace kurier::net {

// Called first, before other threads are started: they inherit the blocked signals.
void block_stop_signals();
// Called once, after block_stop_signals.
void watch_stop_signals(Reactor& reactor, std::move_only_function<void(int signal_number)> stop);

}  // namespace kurier::net
