// LogManager: which partitions this node has on which disk, made to follow the metadata.
//
// Opens and locks the log directories, opens the logs of the partitions that the image gives to this node, creates and
// deletes them as topics come and go, keeps the checkpoints, and runs retention. On the shard's thread once it serves;
// before and after that on the starting thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "broker/partition_table.h"
#include "config/node_config.h"
#include "replication/metadata/image.h"
#include "storage/log_directory.h"

namespace kurier::broker {

class LogManager {
 public:
  struct Directory {
    std::unique_ptr<storage::LogDirectory> files;
    DirectoryId id;
    bool was_clean = false;
    storage::OffsetCheckpoint recovery_points;
    storage::OffsetCheckpoint log_start_offsets;
    std::size_t partitions = 0;
  };

  LogManager(FileSystem& files, PartitionPorts ports, const config::NodeConfig& config, PartitionTable& table,
             std::vector<Directory> directories);

  // Opens what is on the disk and belongs to the image. Everything else in the directories is left alone and named.
  Result<void> load(const replication::MetadataImage& image);
  void apply(const replication::MetadataImage& image, const replication::MetadataDelta::Changes& changes);

  // Retention, rolling by time, flushing of what is sealed, checkpoints: at log.retention.check.interval.ms and
  // log.flush.offset.checkpoint.interval.ms.
  void maintain();
  void write_checkpoints();
  // Flushes and closes all logs and marks the directories as cleanly shut down.
  Result<void> close_clean(BrokerEpoch broker_epoch);

 private:
  Result<void> open(const replication::MetadataImage& image, const replication::TopicImage& topic,
                    const replication::PartitionImage& partition);
  Directory& directory_for(const std::string& topic, PartitionIndex index, const replication::PartitionImage& partition);
  [[nodiscard]] config::TopicConfig topic_config(const replication::MetadataImage& image, const std::string& topic) const;
  [[nodiscard]] replication::PartitionLeaderState leadership(const replication::PartitionImage& partition,
                                                             const config::TopicConfig& config) const;
  void remove(TopicId topic);
  void remove_later(std::vector<std::string> paths, std::chrono::milliseconds delay);

  FileSystem& files_;
  PartitionPorts ports_;
  const config::NodeConfig& config_;
  PartitionTable& table_;
  std::vector<Directory> directories_;
};

}  // namespace kurier::broker
