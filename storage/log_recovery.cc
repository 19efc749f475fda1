// How a Log comes up from what it finds on the disk.
#include <fmt/core.h>

#include <algorithm>
#include <charconv>

#include "base/log.h"
#include "storage/log.h"

namespace kurier::storage {
namespace {

using protocol::RecordBatchView;

// "00000000000000000042.log" → 42.
std::optional<Offset> offset_of(const std::string& name) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), value);
  if (error != std::errc{} || end != name.data() + 20 || value < 0) return std::nullopt;
  return Offset(value);
}

}  // namespace

Result<std::unique_ptr<Log>> Log::open(FileSystem& files, LogOptions options, Timestamp now) {
  const bool had_clean_shutdown = options.had_clean_shutdown;
  std::unique_ptr<Log> log(new Log(files, std::move(options)));
  TRY(files.make_directories(log->directory_));
  if (Result<void> loaded = log->load(had_clean_shutdown, now); !loaded) {
    return std::unexpected(loaded.error().within("opening " + log->directory_));
  }
  return log;
}

// A deletion that was begun is finished; compaction's work that was complete is put in place, the rest thrown away. Each step is
// durable before the next, so that a crash in here changes nothing.
Result<void> Log::finish_interrupted_changes() {
  TRY_ASSIGN(const auto entries, files_.list(directory_));
  std::vector<std::string> cleaned;
  std::vector<std::string> swaps;
  std::optional<Offset> first_cleaned;
  for (const FileSystem::Entry& entry : entries) {
    if (entry.name.ends_with(kDeletedSuffix) || entry.name.ends_with(".tmp")) {
      TRY(files_.remove(directory_ + "/" + entry.name));
    } else if (entry.name.ends_with(kCleanedSuffix)) {
      cleaned.push_back(entry.name);
      if (!first_cleaned) first_cleaned = offset_of(entry.name);
    } else if (entry.name.ends_with(kSwapSuffix)) {
      swaps.push_back(entry.name);
    }
  }
  // A .swap at or behind a .cleaned: not all had been renamed, and the old segments are all there.
  std::vector<std::string> complete;
  for (const std::string& name : swaps) {
    if (first_cleaned && offset_of(name) >= first_cleaned) {
      TRY(files_.remove(directory_ + "/" + name));
    } else {
      complete.push_back(name);
    }
  }
  if (complete.size() < swaps.size()) TRY(files_.sync_directory(directory_));
  for (const std::string& name : cleaned) TRY(files_.remove(directory_ + "/" + name));
  return complete.empty() ? Result<void>{} : complete_swap(entries, std::move(complete));
}

// What was swapped in replaces every segment that begins inside its range.
Result<void> Log::complete_swap(const std::vector<FileSystem::Entry>& entries, std::vector<std::string> swaps) {
  std::optional<Offset> first;
  Offset end(-1);
  for (const FileSystem::Entry& entry : entries) {
    const auto base = offset_of(entry.name);
    const bool is_log = entry.name.ends_with(std::string(kLogSuffix) + std::string(kSwapSuffix));
    if (!base || !is_log || std::ranges::find(swaps, entry.name) == swaps.end()) continue;
    Segment segment(files_, directory_, *base, {.log_bytes = entry.size_bytes}, Timestamp(0), kSwapSuffix);
    TRY_ASSIGN(const Offset next, segment.next_offset());
    if (!first) first = *base;
    end = std::max({end, next, *base + 1});
  }
  for (const FileSystem::Entry& entry : entries) {
    const auto base = offset_of(entry.name);
    const bool stays = entry.name.ends_with(kSwapSuffix) || entry.name.ends_with(kDeletedSuffix) ||
                       entry.name.ends_with(kCleanedSuffix) || entry.name.ends_with(".tmp");
    if (!first || !base || stays || *base < *first || *base >= end) continue;
    if (*base == *first && entry.name.ends_with(kSnapshotSuffix)) continue;
    TRY(files_.remove(directory_ + "/" + entry.name));
  }
  TRY(files_.sync_directory(directory_));
  // The segment before its indexes: without one they would be taken for what an earlier start has left.
  std::ranges::sort(swaps, [](const std::string& left, const std::string& right) {
    return std::pair(!left.ends_with(".log.swap"), left) < std::pair(!right.ends_with(".log.swap"), right);
  });
  for (const std::string& name : swaps) {
    LOG_INFO("{}: putting {} in place, which a cleaning has left", directory_, name);
    TRY(files_.rename(directory_ + "/" + name, directory_ + "/" + name.substr(0, name.size() - kSwapSuffix.size())));
  }
  return files_.sync_directory(directory_);
}

