// Log: one partition's records on disk, in Kafka's format (docs/formats/log.md).
//
// Belongs to one shard, which makes every call; file calls block inline (they end in the page cache). A flush is split so
// that the fsync runs elsewhere: begin_flush here, FlushJob::run on a pool, complete_flush here again.
// Offsets: log_start_offset ≤ high watermark ≤ log_end_offset; the high watermark is kept by the partition's leader core.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/transport.h"
#include "base/uuid.h"
#include "storage/cleaner.h"
#include "storage/leader_epochs.h"
#include "storage/log_config.h"
#include "storage/producer_state.h"
#include "storage/segment.h"

namespace kurier::storage {

struct LogOptions {
  std::string directory;  // …/topic-partition; created if missing
  LogConfig config;
  Offset log_start_offset{0};  // from log-start-offset-checkpoint
  Offset recovery_point{0};    // from recovery-point-offset-checkpoint: everything before it is known to be on the disk
  bool had_clean_shutdown = false;
  std::optional<Offset> cleaned_to;  // from cleaner-offset-checkpoint
  // Every segment that compaction has made lies before the recovery point. A gap behind it is then where a power cut has taken
  // the end of a segment; otherwise a log that was ever compacted may have gaps anywhere, and they are left alone.
  bool cleaned_before_recovery_point = false;
};

struct AppendResult {
  ProducerVerdict verdict = ProducerVerdict::kInSequence;
  Offset first_offset{-1};  // of a duplicate: the original's
  Offset last_offset{-1};
  Timestamp duplicate_timestamp{-1};

  [[nodiscard]] bool appended() const { return verdict == ProducerVerdict::kInSequence; }
};

enum class AppendOrigin { kClient, kCoordinator };  // a coordinator's markers and records are not checked for sequence

struct LogRead {
  FileSlice slice;          // begins with the batch that holds the offset; its end may be inside a batch
  std::size_t first_batch_bytes = 0;
  Offset segment_base_offset;
  std::uint64_t position = 0;  // of the slice in its segment
};

// What an fsync has to cover so that everything before `up_to` is durable.
struct FlushJob {
  std::uint64_t truncations = 0;  // of the log, before it
  Offset up_to;
  Offset recovery_point;  // as it may be once this is done
  std::vector<std::shared_ptr<File>> files;
  FileSystem* file_system = nullptr;
  std::string directory;
  bool sync_directory = false;
  // On any thread.
  [[nodiscard]] Result<void> run() const;
};

class Log {
 public:
  // Recovers what lies past the recovery point if the last shutdown was not clean.
  static Result<std::unique_ptr<Log>> open(FileSystem& files, LogOptions options, Timestamp now);

  // Appends the batches of a leader: offsets are assigned, they and the epoch are stamped in place. After an error that
  // passes (a full disk, too many open files) the log is as it was before; after any other it must not be used any more.
  Result<AppendResult> append(MutableByteView batches, LeaderEpoch epoch, Timestamp now, AppendOrigin origin = AppendOrigin::kClient);
  // A new leader epoch begins at the log's end. It is on the disk with its first batch.
  void begin_epoch(LeaderEpoch epoch);
  // Appends batches as a leader stamped them. kOutOfRange if they do not continue the log.
  Result<void> append_as_follower(ByteView batches, Timestamp now);

  // From the batch that holds `from` (log_start_offset ≤ from ≤ upper_bound), at most `bytes_max` bytes, never beyond the
  // batch that holds `upper_bound`. Empty slice at the upper bound. With `at_least_one`, the first batch is whole even if it
  // is longer than bytes_max. kOutOfRange outside the log.
  Result<LogRead> read(Offset from, std::uint64_t bytes_max, Offset upper_bound, bool at_least_one);

  // Aborted transactions that overlap [from, to).
  Result<std::vector<AbortedTransaction>> aborted_transactions(Offset from, Offset to);

  struct TimestampOffset {
    Timestamp timestamp{-1};
    Offset offset{-1};
    LeaderEpoch epoch{-1};
  };
  // The first record whose timestamp is at least `timestamp`; none if there is no such record.
  Result<std::optional<TimestampOffset>> offset_for_timestamp(Timestamp timestamp);
  // The first record with the latest timestamp of the log; none in an empty log.
  Result<std::optional<TimestampOffset>> offset_of_max_timestamp();
  [[nodiscard]] LeaderEpochs::EndOffset offset_for_leader_epoch(LeaderEpoch epoch) const;
  [[nodiscard]] std::optional<LeaderEpoch> latest_epoch() const { return epochs_.latest(); }
  [[nodiscard]] std::optional<LeaderEpoch> epoch_at(Offset offset) const { return epochs_.epoch_at(offset); }

