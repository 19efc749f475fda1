#include "tools/commands/group_views.h"

#include <fmt/core.h>

#include "tools/commands/command.h"

namespace kurier::commands {
namespace {

using client::JsonObject;

// "orders:0,1 payments:0"
std::string text_of(const client::Assignment& assignment) {
  std::string text;
  for (const auto& [topic, partitions] : assignment) {
    if (!text.empty()) text += ' ';
    text += topic;
    char separator = ':';
    for (const std::int32_t partition : partitions) {
      text += separator + std::to_string(partition);
      separator = ',';
    }
  }
  return text;
}

JsonObject json_of(const client::GroupMember& member) {
  JsonObject json;
  json.add("id", member.id);
  if (member.instance_id) {
    json.add("instance_id", *member.instance_id);
  } else {
    json.add_null("instance_id");
  }
  json.add("client_id", member.client_id);
  json.add("host", member.host);
  std::vector<JsonObject> topics;
  for (const auto& [topic, partitions] : member.assignment) {
    auto& one = topics.emplace_back();
    one.add("topic", topic);
    one.add("partitions", partitions);
  }
  json.add("assignment", topics);
  return json;
}

JsonObject json_of(const PartitionView& view) {
  JsonObject json;
  const auto add = [&](const char* name, const std::optional<std::int64_t>& number) {
    if (number) {
      json.add(name, *number);
    } else {
      json.add_null(name);
    }
  };
  json.add("topic", view.partition.first);
  json.add("partition", view.partition.second.value());
  add("committed", view.committed ? std::optional(view.committed->offset.value()) : std::nullopt);
  add("log_end", view.log_end ? std::optional(view.log_end->value()) : std::nullopt);
  add("lag", view.lag());
  if (view.committed) json.add_bytes("metadata", as_bytes(view.committed->metadata));
  if (!view.member.empty()) json.add("member", view.member);
  return json;
}

template <class Number>
std::string text_of(const std::optional<Number>& number) {
  return number ? fmt::format("{}", *number) : "";
}

std::string text_of(const std::optional<Offset>& offset) { return offset ? std::to_string(offset->value()) : ""; }

}  // namespace

std::optional<std::int64_t> PartitionView::lag() const {
  if (!committed || !log_end) return std::nullopt;
  return *log_end - committed->offset;
}

std::vector<PartitionView> partition_views(const client::GroupDescription& group,
                                           const client::CommittedOffsets& committed,
                                           const std::map<client::TopicPartition, Offset>& log_ends) {
  std::map<client::TopicPartition, PartitionView> views;
  for (const auto& [partition, offset] : committed) views[partition].committed = offset;
  for (const client::GroupMember& member : group.members) {
    for (const auto& [topic, partitions] : member.assignment) {
      for (const std::int32_t partition : partitions) views[{topic, PartitionIndex(partition)}].member = member.id;
    }
  }
  std::vector<PartitionView> sorted;
  for (auto& [partition, view] : views) {
    view.partition = partition;
    if (const auto end = log_ends.find(partition); end != log_ends.end()) view.log_end = end->second;
    sorted.push_back(std::move(view));
  }
  return sorted;
}

JsonObject to_json(const client::GroupDescription& group, const std::vector<PartitionView>& partitions) {
  JsonObject json;
  json.add("group", group.id);
  json.add("type", group.type);
  json.add("protocol_type", group.protocol_type);
  json.add("state", group.state);
  json.add("assignor", group.assignor);
  JsonObject coordinator;
  coordinator.add("id", group.coordinator.value());
  coordinator.add("host", group.coordinator_address.host);
  coordinator.add("port", group.coordinator_address.port);
  json.add("coordinator", coordinator);
  std::vector<JsonObject> members;
  for (const client::GroupMember& member : group.members) members.push_back(json_of(member));
  json.add("members", members);
  std::vector<JsonObject> offsets;
  for (const PartitionView& view : partitions) offsets.push_back(json_of(view));
  json.add("offsets", offsets);
  return json;
}

std::string to_text(const client::GroupDescription& group, const std::vector<PartitionView>& partitions) {
  std::string text =
      fmt::format("group {}: {}, {}, assignor {}, {} members, coordinator {} at {}\n", group.id, group.type,
                  group.state, group.assignor.empty() ? "-" : group.assignor, group.members.size(),
                  group.coordinator.value(), group.coordinator_address.to_string());
  if (!group.members.empty()) {
    std::vector<std::vector<std::string>> rows{{"MEMBER", "INSTANCE", "CLIENT", "HOST", "ASSIGNMENT"}};
    for (const client::GroupMember& member : group.members) {
      rows.push_back(
          {member.id, member.instance_id.value_or(""), member.client_id, member.host, text_of(member.assignment)});
    }
    text += "\n" + format_table(rows);
  }
  if (partitions.empty()) return text + "\nnothing is committed\n";
  std::vector<std::vector<std::string>> rows{{"TOPIC", "PARTITION", "COMMITTED", "LOG-END", "LAG", "MEMBER"}};
  for (const PartitionView& view : partitions) {
    const auto committed = view.committed ? std::optional(view.committed->offset) : std::nullopt;
    rows.push_back({view.partition.first, std::to_string(view.partition.second.value()), text_of(committed),
                    text_of(view.log_end), text_of(view.lag()), view.member});
  }
  return text + "\n" + format_table(rows);
}

JsonObject to_json(const client::ListedGroup& group) {
  JsonObject json;
  json.add("group", group.id);
  json.add("type", group.type);
  json.add("protocol_type", group.protocol_type);
  json.add("state", group.state);
  return json;
}

std::string to_text(const std::vector<client::ListedGroup>& groups) {
  std::vector<std::vector<std::string>> rows{{"GROUP", "TYPE", "PROTOCOL-TYPE", "STATE"}};
  for (const client::ListedGroup& group : groups) {
    rows.push_back({group.id, group.type, group.protocol_type, group.state});
  }
  return format_table(rows);
}

}  // namespace kurier::commands