Result<void> Log::load(bool had_clean_shutdown, Timestamp now) {
  TRY(finish_interrupted_changes());
  TRY_ASSIGN(const auto entries, files_.list(directory_));
  std::map<Offset, Segment::Found> found;
  std::vector<Offset> bases;
  for (const FileSystem::Entry& entry : entries) {
    const auto base = offset_of(entry.name);
    if (!base) continue;
    if (entry.name.ends_with(kSnapshotSuffix)) snapshots_.push_back(*base);
    Segment::Found& files_of_segment = found[*base];
    if (entry.name.ends_with(kLogSuffix)) {
      files_of_segment.log_bytes = entry.size_bytes;
      files_of_segment.modified = entry.modified;
      bases.push_back(*base);
    }
    if (entry.name.ends_with(kIndexSuffix)) files_of_segment.index_bytes = entry.size_bytes;
    if (entry.name.ends_with(kTimeIndexSuffix)) files_of_segment.time_index_bytes = entry.size_bytes;
    if (entry.name.ends_with(kTransactionIndexSuffix)) files_of_segment.transaction_index_bytes = entry.size_bytes;
  }
  // A power cut may bring back the indexes of a segment that was removed. One that begins there anew must not go on in them.
  for (const auto& [base, files_of_segment] : found) {
    if (std::ranges::find(bases, base) != bases.end()) continue;
    if (files_of_segment.index_bytes) TRY(files_.remove(segment_path(directory_, base, kIndexSuffix)));
    if (files_of_segment.time_index_bytes) TRY(files_.remove(segment_path(directory_, base, kTimeIndexSuffix)));
    if (files_of_segment.transaction_index_bytes)
      TRY(files_.remove(segment_path(directory_, base, kTransactionIndexSuffix)));
  }
  for (const Offset base : bases) {
    const Segment::Found& files_of_segment = found[base];
    const Timestamp created = files_of_segment.modified.value() >= 0 ? files_of_segment.modified : now;
    segments_.push_back(std::make_unique<Segment>(files_, directory_, base, files_of_segment, created));
  }
  if (segments_.empty()) {
    TRY(add_segment(log_start_offset_, now));
  }
  TRY_ASSIGN(const bool has_epochs, read_epochs());
  TRY(recover_segments(had_clean_shutdown));
  if (!has_epochs) TRY(rebuild_epochs());
  TRY_ASSIGN(log_end_offset_, active().next_offset());
  if (log_start_offset_ > log_end_offset_) {
    // Everything there has been was deleted before it was written down: begin at the recorded start.
    LOG_WARN("{}: ends at offset {}, before its recorded start {}; beginning anew there", directory_,
             log_end_offset_.value(), log_start_offset_.value());
    const Offset start = log_start_offset_;
    TRY(truncate_fully_and_start_at(start));
  }
  log_start_offset_ = std::max(log_start_offset_, segments_.front()->base_offset());
  if (recovery_point_ > log_end_offset_) {
    LOG_WARN("{}: ends at offset {}, but was on the disk up to {}: records are missing that had been flushed",
             directory_, log_end_offset_.value(), recovery_point_.value());
  }
  recovery_point_ = had_clean_shutdown ? log_end_offset_ : std::min(recovery_point_, log_end_offset_);
  durable_end_ = recovery_point_;
  bool epochs_changed = epochs_.truncate_from_end(log_end_offset_);
  epochs_changed = epochs_.truncate_from_start(log_start_offset_) || epochs_changed;
  if (epochs_changed) TRY(write_epochs());
  return load_producers(had_clean_shutdown, now);
}

