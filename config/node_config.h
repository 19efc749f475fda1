// What this node is told to be: the validated, immutable configuration of one process.
//
// Read once at the start by load_config and shared by every thread as const. Field names are the property names with
// underscores, units last; durations and sizes have their types, and a negative value keeps Kafka's meaning. Properties
// that work but have no field of their own yet are read with text(), which also knows defaults and aliases.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "config/property_table.h"

namespace kurier::config {

using Milliseconds = std::chrono::milliseconds;

struct Listener {
  std::string name;      // upper case, as in `listeners`
  std::string host;      // empty: every address of this machine
  std::uint16_t port = 0;  // 0: any free one, which the start fills in
  std::string protocol;  // PLAINTEXT; SSL and SASL_* stop the start
  friend bool operator==(const Listener&, const Listener&) = default;
};

struct QuorumVoter {
  BrokerId id{-1};
  std::string host;
  std::uint16_t port = 0;
  friend bool operator==(const QuorumVoter&, const QuorumVoter&) = default;
};

struct HostAndPort {
  std::string host;
  std::uint16_t port = 0;
  friend bool operator==(const HostAndPort&, const HostAndPort&) = default;
};

enum class TimestampType : std::int8_t { kCreateTime = 0, kLogAppendTime = 1 };

// log.*: how logs are kept on this node. A topic's own values are in TopicConfig (topic_config.h), which starts from
// these through the broker synonyms.
struct LogDefaults {
  std::int32_t num_partitions = 1;
  Milliseconds retention_check_interval{300'000};
  Milliseconds flush_scheduler_interval{INT64_MAX};
  Milliseconds flush_offset_checkpoint_interval{60'000};
  Milliseconds flush_start_offset_checkpoint_interval{60'000};
  Milliseconds initial_task_delay{30'000};
  std::int32_t recovery_threads_per_data_dir = 2;
  Milliseconds dir_failure_timeout{30'000};
  bool cleaner_enable = true;
  std::int32_t cleaner_threads = 1;
  double cleaner_io_max_bytes_per_second = 0;
  std::uint64_t cleaner_dedupe_buffer_bytes = 134'217'728;
  std::uint32_t cleaner_io_buffer_bytes = 524'288;
  double cleaner_io_buffer_load_factor = 0.9;
  Milliseconds cleaner_backoff{15'000};
};

// An internal topic: __consumer_offsets, __transaction_state, __share_group_state.
struct InternalTopic {
  std::int32_t partitions = 50;
  std::int16_t replication_factor = 3;
  std::int32_t min_insync_replicas = 0;  // 0: the topic default
  std::int32_t segment_bytes = 104'857'600;
  std::int32_t load_buffer_bytes = 5'242'880;
};

struct OffsetsConfig {
  InternalTopic topic;
  std::int32_t compression_codec = 0;
  std::int32_t metadata_max_bytes = 4096;
  Milliseconds commit_timeout{5'000};
  std::chrono::minutes retention{10'080};
  Milliseconds retention_check_interval{600'000};
};

struct TransactionConfig {
  InternalTopic topic;
  Milliseconds transactional_id_expiration{604'800'000};
  Milliseconds max_timeout{900'000};
  Milliseconds abort_timed_out_interval{10'000};
  Milliseconds remove_expired_interval{3'600'000};
  bool partition_verification_enable = true;
  bool two_phase_commit_enable = false;
};

// group.*: classic groups, and the limits of consumer groups.
struct GroupConfig {
  Milliseconds min_session_timeout{6'000};
  Milliseconds max_session_timeout{1'800'000};
  Milliseconds initial_rebalance_delay{3'000};
  std::int32_t max_size = INT32_MAX;
  std::vector<std::string> rebalance_protocols;
  Milliseconds append_linger{-1};
  Milliseconds consumer_session_timeout{45'000};
  Milliseconds consumer_heartbeat_interval{5'000};
  std::int32_t consumer_max_size = INT32_MAX;
  std::vector<std::string> consumer_assignors;
};

struct ReplicaConfig {
  Milliseconds lag_time_max{30'000};
  Milliseconds socket_timeout{30'000};
  std::int32_t socket_receive_buffer_bytes = 65'536;
  std::int32_t fetch_max_bytes = 1'048'576;
  Milliseconds fetch_wait_max{500};
  std::int32_t fetch_min_bytes = 1;
  std::int32_t fetch_response_max_bytes = 10'485'760;
  Milliseconds fetch_backoff{1'000};
  std::int32_t fetchers = 1;
  Milliseconds high_watermark_checkpoint_interval{5'000};
  bool auto_leader_rebalance_enable = true;
  std::chrono::seconds leader_imbalance_check_interval{300};
};

// controller.quorum.*, metadata.*: the KRaft quorum and its log.
struct QuorumConfig {
  std::vector<QuorumVoter> voters;             // controller.quorum.voters; empty in a dynamic quorum
  std::vector<HostAndPort> bootstrap_servers;  // controller.quorum.bootstrap.servers
  Milliseconds election_timeout{1'000};
  Milliseconds election_backoff_max{1'000};
  Milliseconds fetch_timeout{2'000};
  Milliseconds append_linger{25};
  Milliseconds request_timeout{2'000};
  Milliseconds retry_backoff{20};
  std::int32_t fetch_max_bytes = 1'048'576;
  std::int32_t fetch_snapshot_max_bytes = 1'048'576;
};

struct MetadataLogConfig {
  std::int64_t max_record_bytes_between_snapshots = 20'971'520;
  Milliseconds max_snapshot_interval{3'600'000};  // 0: none by time
  std::int32_t segment_bytes = 1'073'741'824;
  Milliseconds segment_age_max{604'800'000};  // metadata.log.segment.ms
  std::int64_t retention_bytes = 104'857'600;
  Milliseconds retention{604'800'000};
  Milliseconds max_idle_interval{500};  // 0: no NoOpRecord
  std::int32_t max_batch_bytes = 8'388'608;
  Milliseconds delete_delay{60'000};
};

// listener.name.<name>.…: beside the limits for all connections.
struct ListenerLimits {
  std::int32_t max_connections = INT32_MAX;
  std::int32_t max_connection_creation_rate = INT32_MAX;  // a second
};

struct NetworkConfig {
  std::int32_t socket_send_buffer_bytes = 102'400;     // -1: the system's default
  std::int32_t socket_receive_buffer_bytes = 102'400;  // when a connection begins; -1: the system's default
  std::int32_t socket_request_max_bytes = 104'857'600;
  std::int32_t socket_listen_backlog = 50;
  Milliseconds connections_max_idle{600'000};  // negative: for ever
  std::int32_t max_connections = INT32_MAX;
  std::int32_t max_connections_per_ip = INT32_MAX;
  std::map<std::string, std::int32_t> max_connections_per_ip_overrides;  // host or address → limit
  std::int32_t max_connection_creation_rate = INT32_MAX;                 // a second
  std::map<std::string, ListenerLimits> of_listener;  // by name, of those that have limits of their own
  std::int32_t queued_max_requests = 500;
  std::int64_t queued_max_request_bytes = -1;  // -1: no limit
  Milliseconds request_timeout{30'000};
};

// What a broker knows beside its file: overrides that came as metadata records.
struct DynamicBrokerConfigs {
  std::map<std::string, std::string> of_this_broker;
  std::map<std::string, std::string> of_the_cluster;  // the default entity of the resource BROKER
};

struct NodeConfig {
  BrokerId node_id{-1};
  bool is_broker = false;
  bool is_controller = false;
  std::string rack;  // empty: none

  std::vector<Listener> listeners;                       // in the order written
  std::vector<Listener> advertised_listeners;            // of the broker role
  std::vector<Listener> advertised_controller_listeners; // of the controller role
  std::vector<std::string> controller_listener_names;
  std::string inter_broker_listener_name;

  std::vector<std::string> log_dirs;
  std::string metadata_log_dir;
  std::string state_dir;
  std::int32_t shards = 0;  // kurier.shards; 0: one a core

  NetworkConfig network;
  LogDefaults log;
  QuorumConfig quorum;
  MetadataLogConfig metadata_log;
  ReplicaConfig replica;
  OffsetsConfig offsets;
  TransactionConfig transaction;
  InternalTopic share_state_topic;
  GroupConfig group;

  bool auto_create_topics_enable = true;
  bool delete_topic_enable = true;
  std::int32_t default_replication_factor = 1;
  std::int32_t fetch_max_bytes = 57'671'680;
  std::int32_t max_incremental_fetch_session_cache_slots = 1000;
  std::int32_t max_request_partition_size_limit = 2000;
  bool controlled_shutdown_enable = true;
  Milliseconds broker_heartbeat_interval{2'000};
  Milliseconds broker_session_timeout{9'000};
  Milliseconds initial_broker_registration_timeout{60'000};
  Milliseconds producer_id_expiration{86'400'000};
  Milliseconds producer_id_expiration_check_interval{600'000};
  bool unstable_api_versions_enable = false;
  bool unstable_feature_versions_enable = false;

  // What was written by the user (or by the stock values when nothing was), in normal form, sorted by name.
  std::map<std::string, std::string> originals;
  // The same exactly as written, which DescribeConfigs shows among the synonyms.
  std::map<std::string, std::string> originals_as_written;

  // The value in force of any property of the table: set (as metadata, for this broker or the cluster, before what is in
  // the file), or its default; nullopt where it has neither.
  [[nodiscard]] std::optional<std::string> text(std::string_view property, const DynamicBrokerConfigs& dynamic = {}) const;
  // The same after the aliases: number("log.retention.ms") in milliseconds even if only log.retention.hours is set.
  [[nodiscard]] std::optional<std::int64_t> number(std::string_view property, const DynamicBrokerConfigs& dynamic = {}) const;
  [[nodiscard]] const Listener* find_listener(std::string_view name) const;
};

struct ConfigSource {
  // Of --config, for messages and for the format (.yaml, .yml; anything else: .properties); empty: no file.
  std::string path;
  std::string content;  // of that file
  std::vector<std::string> settings;  // each --set name=value, in order; they override the file
};

struct LoadedConfig {
  NodeConfig node;
  std::vector<std::string> notices;  // for the log at the start: what has no effect here and why; plug-in prefixes
};

// The values in force when no file is given: those of Apache Kafka's own server.properties, on 127.0.0.1, in
// ./kurier-data.
[[nodiscard]] const std::map<std::string, std::string>& stock_values();

// Reads, checks and resolves. An error's context has one line for each fault found, not only the first:
// `server.yaml:12: num.partitions: "abc" is not an int; expected an int, 1 or more`.
[[nodiscard]] Result<LoadedConfig> load_config(const ConfigSource& source);

}  // namespace kurier::config
