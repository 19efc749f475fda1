// The workloads: each prepares a cluster, runs what is measured, and says what came out. Coroutines on the loop's
// thread.
#pragma once

#include "tools/bench/client.h"
#include "tools/bench/options.h"

namespace kurier::bench {

// Everything that produces and consumes: produce, fetch, tail, both, requests, latency.
Task<Result<void>> run_load(const Loop& loop, const Options& options, JsonObject& result);
// Idle connections: what each costs the broker.
Task<Result<void>> run_connections(const Loop& loop, const Options& options, JsonObject& result);
// A topic of many partitions: how long until all are served.
Task<Result<void>> run_partitions(const Loop& loop, const Options& options, JsonObject& result);
// Many groups: joins, heartbeats and commits.
Task<Result<void>> run_groups(const Loop& loop, const Options& options, JsonObject& result);
// From exec to the first answer of a broker that is started here.
Task<Result<void>> run_start(const Loop& loop, const Options& options, JsonObject& result);
// The same to the first answers about groups, with many offsets to load.
Task<Result<void>> run_coordinator_load(const Loop& loop, const Options& options, JsonObject& result);
// What this machine allows: the work that no broker can avoid, by plain system calls. Blocks the loop.
Task<Result<void>> run_hardware(const Loop& loop, const Options& options, JsonObject& result);

// What several of them need: descriptors for so many connections and some more; true once a broker answers and counts
// itself (an answer without brokers comes from one that is not registered yet).
Result<void> allow_descriptors(std::size_t count);
Task<bool> answers(const Loop& loop, const Endpoint& address);

}  // namespace kurier::bench
