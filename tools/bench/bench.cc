#include "tools/bench/bench.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include "broker/net/signals.h"
#include "broker/net/system_clock.h"
#include "broker/net/thread_pool.h"
#include "tools/bench/options.h"
#include "tools/bench/workloads.h"
#include "tools/client/first_word.h"

namespace kurier::bench {
namespace {

void add_topic_options(CLI::App& app, Options& options) {
  app.add_option("--partitions", options.partitions, "of the topic")->capture_default_str();
  app.add_option("--topic", options.topic, "its name; it must not exist (default: a name of its own)");
  app.add_flag("--keep-topic", options.keep_topic, "do not delete the topic at the end");
  app.add_option("--topic-config", options.topic_configs, "name=value; may be repeated (default: the broker's own)")
      ->allow_extra_args(false);
  app.add_option("--replication-factor", options.replication_factor, "-1: the broker's own")->capture_default_str();
}

void add_producer_options(CLI::App& app, Options& options) {
  add_topic_options(app, options);
  app.add_option("--connections", options.connections, "that produce")->capture_default_str();
  app.add_option("--value-bytes", options.value_bytes, "of each record")->capture_default_str();
  app.add_option("--acks", options.acks, "0, 1 or -1 (all)")->capture_default_str();
  app.add_flag("--idempotent", options.idempotent, "producer ids and sequence numbers");
}

void add_full_speed_options(CLI::App& app, Options& options) {
  add_producer_options(app, options);
  app.add_option("--in-flight", options.in_flight, "requests of a connection that are not answered")
      ->capture_default_str();
  app.add_option("--batches-per-request", options.batches_per_request, "each of another partition")
      ->capture_default_str();
}

void add_volume_options(CLI::App& app, Options& options) {
  add_full_speed_options(app, options);
  app.add_option("--total-bytes", options.total_bytes, "of batches to produce")->capture_default_str();
  app.add_option("--batch-bytes", options.batch_bytes, "of each batch")->capture_default_str();
}

void add_consumer_options(CLI::App& app, Options& options) {
  app.add_option("--consumers", options.consumers, "connections that fetch; partitions are dealt to them")
      ->capture_default_str();
  app.add_option("--fetch-max-bytes", options.fetch_max_bytes, "of a response")->capture_default_str();
  app.add_option("--partition-max-bytes", options.partition_max_bytes, "of a partition in a response")
      ->capture_default_str();
  app.add_option("--fetch-max-wait-ms", options.fetch_max_wait_ms, "of a long poll")->capture_default_str();
}

void add_pace_options(CLI::App& app, Options& options) {
  app.add_option("--rate", options.rate, "produce requests a second, all connections together")->capture_default_str();
  app.add_option("--seconds", options.seconds, "measured")->capture_default_str();
  app.add_option("--warm-up-seconds", options.warm_up_seconds, "before, not measured")->capture_default_str();
}

CLI::App& add_workload(CLI::App& app, Options& options, Workload workload, const char* what) {
  CLI::App& sub = *app.add_subcommand(to_string(workload), what);
  sub.callback([&options, workload] { options.workload = workload; });
  const bool asks_a_broker = workload != Workload::kHardware;
  if (asks_a_broker) sub.add_option("--address", options.address, "host:port of a broker")->capture_default_str();
  if (asks_a_broker && workload != Workload::kStart && workload != Workload::kCoordinatorLoad) {
    sub.add_option("--pid", options.pid, "the broker's process, if it runs here: its CPU time and memory are reported");
  }
  sub.add_flag("--human", options.human, "a line a figure instead of one JSON line");
  sub.add_option("--max-seconds", options.max_seconds, "after which the run is given up")->capture_default_str();
  return sub;
}

void add_workloads(CLI::App& app, Options& options) {
  CLI::App& produce = add_workload(app, options, Workload::kProduce, "produce at full speed");
  add_volume_options(produce, options);
  produce.add_flag("--prime", options.prime, "a batch into every partition first, which is not measured");

  CLI::App& fetch = add_workload(app, options, Workload::kFetch, "fill a topic, then fetch all of it at full speed");
  add_volume_options(fetch, options);
  add_consumer_options(fetch, options);
  fetch.add_option("--passes", options.passes, "how often everything is fetched")->capture_default_str();

  CLI::App& tail =
      add_workload(app, options, Workload::kTail, "produce batches at a fixed rate and fetch them as they come");
  add_producer_options(tail, options);
  add_consumer_options(tail, options);
  add_pace_options(tail, options);
  tail.add_option("--batch-bytes", options.batch_bytes, "of each batch")->capture_default_str();

  CLI::App& both =
      add_workload(app, options, Workload::kBoth, "produce and fetch the same topic at once, at full speed");
  add_volume_options(both, options);
  add_consumer_options(both, options);

  CLI::App& requests = add_workload(app, options, Workload::kRequests, "produce requests of one record at full speed");
  add_full_speed_options(requests, options);
  requests.add_option("--requests", options.requests, "how many")->capture_default_str();

  CLI::App& latency = add_workload(app, options, Workload::kLatency,
                                   "one record a request at a fixed rate: until it is "
                                   "acknowledged, and until it is consumed");
  add_producer_options(latency, options);
  add_consumer_options(latency, options);
  add_pace_options(latency, options);

  CLI::App& connections = add_workload(app, options, Workload::kConnections, "open idle connections: memory of each");
  connections.add_option("--connections", options.connections, "how many")->capture_default_str();

  CLI::App& partitions =
      add_workload(app, options, Workload::kPartitions, "create a topic: time until all partitions are served");
  add_topic_options(partitions, options);

  CLI::App& groups = add_workload(app, options, Workload::kGroups,
                                  "groups whose members join again and again, heartbeat and commit: the cost of each");
  groups.add_option("--groups", options.groups, "how many")->capture_default_str();
  groups.add_option("--members", options.members, "of each, every one with a connection; as many partitions")
      ->capture_default_str();
  groups.add_option("--rounds", options.rounds, "in which all members join again")->capture_default_str();
  groups.add_option("--heartbeats", options.heartbeats, "of each member")->capture_default_str();
  groups.add_option("--commits", options.commits, "of each member, one partition each")->capture_default_str();
  groups.add_option("--session-timeout-ms", options.session_timeout_ms, "and rebalance timeout")->capture_default_str();
  groups.add_option("--replication-factor", options.replication_factor, "-1: the broker's own")->capture_default_str();

  CLI::App& load = add_workload(app, options, Workload::kCoordinatorLoad,
                                "run a broker, commit offsets of many groups, run it again: time until it knows them");
  load.add_option("--groups", options.groups, "how many")->capture_default_str();
  load.add_option("--partitions", options.partitions, "that each group commits")->capture_default_str();
  load.add_option("--output", options.output, "a file for what it prints")->capture_default_str();
  load.add_option("command", options.command, "the broker and its arguments, behind --")->required();

  CLI::App& start =
      add_workload(app, options, Workload::kStart, "run a broker: time from exec to its first Metadata answer");
  start.add_option("--topic", options.topic, "that exists: how long until all of its partitions are served");
  start.add_option("--partitions", options.partitions, "of that topic")->capture_default_str();
  start.add_option("--hold-seconds", options.hold_seconds, "idle before its memory is read")->capture_default_str();
  start.add_option("--output", options.output, "a file for what it prints")->capture_default_str();
  start.add_option("command", options.command, "the broker and its arguments, behind --")->required();

  CLI::App& hardware = add_workload(app, options, Workload::kHardware,
                                    "no broker: receive, checksum, write, send, fsync and echo by plain system calls");
  hardware.add_option("--directory", options.directory, "where the file is written")->capture_default_str();
  hardware.add_option("--total-bytes", options.total_bytes, "of each pass")->capture_default_str();
  hardware.add_option("--chunk-bytes", options.chunk_bytes, "of each system call")->capture_default_str();
  hardware.add_option("--passes", options.passes, "each with a file of its own")->capture_default_str();
  hardware.add_option("--seconds", options.seconds, "of fsync, in each pass")->capture_default_str();
  hardware.add_option("--rate", options.rate, "small messages a second that come back at once (echo)")
      ->capture_default_str();
  hardware.add_option("--echo-seconds", options.echo_seconds, "of those, in each pass")->capture_default_str();
}

Task<Result<void>> run_workload(const Loop& loop, const Options& options, JsonObject& result) {
  switch (options.workload) {
    case Workload::kConnections:
      return run_connections(loop, options, result);
    case Workload::kPartitions:
      return run_partitions(loop, options, result);
    case Workload::kGroups: return run_groups(loop, options, result);
    case Workload::kStart:
      return run_start(loop, options, result);
    case Workload::kCoordinatorLoad: return run_coordinator_load(loop, options, result);
    case Workload::kHardware: return run_hardware(loop, options, result);
    default:
      return run_load(loop, options, result);
  }
}

Task<void> run_and_stop(const Loop& loop, const Options& options, JsonObject& result,
                        std::optional<Result<void>>& outcome) {
  outcome = co_await run_workload(loop, options, result);
  loop.reactor.post([&loop] { loop.reactor.stop(); });
}

int say(const Options& options, const JsonObject& result, const Result<void>& outcome) {
  if (!outcome) {
    std::fprintf(stderr, "kurier bench: %s\n", outcome.error().context.c_str());
    return 1;
  }
  std::printf("%s\n", options.human ? result.human().c_str() : result.text().c_str());
  return 0;
}

int run(const Options& options) {
  // Others start processes, which would inherit what is blocked, or leave no topic that costs much.
  const bool watches_signals = is_load(options.workload);
  if (watches_signals) net::block_stop_signals();
  const net::SystemClock clock;
  net::Reactor reactor(clock);
  net::ThreadPool lookup("lookup", 1);
  const auto time_left = std::chrono::nanoseconds(static_cast<std::int64_t>(options.max_seconds * 1e9));
  const Loop loop{reactor, lookup, clock.monotonic() + time_left};
  JsonObject result;
  add_to(result, options);
  std::optional<Result<void>> outcome;
  reactor.spawn("bench", run_and_stop(loop, options, result, outcome));
  reactor.run();
  const int status = say(options, result, *outcome);
  if (!watches_signals) return status;
  std::fflush(nullptr);
  // Without destructors: a thread waits for signals and would use what they take away.
  std::_Exit(status);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{
      "Measures a broker that speaks Kafka's protocol, over its own connections with requests made beforehand. "
      "Prints one JSON line."};
  app.name("kurier bench");
  app.require_subcommand(1);
  add_workloads(app, options);
  std::vector<std::string_view> workloads;
  for (const CLI::App* workload : app.get_subcommands({})) workloads.push_back(workload->get_name());
  const std::string complaint = client::complaint_about_first_word(argc, argv, workloads);
  if (!complaint.empty()) {
    std::fprintf(stderr, "kurier bench: %s\n", complaint.c_str());
    return 2;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  const Result<void> valid = validate(options);
  if (!valid) {
    std::fprintf(stderr, "kurier bench: %s\n", valid.error().context.c_str());
    return 2;
  }
  return run(options);
}

}  // namespace kurier::bench
