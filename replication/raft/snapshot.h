// Snapshots of the metadata log: `<offset, 20 digits>-<epoch, 10 digits>.checkpoint` holds the state of everything before
// `offset`. A control batch (header, voters), batches of records, a control batch (footer). docs/formats/metadata-log.md.
#pragma once

#include <compare>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/file_system.h"
#include "replication/raft/raft_records.h"

namespace kurier::replication {

struct SnapshotId {
  Offset offset;
  LeaderEpoch epoch;
  friend auto operator<=>(const SnapshotId&, const SnapshotId&) = default;
};

[[nodiscard]] std::string snapshot_file_name(const SnapshotId& id);
[[nodiscard]] std::optional<SnapshotId> parse_snapshot_file_name(std::string_view name);

struct SnapshotFile {
  SnapshotId id;
  std::uint64_t size_bytes = 0;
};
// Ascending. Empty if there is no such directory.
Result<std::vector<SnapshotFile>> list_snapshots(FileSystem& files, const std::string& directory);

struct SnapshotContent {
  Timestamp last_contained{-1};
  std::int16_t kraft_version = 0;
  std::vector<Voter> voters;
};

// Visits the metadata records in order. kCorrupt without a footer: a snapshot is whole or worthless.
Result<SnapshotContent> read_snapshot(FileSystem& files, const std::string& path,
                                      const std::function<Result<void>(const RaftRecord&)>& visit);

// Written to a temporary file, synced, renamed, the directory synced.
Result<void> write_snapshot(FileSystem& files, const std::string& directory, const SnapshotId& id,
                            const SnapshotContent& content, std::span<const Bytes> values, Timestamp now);

}  // namespace kurier::replication
