// Which part of a log can be cleaned, is it dirty enough, and which segments become one? Cores of the log cleaner.
//
// Pure functions on what the log says of its segments. The rules are Apache Kafka's: the section before the first dirty
// offset (the cleaner's checkpoint) has been cleaned; from there up to the first uncleanable offset (the active segment,
// the last stable offset, min.compaction.lag.ms, a bound of the caller) it is dirty.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/ids.h"

namespace kurier::storage {

struct CleanerSegment {
  Offset base_offset;
  std::uint64_t size_bytes = 0;
  std::uint64_t index_bytes = 0;
  std::uint64_t time_index_bytes = 0;
  Timestamp largest_timestamp{-1};  // of its records; without one, when it was last written. For the lags only.
  Timestamp first_batch_timestamp{-1};  // -1: none
};

struct CleanerRules {
  double min_cleanable_dirty_ratio = 0.5;
  std::int64_t min_compaction_lag_ms = 0;
  std::int64_t max_compaction_lag_ms = INT64_MAX;
};

struct CleanerView {
  std::vector<CleanerSegment> segments;  // the last one is active
  Offset log_start_offset;
  Offset log_end_offset;
  Offset upper_bound;  // the last stable offset, or less
  std::optional<Offset> cleaned_to;  // as cleaner-offset-checkpoint has it
};

struct CleanerAssessment {
  Offset first_dirty_offset;
  Offset first_uncleanable_offset;  // begins a segment
  bool checkpoint_is_invalid = false;  // it lies outside the log: what is first_dirty_offset now is to be recorded
  std::uint64_t clean_bytes = 0;
  std::uint64_t cleanable_bytes = 0;
  bool is_overdue = false;  // max.compaction.lag.ms has passed
  bool is_due = false;

  [[nodiscard]] double dirty_ratio() const {
    const auto total = static_cast<double>(clean_bytes + cleanable_bytes);
    return total > 0 ? static_cast<double>(cleanable_bytes) / total : 0;
  }
};

[[nodiscard]] CleanerAssessment assess(const CleanerView& view, const CleanerRules& rules, Timestamp now);

// Segments [first, first + count) of `segments` become one.
struct CleanerGroup {
  std::size_t first = 0;
  std::size_t count = 0;
  friend bool operator==(const CleanerGroup&, const CleanerGroup&) = default;
};
// All of `segments` are cleaned. A group is no larger than a segment may be (unless one segment is), in bytes, index
// entries and range of offsets.
[[nodiscard]] std::vector<CleanerGroup> group_segments(const std::vector<CleanerSegment>& segments,
                                                       std::uint64_t segment_bytes_max, std::uint64_t index_bytes_max,
                                                       Offset first_uncleanable_offset);

}  // namespace kurier::storage
