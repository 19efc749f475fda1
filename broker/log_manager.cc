#include "broker/log_manager.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/log.h"

namespace kurier::broker {

config::DynamicBrokerConfigs dynamic_broker_configs(const config::NodeConfig& config,
                                                    const replication::MetadataImage& image) {
  using enum replication::ConfigResourceType;
  return {image.configs(kBroker, std::to_string(config.node_id.value())), image.configs(kBroker, "")};
}

namespace {

constexpr std::chrono::milliseconds kDelayMax = std::chrono::hours(24 * 365);  // what may be said is longer than a clock can count

storage::LogConfig log_config_of(const config::TopicConfig& topic, const config::NodeConfig& node) {
  storage::LogConfig log;
  log.segment_bytes = static_cast<std::uint64_t>(topic.segment_bytes);
  log.segment_time = topic.segment_age_max;
  log.segment_jitter = topic.segment_jitter;
  log.index_interval_bytes = static_cast<std::uint64_t>(topic.index_interval_bytes);
  log.index_bytes_max = static_cast<std::uint64_t>(topic.segment_index_bytes);
  log.retention_bytes = topic.retention_bytes;
  log.retention_ms = topic.retention.count();
  log.delete_old = topic.delete_old;
  log.compact = topic.compact;
  log.keeps_everything = topic.keeps_everything;
  log.delete_retention_ms = topic.delete_retention.count();
  log.min_compaction_lag_ms = topic.min_compaction_lag.count();
  log.max_compaction_lag_ms = topic.max_compaction_lag.count();
  log.min_cleanable_dirty_ratio = topic.min_cleanable_dirty_ratio;
  log.flush_messages = static_cast<std::uint64_t>(topic.flush_messages);
  log.preallocate = topic.preallocate;
  log.producer_expiration_ms = node.producer_id_expiration.count();
  return log;
}

// What another broker has left open stays open: nobody here may decide how it ends.
void report_open_transactions(Partition& partition) {
  for (const auto& [id, producer] : partition.log().producers().producers()) {
    if (!producer.transaction_first_offset) continue;
    LOG_WARN(
        "partition {}-{} has an open transaction of producer id {} (epoch {}) since offset {}: consumers with "
        "isolation.level=read_committed read no further; there are no transactions here yet that could end it",
        partition.topic(), partition.index().value(), id.value(), producer.epoch.value(),
        producer.transaction_first_offset->value());
  }
}

}  // namespace

// "…/topic-3" → "…/topic-3.<id>-delete". The topic is cut where the name would be longer than a file system takes.
std::string renamed_directory(const std::string& path, const Uuid& id, std::string_view what) {
  constexpr std::size_t kNameBytesMax = 255;
  const std::size_t name = path.rfind('/') + 1;
  const std::size_t dash = path.rfind('-');
  const std::string suffix = fmt::format("{}.{:016x}{:016x}-{}", path.substr(dash), id.high, id.low, what);
  return path.substr(0, std::min(dash, name + kNameBytesMax - suffix.size())) + suffix;
}

LogManager::LogManager(LogManagerPorts ports, const config::NodeConfig& config, PartitionTable& table,
                       LogDirectories& directories, ShardIndex shard, ShardIndex shards)
    : ports_(std::move(ports)),
      config_(config),
      table_(table),
      directories_(directories),
      shard_(shard),
      shards_(shards),
      work_(ports_.executor, ports_.directory_pool) {}

bool LogManager::is_mine(const std::string& topic, const replication::PartitionImage& partition) const {
  return Shards::owner_of(topic, partition.partition_id, shards_) == shard_ &&
         std::ranges::find(partition.replicas, config_.node_id) != partition.replicas.end();
}

config::TopicConfig LogManager::topic_config(const replication::MetadataImage& image, const std::string& topic) const {
  return config::take_topic_config(config_, image.configs(replication::ConfigResourceType::kTopic, topic),
                                   dynamic_broker_configs(config_, image))
      .config;
}

replication::PartitionLeaderState LogManager::leadership(const replication::PartitionImage& partition,
                                                         const config::TopicConfig& config) const {
  return {.self = config_.node_id,
          .leader_epoch = partition.leader_epoch,
          .partition_epoch = partition.partition_epoch,
          .replicas = partition.replicas,
          .isr = partition.isr,
          .min_insync_replicas = config.min_insync_replicas,
          .replica_lag_time_max = config_.replica.lag_time_max};
}

Result<LogManager::Opened> LogManager::open_log(const replication::MetadataImage& image, const replication::TopicImage& topic,
                                                const replication::PartitionImage& partition) const {
  LogDirectories::Place place(directories_, topic.name, partition, config_.node_id);
  LogDirectoryState* const directory = place.directory();
  if (directory == nullptr || directory->failed) return fail(Failure::kIo, "its log directory has failed");
  const std::string path = directory->files->partition_path(topic.name, partition.partition_id);
  if (!ports_.has_descriptors())
    return fail(Failure::kExhausted, path + ": too few descriptors are left (RLIMIT_NOFILE)");
  TRY_ASSIGN(auto stored_id, storage::read_partition_metadata(ports_.files, path));
  if (stored_id && *stored_id != topic.id) {
    // What an earlier topic of this name has left.
    const std::string stray = renamed_directory(path, *stored_id, "stray");
    LOG_WARN("{} belongs to topic id {}, not {}: kept as {}", path, stored_id->to_string(), topic.id.to_string(), stray);
    TRY(ports_.files.rename(path, stray));
    TRY(ports_.files.sync_directory(directory->path()));
    stored_id.reset();
  }
  Opened opened{nullptr, topic_config(image, topic.name), directory};
  const auto offset_in = [&](const storage::OffsetCheckpoint& checkpoint) {
    const auto found = checkpoint.find({topic.name, partition.partition_id});
    return found == checkpoint.end() || !stored_id ? Offset(0) : found->second;
  };
  const auto cleaned = directory->cleaner_offsets.find({topic.name, partition.partition_id});
  std::optional<Offset> cleaned_to;
  if (cleaned != directory->cleaner_offsets.end() && stored_id) cleaned_to = cleaned->second;
  const LogDirectories::Kept kept = directories_.kept_of(*directory, {topic.name, partition.partition_id});
  if (stored_id && !cleaned_to) cleaned_to = kept.cleaned_to;
  const auto kept_offset = [&](const std::optional<Offset>& offset) {
    return stored_id ? offset.value_or(Offset(0)) : Offset(0);
  };
  storage::LogOptions options{
      .directory = path,
      .config = log_config_of(opened.config, config_),
      .log_start_offset = std::max(offset_in(directory->log_start_offsets), kept_offset(kept.log_start_offset)),
      .recovery_point = std::max(offset_in(directory->recovery_points), kept_offset(kept.recovery_point)),
      .had_clean_shutdown = directory->was_clean,
      .cleaned_to = cleaned_to,
      .cleaned_before_recovery_point = directories_.cleaned_before_recovery_points() &&
                                       directory->recovery_points.contains({topic.name, partition.partition_id})};
  TRY_ASSIGN(opened.log, storage::Log::open(ports_.files, std::move(options), ports_.clock.wall()));
  if (!stored_id) TRY(storage::write_partition_metadata(ports_.files, path, topic.id));
  place.keep();
  return opened;
}

Result<void> LogManager::adopt(const replication::TopicImage& topic, const replication::PartitionImage& partition, Opened opened) {
  const auto state = leadership(partition, opened.config);
  const bool leads = partition.leader == config_.node_id;
  const DirectoryId directory = opened.directory->id;
  auto adopted = std::make_shared<Partition>(partition_ports(), topic.name, topic.id, partition.partition_id,
                                             std::move(opened.log), state, std::move(opened.config));
  TRY(adopted->begin());
  report_open_transactions(*adopted);
  if (leads) ports_.observer.leads(adopted, partition_ports());
  table_.add(std::move(adopted));
  for (std::size_t i = 0; i < partition.replicas.size(); ++i) {
    const DirectoryId told =
        i < partition.directories.size() ? partition.directories[i] : replication::kUnassignedDirectory;
    if (partition.replicas[i] == config_.node_id && told != directory) {
      untold_.push_back({topic.id, partition.partition_id, directory});
    }
  }
  return {};
}

void LogManager::tell_directories() {
  if (!untold_.empty()) ports_.assign_directories(std::exchange(untold_, {}));
}

void LogManager::could_not_open(const replication::TopicImage& topic, const replication::PartitionImage& partition,
                                const Error& error) {
  LOG_ERROR("partition {}-{} is offline{}: {}", topic.name, partition.partition_id.value(),
            is_passing(error.failure) ? " and will be tried again" : "", error.context);
  table_.could_not_open(topic.id, partition.partition_id);
  directories_.could_not_open(topic.name, partition, config_.node_id);
  ports_.executor.post([this, id = topic.id, index = partition.partition_id, passes = is_passing(error.failure)] {
    (passes ? to_open_ : offline_).emplace(id, index);
    if (passes) try_again_later();
  });
}

void LogManager::forget_unopened(TopicId id, const std::string& name) {
  for (auto at = to_open_.lower_bound({id, PartitionIndex(INT32_MIN)}); at != to_open_.end() && at->first == id;) {
    directories_.no_longer_unopened({name, at->second});
    at = to_open_.erase(at);
  }
  std::erase_if(offline_, [&](const auto& place) { return place.first == id; });
}

void LogManager::try_again_later() {
  constexpr std::chrono::seconds kPause(1);
  if (std::exchange(tries_again_, true)) return;
  ports_.timers.start(ports_.clock.monotonic() + kPause, [this] { try_again(); });
}

void LogManager::change_config(const replication::MetadataImage& image, const LocalTopic& topic) {
  const config::TopicConfig config = topic_config(image, topic.name);
  for (const auto& partition : topic.partitions) {
    if (partition) partition->set_config(config, log_config_of(config, config_));
  }
}

void say_what_does_not_hold(const config::NodeConfig& config, const replication::MetadataImage& image,
                            const std::string& topic) {
  const replication::ConfigMap& overrides = image.configs(replication::ConfigResourceType::kTopic, topic);
  if (overrides.empty()) return;
  const auto taken = config::take_topic_config(config, overrides, dynamic_broker_configs(config, image));
  for (const std::string& fault : taken.faults) LOG_ERROR("topic {}: {}", topic, fault);
  for (const std::string& name : taken.unknown) {
    LOG_WARN("topic {}: {} is kept and has no effect, because Apache Kafka 4.4 knows no such name", topic, name);
  }
  for (const std::string& notice : config::topic_notices(overrides)) LOG_WARN("topic {}: {}", topic, notice);
}

void say_what_does_not_hold(const config::NodeConfig& config, const replication::MetadataImage& image) {
  for (const std::string& fault : config::broker_faults(dynamic_broker_configs(config, image))) LOG_ERROR("{}", fault);
  for (const auto& [id, topic] : image.topics()) say_what_does_not_hold(config, image, topic->name);
}

void LogManager::expire_producers() {
  const Timestamp now = ports_.clock.wall();
  for (const auto& [id, topic] : table_.topics()) {
    for (const auto& partition : topic.partitions) {
      if (partition) partition->log().expire_producers(now);
    }
  }
}

void LogManager::remove_later(std::vector<std::string> paths, std::chrono::milliseconds delay) {
  ports_.timers.start(ports_.clock.monotonic() + std::min(delay, kDelayMax), [this, paths = std::move(paths)]() mutable {
    ports_.flusher.run([this, paths = std::move(paths)] {
      for (const std::string& path : paths) {
        // Its partition may have been deleted meanwhile.
        Result<void> removed = ports_.files.remove(path);
        if (!removed && removed.error().failure != Failure::kNotFound) LOG_ERROR("removing {}: {}", path, removed.error().context);
      }
    });
  });
}

void LogManager::maintain() {
  const Timestamp now = ports_.clock.wall();
  for (const auto& [id, topic] : table_.topics()) {
    for (const auto& partition : topic.partitions) {
      if (partition && !partition->is_offline()) maintain(*partition, now);
    }
  }
}

void LogManager::maintain(Partition& partition, Timestamp now) {
  storage::Log& log = partition.log();
  auto retired = log.delete_old_segments(now, partition.leader().high_watermark());
  if (!retired) {
    LOG_ERROR("retention of {}: {}", log.directory(), retired.error().context);
  } else if (!retired->empty()) {
    remove_later(std::move(*retired), partition.config().file_delete_delay);
  }
  partition.flush_sealed();
}

void LogManager::collect_offsets(std::vector<DirectoryOffsets>& offsets) const {
  for (const auto& [id, topic] : table_.topics()) {
    for (const auto& partition : topic.partitions) {
      if (!partition) continue;
      const storage::Log& log = partition->log();
      const storage::TopicPartition key{topic.name, partition->index()};
      for (std::size_t i = 0; i < offsets.size(); ++i) {
        if (!directories_.all()[i].holds(log.directory())) continue;
        offsets[i].recovery_points[key] = log.recovery_point();
        offsets[i].high_watermarks[key] = partition->leader().high_watermark();
        if (log.cleaned_to()) offsets[i].cleaner_offsets[key] = *log.cleaned_to();
        // Only where the segments do not say it themselves.
        if (log.log_start_offset() > log.first_segment_base_offset()) offsets[i].log_start_offsets[key] = log.log_start_offset();
      }
    }
  }
}

void LogManager::disk_failed(const std::string& partition_path, const Error& error) {
  LogDirectoryState* directory = directories_.holding(partition_path);
  if (directory != nullptr && !directory->failed.exchange(true)) ports_.directory_failed(*directory, error);
}

void LogManager::directory_failed(const LogDirectoryState& directory) {
  for (const auto& [id, topic] : table_.topics()) {
    for (const auto& partition : topic.partitions) {
      if (!partition || !directory.holds(partition->log().directory())) continue;
      partition->resign();
      ports_.observer.leads_no_longer(partition);
    }
  }
}

void LogManager::close_logs() {
  // Closing a log opens files: there must be descriptors, however many clients and partitions there were.
  for (const auto& [id, topic] : table_.topics()) {
    for (const auto& partition : topic.partitions) {
      if (partition && !partition->is_offline()) partition->log().close_files();
    }
  }
  for (const auto& [id, topic] : table_.topics()) {
    for (const auto& partition : topic.partitions) {
      if (!partition || partition->is_offline()) continue;
      if (const Result<void> closed = partition->log().close_clean(); !closed) {
        LOG_ERROR("closing {}: {}", partition->log().directory(), closed.error().context);
        if (auto* directory = directories_.holding(partition->log().directory())) directory->failed = true;
      }
    }
  }
}

}  // namespace kurier::broker
