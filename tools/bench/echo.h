// Echo: how late does an answer come on this machine, whatever answers? One thread sends a small message at a fixed rate over
// loopback, another sends back what it gets. No broker at this rate can have a shorter tail; what schedules threads makes it.
#pragma once

#include <cstdint>

#include "tools/bench/client.h"
#include "tools/bench/histogram.h"

namespace kurier::bench {

// `count` messages, `rate` a second: each from when it was due until it is back (no coordinated omission). Blocks the
// calling thread, which is the one that sends. kTimeout at the loop's deadline.
Result<Histogram> measure_echo(const Loop& loop, double rate, std::uint64_t count);

}  // namespace kurier::bench
