// LogDirectories: the log.dirs of this node, shared by all shards: where a partition lies or goes, what their checkpoints
// say, which of them has failed.
//
// Filled by the starting thread; afterwards any thread may ask. The checkpoints are written by one thread at a time.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/uuid.h"
#include "replication/metadata/image.h"
#include "storage/log_directory.h"

namespace kurier::broker {

struct LogDirectoryState {
  std::unique_ptr<storage::LogDirectory> files;
  DirectoryId id;
  // Of the last run, until its logs are loaded.
  bool was_clean = false;
  storage::OffsetCheckpoint recovery_points;
  storage::OffsetCheckpoint log_start_offsets;
  storage::OffsetCheckpoint cleaner_offsets;
  std::atomic<std::size_t> partitions{0};
  std::atomic<bool> failed{false};  // its partitions are offline until the next start
  // Partitions of it that could not be opened: it is not marked as cleanly shut down, so that the next start looks closely.
  // What the checkpoints say of them is kept as it was. Guarded by the LogDirectories' mutex.
  std::set<storage::TopicPartition> unopened;
  storage::OffsetCheckpoint unopened_recovery_points;
  storage::OffsetCheckpoint unopened_start_offsets;
  storage::OffsetCheckpoint unopened_cleaner_offsets;
  bool has_cleaner_offsets =
      false;  // without any there is no cleaner-offset-checkpoint; of the thread that writes them

  [[nodiscard]] const std::string& path() const { return files->path(); }
  [[nodiscard]] bool holds(const std::string& partition_path) const { return partition_path.starts_with(path() + "/"); }
};

// Which checkpoints; each has an interval of its own.
struct CheckpointKinds {
  bool recovery_points = false;
  bool log_start_offsets = false;
  bool high_watermarks = false;
  bool cleaner_offsets = false;
  [[nodiscard]] bool any() const { return recovery_points || log_start_offsets || high_watermarks || cleaner_offsets; }
  void add(const CheckpointKinds& other) {
    recovery_points |= other.recovery_points;
    log_start_offsets |= other.log_start_offsets;
    high_watermarks |= other.high_watermarks;
    cleaner_offsets |= other.cleaner_offsets;
  }
};

// The offsets of the partitions of one directory.
struct DirectoryOffsets {
  storage::OffsetCheckpoint recovery_points;
  storage::OffsetCheckpoint log_start_offsets;
  storage::OffsetCheckpoint high_watermarks;
  storage::OffsetCheckpoint cleaner_offsets;
};

class LogDirectories {
 public:
  explicit LogDirectories(FileSystem& files) : files_(files) {}

  // Reads one directory, which is open and locked.
  Result<void> add(std::unique_ptr<storage::LogDirectory> opened);
  // From here on a crash is one: reads and removes the marks of the last clean stop.
  Result<void> take_clean_shutdown_marks();
  // Of log.dirs there are others that cannot be used: what is not found may lie there.
  void some_are_missing() { some_are_missing_ = true; }
  // LogOptions::cleaned_before_recovery_point, of every log of which there is a recovery point.
  void cleaned_before_recovery_points(bool are) { cleaned_before_recovery_points_ = are; }
  [[nodiscard]] bool cleaned_before_recovery_points() const { return cleaned_before_recovery_points_; }
  [[nodiscard]] std::deque<LogDirectoryState>& all() { return directories_; }
  [[nodiscard]] LogDirectoryState* holding(const std::string& partition_path);

  // Where the partition lies; otherwise where the metadata wants it; otherwise the directory with the fewest partitions.
  // Null if no directory is left that works, or if it lies in one that is not there.
  LogDirectoryState* directory_for(const std::string& topic, PartitionIndex index, const replication::PartitionImage& partition,
                                   BrokerId self);
  // directory_for, for somebody who opens it: the partition counts for its directory, until the place is destroyed or for good.
  class Place {
   public:
    Place(LogDirectories& directories, const std::string& topic, const replication::PartitionImage& partition,
          BrokerId self);
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    ~Place() {
      if (directory_ != nullptr && !is_kept_) --directory_->partitions;
    }
    [[nodiscard]] LogDirectoryState* directory() const { return directory_; }
    void keep() { is_kept_ = true; }

   private:
    LogDirectoryState* directory_ = nullptr;
    bool is_kept_ = false;
  };
  // From here on a log that is opened is a new one: what the checkpoints said is of the past.
  void forget_last_run();

  // On any thread, as are the next two.
  void could_not_open(const std::string& topic, const replication::PartitionImage& partition, BrokerId self);
  // It could, after all; or it is none any more.
  void no_longer_unopened(const storage::TopicPartition& partition);
  // What the checkpoints said of a partition that could not be opened.
  struct Kept {
    std::optional<Offset> recovery_point;
    std::optional<Offset> log_start_offset;
    std::optional<Offset> cleaned_to;
  };
  [[nodiscard]] Kept kept_of(const LogDirectoryState& directory, const storage::TopicPartition& partition) const;

  // Called on the thread that writes checkpoints, once a directory, when its disk has failed.
  using Failed = std::function<void(LogDirectoryState&, const Error&)>;
  void on_failure(Failed failed) { failed_ = std::move(failed); }
  // One DirectoryOffsets for each of all(), in its order. Says in the log what could not be written; false: something.
  bool write_checkpoints(const std::vector<DirectoryOffsets>& offsets, CheckpointKinds kinds);
  // After the last checkpoints of a clean stop.
  Result<void> mark_clean(BrokerEpoch broker_epoch);

 private:
  FileSystem& files_;
  mutable std::mutex unopened_mutex_;
  std::mutex places_mutex_;  // several that choose at a time would all choose the same one
  std::deque<LogDirectoryState> directories_;
  Failed failed_;
  bool some_are_missing_ = false;
  bool cleaned_before_recovery_points_ = false;
  bool is_loaded_ = false;  // what is opened from here on is new
};

}  // namespace kurier::broker
