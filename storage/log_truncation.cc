// How a Log gets shorter: at its end by truncation, at its beginning by retention.
#include <algorithm>

#include "base/log.h"
#include "storage/log.h"

namespace kurier::storage {

Result<void> Log::truncate_to(Offset offset, Timestamp now) {
  if (offset >= log_end_offset_) return {};
  if (offset < segments_.front()->base_offset()) return truncate_fully_and_start_at(offset);
  TRY(end_swap());
  ++shape_;
  // One that begins at `offset` stays, empty: its name says where the log ends.
  while (segments_.size() > 1 && active().base_offset() > offset) {
    for (const std::string& path : active().paths()) TRY(files_.remove(path));
    segments_.pop_back();
    names_changed_ = true;
  }
  TRY_ASSIGN(const auto straddling, active().find(offset));
  TRY(active().truncate_to(offset));
  compacted_to_ = std::min(compacted_to_, offset);
  truncate_cleaned_to(active().base_offset());
  // What a leader asks for lies between two batches. In a gap the next batch may come from anywhere behind it.
  const bool is_inside = straddling && straddling->base_offset < offset;
  log_end_offset_ = is_inside ? straddling->base_offset : offset;
  log_start_offset_ = std::min(log_start_offset_, log_end_offset_);
  ++truncations_;
  durable_end_ = std::min(durable_end_, log_end_offset_);
  recovery_point_ = std::min(recovery_point_, log_end_offset_);
  if (epochs_.truncate_from_end(log_end_offset_)) TRY(write_epochs());
  producers_.clear();
  return load_producers(true, now);
}

Result<void> Log::truncate_fully_and_start_at(Offset offset) {
  TRY(end_swap());
  ++shape_;
  compacted_to_ = std::min(compacted_to_, offset);
  truncate_cleaned_to(offset);
  for (const auto& segment : segments_) {
    for (const std::string& path : segment->paths()) {
      if (Result<void> removed = files_.remove(path); !removed && removed.error().failure != Failure::kNotFound) {
        return removed;
      }
    }
  }
  segments_.clear();
  for (const Offset snapshot : snapshots_) TRY(files_.remove(segment_path(directory_, snapshot, kSnapshotSuffix)));
  snapshots_.clear();
  producers_.clear();
  epochs_.clear();
  TRY(write_epochs());
  TRY(add_segment(offset, Timestamp(0)));
  ++truncations_;
  log_start_offset_ = log_end_offset_ = recovery_point_ = durable_end_ = offset;
  return {};
}

Result<void> Log::set_log_start_offset(Offset offset) {
  if (offset <= log_start_offset_) return {};
  log_start_offset_ = std::min(offset, log_end_offset_);
  producers_.truncate_from_start(log_start_offset_);
  return epochs_.truncate_from_start(log_start_offset_) ? write_epochs() : Result<void>{};
}

// Renames the files of the first `count` segments and forgets them.
Result<std::vector<std::string>> Log::retire(std::size_t count) {
  std::vector<std::string> renamed;
  ++shape_;
  for (std::size_t i = 0; i < count; ++i) {
    std::vector<std::string> paths = segments_[i]->paths();
    // The snapshot of a segment's beginning is of no use once the segment is gone.
    const auto snapshot = std::ranges::find(snapshots_, segments_[i]->base_offset());
    if (snapshot != snapshots_.end()) {
      paths.push_back(segment_path(directory_, *snapshot, kSnapshotSuffix));
      snapshots_.erase(snapshot);
    }
    for (const std::string& path : paths) {
      const Result<void> done = files_.rename(path, path + std::string(kDeletedSuffix));
      if (!done && done.error().failure == Failure::kNotFound) continue;  // somebody was here before
      if (!done) return std::unexpected(done.error());
      renamed.push_back(path + std::string(kDeletedSuffix));
    }
    // One after the other: a power cut must not bring an older segment back without the one that follows it.
    TRY(files_.sync_directory(directory_));
  }
  segments_.erase(segments_.begin(), segments_.begin() + static_cast<std::ptrdiff_t>(count));
  return renamed;
}

Result<std::vector<std::string>> Log::delete_old_segments(Timestamp now, Offset high_watermark) {
  if (swap_) return std::vector<std::string>{};  // next time
  std::uint64_t total = size_bytes();
  std::size_t count = 0;
  for (; count < segments_.size(); ++count) {
    Segment& segment = *segments_[count];
    const bool is_active = count + 1 == segments_.size();
    const Offset end = is_active ? log_end_offset_ : segments_[count + 1]->base_offset();
    if (end > high_watermark || (is_active && segment.size_bytes() == 0)) break;
    bool old = !is_active && end <= log_start_offset_;
    if (!old && config_.is_retired() && config_.retention_ms >= 0) {
      TRY_ASSIGN(const TimeIndex::Entry latest, segment.max_timestamp());
      const Timestamp newest = latest.timestamp.value() >= 0 ? latest.timestamp : segment.modified();
      old = now - newest > config_.retention_ms;
    }
    if (!old && config_.is_retired() && config_.retention_bytes >= 0) {
      // Only as long as what remains is not less than retention.bytes.
      old = total >= static_cast<std::uint64_t>(config_.retention_bytes) + segment.size_bytes() && !is_active;
    }
    if (!old) break;
    total -= segment.size_bytes();
  }
  if (count == 0) return std::vector<std::string>{};
  if (count == segments_.size()) TRY(roll(now));  // the active segment goes too: an empty one takes its place
  TRY_ASSIGN(auto renamed, retire(count));
  LOG_INFO("{}: {} segments go by retention, the log now begins at offset {}", directory_, count,
           segments_.front()->base_offset().value());
  TRY(set_log_start_offset(segments_.front()->base_offset()));
  return renamed;
}

}  // namespace kurier::storage