// False if they are lost or damaged although there are batches, of which every one names its epoch.
Result<bool> Log::read_epochs() {
  const std::string path = directory_ + "/leader-epoch-checkpoint";
  auto entries = read_epoch_checkpoint(files_, path);
  if (entries) {
    epochs_ = LeaderEpochs(std::move(*entries));
    const bool is_empty =
        std::ranges::all_of(segments_, [](const auto& segment) { return segment->size_bytes() == 0; });
    if (is_empty || epochs_.latest()) return true;
    LOG_WARN("{}: missing, made anew from the batches", path);
    return false;
  }
  if (entries.error().failure != Failure::kMalformed) return std::unexpected(entries.error());
  LOG_WARN("{}: the file is damaged, it is made anew from the batches", entries.error().context);
  return false;
}

Result<void> Log::rebuild_epochs() {
  epochs_.clear();
  for (const auto& segment : segments_) {
    TRY(segment->scan(0, false, [&](const RecordBatchView& batch, std::uint64_t) -> Result<bool> {
      epochs_.assign(batch.leader_epoch(), batch.base_offset());
      return true;
    }));
  }
  return write_epochs();
}

Result<void> Log::recover_segments(bool had_clean_shutdown) {
  const std::size_t first_unflushed = segment_of(recovery_point_);
  bool epochs_changed = false;
  // Only compaction leaves gaps between segments: now, or before it was turned off, or if nobody knows what was configured.
  const bool may_have_gaps =
      !cleaned_before_recovery_point_ && (config_.compact || config_.keeps_everything || cleaned_to_.has_value());
  for (std::size_t i = 0; i < segments_.size(); ++i) {
    Segment& segment = *segments_[i];
    const bool unflushed = !had_clean_shutdown && i >= first_unflushed;
    const Result<bool> fits = segment.indexes_fit();
    if (!unflushed && fits && *fits) continue;
    if (!unflushed) LOG_WARN("{}: rebuilding the indexes of segment {}", directory_, segment.base_offset().value());
    TRY_ASSIGN(const std::uint64_t cut,
               segment.recover(config_, [&](const RecordBatchView& batch, std::uint64_t) -> Result<bool> {
                 // What the checkpoint knows began where it says, which may be in an earlier segment.
                 const auto latest = epochs_.latest();
                 if (!latest || batch.leader_epoch() > *latest)
                   epochs_changed = epochs_.assign(batch.leader_epoch(), batch.base_offset()) || epochs_changed;
                 return true;
               }));
    if (!unflushed) TRY(segment.sync_indexes());  // no flush goes back to before the recovery point
    TRY_ASSIGN(const Offset next, segment.next_offset());
    // A power cut may have dropped the end of this segment and kept the next one.
    const bool is_last = i + 1 == segments_.size();
    const bool continues =
        is_last || segments_[i + 1]->base_offset() == next || (may_have_gaps && segments_[i + 1]->base_offset() > next);
    if (!unflushed || (cut == 0 && continues)) continue;
    // What follows a cut has lost its connection: it goes, down to the last segment.
    for (std::size_t j = i + 1; j < segments_.size(); ++j) {
      LOG_WARN("{}: removing segment {}, which follows a cut", directory_, segments_[j]->base_offset().value());
      for (const std::string& path : segments_[j]->paths()) {
        if (Result<void> removed = files_.remove(path); !removed && removed.error().failure != Failure::kNotFound) {
          return removed;
        }
      }
    }
    segments_.resize(i + 1);
  }
  return epochs_changed ? write_epochs() : Result<void>{};
}

