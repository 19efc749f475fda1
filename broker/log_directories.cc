#include "broker/log_directories.h"

#include <algorithm>

#include "base/log.h"

namespace kurier::broker {
namespace {

// These only save work or remember what may be forgotten, as in Apache Kafka: a damaged one does not keep the node from starting.
Result<storage::OffsetCheckpoint> or_none(Result<storage::OffsetCheckpoint> checkpoint, const char* what_follows) {
  if (checkpoint || checkpoint.error().failure != Failure::kMalformed) return checkpoint;
  LOG_WARN("{}: the file is damaged and not used: {}", checkpoint.error().context, what_follows);
  return storage::OffsetCheckpoint{};
}

}  // namespace

Result<void> LogDirectories::add(std::unique_ptr<storage::LogDirectory> opened) {
  LogDirectoryState& directory = directories_.emplace_back();
  directory.files = std::move(opened);
  TRY_ASSIGN(directory.recovery_points,
             or_none(directory.files->recovery_points(), "after a crash all of every log is checked"));
  TRY_ASSIGN(directory.log_start_offsets,
             or_none(directory.files->log_start_offsets(), "logs begin with their first segments again"));
  // Not without this one: it tells gaps of compaction from what a power cut has taken.
  TRY_ASSIGN(directory.cleaner_offsets, directory.files->cleaner_offsets());
  directory.has_cleaner_offsets = !directory.cleaner_offsets.empty();
  return {};
}

Result<void> LogDirectories::take_clean_shutdown_marks() {
  for (LogDirectoryState& directory : directories_) {
    TRY_ASSIGN(directory.was_clean, directory.files->take_clean_shutdown_mark());
  }
  return {};
}

LogDirectoryState* LogDirectories::holding(const std::string& partition_path) {
  const auto found = std::ranges::find_if(directories_, [&](const auto& directory) { return directory.holds(partition_path); });
  return found == directories_.end() ? nullptr : &*found;
}

LogDirectoryState* LogDirectories::directory_for(const std::string& topic, PartitionIndex index,
                                                 const replication::PartitionImage& partition, BrokerId self) {
  for (LogDirectoryState& directory : directories_) {
    const auto there = files_.exists(directory.files->partition_path(topic, index));
    if (there && *there) return &directory;
  }
  const auto replica = std::ranges::find(partition.replicas, self);
  if (replica != partition.replicas.end()) {
    const auto at = static_cast<std::size_t>(replica - partition.replicas.begin());
    for (LogDirectoryState& directory : directories_) {
      if (at < partition.directories.size() && partition.directories[at] == directory.id) return &directory;
    }
    const bool is_elsewhere = at < partition.directories.size() && !partition.directories[at].is_zero();
    if (!is_loaded_ && (is_elsewhere || some_are_missing_)) return nullptr;
  }
  LogDirectoryState* emptiest = nullptr;
  for (LogDirectoryState& directory : directories_) {
    if (directory.failed) continue;
    if (emptiest == nullptr || directory.partitions < emptiest->partitions) emptiest = &directory;
  }
  return emptiest;
}

LogDirectories::Place::Place(LogDirectories& directories, const std::string& topic,
                             const replication::PartitionImage& partition, BrokerId self) {
  const std::lock_guard lock(directories.places_mutex_);
  directory_ = directories.directory_for(topic, partition.partition_id, partition, self);
  if (directory_ != nullptr) ++directory_->partitions;
}

void LogDirectories::forget_last_run() {
  is_loaded_ = true;
  for (LogDirectoryState& directory : directories_) {
    directory.was_clean = false;
    directory.recovery_points.clear();
    directory.log_start_offsets.clear();
    directory.cleaner_offsets.clear();
  }
}

void LogDirectories::could_not_open(const std::string& topic, const replication::PartitionImage& partition, BrokerId self) {
  LogDirectoryState* directory = directory_for(topic, partition.partition_id, partition, self);
  if (directory == nullptr) return;
  const std::lock_guard lock(unopened_mutex_);
  directory->unopened.insert({topic, partition.partition_id});
  const auto recovered = directory->recovery_points.find({topic, partition.partition_id});
  if (recovered != directory->recovery_points.end()) directory->unopened_recovery_points.insert(*recovered);
  const auto start = directory->log_start_offsets.find({topic, partition.partition_id});
  if (start != directory->log_start_offsets.end()) directory->unopened_start_offsets.insert(*start);
  const auto cleaned = directory->cleaner_offsets.find({topic, partition.partition_id});
  if (cleaned != directory->cleaner_offsets.end()) directory->unopened_cleaner_offsets.insert(*cleaned);
}

void LogDirectories::no_longer_unopened(const storage::TopicPartition& partition) {
  const std::lock_guard lock(unopened_mutex_);
  for (LogDirectoryState& directory : directories_) {
    directory.unopened.erase(partition);
    directory.unopened_recovery_points.erase(partition);
    directory.unopened_start_offsets.erase(partition);
    directory.unopened_cleaner_offsets.erase(partition);
  }
}

LogDirectories::Kept LogDirectories::kept_of(const LogDirectoryState& directory,
                                             const storage::TopicPartition& partition) const {
  const std::lock_guard lock(unopened_mutex_);
  const auto find = [&](const storage::OffsetCheckpoint& checkpoint) {
    const auto found = checkpoint.find(partition);
    return found == checkpoint.end() ? std::nullopt : std::optional(found->second);
  };
  return {find(directory.unopened_recovery_points), find(directory.unopened_start_offsets),
          find(directory.unopened_cleaner_offsets)};
}

Result<void> LogDirectories::mark_clean(BrokerEpoch broker_epoch) {
  for (LogDirectoryState& directory : directories_) {
    const std::lock_guard lock(unopened_mutex_);
    if (directory.failed || !directory.unopened.empty()) {
      LOG_WARN("{} is not marked as cleanly shut down: not all of its partitions could be opened and flushed", directory.path());
      continue;
    }
    TRY(directory.files->write_clean_shutdown_mark(broker_epoch));
  }
  return {};
}

bool LogDirectories::write_checkpoints(const std::vector<DirectoryOffsets>& offsets, CheckpointKinds kinds) {
  bool all_written = true;
  for (std::size_t i = 0; i < directories_.size(); ++i) {
    if (directories_[i].failed) continue;
    storage::LogDirectory& directory = *directories_[i].files;
    storage::OffsetCheckpoint starts = offsets[i].log_start_offsets;
    storage::OffsetCheckpoint cleaned = offsets[i].cleaner_offsets;
    {
      const std::lock_guard lock(unopened_mutex_);
      starts.insert(directories_[i].unopened_start_offsets.begin(), directories_[i].unopened_start_offsets.end());
      cleaned.insert(directories_[i].unopened_cleaner_offsets.begin(), directories_[i].unopened_cleaner_offsets.end());
    }
    const auto say = [&](const Result<void>& written) {
      if (!written) LOG_ERROR("checkpoints of {}: {}", directory.path(), written.error().context);
      all_written = all_written && written;
      if (written || is_passing(written.error().failure) || directories_[i].failed.exchange(true)) return;
      if (failed_) failed_(directories_[i], written.error());
    };
    if (kinds.recovery_points) say(directory.write_recovery_points(offsets[i].recovery_points));
    if (kinds.log_start_offsets) say(directory.write_log_start_offsets(starts));
    if (kinds.cleaner_offsets && (!cleaned.empty() || directories_[i].has_cleaner_offsets)) {
      say(directory.write_cleaner_offsets(cleaned));
      directories_[i].has_cleaner_offsets = true;
    }
    if (kinds.high_watermarks) say(directory.write_high_watermarks(offsets[i].high_watermarks));
  }
  return all_written;
}

}  // namespace kurier::broker
