// MetadataLog: the KRaft log of a quorum with one voter, this node: `<metadata.log.dir>/__cluster_metadata-0`.
//
// Values are opaque here; whoever owns the log encodes them (protocol/metadata_record.h). Used by the control thread; only
// FlushJob::run goes elsewhere. What is appended is committed, and may be answered, when its flush has completed: the high
// watermark is the durable end. Nothing is written by `open`'s checks: a record that `check` refuses (a type, version or
// feature level from the future) stops the start with the disk as it was. Format: docs/formats/metadata-log.md.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/file_system.h"
#include "replication/raft/leader_fetch.h"
#include "replication/raft/quorum_state.h"
#include "replication/raft/snapshot.h"
#include "storage/log.h"

namespace kurier::replication {

inline constexpr std::string_view kMetadataDirectory = "__cluster_metadata-0";

struct MetadataLogOptions {
  std::string log_directory;  // metadata.log.dir, or the first of log.dirs
  Voter self;                 // node.id, directory.id, the controller listeners
  std::uint64_t segment_bytes = 1 << 30;                                // metadata.log.segment.bytes
  std::chrono::milliseconds segment_time = std::chrono::hours(24 * 7);  // metadata.log.segment.ms
  std::uint64_t snapshot_bytes = 20 << 20;                              // metadata.log.max.record.bytes.between.snapshots
  std::chrono::milliseconds snapshot_interval = std::chrono::hours(1);  // metadata.log.max.snapshot.interval.ms
  std::int64_t retention_bytes = 100 << 20;                             // metadata.max.retention.bytes
  std::int64_t retention_ms = std::int64_t{7} * 24 * 3600 * 1000;       // metadata.max.retention.ms
};

// What is read at the start, in order: the latest snapshot's records (offset: the snapshot's last), then the log's.
class MetadataLoader {
 public:
  virtual ~MetadataLoader() = default;
  virtual void begin_snapshot(const SnapshotId& id) = 0;
  virtual Result<void> record(Offset offset, ByteView value, bool from_snapshot) = 0;
  // Everything was read, nothing is written yet: the last chance to refuse.
  virtual Result<void> loaded() { return {}; }
};

class MetadataLog {
 public:
  static Result<std::unique_ptr<MetadataLog>> open(FileSystem& files, MetadataLogOptions options, MetadataLoader& loader,
                                                   Timestamp now);
  // The reading half of open: whether it would be refused. Writes nothing; fine if there is no log.
  static Result<void> check(FileSystem& files, MetadataLogOptions options, MetadataLoader& loader);

  // Leads from the next epoch on: writes quorum-state, then the control batch of a new leader. kUnsupported if the voters
  // on disk are others than this node alone.
  Result<void> become_leader(Timestamp now);

  // One batch, atomic. Returns the offset of its first record. Not yet committed.
  Result<Offset> append(std::span<const Bytes> values, Timestamp now);
  Result<storage::FlushJob> begin_flush() { return log_->begin_flush(false); }
  // Advances the high watermark.
  void complete_flush(const storage::FlushJob& job);

  [[nodiscard]] bool wants_snapshot(Timestamp now) const;
  // The state of everything before the high watermark, as records. `last_contained` is the timestamp of the last record.
  Result<void> write_snapshot(std::span<const Bytes> values, Timestamp now);
  // Removes snapshots, and the segments before the oldest one left, as metadata.max.retention.* say; never the latest one.
  Result<void> delete_old(Timestamp now);

  // For a fetch of a replica whose last record has the epoch `asked`.
  [[nodiscard]] LeaderLog leader_log(LeaderEpoch asked) const;
  // What has been appended from `from` on, committed or not: one batch at least, else at most `bytes_max`.
  Result<storage::LogRead> read(Offset from, std::uint64_t bytes_max) { return log_->read(from, bytes_max, log_end_offset(), true); }

  // Flushes and closes. No call after it.
  Result<void> close();

  [[nodiscard]] LeaderEpoch epoch() const { return quorum_.leader_epoch; }
  [[nodiscard]] Offset log_end_offset() const { return log_->log_end_offset(); }
  [[nodiscard]] Offset log_start_offset() const { return log_->log_start_offset(); }
  [[nodiscard]] Offset high_watermark() const { return high_watermark_; }
  [[nodiscard]] const std::vector<Voter>& voters() const { return voters_; }
  [[nodiscard]] std::int16_t kraft_version() const { return kraft_version_; }
  // No metadata record was ever written to the log: the bootstrap records have to be.
  [[nodiscard]] bool is_new() const { return is_new_; }
  [[nodiscard]] std::optional<SnapshotId> latest_snapshot() const;
  [[nodiscard]] const std::string& directory() const { return directory_; }

 private:
  MetadataLog(FileSystem& files, MetadataLogOptions options);
  Result<void> load(MetadataLoader& loader);
  Result<void> load_snapshot(MetadataLoader& loader);
  [[nodiscard]] Result<void> check_voters() const;
  Result<void> scan_segments(MetadataLoader& loader);
  Result<void> check_whole() const;
  Result<void> note_control(const RaftRecord& record);

  FileSystem& files_;
  MetadataLogOptions options_;
  std::string directory_;
  std::string damage_;  // of the segments, in words; empty: none
  std::unique_ptr<storage::Log> log_;
  QuorumState quorum_;
  Offset high_watermark_{0};
  Offset loaded_end_{0};
  Timestamp last_timestamp_{-1};
  LeaderEpoch last_epoch_{0};
  std::vector<SnapshotFile> snapshots_;
  std::vector<Voter> voters_;
  std::int16_t kraft_version_ = 0;
  bool voters_in_log_ = false;
  bool is_new_ = true;
  std::uint64_t bytes_since_snapshot_ = 0;
  Timestamp last_snapshot_at_{-1};
};

}  // namespace kurier::replication
