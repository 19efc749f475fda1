#include "config/topic_config.h"

#include <fmt/format.h>

#include "config/text.h"

namespace kurier::config {
namespace {

std::vector<std::string_view> split_names(std::string_view names) {
  std::vector<std::string_view> result;
  while (!names.empty()) {
    const std::size_t comma = names.find(',');
    result.push_back(names.substr(0, comma));
    names = comma == std::string_view::npos ? std::string_view() : names.substr(comma + 1);
  }
  return result;
}

// The value that the broker gives a topic: of the first synonym that is set, or the topic property's own default.
// Hours and minutes become milliseconds.
std::optional<std::string> inherited(const NodeConfig& node, const DynamicBrokerConfigs& dynamic,
                                     const TopicProperty& property) {
  const auto synonyms = split_names(property.broker_synonyms);
  if (synonyms.empty()) {
    const char* text = property.default_text;
    return text == nullptr ? std::nullopt : std::optional<std::string>(text);
  }
  if (synonyms.size() > 1) {
    if (const auto number = node.number(synonyms.front(), dynamic)) return std::to_string(*number);
    return std::nullopt;
  }
  return node.text(synonyms.front(), dynamic);
}

using Values = std::map<std::string, Value, std::less<>>;

Result<Values> parse_values(const NodeConfig& node, const std::map<std::string, std::string>& overrides,
                            const DynamicBrokerConfigs& dynamic) {
  for (const auto& [name, value] : overrides) {
    if (find_topic_property(name) == nullptr) {
      return fail(Failure::kInvalid, fmt::format("Unknown topic config name: {}", name));
    }
  }
  Values values;
  for (const TopicProperty& property : topic_properties()) {
    const auto override = overrides.find(std::string(property.name));
    const auto text = override != overrides.end() ? std::optional(override->second) : inherited(node, dynamic, property);
    if (!text) continue;
    TRY_ASSIGN(Value value, parse_value(property.name, property.type, property.range, *text));
    values.emplace(property.name, std::move(value));
  }
  return values;
}

Compression compression_of(std::string_view name) {
  if (name == "uncompressed") return Compression::kUncompressed;
  if (name == "gzip") return Compression::kGzip;
  if (name == "snappy") return Compression::kSnappy;
  if (name == "lz4") return Compression::kLz4;
  if (name == "zstd") return Compression::kZstd;
  return Compression::kProducer;
}

TopicConfig from_values(const Values& values) {
  const auto whole = [&](std::string_view name) { return values.find(name)->second.number; };
  const auto narrow = [&](std::string_view name) { return static_cast<std::int32_t>(whole(name)); };
  const auto time = [&](std::string_view name) { return Milliseconds(whole(name)); };
  TopicConfig topic;
  topic.segment_bytes = narrow("segment.bytes");
  if (values.contains("internal.segment.bytes")) topic.segment_bytes = narrow("internal.segment.bytes");
  topic.segment_age_max = time("segment.ms");
  topic.segment_jitter = time("segment.jitter.ms");
  topic.segment_index_bytes = narrow("segment.index.bytes");
  topic.flush_messages = whole("flush.messages");
  topic.flush_interval = time("flush.ms");
  topic.retention_bytes = whole("retention.bytes");
  topic.retention = time("retention.ms");
  topic.max_message_bytes = narrow("max.message.bytes");
  topic.max_decompressed_message_bytes = narrow("max.decompressed.message.bytes");
  topic.index_interval_bytes = narrow("index.interval.bytes");
  topic.delete_retention = time("delete.retention.ms");
  topic.min_compaction_lag = time("min.compaction.lag.ms");
  topic.max_compaction_lag = time("max.compaction.lag.ms");
  topic.file_delete_delay = time("file.delete.delay.ms");
  topic.min_cleanable_dirty_ratio = values.find("min.cleanable.dirty.ratio")->second.real;
  const auto& policy = values.find("cleanup.policy")->second.list;
  topic.compact = contains(policy, "compact");
  topic.delete_old = contains(policy, "delete");
  topic.unclean_leader_election_enable = whole("unclean.leader.election.enable") != 0;
  topic.min_insync_replicas = narrow("min.insync.replicas");
  topic.compression = compression_of(values.find("compression.type")->second.text);
  topic.gzip_level = narrow("compression.gzip.level");
  topic.lz4_level = narrow("compression.lz4.level");
  topic.zstd_level = narrow("compression.zstd.level");
  topic.preallocate = whole("preallocate") != 0;
  topic.timestamp_type = values.find("message.timestamp.type")->second.text == "LogAppendTime"
                             ? TimestampType::kLogAppendTime
                             : TimestampType::kCreateTime;
  topic.timestamp_before_max = time("message.timestamp.before.max.ms");
  topic.timestamp_after_max = time("message.timestamp.after.max.ms");
  topic.leader_throttled_replicas = values.find("leader.replication.throttled.replicas")->second.list;
  topic.follower_throttled_replicas = values.find("follower.replication.throttled.replicas")->second.list;
  return topic;
}

}  // namespace

Result<TopicConfig> parse_topic_config(const NodeConfig& defaults,
                                       const std::map<std::string, std::string>& overrides,
                                       const DynamicBrokerConfigs& dynamic) {
  TRY_ASSIGN(const Values values, parse_values(defaults, overrides, dynamic));
  const std::int64_t min_lag = values.find("min.compaction.lag.ms")->second.number;
  const std::int64_t max_lag = values.find("max.compaction.lag.ms")->second.number;
  if (min_lag > max_lag) {
    return fail(Failure::kInvalid, fmt::format("conflict topic config setting min.compaction.lag.ms ({}) > "
                                               "max.compaction.lag.ms ({})", min_lag, max_lag));
  }
  // Only an override can say true: the broker's own switch refuses the start.
  if (values.find("remote.storage.enable")->second.number != 0) {
    return fail(Failure::kInvalid, "Tiered Storage functionality is disabled in the broker. Topic cannot be "
                                   "configured with remote log storage.");
  }
  return from_values(values);
}

std::vector<std::string> topic_notices(const std::map<std::string, std::string>& overrides) {
  std::map<std::string_view, std::vector<std::string_view>> names_by_reason;
  for (const auto& [name, text] : overrides) {
    const TopicProperty* property = find_topic_property(name);
    if (property == nullptr) continue;
    const SupportAndReason answer = support_of(*property);
    const bool is_default = property->default_text != nullptr && text == property->default_text;
    if (answer.support != Support::kWorks && !is_default) names_by_reason[answer.reason].push_back(property->name);
  }
  std::vector<std::string> notices;
  for (const auto& [reason, names] : names_by_reason) notices.push_back(no_effect(names, reason));
  return notices;
}

}  // namespace kurier::config
