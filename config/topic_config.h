// What holds for one topic: its own configuration over the broker's defaults; and the listings of DescribeConfigs.
//
// Pure functions, called on any thread. Error texts are Kafka's, because clients show them to people. Durations may be
// INT64_MAX ms (no limit): compare, do not add to them or convert them to finer units.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "config/node_config.h"

namespace kurier::config {

enum class Compression : std::uint8_t { kProducer, kUncompressed, kGzip, kSnappy, kLz4, kZstd };

struct TopicConfig {
  std::int32_t segment_bytes = 1'073'741'824;       // segment.bytes (or internal.segment.bytes)
  Milliseconds segment_age_max{604'800'000};        // segment.ms
  Milliseconds segment_jitter{0};                   // segment.jitter.ms
  std::int32_t segment_index_bytes = 10'485'760;
  std::int64_t flush_messages = INT64_MAX;          // 1: every write is synced before it is acknowledged
  Milliseconds flush_interval{INT64_MAX};           // flush.ms
  std::int64_t retention_bytes = -1;                // -1: no limit
  Milliseconds retention{604'800'000};              // retention.ms; -1: no limit
  std::int32_t max_message_bytes = 1'048'588;
  std::int32_t max_decompressed_message_bytes = 2'147'483'639;
  std::int32_t index_interval_bytes = 4096;
  Milliseconds delete_retention{86'400'000};
  Milliseconds min_compaction_lag{0};
  Milliseconds max_compaction_lag{INT64_MAX};
  Milliseconds file_delete_delay{60'000};
  double min_cleanable_dirty_ratio = 0.5;
  bool compact = false;                             // cleanup.policy contains compact
  bool delete_old = true;                           // cleanup.policy contains delete
  bool unclean_leader_election_enable = false;
  std::int32_t min_insync_replicas = 1;
  Compression compression = Compression::kProducer;
  std::int32_t gzip_level = -1;
  std::int32_t lz4_level = 9;
  std::int32_t zstd_level = 3;
  bool preallocate = false;
  TimestampType timestamp_type = TimestampType::kCreateTime;
  Milliseconds timestamp_before_max{INT64_MAX};     // message.timestamp.before.max.ms
  Milliseconds timestamp_after_max{3'600'000};      // message.timestamp.after.max.ms
  std::vector<std::string> leader_throttled_replicas;
  std::vector<std::string> follower_throttled_replicas;
  // A value that decides what is removed cannot be taken: neither retention nor the cleaner touches the topic's logs.
  bool keeps_everything = false;

  friend bool operator==(const TopicConfig&, const TopicConfig&) = default;
};

// kInvalid with the text of Kafka's InvalidConfigurationException (INVALID_CONFIG) in the context.
[[nodiscard]] Result<TopicConfig> parse_topic_config(const NodeConfig& defaults,
                                                     const std::map<std::string, std::string>& overrides,
                                                     const DynamicBrokerConfigs& dynamic = {});

// What a topic's records say of it, which other versions may have written. As in Apache Kafka an unknown name is ignored
// alone. Where Apache Kafka would not start for a value, here all others hold, the value is the broker's default, and if it
// decides what is removed the topic keeps everything.
struct TakenTopicConfig {
  TopicConfig config;
  std::vector<std::string> unknown;  // names
  std::vector<std::string> faults;  // one a value, for the log: name, value, what would be right, what holds instead
};
[[nodiscard]] TakenTopicConfig take_topic_config(const NodeConfig& defaults,
                                                 const std::map<std::string, std::string>& overrides,
                                                 const DynamicBrokerConfigs& dynamic = {});
// The same of what came as metadata for brokers: one line a value that cannot be taken.
[[nodiscard]] std::vector<std::string> broker_faults(const DynamicBrokerConfigs& dynamic);

// For the log: what of a topic's own configuration has no effect here, and why.
[[nodiscard]] std::vector<std::string> topic_notices(const std::map<std::string, std::string>& overrides);

// Numbered as DescribeConfigs numbers them.
enum class Source : std::int8_t {
  kDynamicTopic = 1,
  kDynamicBroker = 2,
  kDynamicDefaultBroker = 3,
  kStaticBroker = 4,
  kDefault = 5,
};

struct ConfigSynonym {
  std::string name;
  std::optional<std::string> value;
  Source source = Source::kDefault;
};

struct ConfigEntry {
  std::string name;
  std::optional<std::string> value;  // nullopt: none, or sensitive
  Source source = Source::kDefault;
  bool read_only = false;
  bool is_sensitive = false;
  Type type = Type::kString;
  std::string documentation;
  std::vector<ConfigSynonym> synonyms;
};

// All of a topic's (broker's) configuration in the order of Apache Kafka's DescribeConfigs response.
[[nodiscard]] std::vector<ConfigEntry> describe_topic(const NodeConfig& node, const DynamicBrokerConfigs& dynamic,
                                                      const std::map<std::string, std::string>& overrides);
[[nodiscard]] std::vector<ConfigEntry> describe_broker(const NodeConfig& node, const DynamicBrokerConfigs& dynamic);
// The resource BROKER with an empty name: only what is set for the whole cluster.
[[nodiscard]] std::vector<ConfigEntry> describe_cluster_default(const NodeConfig& node,
                                                                const DynamicBrokerConfigs& dynamic);

}  // namespace kurier::config
