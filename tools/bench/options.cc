#include "tools/bench/options.h"

#include <fmt/core.h>

#include <limits>

#include "tools/client/address.h"

namespace kurier::bench {
namespace {

bool consumes(Workload workload) {
  return workload == Workload::kFetch || workload == Workload::kTail || workload == Workload::kBoth ||
         workload == Workload::kLatency;
}
bool is_paced(Workload workload) { return workload == Workload::kTail || workload == Workload::kLatency; }

template <class Number>
Result<void> in_range(const char* name, Number value, Number low, Number high) {
  if (value >= low && value <= high) return {};
  return fail(Failure::kInvalid, fmt::format("{} is {}, expected {} to {}", name, value, low, high));
}

Result<void> validate_load(const Options& options) {
  TRY(in_range<std::size_t>("--connections", options.connections, 1, 10'000));
  TRY(in_range<std::size_t>("--in-flight", options.in_flight, 1, 10'000));
  TRY(in_range<std::size_t>("--batch-bytes", options.batch_bytes, 70, 100 << 20));
  TRY(in_range<std::size_t>("--value-bytes", options.value_bytes, 0, 10 << 20));
  TRY(in_range<std::uint64_t>("--total-bytes", options.total_bytes, 1, 10'000'000'000'000));
  TRY(in_range<std::uint64_t>("--requests", options.requests, 1, 10'000'000'000));
  TRY(in_range<std::size_t>("--batches-per-request", options.batches_per_request, 1, 1'000'000));
  TRY(in_range<std::size_t>("--consumers", options.consumers, 1, 10'000));
  TRY(in_range<std::uint32_t>("--passes", options.passes, 1, 1'000'000));
  TRY(in_range<std::int32_t>("--fetch-max-bytes", options.fetch_max_bytes, 1, 200 << 20));
  TRY(in_range<std::int32_t>("--partition-max-bytes", options.partition_max_bytes, 1, 200 << 20));
  TRY(in_range<std::int32_t>("--fetch-max-wait-ms", options.fetch_max_wait_ms, 0, 60'000));
  if (options.acks < -1 || options.acks > 1) {
    return fail(Failure::kInvalid, fmt::format("--acks is {}, expected 0, 1 or -1 (all)", options.acks));
  }
  if (options.idempotent && options.acks != -1) return fail(Failure::kInvalid, "--idempotent needs --acks -1 (all)");
  if (options.idempotent && options.in_flight > 5) {
    return fail(Failure::kInvalid, "--idempotent needs --in-flight of at most 5: a broker remembers five batches");
  }
  const auto partitions = static_cast<std::size_t>(options.partitions);
  const std::size_t each = partitions / options.connections;  // each connection has at least so many partitions
  if (options.batches_per_request != 1 && options.batches_per_request > each) {
    return fail(
        Failure::kInvalid,
        fmt::format("--batches-per-request is {}: a request holds one batch of a partition, and {} partitions over {} "
                    "connections make {} for each",
                    options.batches_per_request, partitions, options.connections, each));
  }
  if (!is_paced(options.workload)) return {};
  TRY(in_range("--rate", options.rate, 0.1, 10'000'000.0));
  TRY(in_range("--seconds", options.seconds, 0.01, 86'400.0));
  TRY(in_range("--warm-up-seconds", options.warm_up_seconds, 0.0, 3'600.0));
  if (options.connections > partitions) {
    return fail(Failure::kInvalid,
                fmt::format("--connections is {}, more than --partitions {}: at a fixed rate each partition "
                            "has one producer, so that a record's offset says when it was sent",
                            options.connections, partitions));
  }
  if (options.acks == 0) return fail(Failure::kInvalid, "--acks 0: there is no answer whose latency could be measured");
  return {};
}

Result<void> validate_groups(const Options& options) {
  TRY(in_range<std::size_t>("--groups", options.groups, 1, 100'000));
  TRY(in_range<std::size_t>("--members", options.members, 1, 1'000));
  TRY(in_range<std::uint32_t>("--rounds", options.rounds, 1, 10'000));
  TRY(in_range<std::uint32_t>("--heartbeats", options.heartbeats, 1, 1'000'000));
  TRY(in_range<std::uint32_t>("--commits", options.commits, 1, 1'000'000));
  return in_range<std::int32_t>("--session-timeout-ms", options.session_timeout_ms, 1, 1'800'000);
}

Result<void> validate_hardware(const Options& options) {
  TRY(in_range<std::uint64_t>("--total-bytes", options.total_bytes, 1, 1'000'000'000'000));
  TRY(in_range<std::size_t>("--chunk-bytes", options.chunk_bytes, 1, 100 << 20));
  TRY(in_range<std::uint32_t>("--passes", options.passes, 1, 1'000));
  TRY(in_range("--seconds", options.seconds, 0.01, 3'600.0));
  TRY(in_range("--rate", options.rate, 1.0, 100'000.0));
  return in_range("--echo-seconds", options.echo_seconds, 0.01, 3'600.0);
}

}  // namespace

bool is_load(Workload workload) {
  return workload != Workload::kConnections && workload != Workload::kPartitions && workload != Workload::kStart &&
         workload != Workload::kGroups && workload != Workload::kCoordinatorLoad && workload != Workload::kHardware;
}

const char* to_string(Workload workload) {
  switch (workload) {
    case Workload::kProduce:
      return "produce";
    case Workload::kFetch:
      return "fetch";
    case Workload::kTail:
      return "tail";
    case Workload::kBoth:
      return "both";
    case Workload::kRequests:
      return "requests";
    case Workload::kLatency:
      return "latency";
    case Workload::kConnections:
      return "connections";
    case Workload::kPartitions:
      return "partitions";
    case Workload::kStart:
      return "start";
    case Workload::kGroups: return "groups";
    case Workload::kCoordinatorLoad: return "coordinator-load";
    case Workload::kHardware: return "hardware";
  }
  return "unknown";
}

Result<Endpoint> parse_address(const std::string& text) { return client::parse_endpoint(text, "--address"); }

Result<void> validate(const Options& options) {
  TRY(parse_address(options.address));
  TRY(in_range("--max-seconds", options.max_seconds, 0.1, 86'400.0));
  TRY(in_range<std::int32_t>("--partitions", options.partitions, 1, 1'000'000));
  TRY(in_range("--pid", options.pid, 0, std::numeric_limits<int>::max()));
  for (const std::string& config : options.topic_configs) {
    if (config.find('=') == std::string::npos || config.front() == '=') {
      return fail(Failure::kInvalid, fmt::format("--topic-config '{}' is not name=value", config));
    }
  }
  if (options.workload == Workload::kConnections) {
    return in_range<std::size_t>("--connections", options.connections, 1, 60'000);
  }
  if (options.workload == Workload::kGroups) return validate_groups(options);
  if (options.workload == Workload::kHardware) return validate_hardware(options);
  if (options.workload == Workload::kCoordinatorLoad) {
    if (options.command.empty()) return fail(Failure::kInvalid, "coordinator-load: the command to run is missing");
    return in_range<std::size_t>("--groups", options.groups, 1, 1'000'000);
  }
  if (options.workload == Workload::kStart) {
    if (options.command.empty()) return fail(Failure::kInvalid, "start: the command to run is missing");
    return in_range("--hold-seconds", options.hold_seconds, 0.0, 3'600.0);
  }
  return is_load(options.workload) ? validate_load(options) : Result<void>{};
}

void add_to(JsonObject& json, const Options& options) {
  json.add("workload", to_string(options.workload));
  if (options.workload == Workload::kHardware) {
    json.add("total_bytes", options.total_bytes);
    json.add("chunk_bytes", options.chunk_bytes);
    json.add("rate", options.rate);
    return;
  }
  json.add("address", options.address);
  if (options.workload == Workload::kStart) {
    json.add("hold_seconds", options.hold_seconds);
    return;
  }
  if (options.workload == Workload::kConnections) {
    json.add("connections", options.connections);
    return;
  }
  if (options.workload == Workload::kGroups || options.workload == Workload::kCoordinatorLoad) {
    json.add("groups", options.groups);
    if (options.workload == Workload::kGroups) {
      json.add("members", options.members);
    } else {
      json.add("partitions", options.partitions);
    }
    return;
  }
  json.add("partitions", options.partitions);
  std::string configs;
  for (const std::string& config : options.topic_configs) configs += (configs.empty() ? "" : ",") + config;
  json.add("topic_config", configs);
  json.add("replication_factor", options.replication_factor);
  if (!is_load(options.workload)) return;
  json.add("connections", options.connections);
  json.add("in_flight", options.in_flight);
  json.add("value_bytes", options.value_bytes);
  json.add("batches_per_request", options.batches_per_request);
  json.add("acks", options.acks);
  json.add("idempotent", options.idempotent);
  if (options.workload == Workload::kProduce) json.add("prime", options.prime);
  if (consumes(options.workload)) {
    json.add("consumers", options.consumers);
    json.add("passes", options.passes);
    json.add("fetch_max_bytes", options.fetch_max_bytes);
    json.add("partition_max_bytes", options.partition_max_bytes);
    json.add("fetch_max_wait_ms", options.fetch_max_wait_ms);
  }
  if (is_paced(options.workload)) {
    json.add("rate", options.rate);
    json.add("warm_up_seconds", options.warm_up_seconds);
  }
}

}  // namespace kurier::bench
