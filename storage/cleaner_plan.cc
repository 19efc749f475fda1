#include "storage/cleaner_plan.h"

#include <algorithm>
#include <span>

namespace kurier::storage {
namespace {

using Segments = std::span<const CleanerSegment>;

// The segments from the one that holds `from` on that begin before `to`.
Segments between(const std::vector<CleanerSegment>& segments, Offset from, Offset to) {
  if (from >= to) return {};
  auto first = std::ranges::upper_bound(segments, from, {}, &CleanerSegment::base_offset);
  if (first != segments.begin()) --first;
  const auto last = std::ranges::lower_bound(first, segments.end(), to, {}, &CleanerSegment::base_offset);
  return {first, last};
}

Segments sealed_from(const CleanerView& view, Offset from) {
  return between(view.segments, from, view.segments.back().base_offset);
}

std::uint64_t bytes_of(Segments segments) {
  std::uint64_t total = 0;
  for (const CleanerSegment& segment : segments) total += segment.size_bytes;
  return total;
}

// `now` minus a lag that may be as large as a number can be.
Timestamp before(Timestamp now, std::int64_t lag_ms) {
  return now.value() < INT64_MIN + lag_ms ? Timestamp(INT64_MIN) : now - lag_ms;
}

}  // namespace

CleanerAssessment assess(const CleanerView& view, const CleanerRules& rules, Timestamp now) {
  CleanerAssessment result;
  result.first_dirty_offset = view.cleaned_to.value_or(view.log_start_offset);
  if (result.first_dirty_offset < view.log_start_offset || result.first_dirty_offset > view.log_end_offset) {
    // Retention has moved the log's start beyond it; or the log has lost its end, and all of it may have to be cleaned.
    result.first_dirty_offset = view.log_start_offset;
    result.checkpoint_is_invalid = true;
  }
  const Segments dirty = sealed_from(view, result.first_dirty_offset);
  Offset uncleanable = std::min(view.upper_bound, view.segments.back().base_offset);
  if (rules.min_compaction_lag_ms > 0) {
    const Timestamp newest = before(now, rules.min_compaction_lag_ms);
    for (const CleanerSegment& segment : dirty) {
      if (segment.largest_timestamp <= newest) continue;
      uncleanable = std::min(uncleanable, segment.base_offset);
      break;
    }
  }
  uncleanable = std::max(uncleanable, result.first_dirty_offset);
  // Whole segments only.
  const Segments left = sealed_from(view, uncleanable);
  result.first_uncleanable_offset = left.empty() ? view.segments.back().base_offset : left.front().base_offset;
  result.clean_bytes = bytes_of(between(view.segments, Offset(-1), result.first_dirty_offset));
  result.cleanable_bytes = bytes_of(between(view.segments, result.first_dirty_offset, result.first_uncleanable_offset));

  const Timestamp oldest = before(now, std::max<std::int64_t>(rules.max_compaction_lag_ms, 0));
  result.is_overdue = std::ranges::any_of(dirty, [&](const CleanerSegment& segment) {
    return segment.first_batch_timestamp.value() > 0 && segment.first_batch_timestamp < oldest;
  });
  result.is_due =
      result.cleanable_bytes > 0 && (result.is_overdue || result.dirty_ratio() > rules.min_cleanable_dirty_ratio);
  return result;
}

std::vector<CleanerGroup> group_segments(const std::vector<CleanerSegment>& segments, std::uint64_t segment_bytes_max,
                                         std::uint64_t index_bytes_max, Offset first_uncleanable_offset) {
  std::vector<CleanerGroup> groups;
  for (std::size_t i = 0; i < segments.size();) {
    const CleanerSegment& first = segments[i];
    CleanerGroup group{i, 1};
    std::uint64_t size = first.size_bytes;
    std::uint64_t index = first.index_bytes;
    std::uint64_t time_index = first.time_index_bytes;
    for (++i; i < segments.size(); ++i, ++group.count) {
      const CleanerSegment& next = segments[i];
      size += next.size_bytes;
      index += next.index_bytes;
      time_index += next.time_index_bytes;
      if (size > segment_bytes_max || index > index_bytes_max || time_index > index_bytes_max) break;
      // Index entries hold 31 bits of an offset. Where a segment ends is known no better than by where the next begins.
      const Offset end = i + 1 < segments.size() ? segments[i + 1].base_offset : first_uncleanable_offset;
      if (next.size_bytes > 0 && end - 1 - first.base_offset > INT32_MAX) break;
    }
    groups.push_back(group);
  }
  return groups;
}

}  // namespace kurier::storage