  // The log ends at `offset`: inside a gap of compaction too, until it is opened again. Inside a batch: where that began.
  // Producers that have expired at `now` may be forgotten.
  Result<void> truncate_to(Offset offset, Timestamp now = Timestamp(0));
  Result<void> truncate_fully_and_start_at(Offset offset);
  Result<void> set_log_start_offset(Offset offset);
  void set_config(const LogConfig& config) { config_ = config; }
  void high_watermark_is(Offset high_watermark) {
    high_watermark_ = high_watermark;
    producers_.high_watermark_is(high_watermark);
  }

  Result<void> roll(Timestamp now);
  // retention.ms, retention.bytes, log start offset: renames what may go, below `high_watermark`, to .deleted and returns
  // the paths, to be removed after file.delete.delay.ms.
  Result<std::vector<std::string>> delete_old_segments(Timestamp now, Offset high_watermark);
  void expire_producers(Timestamp now) { producers_.expire(now, config_.producer_expiration_ms); }

  // Compaction (log_cleaning.cc). Nothing at or behind `last_stable_offset`, or the bound of never_clean_beyond, is looked at.
  // A checkpoint that lies outside the log is set right.
  Result<CleanerAssessment> assess_cleaning(Offset last_stable_offset, Timestamp now);
  // For Cleaning, which runs elsewhere. One at a time.
  Result<CleaningJob> begin_cleaning(const CleanerAssessment& assessment, Timestamp now);
  // The swap of each group, in three steps; behind each the directory is to be synced, on any thread, before the next one.
  // A crash leaves the old segments or the new one, whatever has happened of them. False: the log has changed meanwhile, and
  // the group is thrown away. The paths are the old files', now .deleted.
  Result<bool> offer_cleaned(CleanedGroup group);
  Result<std::vector<std::string>> take_cleaned();
  Result<void> settle_cleaned();
  void cleaning_has_reached(Offset cleaned_to) {
    cleaned_to_ = cleaned_to;
    compacted_to_ = std::max(compacted_to_, cleaned_to);
  }
  // For what is kept of this log elsewhere and will be brought up to date from `bound` on. None: no such bound.
  void never_clean_beyond(std::optional<Offset> bound) { cleaner_bound_ = bound; }
  [[nodiscard]] std::optional<Offset> cleaned_to() const { return cleaned_to_; }

  // Without the active segment's indexes (which change every few KiB, and each is one more fsync) the recovery point stays before its
  // end, so that a start after a crash makes them anew.
  Result<FlushJob> begin_flush(bool with_active_indexes);
  void complete_flush(const FlushJob& job);
  // Everything before `end` is durable, and so are the indexes of the segments that end there or before.
  [[nodiscard]] bool is_flushed_to(Offset end) const {
    return durable_end_ >= end && recovery_point_ >= std::min(end, active_base_offset());
  }
  // Flushes everything and writes what a clean start relies on. No call after it.
  Result<void> close_clean();
  // Until somebody needs them again.
  void close_files();

  [[nodiscard]] Offset log_start_offset() const { return log_start_offset_; }
  [[nodiscard]] Offset log_end_offset() const { return log_end_offset_; }
  [[nodiscard]] Offset durable_end() const { return durable_end_; }  // everything before it is on the disk
  // A start after a crash checks the segment that holds it, whose indexes it makes anew, and those behind. So an active segment's
  // indexes need not be on the disk as long as the recovery point lies before that segment's end.
  [[nodiscard]] Offset recovery_point() const { return recovery_point_; }
  [[nodiscard]] std::optional<Offset> first_unstable_offset() const {
    const auto first = producers_.first_unstable_offset();
    return first ? std::max(*first, log_start_offset_) : first;
  }
  [[nodiscard]] const ProducerState& producers() const { return producers_; }
  [[nodiscard]] const LogConfig& config() const { return config_; }
  [[nodiscard]] const std::string& directory() const { return directory_; }
  [[nodiscard]] std::uint64_t size_bytes() const;
  // It has never held anything.
  [[nodiscard]] bool is_untouched() const {
    return log_end_offset_ == Offset(0) && segments_.size() == 1 && segments_.front()->size_bytes() == 0 &&
           snapshots_.empty();
  }
  [[nodiscard]] std::size_t segment_count() const { return segments_.size(); }
  [[nodiscard]] Offset first_segment_base_offset() const { return segments_.front()->base_offset(); }
  [[nodiscard]] Offset active_base_offset() const { return segments_.back()->base_offset(); }

