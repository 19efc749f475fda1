#include "storage/cleaner.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/log.h"

namespace kurier::storage {
namespace {

using protocol::kBatchHeaderBytes;
using protocol::RecordBatchView;

constexpr std::uint64_t kBufferBytesMin = 16 * 1024;

CleaningLimits bounded(CleaningLimits limits) {
  limits.buffer_bytes = std::max(limits.buffer_bytes, kBufferBytesMin);
  return limits;
}

std::uint64_t dirty_offsets(const CleaningJob& job) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(0, job.first_uncleanable_offset - job.first_dirty_offset));
}

}  // namespace

// The batches of one segment, one after the other, read in chunks.
class Cleaning::Cursor {
 public:
  Cursor(std::unique_ptr<File> file, std::uint64_t size_bytes, std::uint64_t position, std::uint64_t chunk_bytes)
      : file_(std::move(file)), size_bytes_(size_bytes), position_(position), chunk_bytes_(chunk_bytes) {}

  // Valid until the next call; none at the end. `used` counts what came from the disk.
  Result<std::optional<RecordBatchView>> next(std::uint64_t& used) {
    if (position_ >= size_bytes_) return std::nullopt;
    TRY(have(kBatchHeaderBytes, used));
    auto header = RecordBatchView::parse_header(here());
    if (!header) return fail(header.error().failure, where() + header.error().context);
    TRY(have(header->size_bytes(), used));
    auto batch = RecordBatchView::parse(here());
    if (!batch) return fail(batch.error().failure, where() + batch.error().context);
    position_ += batch->size_bytes();
    return *batch;
  }

 private:
  [[nodiscard]] ByteView here() const { return ByteView(chunk_).first(filled_).subspan(position_ - chunk_at_); }
  [[nodiscard]] std::string where() const { return fmt::format("{} at position {}: ", file_->path(), position_); }

  Result<void> have(std::uint64_t count, std::uint64_t& used) {
    if (count > size_bytes_ - position_) return fail(Failure::kCorrupt, where() + "a batch goes on beyond the end");
    if (position_ >= chunk_at_ && position_ + count <= chunk_at_ + filled_) return {};
    const std::uint64_t wanted = std::min(std::max(count, chunk_bytes_), size_bytes_ - position_);
    if (chunk_.size() != std::max(wanted, chunk_bytes_)) chunk_.resize(std::max(wanted, chunk_bytes_));
    chunk_at_ = position_;
    TRY_ASSIGN(filled_, file_->read_at(position_, MutableByteView(chunk_).first(wanted)));
    used += filled_;
    return filled_ < count ? fail(Failure::kCancelled, where() + "the file has become shorter") : Result<void>{};
  }

  const std::unique_ptr<File> file_;
  const std::uint64_t size_bytes_;
  std::uint64_t position_;
  const std::uint64_t chunk_bytes_;
  Bytes chunk_;
  std::uint64_t chunk_at_ = 0;
  std::size_t filled_ = 0;
};

Cleaning::Cleaning(CleaningJob job, CleaningLimits limits)
    : job_(std::move(job)),
      limits_(bounded(limits)),
      keys_(limits_.map_bytes, dirty_offsets(job_), limits_.map_load_factor, limits_.hash_key),
      filter_({job_.now, job_.config.delete_retention_ms, job_.high_watermark}, keys_, job_.producers) {
  // Those whose marker will be seen: without it a producer's later transactions would be taken for the same one.
  mapped_transactions_.expect(overlapping(job_.first_dirty_offset, job_.first_uncleanable_offset));
  // The segments before the first dirty offset need no look into their keys.
  while (source_ + 1 < job_.sources.size() && job_.sources[source_ + 1].segment.base_offset <= job_.first_dirty_offset)
    ++source_;
}

// What is half done is of no use to anybody.
Cleaning::~Cleaning() {
  if (!target_) return;
  for (const std::string& path : target_->paths()) {
    const Result<void> removed = job_.files->remove(path);
    if (!removed && removed.error().failure != Failure::kNotFound)
      LOG_WARN("removing {}: {}", path, removed.error().context);
  }
}

Offset Cleaning::end_of(std::size_t source) const {
  return source + 1 < job_.sources.size() ? job_.sources[source + 1].segment.base_offset
                                          : job_.first_uncleanable_offset;
}

std::vector<AbortedTransaction> Cleaning::overlapping(Offset from, Offset to) const {
  std::vector<AbortedTransaction> found;
  std::ranges::copy_if(job_.aborted, std::back_inserter(found), [&](const AbortedTransaction& aborted) {
    return aborted.last_offset >= from && aborted.first_offset < to;
  });
  return found;
}

Result<void> Cleaning::open_source(const CleanerSegment& source, std::uint64_t position) {
  auto file = job_.files->open(segment_path(job_.directory, source.base_offset, kLogSuffix), OpenMode::kRead);
  if (!file) {
    const bool is_gone = file.error().failure == Failure::kNotFound;
    return fail(is_gone ? Failure::kCancelled : file.error().failure, file.error().context);
  }
  cursor_ = std::make_unique<Cursor>(std::move(*file), source.size_bytes, position, limits_.buffer_bytes);
  return {};
}

