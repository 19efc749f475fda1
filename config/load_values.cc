// From settings to values, and from values to the plain fields of NodeConfig.
#include <algorithm>
#include <array>
#include <optional>

#include "config/addresses.h"
#include "config/load.h"
#include "config/text.h"

namespace kurier::config {
namespace {

// Names that belong to a plug-in or to one listener, and that no table can know.
bool has_plugin_prefix(const Loading& loading, std::string_view name) {
  static constexpr std::array<std::string_view, 4> kPrefixes = {"listener.name.", "config.providers.",
                                                               "metrics.context.", "client.quota.callback."};
  if (std::ranges::any_of(kPrefixes, [&](std::string_view prefix) { return name.starts_with(prefix); })) return true;
  for (const auto property : {"remote.log.storage.manager.impl.prefix", "remote.log.metadata.manager.impl.prefix"}) {
    const std::string prefix = loading.text(property);
    if (!prefix.empty() && name.starts_with(prefix)) return true;
  }
  // Read by Kafka's own authorizer, which is a plug-in too.
  return name == "super.users" || name == "allow.everyone.if.no.acl.found";
}

std::string fault_of_value(const Property& property, std::string_view text, const Error& error) {
  const std::string expected = expectation(property.type, property.range);
  const std::string shown = property.type == Type::kPassword ? "[hidden]" : fmt::format("\"{}\"", text);
  if (error.context.starts_with("Configuration '")) {
    return fmt::format("{} is not allowed: {}", shown, error.context.substr(error.context.find("' ") + 2));
  }
  if (error.context.find("Not a number") != std::string::npos) {
    return fmt::format("{} is not {}; expected {}", shown, expectation(property.type, ""), expected);
  }
  return fmt::format("{} is not allowed; expected {}", shown, expected);
}

// Values are strings of Kafka's protocol, in metadata records and in answers. The fault; nothing if it can be one.
std::optional<std::string> fault_of_text(const Setting& setting) {
  constexpr std::size_t kProtocolStringMax = 32'767;
  if (setting.value.size() > kProtocolStringMax) {
    return fmt::format("{} bytes are too long; expected at most {}, the longest string of Kafka's protocol",
                       setting.value.size(), kProtocolStringMax);
  }
  if (setting.value.contains('\0')) return "the value holds a NUL character";
  if (!is_utf8(setting.value)) return "the value is not UTF-8";
  return std::nullopt;
}

void take_unknown(Loading& loading, const Setting& setting) {
  if (is_listener_limit(setting.name)) return;  // read when the listeners are known
  if (has_plugin_prefix(loading, setting.name)) {
    loading.notices.push_back(fmt::format(
        "{}: {} has no effect here, because it is meant for a plug-in or for a single listener", setting.where,
        setting.name));
    return;
  }
  const auto nearest = nearest_broker_property(setting.name);
  loading.fault(setting.name, nearest ? fmt::format("no such property; did you mean {}?", *nearest)
                                      : "no such property of Apache Kafka 4.4 or kurier");
}

// One line for all properties that have no effect for the same reason.
void add_notices(Loading& loading, const std::vector<const Property*>& without_effect) {
  std::vector<std::string_view> reasons;
  for (const Property* property : without_effect) {
    if (!contains(reasons, property->reason)) reasons.push_back(property->reason);
  }
  for (const std::string_view reason : reasons) {
    std::vector<std::string_view> names;
    for (const Property* property : without_effect) {
      if (property->reason == reason) names.push_back(property->name);
    }
    loading.notices.push_back(no_effect(names, reason));
  }
}

}  // namespace

void take_settings(Loading& loading, const std::vector<Setting>& settings, bool is_stock, NodeConfig& node) {
  for (const Property& property : broker_properties()) {
    if (property.default_text == nullptr) continue;
    auto value = parse_value(property.name, property.type, "", property.default_text);
    if (value) loading.values.insert_or_assign(std::string(property.name), *std::move(value));
  }
  for (const Setting& setting : settings) loading.places[setting.name] = setting.where;
  std::vector<const Property*> without_effect;
  std::vector<const Setting*> unknown;
  for (const Setting& setting : settings) {
    if (const auto why = fault_of_text(setting)) {
      loading.fault(setting.name, *why);
      continue;
    }
    node.originals[setting.name] = node.originals_as_written[setting.name] = setting.value;
    const Property* property = find_broker_property(setting.name);
    if (property == nullptr) {
      unknown.push_back(&setting);
      continue;
    }
    auto value = parse_value(property->name, property->type, property->range, setting.value);
    if (!value) {
      loading.fault(property->name, fault_of_value(*property, setting.value, value.error()));
      continue;
    }
    const bool is_default = property->default_text != nullptr && value->text == property->default_text;
    const bool is_nothing = value->text.empty() && property->type != Type::kPassword;
    if (property->support == Support::kRefused && !is_default && !is_nothing) {
      loading.fault(property->name, fmt::format("\"{}\" is refused, because {}; {}", value->text, property->reason,
                                                property->default_text == nullptr || *property->default_text == '\0'
                                                    ? "leave it out"
                                                    : fmt::format("only {} is possible", property->default_text)));
    }
    const bool is_from_stock = is_stock && setting.where == "the stock values";
    if (property->support == Support::kNoEffect && !is_from_stock) without_effect.push_back(property);
    node.originals[setting.name] = value->text;
    loading.values.insert_or_assign(setting.name, *std::move(value));
  }
  for (const Setting* setting : unknown) take_unknown(loading, *setting);
  add_notices(loading, without_effect);
}

void fill_values(const Loading& loading, NodeConfig& node) {
  const auto narrow = [&](std::string_view name) { return static_cast<std::int32_t>(loading.number(name)); };
  const auto shorter = [&](std::string_view name) { return static_cast<std::int16_t>(loading.number(name)); };
  const auto time = [&](std::string_view name) { return Milliseconds(loading.number(name)); };
  const auto flag = [&](std::string_view name) { return loading.number(name) != 0; };
  const auto real = [&](std::string_view name) { return loading.value(name) ? loading.value(name)->real : 0.0; };

  auto& network = node.network;
  network.socket_send_buffer_bytes = narrow("socket.send.buffer.bytes");
  network.socket_receive_buffer_bytes = narrow("socket.receive.buffer.bytes");
  network.socket_request_max_bytes = narrow("socket.request.max.bytes");
  network.socket_listen_backlog = narrow("socket.listen.backlog.size");
  network.connections_max_idle = time("connections.max.idle.ms");
  network.max_connections = narrow("max.connections");
  network.max_connections_per_ip = narrow("max.connections.per.ip");
  network.max_connection_creation_rate = narrow("max.connection.creation.rate");
  network.queued_max_requests = narrow("queued.max.requests");
  network.queued_max_request_bytes = loading.number("queued.max.request.bytes");
  network.request_timeout = time("request.timeout.ms");

  auto& log = node.log;
  log.num_partitions = narrow("num.partitions");
  log.retention_check_interval = time("log.retention.check.interval.ms");
  log.flush_scheduler_interval = time("log.flush.scheduler.interval.ms");
  log.flush_offset_checkpoint_interval = time("log.flush.offset.checkpoint.interval.ms");
  log.flush_start_offset_checkpoint_interval = time("log.flush.start.offset.checkpoint.interval.ms");
  log.initial_task_delay = time("log.initial.task.delay.ms");
  log.recovery_threads_per_data_dir = narrow("num.recovery.threads.per.data.dir");
  log.dir_failure_timeout = time("log.dir.failure.timeout.ms");
  log.cleaner_enable = flag("log.cleaner.enable");
  log.cleaner_threads = narrow("log.cleaner.threads");
  log.cleaner_io_max_bytes_per_second = real("log.cleaner.io.max.bytes.per.second");
  log.cleaner_dedupe_buffer_bytes = static_cast<std::uint64_t>(loading.number("log.cleaner.dedupe.buffer.size"));
  log.cleaner_io_buffer_bytes = static_cast<std::uint32_t>(loading.number("log.cleaner.io.buffer.size"));
  log.cleaner_io_buffer_load_factor = real("log.cleaner.io.buffer.load.factor");
  log.cleaner_backoff = time("log.cleaner.backoff.ms");

  auto& quorum = node.quorum;
  quorum.election_timeout = time("controller.quorum.election.timeout.ms");
  quorum.election_backoff_max = time("controller.quorum.election.backoff.max.ms");
  quorum.fetch_timeout = time("controller.quorum.fetch.timeout.ms");
  quorum.append_linger = time("controller.quorum.append.linger.ms");
  quorum.request_timeout = time("controller.quorum.request.timeout.ms");
  quorum.retry_backoff = time("controller.quorum.retry.backoff.ms");
  quorum.fetch_max_bytes = narrow("controller.quorum.fetch.max.bytes");
  quorum.fetch_snapshot_max_bytes = narrow("controller.quorum.fetch.snapshot.max.bytes");

  auto& metadata = node.metadata_log;
  metadata.max_record_bytes_between_snapshots = loading.number("metadata.log.max.record.bytes.between.snapshots");
  metadata.max_snapshot_interval = time("metadata.log.max.snapshot.interval.ms");
  metadata.segment_bytes = narrow("metadata.log.segment.bytes");
  if (loading.is_set("internal.metadata.log.segment.bytes")) {
    metadata.segment_bytes = narrow("internal.metadata.log.segment.bytes");
  }
  metadata.segment_age_max = time("metadata.log.segment.ms");
  metadata.retention_bytes = loading.number("metadata.max.retention.bytes");
  metadata.retention = time("metadata.max.retention.ms");
  metadata.max_idle_interval = time("metadata.max.idle.interval.ms");
  metadata.max_batch_bytes = narrow("internal.metadata.max.batch.size.in.bytes");
  metadata.delete_delay = time("internal.metadata.delete.delay.millis");

  auto& replica = node.replica;
  replica.lag_time_max = time("replica.lag.time.max.ms");
  replica.socket_timeout = time("replica.socket.timeout.ms");
  replica.socket_receive_buffer_bytes = narrow("replica.socket.receive.buffer.bytes");
  replica.fetch_max_bytes = narrow("replica.fetch.max.bytes");
  replica.fetch_wait_max = time("replica.fetch.wait.max.ms");
  replica.fetch_min_bytes = narrow("replica.fetch.min.bytes");
  replica.fetch_response_max_bytes = narrow("replica.fetch.response.max.bytes");
  replica.fetch_backoff = time("replica.fetch.backoff.ms");
  replica.fetchers = narrow("num.replica.fetchers");
  replica.high_watermark_checkpoint_interval = time("replica.high.watermark.checkpoint.interval.ms");
  replica.auto_leader_rebalance_enable = flag("auto.leader.rebalance.enable");
  replica.leader_imbalance_check_interval =
      std::chrono::seconds(loading.number("leader.imbalance.check.interval.seconds"));

  auto& offsets = node.offsets;
  offsets.topic = {narrow("offsets.topic.num.partitions"), shorter("offsets.topic.replication.factor"), 0,
                   narrow("offsets.topic.segment.bytes"), narrow("offsets.load.buffer.size")};
  offsets.compression_codec = narrow("offsets.topic.compression.codec");
  offsets.metadata_max_bytes = narrow("offset.metadata.max.bytes");
  offsets.commit_timeout = time("offsets.commit.timeout.ms");
  offsets.retention = std::chrono::minutes(loading.number("offsets.retention.minutes"));
  offsets.retention_check_interval = time("offsets.retention.check.interval.ms");

  auto& transaction = node.transaction;
  transaction.topic = {narrow("transaction.state.log.num.partitions"),
                       shorter("transaction.state.log.replication.factor"),
                       narrow("transaction.state.log.min.isr"), narrow("transaction.state.log.segment.bytes"),
                       narrow("transaction.state.log.load.buffer.size")};
  transaction.transactional_id_expiration = time("transactional.id.expiration.ms");
  transaction.max_timeout = time("transaction.max.timeout.ms");
  transaction.abort_timed_out_interval = time("transaction.abort.timed.out.transaction.cleanup.interval.ms");
  transaction.remove_expired_interval = time("transaction.remove.expired.transaction.cleanup.interval.ms");
  transaction.partition_verification_enable = flag("transaction.partition.verification.enable");
  transaction.two_phase_commit_enable = flag("transaction.two.phase.commit.enable");

  node.share_state_topic = {narrow("share.coordinator.state.topic.num.partitions"),
                            shorter("share.coordinator.state.topic.replication.factor"),
                            narrow("share.coordinator.state.topic.min.isr"),
                            narrow("share.coordinator.state.topic.segment.bytes"),
                            narrow("share.coordinator.load.buffer.size")};

  auto& group = node.group;
  group.min_session_timeout = time("group.min.session.timeout.ms");
  group.max_session_timeout = time("group.max.session.timeout.ms");
  group.initial_rebalance_delay = time("group.initial.rebalance.delay.ms");
  group.max_size = narrow("group.max.size");
  group.rebalance_protocols = loading.list("group.coordinator.rebalance.protocols");
  group.append_linger = time("group.coordinator.append.linger.ms");
  group.consumer_session_timeout = time("group.consumer.session.timeout.ms");
  group.consumer_heartbeat_interval = time("group.consumer.heartbeat.interval.ms");
  group.consumer_max_size = narrow("group.consumer.max.size");
  group.consumer_assignors = loading.list("group.consumer.assignors");

  node.rack = loading.text("broker.rack");
  node.shards = narrow("kurier.shards");
  node.auto_create_topics_enable = flag("auto.create.topics.enable");
  node.delete_topic_enable = flag("delete.topic.enable");
  node.default_replication_factor = narrow("default.replication.factor");
  node.fetch_max_bytes = narrow("fetch.max.bytes");
  node.max_incremental_fetch_session_cache_slots = narrow("max.incremental.fetch.session.cache.slots");
  node.max_request_partition_size_limit = narrow("max.request.partition.size.limit");
  node.controlled_shutdown_enable = flag("controlled.shutdown.enable");
  node.broker_heartbeat_interval = time("broker.heartbeat.interval.ms");
  node.broker_session_timeout = time("broker.session.timeout.ms");
  node.initial_broker_registration_timeout = time("initial.broker.registration.timeout.ms");
  node.producer_id_expiration = time("producer.id.expiration.ms");
  node.producer_id_expiration_check_interval = time("producer.id.expiration.check.interval.ms");
  node.unstable_api_versions_enable = flag("unstable.api.versions.enable");
  node.unstable_feature_versions_enable = flag("unstable.feature.versions.enable");
}

}  // namespace kurier::config
