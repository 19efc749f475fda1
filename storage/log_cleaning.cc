// How a Log is compacted: what it tells the cleaner, and how the result takes the place of what it was made from.
#include <algorithm>

#include "base/check.h"
#include "base/log.h"
#include "storage/log.h"

namespace kurier::storage {

Result<CleanerAssessment> Log::assess_cleaning(Offset last_stable_offset, Timestamp now) {
  const CleanerRules rules{config_.min_cleanable_dirty_ratio, config_.min_compaction_lag_ms,
                           config_.max_compaction_lag_ms};
  CleanerView view{.log_start_offset = log_start_offset_, .log_end_offset = log_end_offset_, .cleaned_to = cleaned_to_};
  view.upper_bound = std::min(last_stable_offset, cleaner_bound_.value_or(last_stable_offset));
  const std::size_t first_dirty = segment_of(cleaned_to_.value_or(log_start_offset_));
  for (std::size_t i = 0; i < segments_.size(); ++i) {
    Segment& segment = *segments_[i];
    CleanerSegment& seen = view.segments.emplace_back();
    seen.base_offset = segment.base_offset();
    seen.size_bytes = segment.size_bytes();
    if (i < first_dirty || i + 1 == segments_.size()) continue;
    // What reads files only where a lag asks for it.
    if (rules.min_compaction_lag_ms > 0) {
      TRY_ASSIGN(const TimeIndex::Entry largest, segment.max_timestamp());
      seen.largest_timestamp = largest.timestamp.value() >= 0 ? largest.timestamp : segment.modified();
    }
    if (rules.max_compaction_lag_ms < INT64_MAX) {
      TRY_ASSIGN(const auto first, segment.first_batch_timestamp());
      seen.first_batch_timestamp = first.value_or(Timestamp(-1));
    }
  }
  const CleanerAssessment assessment = assess(view, rules, now);
  if (assessment.checkpoint_is_invalid) {
    if (!config_.delete_old) {
      LOG_WARN("{}: cleaned up to offset {} as recorded, but the log has {} to {}; it counts as cleaned up to {}",
               directory_, cleaned_to_->value(), log_start_offset_.value(), log_end_offset_.value(),
               assessment.first_dirty_offset.value());
    }
    cleaned_to_ = assessment.first_dirty_offset;
  }
  return assessment;
}

Result<CleaningJob> Log::begin_cleaning(const CleanerAssessment& assessment, Timestamp now) {
  CleaningJob job{.files = &files_,
                  .directory = directory_,
                  .config = config_,
                  .now = now,
                  .first_dirty_offset = assessment.first_dirty_offset,
                  .first_uncleanable_offset = assessment.first_uncleanable_offset,
                  .high_watermark = high_watermark_,
                  .log_shape = shape_};
  for (const auto& segment : segments_) {
    if (segment->base_offset() >= job.first_uncleanable_offset) break;
    job.sources.push_back({{.base_offset = segment->base_offset(),
                            .size_bytes = segment->size_bytes(),
                            .index_bytes = segment->offset_index().entries().count() * OffsetIndex::kEntryBytes,
                            .time_index_bytes = segment->time_index().entries().count() * TimeIndex::kEntryBytes},
                           segment->modified()});
  }
  TRY_ASSIGN(const OffsetIndex::Entry dirty,
             segments_[segment_of(job.first_dirty_offset)]->offset_index().lookup(job.first_dirty_offset));
  job.dirty_position = dirty.position;
  TRY_ASSIGN(job.aborted, aborted_transactions(segments_.front()->base_offset(), job.first_uncleanable_offset));
  // What lies before the log's start is nobody's any more, and is not asked for its fate.
  std::erase_if(job.aborted, [&](const AbortedTransaction& one) { return one.last_offset < log_start_offset_; });
  for (const auto& [producer_id, entry] : producers_.producers()) {
    LastOfProducer& last = job.producers[producer_id];
    last.epoch = entry.epoch;
    if (!entry.batches.empty()) last.last_data_offset = entry.batches.back().last_offset;
  }
  return job;
}

std::optional<std::size_t> Log::find_sources(const CleanedGroup& group) const {
  const std::size_t first = segment_of(group.sources.front().base_offset);
  if (group.log_shape != shape_ || first + group.sources.size() >= segments_.size()) return std::nullopt;
  for (std::size_t i = 0; i < group.sources.size(); ++i) {
    const Segment& segment = *segments_[first + i];
    const CleanerSegment& source = group.sources[i];
    if (segment.base_offset() != source.base_offset || segment.size_bytes() != source.size_bytes) return std::nullopt;
  }
  return first;
}

Result<bool> Log::offer_cleaned(CleanedGroup group) {
  KURIER_CHECK(!swap_);
  if (!find_sources(group)) {
    TRY(throw_away(*group.segment));
    return false;
  }
  TRY(group.segment->change_suffix(kSwapSuffix));
  swap_ = Swap{std::move(group)};
  return true;
}

Result<std::vector<std::string>> Log::take_cleaned() {
  std::vector<std::string> renamed;
  if (!swap_ || swap_->taken != nullptr) return renamed;  // something else has ended it
  const auto first = find_sources(swap_->group);
  KURIER_CHECK(first.has_value());
  const std::size_t count = swap_->group.sources.size();
  for (std::size_t i = *first; i < *first + count; ++i) {
    std::vector<std::string> paths = segments_[i]->paths();
    // Snapshots lie where segments begin; as in Apache Kafka one goes with its segment.
    const auto snapshot = std::ranges::find(snapshots_, segments_[i]->base_offset());
    if (i > *first && snapshot != snapshots_.end()) {
      paths.push_back(segment_path(directory_, *snapshot, kSnapshotSuffix));
      snapshots_.erase(snapshot);
    }
    for (const std::string& path : paths) {
      renamed.push_back(path + std::string(kDeletedSuffix));
      TRY(files_.rename(path, renamed.back()));
    }
  }
  // Readers of the old ones hold their files.
  swap_->taken = swap_->group.segment.get();
  const auto at = segments_.begin() + static_cast<std::ptrdiff_t>(*first);
  *at = std::move(swap_->group.segment);
  segments_.erase(at + 1, at + static_cast<std::ptrdiff_t>(count));
  names_changed_ = true;
  return renamed;
}

Result<void> Log::settle_cleaned() {
  if (!swap_ || swap_->taken == nullptr) return {};
  TRY(swap_->taken->change_suffix(""));
  swap_.reset();
  names_changed_ = true;
  return {};
}

// Its .log goes last: while that is there, the others are not taken for parts of the log.
Result<void> Log::throw_away(Segment& segment) {
  std::vector<std::string> paths = segment.paths();
  std::ranges::reverse(paths);
  for (std::size_t i = 0; i < paths.size(); ++i) {
    if (i + 1 == paths.size()) TRY(files_.sync_directory(directory_));
    Result<void> removed = files_.remove(paths[i]);
    if (!removed && removed.error().failure != Failure::kNotFound) return removed;
  }
  return files_.sync_directory(directory_);
}

// Before the log gets shorter, or is closed.
Result<void> Log::end_swap() {
  if (!swap_) return {};
  if (swap_->taken == nullptr) {
    TRY(throw_away(*swap_->group.segment));
    swap_.reset();
    return {};
  }
  TRY(files_.sync_directory(directory_));
  TRY(settle_cleaned());
  return files_.sync_directory(directory_);
}

void Log::truncate_cleaned_to(Offset offset) {
  if (cleaned_to_ && *cleaned_to_ > offset) cleaned_to_ = offset;
}

}  // namespace kurier::storage
