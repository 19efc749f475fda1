// What one run of the benchmark is to do. Filled from the command line (bench.cc), checked as a whole by `validate`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/transport.h"
#include "tools/bench/client.h"

namespace kurier::bench {

enum class Workload {
  kProduce,
  kFetch,
  kTail,
  kBoth,
  kRequests,
  kLatency,
  kConnections,
  kPartitions,
  kStart,
  kGroups,
  kCoordinatorLoad,
  kHardware
};

[[nodiscard]] const char* to_string(Workload workload);
// It produces into a topic of its own: produce, fetch, tail, both, requests, latency.
[[nodiscard]] bool is_load(Workload workload);

struct Options {
  Workload workload = Workload::kProduce;
  std::string address = "127.0.0.1:9092";
  int pid = 0;  // the broker's; 0: its cost is not measured
  bool human = false;
  double max_seconds = 300;  // of the whole run

  std::string topic;  // empty: a name of its own
  bool keep_topic = false;
  std::vector<std::string> topic_configs;  // name=value
  std::int16_t replication_factor = -1;
  std::int32_t partitions = 8;

  std::size_t connections = 8;
  std::size_t in_flight = 5;
  std::uint64_t total_bytes = 1'000'000'000;  // of batches
  std::uint64_t requests = 200'000;           // workload requests
  std::size_t batch_bytes = 65'536;
  std::size_t value_bytes = 1'000;
  std::size_t batches_per_request = 1;
  int acks = 1;
  bool idempotent = false;
  bool prime = false;  // a batch into every partition before anything is measured

  std::size_t consumers = 1;  // connections
  std::uint32_t passes = 1;
  std::int32_t fetch_max_bytes = 52'428'800;
  std::int32_t partition_max_bytes = 1'048'576;
  std::int32_t fetch_max_wait_ms = 500;

  double rate = 1'000;  // requests a second, all connections together
  double seconds = 10;
  double echo_seconds = 5;
  double warm_up_seconds = 1;

  std::size_t groups = 1'000;
  std::size_t members = 5;  // of each group
  std::uint32_t rounds = 5;  // of joins, after the first
  std::uint32_t heartbeats = 20;  // of each member
  std::uint32_t commits = 20;     // of each member
  std::int32_t session_timeout_ms = 300'000;

  std::string directory = ".";      // where hardware writes
  std::size_t chunk_bytes = 65'536;  // of each of its system calls

  double hold_seconds = 0;
  std::string output = "/dev/null";
  std::vector<std::string> command;
};

// kInvalid says which option is wrong and what would be right.
Result<void> validate(const Options& options);
// "host:port", "[::1]:port".
Result<Endpoint> parse_address(const std::string& text);
// The options that mean something to this workload.
void add_to(JsonObject& json, const Options& options);

}  // namespace kurier::bench
