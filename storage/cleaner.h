// Cleaning: compacts one log in the background, group of segments by group of segments.
//
// The log's shard makes a job (Log::begin_cleaning) and goes on appending: only sealed segments are read, by path, through
// files of its own. `run` may be called on any thread, one at a time. Each group that it finishes is one new segment in
// .cleaned files, on the disk; the shard puts it into the place of its sources (Log::offer_cleaned and what follows it)
// before the next one is begun, so that no more than one segment's space is needed.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "storage/cleaner_filter.h"
#include "storage/cleaner_plan.h"
#include "storage/segment.h"

namespace kurier::storage {

// What the shard hands over. No part of it changes any more.
struct CleaningJob {
  struct Source {
    CleanerSegment segment;
    Timestamp modified{-1};
  };
  FileSystem* files = nullptr;
  std::string directory;
  LogConfig config;
  Timestamp now;
  Offset first_dirty_offset;
  Offset first_uncleanable_offset;
  Offset high_watermark;
  std::vector<Source> sources;  // all segments before the first uncleanable offset
  std::uint64_t dirty_position = 0;  // at or before the first dirty offset, in its segment
  std::vector<AbortedTransaction> aborted;
  LastOfProducers producers;
  std::uint64_t log_shape = 0;  // of the log when this was made
};

struct CleaningLimits {
  std::uint64_t map_bytes = 128 << 20;  // log.cleaner.dedupe.buffer.size, for one thread
  double map_load_factor = 0.9;  // log.cleaner.io.buffer.load.factor
  std::uint64_t buffer_bytes = 256 * 1024;  // log.cleaner.io.buffer.size: for reading, and for writing
  HashKey hash_key{};  // random
};

struct CleanedGroup {
  std::unique_ptr<Segment> segment;  // .cleaned, sealed and synced
  std::vector<CleanerSegment> sources;
  std::uint64_t log_shape = 0;
};

struct CleaningStats {
  std::uint64_t bytes_read = 0;  // of what was cleaned; not of what was read for the map
  std::uint64_t bytes_written = 0;
  std::uint64_t map_bytes_read = 0;
  std::uint64_t keys = 0;
  CleaningCounts records;
};

class Cleaning {
 public:
  Cleaning(CleaningJob job, CleaningLimits limits);
  ~Cleaning();

  enum class Progress {
    kMore,  // the budget is used up
    kGroup,  // take_group; then go on
    kFinished,  // everything before cleaned_to() is clean
  };
  // Reads and writes until about `budget_bytes` have gone to or come from the disk. After an error it can only be
  // destroyed. kCancelled: the log has changed beneath it. kCorrupt, kMalformed, kUnsupported: it cannot be cleaned.
  Result<Progress> run(std::uint64_t budget_bytes);
  CleanedGroup take_group();

  [[nodiscard]] std::uint64_t last_run_bytes() const { return used_bytes_; }
  [[nodiscard]] Offset cleaned_to() const { return keys_.last_offset() + 1; }
  // False: the map was full before the end of the dirty section; another round is needed.
  [[nodiscard]] bool reached_the_end() const { return cleaned_to() >= job_.first_uncleanable_offset; }
  [[nodiscard]] CleaningStats stats() const;

 private:
  class Cursor;
  Result<bool> map(std::uint64_t budget_bytes);  // true: done
  Result<bool> clean_group(std::uint64_t budget_bytes);  // true: done
  void plan_groups();
  Result<void> open_source(const CleanerSegment& source, std::uint64_t position);
  Result<void> begin_source();
  Result<void> write_out();
  Result<void> finish_group();
  [[nodiscard]] Offset end_of(std::size_t source) const;
  [[nodiscard]] std::vector<AbortedTransaction> overlapping(Offset from, Offset to) const;

  const CleaningJob job_;
  const CleaningLimits limits_;
  CleanerKeyMap keys_;
  CleanedTransactions mapped_transactions_;
  CleanedTransactions transactions_;
  BatchFilter filter_;
  std::vector<CleanerSegment> segments_;  // those that are cleaned
  std::vector<CleanerGroup> groups_;
  bool is_mapped_ = false;
  std::size_t group_ = 0;
  std::size_t source_ = 0;  // of the job's, while mapping and while cleaning
  std::unique_ptr<Cursor> cursor_;
  std::unique_ptr<Segment> target_;
  Bytes output_;
  std::uint64_t used_bytes_ = 0;
  CleaningStats stats_;
};

}  // namespace kurier::storage
