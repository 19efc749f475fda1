#include "config/topic_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/check.h"
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

// Whether the property says when segments end, go or are cleaned.
bool decides_what_is_removed(std::string_view name) {
  static constexpr std::array<std::string_view, 18> kNames = {"cleanup.policy",
                                                              "retention.ms",
                                                              "retention.bytes",
                                                              "segment.bytes",
                                                              "segment.ms",
                                                              "segment.jitter.ms",
                                                              "segment.index.bytes",
                                                              "internal.segment.bytes",
                                                              "local.retention.ms",
                                                              "local.retention.bytes",
                                                              "remote.storage.enable",
                                                              "remote.log.copy.disable",
                                                              "delete.retention.ms",
                                                              "min.compaction.lag.ms",
                                                              "max.compaction.lag.ms",
                                                              "min.cleanable.dirty.ratio",
                                                              "file.delete.delay.ms",
                                                              "remote.log.delete.on.disable"};
  return contains(kNames, name);
}

// What brokers are told as metadata, without what cannot be taken: that is in `faulty`.
struct TakenDynamic {
  DynamicBrokerConfigs configs;
  std::vector<std::string_view> faulty;  // names
  std::vector<std::string> faults;
};

// Times whose range Apache Kafka does not say, but checks; what is wanted, where `value` is not it.
std::optional<std::string> beyond_its_range(std::string_view name, std::int64_t value) {
  if (name.starts_with("log.retention.") && name != "log.retention.bytes" && value == 0)
    return "-1 (for ever), or 1 or more";
  if (name.starts_with("log.roll.jitter.")) return value < 0 ? std::optional<std::string>("0 or more") : std::nullopt;
  if (name.starts_with("log.roll.") && value < 1) return "1 or more";
  return std::nullopt;
}

void take_dynamic(const std::map<std::string, std::string>& values, std::string_view whose,
                  std::map<std::string, std::string>& taken, TakenDynamic& all) {
  for (const auto& [name, text] : values) {
    const Property* property = find_broker_property(name);
    if (property == nullptr) continue;
    auto value = parse_value(name, property->type, property->range, text);
    const auto least = value ? beyond_its_range(name, value->number) : std::nullopt;
    if (value && !least) {
      taken.emplace(name, std::move(value->text));
      continue;
    }
    all.faulty.push_back(property->name);
    all.faults.push_back(fmt::format("{}=\"{}\" of {} cannot be taken, expected {}", name,
                                     property->type == Type::kPassword ? "[hidden]" : text, whose,
                                     least ? *least : expectation(property->type, property->range)));
  }
}

TakenDynamic take_dynamic(const DynamicBrokerConfigs& dynamic) {
  TakenDynamic all;
  take_dynamic(dynamic.of_this_broker, "this broker's dynamic configuration", all.configs.of_this_broker, all);
  take_dynamic(dynamic.of_the_cluster, "the cluster's dynamic configuration", all.configs.of_the_cluster, all);
  return all;
}

// What holds where the topic says nothing that can be taken.
Value value_of_default(const NodeConfig& node, const DynamicBrokerConfigs& dynamic, const TopicProperty& property) {
  if (const auto text = inherited(node, dynamic, property)) {
    if (auto value = parse_value(property.name, property.type, property.range, *text)) return *std::move(value);
  }
  auto value = parse_value(property.name, property.type, "", property.default_text);
  KURIER_CHECK(value.has_value());
  return *std::move(value);
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

TakenTopicConfig take_topic_config(const NodeConfig& defaults, const std::map<std::string, std::string>& overrides,
                                   const DynamicBrokerConfigs& dynamic) {
  TakenTopicConfig taken;
  for (const auto& [name, text] : overrides) {
    if (find_topic_property(name) == nullptr) taken.unknown.push_back(name);
  }
  const TakenDynamic of_brokers = take_dynamic(dynamic);
  bool keeps_everything = false;
  Values values;
  for (const TopicProperty& property : topic_properties()) {
    const bool decides = decides_what_is_removed(property.name);
    const auto override = overrides.find(std::string(property.name));
    if (override == overrides.end()) {
      // internal.segment.bytes has no default.
      if (property.default_text == kNoDefault) continue;
      values.emplace(property.name, value_of_default(defaults, of_brokers.configs, property));
      const auto is_faulty = [&](std::string_view synonym) { return contains(of_brokers.faulty, synonym); };
      keeps_everything |= decides && std::ranges::any_of(split_names(property.broker_synonyms), is_faulty);
      continue;
    }
    auto value = parse_value(property.name, property.type, property.range, override->second);
    // Apache Kafka does not start with such a topic either while the broker's own switch is off.
    const bool is_remote = value && property.name == "remote.storage.enable" && value->number != 0;
    if (value && !is_remote) {
      values.emplace(property.name, *std::move(value));
      continue;
    }
    std::string instead = "it is ignored";
    if (property.default_text != kNoDefault) {
      Value held = value_of_default(defaults, of_brokers.configs, property);
      instead = fmt::format("\"{}\" holds instead", held.text);
      values.emplace(property.name, std::move(held));
    }
    taken.faults.push_back(fmt::format(
        "{}=\"{}\" cannot be taken, expected {}: {}{}", property.name, override->second,
        is_remote ? "false, because tiered storage is not there yet" : expectation(property.type, property.range),
        instead, decides ? ", and nothing of the topic is deleted or compacted until it is corrected" : ""));
    keeps_everything |= decides;
  }
  taken.config = from_values(values);
  taken.config.keeps_everything = keeps_everything;
  return taken;
}

std::vector<std::string> broker_faults(const DynamicBrokerConfigs& dynamic) {
  TakenDynamic taken = take_dynamic(dynamic);
  for (std::string& fault : taken.faults)
    fault += ": it is ignored, and what topics inherit from it deletes nothing until it is corrected";
  return std::move(taken.faults);
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