Result<Cleaning::Progress> Cleaning::run(std::uint64_t budget_bytes) {
  used_bytes_ = 0;
  if (!is_mapped_) {
    TRY_ASSIGN(is_mapped_, map(budget_bytes));
    stats_.map_bytes_read += used_bytes_;
    if (!is_mapped_) return Progress::kMore;
    plan_groups();
  }
  if (group_ == groups_.size()) return Progress::kFinished;
  TRY_ASSIGN(const bool done, clean_group(budget_bytes));
  return done ? Progress::kGroup : Progress::kMore;
}

Result<bool> Cleaning::map(std::uint64_t budget_bytes) {
  for (; source_ < job_.sources.size(); ++source_) {
    const CleanerSegment& source = job_.sources[source_].segment;
    const bool holds_first_dirty = source.base_offset <= job_.first_dirty_offset;
    if (!cursor_) TRY(open_source(source, holds_first_dirty ? job_.dirty_position : 0));
    while (true) {
      if (used_bytes_ >= budget_bytes) return false;
      TRY_ASSIGN(const auto batch, cursor_->next(used_bytes_));
      if (!batch) break;
      const bool is_aborted = mapped_transactions_.see(*batch).can_be_discarded;
      TRY_ASSIGN(const bool fits, map_keys(*batch, is_aborted, job_.first_dirty_offset, keys_));
      if (!fits) return true;
    }
    cursor_.reset();
    // Compaction may have left the end of the segment empty.
    keys_.last_offset_is(end_of(source_) - 1);
  }
  return true;
}

void Cleaning::plan_groups() {
  cursor_.reset();
  source_ = 0;
  for (const CleaningJob::Source& source : job_.sources) {
    if (source.segment.base_offset < cleaned_to()) segments_.push_back(source.segment);
  }
  groups_ =
      group_segments(segments_, job_.config.segment_bytes, job_.config.index_bytes_max, job_.first_uncleanable_offset);
}

Result<void> Cleaning::begin_source() {
  const CleanerSegment& source = segments_[source_];
  transactions_.expect(overlapping(source.base_offset, end_of(source_)));
  return open_source(source, 0);
}

Result<bool> Cleaning::clean_group(std::uint64_t budget_bytes) {
  const CleanerGroup& group = groups_[group_];
  if (!target_) {
    target_ = std::make_unique<Segment>(*job_.files, job_.directory, segments_[group.first].base_offset,
                                        Segment::Found{}, job_.now, kCleanedSuffix);
    // What an attempt that failed has left would be appended to.
    for (const std::string_view kind : {kLogSuffix, kIndexSuffix, kTimeIndexSuffix, kTransactionIndexSuffix}) {
      const std::string path = segment_path(job_.directory, target_->base_offset(), kind) + std::string(kCleanedSuffix);
      const Result<void> removed = job_.files->remove(path);
      if (!removed && removed.error().failure != Failure::kNotFound) return std::unexpected(removed.error());
    }
    TRY(target_->file());
  }
  for (; source_ < group.first + group.count; ++source_) {
    if (!cursor_) TRY(begin_source());
    while (true) {
      if (used_bytes_ >= budget_bytes) return false;
      const std::uint64_t before = used_bytes_;
      TRY_ASSIGN(const auto batch, cursor_->next(used_bytes_));
      stats_.bytes_read += used_bytes_ - before;
      if (!batch) break;
      const CleanedTransactions::Verdict verdict = transactions_.see(*batch);
      if (verdict.still_aborted) TRY(target_->append_aborted(*verdict.still_aborted));
      TRY(filter_.filter(*batch, verdict.can_be_discarded, output_));
      if (output_.size() >= limits_.buffer_bytes) TRY(write_out());
    }
    cursor_.reset();
  }
  TRY(write_out());
  TRY(finish_group());
  return true;
}

Result<void> Cleaning::write_out() {
  if (output_.empty()) return {};
  if (target_->size_bytes() + output_.size() > INT32_MAX) {
    return fail(Failure::kUnsupported, fmt::format("{}: segment {} would be larger than 2 GiB when cleaned",
                                                   job_.directory, target_->base_offset().value()));
  }
  TRY(target_->append(output_, job_.config));
  used_bytes_ += output_.size();
  stats_.bytes_written += output_.size();
  output_.clear();
  return {};
}

Result<void> Cleaning::finish_group() {
  TRY(target_->seal());
  TRY_ASSIGN(const auto files, target_->files_to_sync(true));
  for (const auto& file : files) TRY(file->sync());
  // The names too: none of them may be missing when some of them have become .swap.
  return job_.files->sync_directory(job_.directory);
}

CleanedGroup Cleaning::take_group() {
  const CleanerGroup& group = groups_[group_++];
  const auto first = segments_.begin() + static_cast<std::ptrdiff_t>(group.first);
  target_->modified_is(job_.sources[group.first + group.count - 1].modified);
  return {std::move(target_), {first, first + static_cast<std::ptrdiff_t>(group.count)}, job_.log_shape};
}

CleaningStats Cleaning::stats() const {
  CleaningStats stats = stats_;
  stats.keys = keys_.size();
  stats.records = filter_.counts();
  return stats;
}

}  // namespace kurier::storage
