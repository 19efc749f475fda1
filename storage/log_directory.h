// LogDirectory: one of log.dirs: its lock, whose it is, its checkpoints, and the partitions found in it.
//
// Opened at start-up and held until shutdown. Blocking; one thread at a time.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/file_system.h"
#include "storage/checkpoint_file.h"
#include "storage/meta_properties.h"

namespace kurier::storage {

class LogDirectory {
 public:
  // Creates the directory if it is missing and locks it. kInUse: another process holds it; kPermission: not writable;
  // kUnsupported or kMalformed: its meta.properties.
  static Result<std::unique_ptr<LogDirectory>> open(FileSystem& files, const std::string& path);

  // Whether `open` would refuse what is there, and whose it is; none: not formatted. Writes nothing. kNotFound: it
  // is no directory; kInvalid: it has no meta.properties but data.
  static Result<std::optional<MetaProperties>> check(FileSystem& files, const std::string& path);

  // Of a directory without meta.properties: writes them.
  Result<void> format(const MetaProperties& properties);
  [[nodiscard]] const std::optional<MetaProperties>& meta_properties() const { return meta_properties_; }

  struct Found {
    std::vector<std::string> partitions;  // names of directories, "topic-0"; the metadata log is not among them
    std::vector<std::string> deleted;     // "….<uuid>-delete": to be removed
  };
  // kInvalid: something that is no partition lies here; Apache Kafka would refuse to start on it too.
  Result<Found> list();

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string partition_path(const std::string& topic, PartitionIndex partition) const;

  Result<OffsetCheckpoint> recovery_points() { return read("recovery-point-offset-checkpoint"); }
  Result<OffsetCheckpoint> log_start_offsets() { return read("log-start-offset-checkpoint"); }
  Result<OffsetCheckpoint> high_watermarks() { return read("replication-offset-checkpoint"); }
  Result<OffsetCheckpoint> cleaner_offsets() { return read("cleaner-offset-checkpoint"); }
  Result<void> write_recovery_points(const OffsetCheckpoint& offsets) { return write("recovery-point-offset-checkpoint", offsets); }
  Result<void> write_log_start_offsets(const OffsetCheckpoint& offsets) { return write("log-start-offset-checkpoint", offsets); }
  Result<void> write_high_watermarks(const OffsetCheckpoint& offsets) { return write("replication-offset-checkpoint", offsets); }
  Result<void> write_cleaner_offsets(const OffsetCheckpoint& offsets) {
    return write("cleaner-offset-checkpoint", offsets);
  }

  // Whether the last shutdown was clean.
  static Result<bool> has_clean_shutdown_mark(FileSystem& files, const std::string& path);
  // The same; the mark is removed, so that a crash from now on is seen.
  Result<bool> take_clean_shutdown_mark();
  // .kafka_cleanshutdown, with the epoch under which the broker was registered (KIP-966).
  Result<void> write_clean_shutdown_mark(BrokerEpoch broker_epoch);

 private:
  LogDirectory(FileSystem& files, std::string path) : files_(files), path_(std::move(path)) {}
  Result<OffsetCheckpoint> read(const std::string& name);
  Result<void> write(const std::string& name, const OffsetCheckpoint& offsets);

  FileSystem& files_;
  std::string path_;
  std::unique_ptr<FileLock> lock_;
  std::optional<MetaProperties> meta_properties_;
};

}  // namespace kurier::storage
