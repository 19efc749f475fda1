// Kafka's text checkpoints: a version line "0", a count, then one line an entry. Replaced whole, never edited.
//
// recovery-point-, replication- and log-start-offset-checkpoint: "topic partition offset". leader-epoch-checkpoint:
// "epoch start-offset".
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/file_system.h"
#include "base/ids.h"

namespace kurier::storage {

using TopicPartition = std::pair<std::string, PartitionIndex>;
using OffsetCheckpoint = std::map<TopicPartition, Offset>;

// A missing file, or one without content, is an empty checkpoint. kMalformed names file and line.
Result<OffsetCheckpoint> read_offset_checkpoint(FileSystem& files, const std::string& path);
Result<void> write_offset_checkpoint(FileSystem& files, const std::string& path, const OffsetCheckpoint& offsets);

struct EpochEntry {
  LeaderEpoch epoch;
  Offset start_offset;
  friend bool operator==(const EpochEntry&, const EpochEntry&) = default;
};

Result<std::vector<EpochEntry>> read_epoch_checkpoint(FileSystem& files, const std::string& path);
Result<void> write_epoch_checkpoint(FileSystem& files, const std::string& path, const std::vector<EpochEntry>& entries);

}  // namespace kurier::storage