// The newest snapshot that can be read and lies within the log, then every batch after it. After a crash none is of use that
// was taken behind the first segment that may not have been on the disk as a whole: a power cut may have kept the snapshot, and
// not what it is of, nor that segment's index of aborted transactions. `is_whole`: there was no crash. As in Apache Kafka, who has
// expired in the snapshot is forgotten now.
Result<void> Log::load_producers(bool is_whole, Timestamp now) {
  Offset from = log_start_offset_;
  const Offset latest = is_whole ? log_end_offset_ : segments_[segment_of(recovery_point_)]->base_offset();
  bool removed = false;
  while (!snapshots_.empty()) {
    const Offset offset = snapshots_.back();
    const std::string path = segment_path(directory_, offset, kSnapshotSuffix);
    if (offset <= latest && offset >= log_start_offset_) {
      auto content = read_file(files_, path);
      auto state = content ? ProducerState::from_snapshot(*content) : std::unexpected(content.error());
      if (state) {
        producers_ = std::move(*state);
        producers_.expire(now, config_.producer_expiration_ms);
        from = offset;
        break;
      }
      LOG_WARN("{}: ignoring {}: {}", directory_, path, state.error().context);
    }
    TRY(files_.remove(path));
    snapshots_.pop_back();
    removed = true;
  }
  // A snapshot of records that were cut off must not come back once other records have those offsets.
  if (removed) TRY(files_.sync_directory(directory_));
  if (from == log_end_offset_ && is_whole) return {};
  // The transaction indexes were appended live; after a crash those that were not flushed are made anew along the way, or
  // completed where the log begins inside. In the others nothing is missing but what a cleaning has left out.
  const std::size_t first = segment_of(from);
  std::vector<Segment*> rebuilt;
  bool names_differ = false;
  for (std::size_t i = first; i < segments_.size(); ++i) {
    Segment& segment = *segments_[i];
    const bool unflushed = !is_whole && segment.base_offset() >= latest;
    const bool rebuild = unflushed && segment.base_offset() >= from;
    if (rebuild) {
      rebuilt.push_back(&segment);
      names_differ = names_differ || segment.has_transaction_index();
      TRY(segment.clear_transaction_index());
    }
    std::vector<AbortedTransaction> known;
    if (unflushed && !rebuild) {
      TRY_ASSIGN(known, segment.aborted_transactions());
    }
    TRY_ASSIGN(const OffsetIndex::Entry start, segment.offset_index().lookup(from));
    TRY(segment.scan(start.position, true, [&](const RecordBatchView& batch, std::uint64_t) -> Result<bool> {
      // The log may begin inside a batch: what that says of its producer holds.
      if (batch.last_offset() < from) return true;
      const bool is_known = std::ranges::find(known, batch.last_offset(), &AbortedTransaction::last_offset) != known.end();
      TRY(replay_into_producers(batch, unflushed && !is_known ? &segment : nullptr));
      return true;
    }));
  }
  // At once: a flush need not come to a segment that lies before the recovery point as a whole.
  for (Segment* segment : rebuilt) {
    names_differ = names_differ || segment->has_transaction_index();
    TRY(segment->sync_transaction_index());
  }
  if (names_differ) TRY(files_.sync_directory(directory_));
  producers_.high_watermark_is(log_end_offset_);
  return {};
}

std::optional<PartitionDirectory> parse_partition_directory(const std::string& name) {
  const std::size_t dash = name.rfind('-');
  if (dash == std::string::npos || dash == 0 || dash + 1 == name.size()) return std::nullopt;
  std::int32_t partition = 0;
  const auto [end, error] = std::from_chars(name.data() + dash + 1, name.data() + name.size(), partition);
  if (error != std::errc{} || end != name.data() + name.size() || partition < 0) return std::nullopt;
  return PartitionDirectory{name.substr(0, dash), PartitionIndex(partition)};
}

Result<std::optional<Uuid>> read_partition_metadata(FileSystem& files, const std::string& directory) {
  const std::string path = directory + "/partition.metadata";
  const auto content = read_file(files, path);
  if (!content) {
    if (content.error().failure == Failure::kNotFound) return std::nullopt;
    return std::unexpected(content.error());
  }
  constexpr std::string_view kBefore = "version: 0\ntopic_id: ";
  std::string_view text = as_text(*content);
  if (text.starts_with(kBefore)) {
    text.remove_prefix(kBefore.size());
    while (text.ends_with('\n')) text.remove_suffix(1);
    if (const auto id = Uuid::parse(text)) return std::optional<Uuid>(*id);
  }
  return fail(Failure::kMalformed, path + ": expected the lines 'version: 0' and 'topic_id: <uuid>'");
}

Result<void> write_partition_metadata(FileSystem& files, const std::string& directory, const Uuid& topic_id) {
  const std::string text = fmt::format("version: 0\ntopic_id: {}", topic_id.to_string());
  return replace_file(files, directory + "/partition.metadata", as_bytes(text));
}

}  // namespace kurier::storage
