// QuorumState: what this node must remember of the quorum across restarts. The file `quorum-state` beside the metadata
// log, in JSON as Apache Kafka writes it (QuorumStateData; docs/formats/metadata-log.md). kraft.version 0 has version 0
// of it, kraft.version 1 version 1. Written whole and synced before the node acts on it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/file_system.h"
#include "base/ids.h"
#include "base/uuid.h"

namespace kurier::replication {

struct QuorumState {
  BrokerId leader_id{-1};
  LeaderEpoch leader_epoch{0};
  BrokerId voted_id{-1};
  Uuid voted_directory_id;

  friend bool operator==(const QuorumState&, const QuorumState&) = default;
};

// `voters` are in version 0 only.
[[nodiscard]] std::string to_json(const QuorumState& state, std::int16_t kraft_version,
                                  const std::vector<BrokerId>& voters);
[[nodiscard]] Result<QuorumState> parse_quorum_state(std::string_view json);

// None if there is no such file in `directory`.
Result<std::optional<QuorumState>> read_quorum_state(FileSystem& files, const std::string& directory);
Result<void> write_quorum_state(FileSystem& files, const std::string& directory, const QuorumState& state,
                                std::int16_t kraft_version, const std::vector<BrokerId>& voters);

}  // namespace kurier::replication
