#include "tools/commands/group_reset.h"

#include <fmt/core.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <set>

#include "tools/client/groups.h"
#include "tools/client/json.h"

namespace kurier::commands {
namespace {

using client::Cluster;
using client::TopicPartition;

struct Row {
  TopicPartition partition;
  std::optional<Offset> before;
  PlannedReset after;
};

// kafka-consumer-groups moves the offsets of a group without members and of one that is not there yet; so do we.
Task<Result<void>> check_without_members(Cluster& cluster, std::string group) {
  const auto described = co_await client::describe_group(cluster, group);
  if (!described && described.error().failure == Failure::kNotFound) co_return Result<void>{};
  if (!described) co_return std::unexpected(described.error());
  if (described->members.empty() && (described->state == "Empty" || described->state == "Dead")) {
    co_return Result<void>{};
  }
  co_return fail(Failure::kInvalid,
                 fmt::format("group '{}' is {} with {} members: stop them first, they would overwrite the offsets",
                             group, described->state, described->members.size()));
}

Task<Result<std::set<TopicPartition>>> partitions_of(Cluster& cluster, const ResetOptions& options,
                                                     const client::CommittedOffsets& committed) {
  std::set<TopicPartition> partitions;
  if (options.all_topics) {
    for (const auto& [partition, offset] : committed) partitions.insert(partition);
    if (partitions.empty()) {
      co_return fail(Failure::kNotFound,
                     fmt::format("group '{}' has committed nothing: name a --topic", options.group));
    }
    co_return partitions;
  }
  std::vector<std::string> names;
  for (const std::string& text : options.topics) names.push_back(parse_topic_partitions(text)->first);
  const auto topics = co_await cluster.topics(names, false);
  if (!topics) co_return std::unexpected(topics.error());
  for (const std::string& text : options.topics) {
    const auto named = *parse_topic_partitions(text);
    for (const PartitionIndex index : named.second) partitions.emplace(named.first, index);
    if (!named.second.empty()) continue;
    const auto topic = std::ranges::find(*topics, named.first, &client::TopicInfo::name);
    if (topic == topics->end()) continue;  // the cluster answered for all of them
    for (const client::PartitionInfo& partition : topic->partitions) partitions.emplace(named.first, partition.index);
  }
  co_return partitions;
}

Task<Result<std::map<TopicPartition, Offset>>> offsets_at(Cluster& cluster, std::set<TopicPartition> partitions,
                                                          Timestamp time) {
  std::map<TopicPartition, Timestamp> asked;
  for (const TopicPartition& partition : partitions) asked[partition] = time;
  co_return co_await client::list_offsets(cluster, std::move(asked));
}

Task<Result<std::vector<Row>>> plan(Cluster& cluster, std::set<TopicPartition> partitions,
                                    const client::CommittedOffsets& committed, ResetSpec spec) {
  const auto starts = co_await offsets_at(cluster, partitions, client::kEarliest);
  if (!starts) co_return std::unexpected(starts.error());
  const auto ends = co_await offsets_at(cluster, partitions, client::kLatest);
  if (!ends) co_return std::unexpected(ends.error());
  std::map<TopicPartition, Offset> at_time;
  if (spec.to == ResetTo::kTime) {
    auto found = co_await offsets_at(cluster, partitions, spec.time);
    if (!found) co_return std::unexpected(found.error());
    at_time = std::move(*found);
  }
  std::vector<Row> rows;
  for (const TopicPartition& partition : partitions) {
    PartitionOffsets known{starts->at(partition), ends->at(partition), std::nullopt, std::nullopt};
    if (const auto at = committed.find(partition); at != committed.end()) known.committed = at->second.offset;
    if (const auto at = at_time.find(partition); at != at_time.end() && at->second >= Offset(0)) {
      known.at_time = at->second;
    }
    auto planned = plan_reset(spec, known);
    if (!planned) co_return std::unexpected(planned.error().within(client::to_string(partition)));
    rows.push_back({partition, known.committed, std::move(*planned)});
  }
  co_return rows;
}

std::string json_lines(const std::string& group, const std::vector<Row>& rows, bool is_executed) {
  std::string text;
  for (const Row& row : rows) {
    client::JsonObject json;
    json.add("group", group);
    json.add("topic", row.partition.first);
    json.add("partition", row.partition.second.value());
    if (row.before) {
      json.add("before", row.before->value());
    } else {
      json.add_null("before");
    }
    json.add("after", row.after.offset.value());
    if (!row.after.note.empty()) json.add("note", row.after.note);
    json.add("executed", is_executed);
    text += json.text() + "\n";
  }
  return text;
}

std::string table(const std::string& group, const std::vector<Row>& rows, bool is_executed) {
  std::vector<std::vector<std::string>> cells{{"GROUP", "TOPIC", "PARTITION", "BEFORE", "AFTER", "NOTE"}};
  for (const Row& row : rows) {
    cells.push_back({group, row.partition.first, std::to_string(row.partition.second.value()),
                     row.before ? std::to_string(row.before->value()) : "", std::to_string(row.after.offset.value()),
                     row.after.note});
  }
  return format_table(cells) + (is_executed ? "" : "\nNothing was changed: --execute does it.\n");
}

}  // namespace

void add_reset(CLI::App& app, ConnectOptions& connect, ResetOptions& options) {
  CLI::App& sub = *app.add_subcommand(
      "reset", "move what a group without members has committed; only says what it would do, without --execute");
  add_connect_options(sub, connect);
  sub.add_option("group,--group", options.group, "the group's id")->required();
  sub.add_option("--topic", options.topics, "a topic, or partitions of it; may be repeated")
      ->type_name("TOPIC[:P,…]")
      ->allow_extra_args(false);
  sub.add_flag("--all-topics", options.all_topics, "everything that the group has committed");
  sub.add_flag("--to-earliest", options.to_earliest, "to the first record that is there");
  sub.add_flag("--to-latest", options.to_latest, "behind the last record");
  sub.add_flag("--to-current", options.to_current, "to where it is; behind the last record if nothing is committed");
  sub.add_option("--to-offset", options.to_offset, "to this offset")->type_name("N");
  sub.add_option("--shift-by,--by", options.shift_by, "by so many records; negative: back")->type_name("N");
  sub.add_option("--to-datetime", options.to_datetime, "to the first record at or after 2026-11-25T17:00:00.000 (UTC)")
      ->type_name("TIME");
  sub.add_option("--by-duration", options.by_duration, "to the first record that is not older than P7D, PT1H30M, …")
      ->type_name("DURATION");
  sub.add_flag("--execute", options.execute, "do it");
  sub.add_flag("--dry-run", options.dry_run, "only say what would be done (the default)");
}

Result<ResetSpec> spec_of(const ResetOptions& options) {
  std::vector<ResetSpec> specs;
  if (options.to_earliest) specs.push_back({ResetTo::kEarliest});
  if (options.to_latest) specs.push_back({ResetTo::kLatest});
  if (options.to_current) specs.push_back({ResetTo::kCurrent});
  if (options.to_offset) specs.push_back({ResetTo::kOffset, *options.to_offset});
  if (options.shift_by) specs.push_back({ResetTo::kShift, *options.shift_by});
  if (options.to_datetime) {
    TRY_ASSIGN(const Timestamp time, parse_datetime(*options.to_datetime));
    specs.push_back({ResetTo::kTime, 0, time});
  }
  if (options.by_duration) {
    TRY_ASSIGN(const std::chrono::milliseconds duration, parse_duration(*options.by_duration));
    specs.push_back({ResetTo::kTime, duration.count(), Timestamp(-1)});
  }
  if (specs.size() != 1) {
    return fail(Failure::kInvalid,
                fmt::format("reset: {} of --to-earliest, --to-latest, --to-current, --to-offset, --shift-by, "
                            "--to-datetime and --by-duration are given, expected one",
                            specs.empty() ? "none" : std::to_string(specs.size())));
  }
  if (options.topics.empty() != options.all_topics) {
    return fail(Failure::kInvalid, "reset: expected --topic, once or several times, or --all-topics");
  }
  if (options.execute && options.dry_run) {
    return fail(Failure::kInvalid, "reset: --execute and --dry-run contradict one another");
  }
  for (const std::string& topic : options.topics) TRY(parse_topic_partitions(topic));
  return specs.front();
}

Task<Result<void>> reset(Cluster& cluster, const ConnectOptions& connect, const ResetOptions& options, ResetSpec spec) {
  if (options.by_duration) spec.time = cluster.loop().reactor.clock().wall() - spec.number;
  const Result<void> checked = co_await check_without_members(cluster, options.group);
  if (!checked) co_return checked;
  const auto committed = co_await client::committed_offsets(cluster, options.group, std::nullopt);
  if (!committed) co_return std::unexpected(committed.error());
  const auto partitions = co_await partitions_of(cluster, options, *committed);
  if (!partitions) co_return std::unexpected(partitions.error());
  const auto rows = co_await plan(cluster, *partitions, *committed, spec);
  if (!rows) co_return std::unexpected(rows.error());
  if (options.execute) {
    client::CommittedOffsets offsets;
    for (const Row& row : *rows) offsets[row.partition].offset = row.after.offset;
    const Result<void> done = co_await client::commit_offsets(cluster, options.group, std::move(offsets));
    if (!done) co_return done;
  }
  co_return print(connect.json ? json_lines(options.group, *rows, options.execute)
                               : table(options.group, *rows, options.execute));
}

}  // namespace kurier::commands
