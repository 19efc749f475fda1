#include "storage/log.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/log.h"

namespace kurier::storage {

using protocol::RecordBatchView;

Result<void> FlushJob::run() const {
  for (const auto& file : files) TRY(file->sync());
  return sync_directory ? file_system->sync_directory(directory) : Result<void>{};
}

Log::Log(FileSystem& files, LogOptions options)
    : files_(files),
      directory_(std::move(options.directory)),
      config_(options.config),
      log_start_offset_(options.log_start_offset),
      recovery_point_(options.recovery_point),
      durable_end_(options.recovery_point),
      cleaned_to_(options.cleaned_to),
      compacted_to_(options.cleaned_to.value_or(Offset(0))),
      cleaned_before_recovery_point_(options.cleaned_before_recovery_point) {}

std::size_t Log::segment_of(Offset offset) const {
  const auto after = std::ranges::upper_bound(segments_, offset, {}, [](const auto& s) { return s->base_offset(); });
  return after == segments_.begin() ? 0 : static_cast<std::size_t>(after - segments_.begin()) - 1;
}

std::uint64_t Log::size_bytes() const {
  std::uint64_t total = 0;
  for (const auto& segment : segments_) total += segment->size_bytes();
  return total;
}

Result<void> Log::write_epochs() {
  TRY(write_epoch_checkpoint(files_, directory_ + "/leader-epoch-checkpoint", epochs_.entries()));
  epochs_to_write_ = false;
  return {};
}

void Log::begin_epoch(LeaderEpoch epoch) { epochs_to_write_ = epochs_.assign(epoch, log_end_offset_) || epochs_to_write_; }

Result<AppendResult> Log::append(MutableByteView batches, LeaderEpoch epoch, Timestamp now, AppendOrigin origin) {
  AppendResult result{.first_offset = log_end_offset_, .last_offset = log_end_offset_ - 1};
  Timestamp max_timestamp(-1);
  std::optional<RecordBatchView> first;
  for (std::size_t at = 0; at < batches.size();) {
    TRY_ASSIGN(const RecordBatchView batch, RecordBatchView::parse(batches.subspan(at)));
    if (!first) first = batch;
    if (batch.has_producer_id() && origin == AppendOrigin::kClient && !batch.is_control()) {
      const ProducerState::Check check = producers_.check(batch);
      if (check.verdict != ProducerVerdict::kInSequence) {
        // One batch a partition in a produce request: there is nothing before it that was accepted.
        return AppendResult{check.verdict, check.original.first_offset(), check.original.last_offset, check.original.timestamp};
      }
    }
    protocol::stamp_offset(batches.subspan(at), result.last_offset + 1, epoch);
    result.last_offset += batch.last_offset_delta() + std::int64_t{1};
    max_timestamp = std::max(max_timestamp, batch.max_timestamp());
    at += batch.size_bytes();
  }
  if (!first) return fail(Failure::kInvalid, "an append without a batch to " + directory_);
  TRY(roll_if_needed(batches.size(), max_timestamp, result.last_offset, now, result.first_offset));
  epochs_to_write_ = epochs_.assign(epoch, result.first_offset) || epochs_to_write_;
  if (epochs_to_write_) TRY(write_epochs());
  TRY(write(batches, *first, now));
  return result;
}

Result<void> Log::append_as_follower(ByteView batches, Timestamp now) {
  Offset expected = log_end_offset_;
  while (!batches.empty()) {
    TRY_ASSIGN(const RecordBatchView batch, RecordBatchView::parse(batches));
    if (batch.base_offset() < expected) {
      return fail(Failure::kOutOfRange, fmt::format("{}: a batch at offset {} cannot follow log end offset {}", directory_,
                                                    batch.base_offset().value(), expected.value()));
    }
    TRY(roll_if_needed(batch.size_bytes(), batch.max_timestamp(), batch.last_offset(), now, batch.base_offset()));
    if (epochs_.assign(batch.leader_epoch(), batch.base_offset()) || epochs_to_write_) TRY(write_epochs());
    TRY(write(batch.bytes(), batch, now));
    expected = log_end_offset_;
    batches = batches.subspan(batch.size_bytes());
  }
  return {};
}

// All of `batches`, of which `batch` is the first, goes to the active segment with one write; they are in the log once that has
// returned.
Result<void> Log::write(ByteView batches, RecordBatchView batch, Timestamp now) {
  std::uint64_t position = active().size_bytes();
  TRY(active().append_unindexed(batches, config_));
  active().modified_is(now);
  while (true) {
    TRY(active().index(batch, position, config_));
    const Result<void> replayed = replay_into_producers(batch, &active());
    // The batch is in the segment already: there is no way back to before it.
    if (!replayed) return fail(Failure::kIo, replayed.error().context);
    log_end_offset_ = batch.next_offset();
    position += batch.size_bytes();
    batches = batches.subspan(batch.size_bytes());
    if (batches.empty()) return {};
    TRY_ASSIGN(batch, RecordBatchView::parse(batches));
  }
}

Result<void> Log::replay_into_producers(const RecordBatchView& batch, Segment* aborted_go_to) {
  const auto completed = producers_.replay(batch);
  if (!completed || !completed->aborted || aborted_go_to == nullptr) return {};
  names_changed_ = true;  // the segment's index of them may be new
  return aborted_go_to->append_aborted({completed->producer_id, completed->first_offset, completed->last_offset,
                                        producers_.last_stable_offset_after(*completed)});
}

Result<void> Log::roll_if_needed(std::size_t bytes, Timestamp max_timestamp, Offset last_offset, Timestamp now,
                                 Offset first_offset) {
  Segment& segment = active();
  bool roll_now = segment.size_bytes() > 0 && segment.size_bytes() + bytes > config_.segment_bytes;
  roll_now = roll_now || segment.index_is_full(config_) || last_offset - segment.base_offset() > INT32_MAX;
  if (!roll_now && segment.size_bytes() > 0) {
    // segment.ms counts from the first batch's timestamp to this one's, so that old records do not roll by the clock.
    TRY_ASSIGN(const auto first, segment.first_batch_timestamp());
    const std::int64_t waited = first && first->value() >= 0 ? max_timestamp - *first : now - segment.created();
    roll_now = waited > segment_age_max().count();
  }
  if (!roll_now) return {};
  TRY_ASSIGN(const Offset end, active().next_offset());
  const bool is_far = last_offset - end > INT32_MAX;  // an index could not span it
  TRY(roll_at(is_far || may_leave_gap(end, first_offset) ? first_offset : end, now));
  log_end_offset_ = std::max(log_end_offset_, active().base_offset());
  return {};
}

// segment.ms, in a compacted log no more than max.compaction.lag.ms: what lies in the active segment cannot be cleaned. Less
// what segment.jitter.ms takes off, so that partitions that began together do not all roll together: drawn
// from the log's name and the segment's offset, and so the same whenever it is asked for.
std::chrono::milliseconds Log::segment_age_max() const {
  std::chrono::milliseconds age_max = config_.segment_time;
  if (config_.compact && config_.max_compaction_lag_ms > 0)
    age_max = std::min(age_max, std::chrono::milliseconds(config_.max_compaction_lag_ms));
  const auto jitter_max = std::min(config_.segment_jitter, config_.segment_time).count();
  if (jitter_max <= 0) return age_max;
  std::uint64_t hash = 0xcbf29ce484222325;
  const auto mix = [&hash](std::uint64_t value) {
    hash = (hash ^ value) * 0x100000001b3;
    hash ^= hash >> 29;
  };
  for (const char c : directory_) mix(static_cast<unsigned char>(c));
  mix(static_cast<std::uint64_t>(segments_.back()->base_offset().value()));
  return age_max - std::chrono::milliseconds(hash % static_cast<std::uint64_t>(jitter_max));
}

Result<void> Log::roll(Timestamp now) {
  if (active().size_bytes() == 0) return {};  // it can go on
  TRY_ASSIGN(const Offset end, active().next_offset());
  return roll_at(may_leave_gap(end, log_end_offset_) ? log_end_offset_ : end, now);
}

// After a truncation into a gap the records end earlier than the log. A start takes a gap between segments behind the recovery
// point for lost records (recover_segments): the next segment leaves one only where compaction had made it, and so before the
// recovery point that is on the disk, or if an index could not span it.
bool Log::may_leave_gap(Offset from, Offset to) const {
  return to - from > INT32_MAX || to <= std::min(compacted_to_, recovery_point_);
}

Result<void> Log::roll_at(Offset base_offset, Timestamp now) {
  if (active().base_offset() == base_offset) return {};
  TRY(active().seal());
  // A flush begins at the recovery point. Where that is the end already, none will take the last entries of these indexes.
  if (recovery_point_ >= base_offset) TRY(active().sync_indexes());
  TRY(take_snapshot(base_offset));
  return add_segment(base_offset, now);
}

Result<void> Log::add_segment(Offset base_offset, Timestamp now) {
  auto segment = std::make_unique<Segment>(files_, directory_, base_offset, Segment::Found{}, now);
  TRY(segment->file());  // creates it: an empty segment says where the log ends
  segments_.push_back(std::move(segment));
  names_changed_ = true;
  return {};
}

// The state of the producers now, behind the last record.
Result<void> Log::take_snapshot(Offset end) {
  if (!snapshots_.empty() && snapshots_.back() == end) return {};
  TRY(write_file_atomically(files_, segment_path(directory_, end, kSnapshotSuffix), producers_.to_snapshot()));
  snapshots_.push_back(end);
  return {};
}

Result<LogRead> Log::read(Offset from, std::uint64_t bytes_max, Offset upper_bound, bool at_least_one) {
  if (from < log_start_offset_ || from > log_end_offset_) {
    return fail(Failure::kOutOfRange, fmt::format("{}: offset {} is not within {} to {}", directory_, from.value(),
                                                  log_start_offset_.value(), log_end_offset_.value()));
  }
  upper_bound = std::min(upper_bound, log_end_offset_);
  for (std::size_t i = segment_of(from); from < upper_bound && i < segments_.size(); ++i) {
    Segment& segment = *segments_[i];
    TRY_ASSIGN(const auto first, segment.find(from));
    if (!first) continue;  // compaction may have left the end of a segment empty
    if (first->base_offset >= upper_bound) break;
    std::uint64_t end = segment.size_bytes();
    const bool is_last = i + 1 == segments_.size();
    if (is_last ? upper_bound < log_end_offset_ : upper_bound < segments_[i + 1]->base_offset()) {
      TRY_ASSIGN(const auto bound, segment.find(upper_bound));
      if (bound) end = bound->position;
    }
    // A batch that straddles the upper bound is not readable yet; then there is nothing.
    if (end <= first->position) break;
    std::uint64_t size = std::min(bytes_max, end - first->position);
    if (at_least_one) size = std::max<std::uint64_t>(size, std::min<std::uint64_t>(first->batch_bytes, end - first->position));
    TRY_ASSIGN(auto file, segment.file());
    return LogRead{FileSlice{size > 0 ? std::move(file) : nullptr, first->position, size}, first->batch_bytes,
                   segment.base_offset(), first->position};
  }
  return LogRead{.segment_base_offset = active().base_offset(), .position = active().size_bytes()};
}

Result<std::vector<AbortedTransaction>> Log::aborted_transactions(Offset from, Offset to) {
  std::vector<AbortedTransaction> overlapping;
  for (std::size_t i = segment_of(from); i < segments_.size(); ++i) {
    TRY_ASSIGN(const auto aborted, segments_[i]->aborted_transactions());
    for (const AbortedTransaction& transaction : aborted) {
      if (transaction.last_offset >= from && transaction.first_offset < to) overlapping.push_back(transaction);
      // Everything that began before this was decided when it was written.
      if (transaction.last_stable_offset >= to) return overlapping;
    }
  }
  return overlapping;
}

LeaderEpochs::EndOffset Log::offset_for_leader_epoch(LeaderEpoch epoch) const {
  return epochs_.end_offset_of(epoch, log_end_offset_);
}

Result<FlushJob> Log::begin_flush(bool with_active_indexes) {
  const bool is_inside = !with_active_indexes && log_end_offset_ > active().base_offset();
  FlushJob job{.truncations = truncations_,
               .up_to = log_end_offset_,
               .recovery_point = is_inside ? log_end_offset_ - 1 : log_end_offset_,
               .files = {},
               .file_system = &files_,
               .directory = names_changed_ ? directory_ : std::string(),
               .sync_directory = names_changed_};
  for (std::size_t i = segment_of(recovery_point_); i < segments_.size(); ++i) {
    TRY_ASSIGN(auto files, segments_[i]->files_to_sync(with_active_indexes || i + 1 < segments_.size()));
    std::ranges::move(files, std::back_inserter(job.files));
  }
  // Files that are made from here on are the next flush's.
  names_changed_ = false;
  return job;
}

void Log::complete_flush(const FlushJob& job) {
  if (job.truncations != truncations_) return;  // other records may have its offsets now
  durable_end_ = std::max(durable_end_, job.up_to);
  recovery_point_ = std::max(recovery_point_, job.recovery_point);
}

Result<void> Log::close_clean() {
  TRY(end_swap());
  if (is_untouched()) {
    // There is nothing to lose. The indexes are there, empty, because Apache Kafka takes their absence for a loss.
    TRY(active().seal());
    close_files();
    return {};
  }
  TRY_ASSIGN(const Offset end, active().next_offset());
  TRY(active().seal());
  TRY(take_snapshot(end));
  names_changed_ = true;
  for (std::size_t i = segment_of(recovery_point_); i < segments_.size(); ++i) segments_[i]->sync_indexes_again();
  TRY_ASSIGN(const FlushJob job, begin_flush(true));
  TRY(job.run());
  complete_flush(job);
  close_files();  // other logs may need the descriptors to be closed
  return {};
}

void Log::close_files() {
  for (const auto& segment : segments_) segment->close_files();
}

}  // namespace kurier::storage
