// kurier group: its options, and list, describe and delete. reset is in group_reset.cc.
#include <fmt/core.h>
#include <CLI/CLI.hpp>

#include <algorithm>

#include "tools/client/first_word.h"
#include "tools/commands/commands.h"
#include "tools/commands/group_reset.h"
#include "tools/commands/group_views.h"

namespace kurier::commands {
namespace {

using client::Cluster;
using client::TopicPartition;
constexpr const char* kName = "kurier group";

struct Options {
  ConnectOptions connect;
  std::vector<std::string> groups;
  bool all_groups = false;
  std::vector<std::string> states;
  std::vector<std::string> types;
  std::vector<std::string> topics;
  ResetOptions reset;
};

Task<Result<void>> list(Cluster& cluster, const Options& options) {
  const auto groups = co_await client::list_groups(cluster, options.states, options.types);
  if (!groups) co_return std::unexpected(groups.error());
  std::string text;
  for (const client::ListedGroup& group : *groups) text += to_json(group).text() + "\n";
  co_return print(options.connect.json ? text : to_text(*groups));
}

// The log ends of those of the partitions that exist and have a leader.
Task<Result<std::map<TopicPartition, Offset>>> log_ends(Cluster& cluster, std::vector<TopicPartition> partitions) {
  const auto topics = co_await cluster.all_topics();
  if (!topics) co_return std::unexpected(topics.error());
  std::map<TopicPartition, Timestamp> asked;
  for (const TopicPartition& partition : partitions) {
    const auto topic = std::ranges::find(*topics, partition.first, &client::TopicInfo::name);
    const auto* info = topic != topics->end() ? topic->find(partition.second) : nullptr;
    if (info != nullptr && cluster.brokers().contains(info->leader)) asked[partition] = client::kLatest;
  }
  co_return co_await client::list_offsets(cluster, std::move(asked));
}

Task<Result<void>> describe_one(Cluster& cluster, const Options& options, std::string id) {
  const auto group = co_await client::describe_group(cluster, id);
  if (!group) co_return std::unexpected(group.error());
  const auto committed = co_await client::committed_offsets(cluster, id, std::nullopt);
  if (!committed) co_return std::unexpected(committed.error());
  std::vector<TopicPartition> partitions;
  for (const PartitionView& view : partition_views(*group, *committed, {})) partitions.push_back(view.partition);
  const auto ends = co_await log_ends(cluster, std::move(partitions));
  if (!ends) co_return std::unexpected(ends.error());
  const auto views = partition_views(*group, *committed, *ends);
  co_return print(options.connect.json ? to_json(*group, views).text() + "\n" : to_text(*group, views) + "\n");
}

Task<Result<void>> describe(Cluster& cluster, const Options& options) {
  std::vector<std::string> ids = options.groups;
  if (options.all_groups) {
    const auto groups = co_await client::list_groups(cluster, {}, {});
    if (!groups) co_return std::unexpected(groups.error());
    for (const client::ListedGroup& group : *groups) {
      if (group.type.empty() || group.type == "classic" || group.type == "consumer" || group.type == "Classic" ||
          group.type == "Consumer") {
        ids.push_back(group.id);
      }
    }
  }
  for (const std::string& id : ids) {
    const Result<void> done = co_await describe_one(cluster, options, id);
    if (!done) co_return done;
  }
  co_return Result<void>{};
}

// The partitions that the topics name: those that are there, or that the group has committed if they are not.
Task<Result<std::vector<TopicPartition>>> partitions_to_delete(Cluster& cluster, const Options& options,
                                                               std::string group) {
  const auto committed = co_await client::committed_offsets(cluster, group, std::nullopt);
  if (!committed) co_return std::unexpected(committed.error());
  std::vector<TopicPartition> partitions;
  for (const std::string& text : options.topics) {
    const auto named = parse_topic_partitions(text);
    if (!named) co_return std::unexpected(named.error());
    for (const PartitionIndex index : named->second) partitions.emplace_back(named->first, index);
    if (!named->second.empty()) continue;
    const std::size_t before = partitions.size();
    for (const auto& [partition, offset] : *committed) {
      if (partition.first == named->first) partitions.push_back(partition);
    }
    if (partitions.size() == before) {
      co_return fail(Failure::kNotFound,
                     fmt::format("group '{}' has committed nothing in topic '{}'", group, named->first));
    }
  }
  co_return partitions;
}

Task<Result<void>> delete_offsets_of(Cluster& cluster, const Options& options, std::string group) {
  const auto partitions = co_await partitions_to_delete(cluster, options, group);
  if (!partitions) co_return std::unexpected(partitions.error());
  const auto codes = co_await client::delete_offsets(cluster, group, *partitions);
  if (!codes) co_return std::unexpected(codes.error());
  std::string text;
  Result<void> outcome;
  for (const auto& [partition, code] : *codes) {
    client::JsonObject json;
    json.add("group", group);
    json.add("topic", partition.first);
    json.add("partition", partition.second.value());
    json.add("result", protocol::to_string(code));
    text += options.connect.json
                ? json.text() + "\n"
                : fmt::format("{} {}: {}\n", group, client::to_string(partition), protocol::to_string(code));
    if (code != protocol::ErrorCode::kNone && outcome) {
      const bool is_read = code == protocol::ErrorCode::kGroupSubscribedToTopic;
      outcome =
          fail(Failure::kInvalid, fmt::format("{} of group '{}': {}{}", client::to_string(partition), group,
                                              protocol::to_string(code), is_read ? " (stop its members first)" : ""));
    }
  }
  const Result<void> printed = print(text);
  co_return outcome ? printed : outcome;
}

Task<Result<void>> delete_groups(Cluster& cluster, const Options& options) {
  Result<void> outcome;
  for (const std::string& group : options.groups) {
    Result<void> deleted;
    if (options.topics.empty()) {
      deleted = co_await client::delete_group(cluster, group);
    } else {
      deleted = co_await delete_offsets_of(cluster, options, group);
    }
    if (!deleted && outcome) outcome = deleted;  // the others are deleted all the same
    if (!deleted || !options.topics.empty()) continue;
    client::JsonObject json;
    json.add("group", group);
    json.add("result", "deleted");
    const Result<void> printed =
        print(options.connect.json ? json.text() + "\n" : fmt::format("group {} is deleted\n", group));
    if (!printed) co_return printed;
  }
  co_return outcome;
}

void add_groups(CLI::App& app, Options& options, bool needs_one) {
  CLI::Option* groups = app.add_option("group,--group", options.groups, "the group's id; may be repeated");
  if (needs_one) groups->required();
}

void add_list(CLI::App& app, Options& options) {
  CLI::App& sub = *app.add_subcommand("list", "the groups of all brokers: id, type, protocol type, state");
  add_connect_options(sub, options.connect);
  sub.add_option("--state", options.states, "only these: Stable, Empty, PreparingRebalance, CompletingRebalance, …")
      ->delimiter(',')
      ->allow_extra_args(false);
  sub.add_option("--type", options.types, "only these: classic, consumer, share, streams")
      ->delimiter(',')
      ->allow_extra_args(false);
}

void add_describe(CLI::App& app, Options& options) {
  CLI::App& sub = *app.add_subcommand("describe", "members with what they are assigned, committed offsets and lag");
  add_connect_options(sub, options.connect);
  add_groups(sub, options, false);
  sub.add_flag("--all-groups", options.all_groups, "every classic and consumer group");
}

void add_delete(CLI::App& app, Options& options) {
  CLI::App& sub = *app.add_subcommand("delete", "groups without members, or what they have committed in a topic");
  add_connect_options(sub, options.connect);
  add_groups(sub, options, true);
  sub.add_option("--topic", options.topics,
                 "delete only the offsets of this topic, or of partitions of it; may be repeated")
      ->type_name("TOPIC[:P,…]")
      ->allow_extra_args(false);
}

}  // namespace

int group_main(int argc, char** argv) {
  Options options;
  CLI::App app{"The groups of a cluster that speaks Kafka's protocol."};
  app.name(kName);
  app.require_subcommand(1);
  add_list(app, options);
  add_describe(app, options);
  add_reset(app, options.connect, options.reset);
  add_delete(app, options);
  const std::string complaint = client::complaint_about_first_word(argc, argv, {"list", "describe", "reset", "delete"});
  if (!complaint.empty()) return say_wrong(kName, {Failure::kInvalid, complaint});
  if (const auto status = parse(app, argc, argv)) return *status;
  if (app.got_subcommand("list")) {
    return run(kName, options.connect, [&](Cluster& cluster) { return list(cluster, options); });
  }
  if (app.got_subcommand("describe")) {
    if (options.groups.empty() != options.all_groups) {
      return say_wrong(kName, {Failure::kInvalid, "describe: name groups, or say --all-groups"});
    }
    return run(kName, options.connect, [&](Cluster& cluster) { return describe(cluster, options); });
  }
  if (app.got_subcommand("reset")) {
    const auto spec = spec_of(options.reset);
    if (!spec) return say_wrong(kName, spec.error());
    return run(kName, options.connect,
               [&](Cluster& cluster) { return reset(cluster, options.connect, options.reset, *spec); });
  }
  for (const std::string& topic : options.topics) {
    if (const auto parsed = parse_topic_partitions(topic); !parsed) return say_wrong(kName, parsed.error());
  }
  return run(kName, options.connect, [&](Cluster& cluster) { return delete_groups(cluster, options); });
}

}  // namespace kurier::commands
