// The workloads: each prepares a cluster, runs what is measured, and says what came out. Coroutines on the loop's
// thread.
#pragma once

#include "tools/bench/channel.h"
#include "tools/bench/json.h"
#include "tools/bench/options.h"

namespace kurier::bench {

// Everything that produces and consumes: produce, fetch, tail, both, requests, latency.
Task<Result<void>> run_load(const Loop& loop, const Options& options, JsonObject& result);
// Idle connections: what each costs the broker.
Task<Result<void>> run_connections(const Loop& loop, const Options& options, JsonObject& result);
// A topic of many partitions: how long until all are served.
Task<Result<void>> run_partitions(const Loop& loop, const Options& options, JsonObject& result);
// From exec to the first answer of a broker that is started here.
Task<Result<void>> run_start(const Loop& loop, const Options& options, JsonObject& result);

}  // namespace kurier::bench
