#include "broker/log_manager.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/log.h"

namespace kurier::broker {
namespace {

constexpr std::chrono::milliseconds kDelayMax = std::chrono::hours(24 * 365);  // what may be said is longer than a clock can count

storage::LogConfig log_config_of(const config::TopicConfig& topic) {
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
  log.flush_messages = static_cast<std::uint64_t>(topic.flush_messages);
  return log;
}

std::string hex_of(const Uuid& id) { return fmt::format("{:016x}{:016x}", id.high, id.low); }

}  // namespace

LogManager::LogManager(FileSystem& files, PartitionPorts ports, const config::NodeConfig& config, PartitionTable& table,
                       std::vector<Directory> directories)
    : files_(files), ports_(ports), config_(config), table_(table), directories_(std::move(directories)) {}

config::TopicConfig LogManager::topic_config(const replication::MetadataImage& image, const std::string& topic) const {
  auto parsed = config::parse_topic_config(config_, image.configs(replication::ConfigResourceType::kTopic, topic));
  if (parsed) return *parsed;
  // The controller checks what it accepts; this may come from another version's records.
  LOG_ERROR("topic {}: {}; the broker's defaults hold", topic, parsed.error().context);
  auto defaults = config::parse_topic_config(config_, {});
  return defaults ? *defaults : config::TopicConfig{};
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

LogManager::Directory& LogManager::directory_for(const std::string& topic, PartitionIndex index,
                                                 const replication::PartitionImage& partition) {
  for (Directory& directory : directories_) {
    const auto there = files_.exists(directory.files->partition_path(topic, index));
    if (there && *there) return directory;
  }
  const auto replica = std::ranges::find(partition.replicas, config_.node_id);
  if (replica != partition.replicas.end()) {
    const auto at = static_cast<std::size_t>(replica - partition.replicas.begin());
    for (Directory& directory : directories_) {
      if (at < partition.directories.size() && partition.directories[at] == directory.id) return directory;
    }
  }
  return *std::ranges::min_element(directories_, {}, &Directory::partitions);
}

Result<void> LogManager::open(const replication::MetadataImage& image, const replication::TopicImage& topic,
                              const replication::PartitionImage& partition) {
  Directory& directory = directory_for(topic.name, partition.partition_id, partition);
  const std::string path = directory.files->partition_path(topic.name, partition.partition_id);
  auto stored_id = storage::read_partition_metadata(files_, path);
  if (!stored_id) return std::unexpected(stored_id.error());
  if (*stored_id && **stored_id != topic.id) {
    // What an earlier topic of this name has left.
    const std::string stray = fmt::format("{}.{}-stray", path, hex_of(**stored_id));
    LOG_WARN("{} belongs to topic id {}, not {}: kept as {}", path, (*stored_id)->to_string(), topic.id.to_string(), stray);
    TRY(files_.rename(path, stray));
    TRY(files_.sync_directory(directory.files->path()));
    stored_id->reset();
  }
  const config::TopicConfig config = topic_config(image, topic.name);
  const storage::TopicPartition key{topic.name, partition.partition_id};
  const auto offset_in = [&](const storage::OffsetCheckpoint& checkpoint) {
    const auto found = checkpoint.find(key);
    return found == checkpoint.end() ? Offset(0) : found->second;
  };
  storage::LogOptions options{.directory = path,
                              .config = log_config_of(config),
                              .log_start_offset = *stored_id ? offset_in(directory.log_start_offsets) : Offset(0),
                              .recovery_point = *stored_id ? offset_in(directory.recovery_points) : Offset(0),
                              .had_clean_shutdown = directory.was_clean};
  options.config.producer_expiration_ms = config_.producer_id_expiration.count();
  TRY_ASSIGN(auto log, storage::Log::open(files_, std::move(options), ports_.clock.wall()));
  if (!*stored_id) TRY(storage::write_partition_metadata(files_, path, topic.id));
  ++directory.partitions;
  auto opened = std::make_shared<Partition>(ports_, topic.name, topic.id, partition.partition_id, std::move(log),
                                            leadership(partition, config), config);
  TRY(opened->begin());
  table_.add(std::move(opened));
  return {};
}

Result<void> LogManager::load(const replication::MetadataImage& image) {
  for (const auto& [id, topic] : image.topics()) {
    for (const auto& [index, partition] : topic->partitions) {
      if (std::ranges::find(partition.replicas, config_.node_id) == partition.replicas.end()) continue;
      TRY(open(image, *topic, partition));
    }
  }
  for (Directory& directory : directories_) {
    TRY_ASSIGN(const auto found, directory.files->list());
    for (const std::string& name : found.deleted) TRY(files_.remove_tree(directory.files->path() + "/" + name));
    for (const std::string& name : found.partitions) {
      const auto parsed = storage::parse_partition_directory(name);
      const LocalTopic* topic = parsed ? table_.find(parsed->topic) : nullptr;
      if (topic == nullptr || topic->find(parsed->partition) == nullptr) {
        LOG_WARN("{}/{} is no partition of this cluster's metadata: left as it is", directory.files->path(), name);
      }
    }
    // Offsets of partitions opened from here on are of new logs.
    directory.was_clean = false;
    directory.recovery_points.clear();
    directory.log_start_offsets.clear();
  }
  return {};
}

void LogManager::apply(const replication::MetadataImage& image, const replication::MetadataDelta::Changes& changes) {
  for (const auto& [id, name] : changes.deleted_topics) remove(id);
  for (const TopicId& id : changes.topics) {
    const auto topic = image.topic(id);
    if (!topic) continue;
    for (const auto& [index, partition] : topic->partitions) {
      if (std::ranges::find(partition.replicas, config_.node_id) == partition.replicas.end()) continue;
      const LocalTopic* local = table_.find(id);
      const auto known = local == nullptr ? nullptr : local->find(index);
      if (known == nullptr) {
        if (Result<void> opened = open(image, *topic, partition); !opened) {
          LOG_ERROR("partition {}-{} is offline: {}", topic->name, index.value(), opened.error().context);
        }
      } else if (known->leader().leader_epoch() != partition.leader_epoch) {
        known->lead(leadership(partition, known->config()));
      }
    }
  }
  for (const auto& resource : changes.configs) {
    if (resource.type != static_cast<std::int8_t>(replication::ConfigResourceType::kTopic)) continue;
    const LocalTopic* local = table_.find(resource.name);
    if (local == nullptr) continue;
    const config::TopicConfig config = topic_config(image, resource.name);
    for (const auto& partition : local->partitions) {
      if (partition) partition->set_config(config, log_config_of(config));
    }
  }
}

void LogManager::remove(TopicId topic) {
  for (const auto& partition : table_.remove(topic)) {
    if (!partition) continue;
    partition->resign();
    // Kafka's name for it: out of the way at once, gone after file.delete.delay.ms.
    const std::string& path = partition->log().directory();
    const std::string gone = fmt::format("{}.{}-delete", path, hex_of(topic));
    if (Result<void> renamed = files_.rename(path, gone); !renamed) {
      LOG_ERROR("deleting {}: {}", path, renamed.error().context);
      continue;
    }
    ports_.timers.start(ports_.clock.monotonic() + std::min(partition->config().file_delete_delay, kDelayMax), [this, gone] {
      ports_.flusher.run([this, gone] {
        if (Result<void> removed = files_.remove_tree(gone); !removed) LOG_ERROR("removing {}: {}", gone, removed.error().context);
      });
    });
  }
}

void LogManager::remove_later(std::vector<std::string> paths, std::chrono::milliseconds delay) {
  ports_.timers.start(ports_.clock.monotonic() + std::min(delay, kDelayMax), [this, paths = std::move(paths)]() mutable {
    ports_.flusher.run([this, paths = std::move(paths)] {
      for (const std::string& path : paths) {
        // Its partition may have been deleted meanwhile.
        Result<void> removed = files_.remove(path);
        if (!removed && removed.error().failure != Failure::kNotFound) LOG_ERROR("removing {}: {}", path, removed.error().context);
      }
    });
  });
}

void LogManager::maintain() {
  const Timestamp now = ports_.clock.wall();
  for (const auto& [id, topic] : table_.topics()) {
    for (const auto& partition : topic.partitions) {
      if (!partition || partition->is_offline()) continue;
      storage::Log& log = partition->log();
      log.expire_producers(now);
      if (const auto rolled = log.roll_if_old(now); !rolled) LOG_ERROR("rolling {}: {}", log.directory(), rolled.error().context);
      auto retired = log.delete_old_segments(now, partition->leader().high_watermark());
      if (!retired) {
        LOG_ERROR("retention of {}: {}", log.directory(), retired.error().context);
      } else if (!retired->empty()) {
        remove_later(std::move(*retired), partition->config().file_delete_delay);
      }
      partition->flush_sealed();
    }
  }
}

void LogManager::write_checkpoints() {
  for (Directory& directory : directories_) {
    storage::OffsetCheckpoint recovery;
    storage::OffsetCheckpoint start;
    storage::OffsetCheckpoint high_watermark;
    for (const auto& [id, topic] : table_.topics()) {
      for (const auto& partition : topic.partitions) {
        if (!partition || !partition->log().directory().starts_with(directory.files->path() + "/")) continue;
        const storage::TopicPartition key{topic.name, partition->index()};
        recovery[key] = partition->log().recovery_point();
        high_watermark[key] = partition->leader().high_watermark();
        // Only where the segments do not say it themselves.
        if (partition->log().log_start_offset() > partition->log().first_segment_base_offset()) {
          start[key] = partition->log().log_start_offset();
        }
      }
    }
    for (const Result<void>& written : {directory.files->write_recovery_points(recovery), directory.files->write_log_start_offsets(start),
                                        directory.files->write_high_watermarks(high_watermark)}) {
      if (!written) LOG_ERROR("checkpoints of {}: {}", directory.files->path(), written.error().context);
    }
  }
}

Result<void> LogManager::close_clean(BrokerEpoch broker_epoch) {
  Result<void> outcome;
  for (const auto& [id, topic] : table_.topics()) {
    for (const auto& partition : topic.partitions) {
      if (!partition) continue;
      const Result<void> closed = partition->log().close_clean();
      if (!closed) outcome = closed;
    }
  }
  write_checkpoints();
  TRY(outcome);  // a directory that could not be flushed is not marked
  for (Directory& directory : directories_) TRY(directory.files->write_clean_shutdown_mark(broker_epoch));
  return {};
}

}  // namespace kurier::broker
