// kurier consume: its options, and reading: a topic's partitions from where it is told, or what a group gives it.
#include "tools/commands/consume.h"

#include <fmt/core.h>
#include <CLI/CLI.hpp>

#include <charconv>
#include <cstdio>
#include <cstdlib>

#include "broker/net/signals.h"
#include "tools/commands/commands.h"

namespace kurier::commands {
namespace {

using client::Cluster;
using client::TopicPartition;
constexpr const char* kName = "kurier consume";

Result<std::int64_t> parse_number(const std::string& text) {
  std::int64_t number = 0;
  const auto [at, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc{} && at == text.data() + text.size()) return number;
  return fail(Failure::kInvalid, text);
}

Result<StartAt> parse_start(const std::string& text, std::string_view option) {
  if (text == "earliest" || text == "beginning") return StartAt{client::kEarliest, std::nullopt};
  if (text == "latest" || text == "end") return StartAt{client::kLatest, std::nullopt};
  if (const auto number = parse_number(text)) return StartAt{client::kLatest, *number};
  if (const auto time = parse_datetime(text)) return StartAt{*time, std::nullopt};
  return fail(Failure::kInvalid,
              fmt::format("{} is '{}', expected earliest, latest, an offset (negative: from the end), or a time like "
                          "2026-11-25T17:00:00",
                          option, text));
}

Result<ConsumeSettings> settings_of(const ConsumeOptions& options) {
  ConsumeSettings settings;
  if (options.topics.empty()) return fail(Failure::kInvalid, "the topic is missing");
  const bool is_member = options.group.has_value();
  if (is_member && options.group->empty()) return fail(Failure::kInvalid, "--group is empty");
  if (is_member && !options.partitions.empty()) {
    return fail(Failure::kInvalid, "--partition and --group: a group's members are given their partitions");
  }
  if (!is_member && options.instance_id) return fail(Failure::kInvalid, "--group-instance-id needs --group");
  const int starts = (options.from_beginning ? 1 : 0) + (options.from ? 1 : 0) + (options.offset ? 1 : 0);
  if (starts > 1) return fail(Failure::kInvalid, "one of --from-beginning, --from and --offset, not several");
  if (options.from_beginning) settings.start = {client::kEarliest, std::nullopt};
  if (options.from) {
    TRY_ASSIGN(settings.start, parse_start(*options.from, "--from"));
  }
  if (options.offset) {
    TRY_ASSIGN(settings.start, parse_start(*options.offset, "--offset"));
  }
  if (is_member && settings.start.number) {
    return fail(Failure::kInvalid, "an offset cannot be given with --group: kurier group reset moves a group");
  }
  for (const std::string& property : options.properties) TRY(set_property(settings.format, property));
  if (options.key_separator) {
    settings.format.key = true;
    TRY(set_property(settings.format, "key.separator=" + *options.key_separator));
  }
  for (const std::int32_t partition : options.partitions) {
    if (partition < 0) return fail(Failure::kInvalid, fmt::format("--partition is {}, expected 0 or more", partition));
  }
  return settings;
}

void add_options(CLI::App& app, ConsumeOptions& options) {
  app.add_option("topic,--topic", options.topics, "one or, with a group, several")->required();
  add_connect_options(app, options.connect);
  app.add_option("-g,--group", options.group, "read as a member of this group: shared, committed (default: alone)");
  app.add_option("--partition", options.partitions, "only these, with commas between (default: all)")
      ->delimiter(',')
      ->allow_extra_args(false);
  app.add_flag("--from-beginning", options.from_beginning, "the same as --from earliest");
  app.add_option(
      "--from", options.from,
      "earliest, latest (the default), a time, or an offset; with a group only where it has committed nothing");
  app.add_option("--offset", options.offset, "the same, by the name that kafka-console-consumer has for it");
  app.add_option("-n,--max-messages", options.max_messages, "end after so many records");
  app.add_option("--timeout-ms", options.timeout_ms, "end when there was no record for so long")
      ->check(CLI::Range(1, 2'000'000'000));
  app.add_flag("-e,--until-end", options.until_end, "end where the logs ended when reading began");
  app.add_option("--property,--formatter-property", options.properties,
                 "as kafka-console-consumer takes it: print.key, print.offset, print.partition, print.timestamp, "
                 "print.headers, print.value, key.separator, line.separator, headers.separator, null.literal")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
  app.add_option("--key-separator", options.key_separator, "print the key, and this behind it");
  app.add_option("--group-instance-id", options.instance_id,
                 "a static member: it may restart within the session timeout without a rebalance");
  app.add_option("--session-timeout-ms", options.session_timeout_ms, "after which a silent member is taken for dead")
      ->check(CLI::Range(1, 1'800'000))
      ->capture_default_str();
  app.add_option("--commit-interval-ms", options.commit_interval_ms, "between two commits; the last is at the end")
      ->check(CLI::Range(0, 3'600'000))
      ->capture_default_str();
}

}  // namespace

int consume_main(int argc, char** argv) {
  ConsumeOptions options;
  CLI::App app{"Prints the records of a topic. SIGTERM and SIGINT end it: a group's member commits and leaves."};
  app.name(kName);
  add_options(app, options);
  if (const auto status = parse(app, argc, argv)) return *status;
  const auto settings = settings_of(options);
  if (!settings) return say_wrong(kName, settings.error());
  net::block_stop_signals();
  const int status =
      run(kName, options.connect, [&](Cluster& cluster) { return consume(cluster, options, *settings); });
  std::fflush(nullptr);
  // Without destructors: a thread waits for signals and would use what they take away.
  std::_Exit(status);
}

}  // namespace kurier::commands
