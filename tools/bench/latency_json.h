// A Histogram as the member of a run's JSON line.
#pragma once

#include "tools/bench/histogram.h"
#include "tools/client/json.h"

namespace kurier::bench {

// Microseconds: count, mean, p50, p90, p99, p99_9, max.
client::JsonObject to_json(const Histogram& latency);

}  // namespace kurier::bench