 private:
  Log(FileSystem& files, LogOptions options);
  Result<void> load(bool had_clean_shutdown, Timestamp now);
  Result<void> finish_interrupted_changes();
  Result<bool> read_epochs();
  Result<void> rebuild_epochs();
  Result<void> recover_segments(bool had_clean_shutdown);
  Result<void> load_producers(bool is_whole, Timestamp now);
  Result<void> replay_into_producers(const protocol::RecordBatchView& batch, Segment* aborted_go_to);
  Result<void> add_segment(Offset base_offset, Timestamp now);
  Result<void> take_snapshot(Offset end);
  Result<void> write_epochs();
  Result<void> roll_if_needed(std::size_t bytes, Timestamp max_timestamp, Offset last_offset, Timestamp now,
                              Offset first_offset);
  Result<void> roll_at(Offset base_offset, Timestamp now);
  [[nodiscard]] bool may_leave_gap(Offset from, Offset to) const;
  Result<void> write(ByteView batches, protocol::RecordBatchView first, Timestamp now);
  Result<std::optional<TimestampOffset>> first_record_at(Segment& segment, Timestamp timestamp, Offset from);
  [[nodiscard]] std::chrono::milliseconds segment_age_max() const;
  [[nodiscard]] Segment& active() { return *segments_.back(); }
  // The index of the segment that holds `offset`: the last one that begins at or before it.
  [[nodiscard]] std::size_t segment_of(Offset offset) const;
  Result<std::vector<std::string>> retire(std::size_t count);
  Result<void> complete_swap(const std::vector<FileSystem::Entry>& entries, std::vector<std::string> swaps);
  // Where the sources of a group begin in segments_; none if they are not there any more as they were.
  [[nodiscard]] std::optional<std::size_t> find_sources(const CleanedGroup& group) const;
  Result<void> throw_away(Segment& segment);
  Result<void> end_swap();
  void truncate_cleaned_to(Offset offset);

  FileSystem& files_;
  std::string directory_;
  LogConfig config_;
  Offset log_start_offset_;
  Offset log_end_offset_{0};
  Offset recovery_point_;  // ≤ durable_end_
  Offset durable_end_;
  std::uint64_t truncations_ = 0;
  Offset high_watermark_;  // as last said; for the cleaner
  std::vector<std::unique_ptr<Segment>> segments_;  // by base offset; never empty
  LeaderEpochs epochs_;
  ProducerState producers_;
  std::vector<Offset> snapshots_;   // offsets of the .snapshot files, ascending
  bool epochs_to_write_ = false;    // of an epoch without a batch yet, or a change that the disk was too full for
  bool names_changed_ = true;       // since the directory was last synced
  struct Swap {
    CleanedGroup group;
    Segment* taken = nullptr;  // in segments_, its files still .swap
  };
  std::optional<Swap> swap_;
  std::uint64_t shape_ = 0;  // counts what makes the log shorter
  std::optional<Offset> cleaned_to_;
  Offset compacted_to_;  // gaps before it are compaction's; a truncation does not forget that, as it does cleaned_to_
  std::optional<Offset> cleaner_bound_;
  const bool cleaned_before_recovery_point_;
};

// "topic-partition" of a directory's name; none if it is no such name.
struct PartitionDirectory {
  std::string topic;
  PartitionIndex partition;
};
std::optional<PartitionDirectory> parse_partition_directory(const std::string& name);

// partition.metadata: "version: 0\ntopic_id: …\n". None if there is no such file.
Result<std::optional<Uuid>> read_partition_metadata(FileSystem& files, const std::string& directory);
// Whole or not there after a power cut, and there from the log's first flush on, which syncs the directory: before it nothing in
// the log is durable either.
Result<void> write_partition_metadata(FileSystem& files, const std::string& directory, const Uuid& topic_id);

}  // namespace kurier::storage
