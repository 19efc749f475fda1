#include "storage/segment.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/log.h"

namespace kurier::storage {
namespace {
constexpr std::size_t kRecentBatches = 64;
constexpr std::uint64_t kScanChunkBytes = 64 * 1024;
constexpr std::uint64_t kFirstChunkBytes = 4 * 1024;  // of headers only: mostly the first few are what is looked for
constexpr std::size_t kTransactionEntryBytes = 34;
using protocol::kBatchHeaderBytes;
using protocol::RecordBatchView;
}  // namespace

std::string segment_path(const std::string& directory, Offset base_offset, std::string_view suffix) {
  return fmt::format("{}/{:020}{}", directory, base_offset.value(), suffix);
}

Segment::Segment(FileSystem& files, std::string directory, Offset base_offset, const Found& found, Timestamp created,
                 std::string_view suffix)
    : files_(files),
      directory_(std::move(directory)),
      suffix_(suffix),
      base_offset_(base_offset),
      size_bytes_(found.log_bytes),
      created_(created),
      modified_(found.modified.value() >= 0 ? found.modified : created),
      offset_index_(files, path(kIndexSuffix), base_offset, found.index_bytes),
      time_index_(files, path(kTimeIndexSuffix), base_offset, found.time_index_bytes),
      has_transaction_index_(found.transaction_index_bytes.has_value()) {
  if (size_bytes_ == 0) max_timestamp_ = TimeIndex::Entry{Timestamp(-1), base_offset_};
}

std::string Segment::path(std::string_view kind) const {
  return segment_path(directory_, base_offset_, kind) + suffix_;
}

Result<void> Segment::open_file() {
  if (file_) return {};
  TRY_ASSIGN(file_, files_.open(path(kLogSuffix), OpenMode::kCreate));
  return {};
}

Result<std::shared_ptr<const File>> Segment::file() {
  TRY(open_file());
  return std::shared_ptr<const File>(file_);
}

void Segment::remember(const RecordBatchView& batch, std::uint64_t position) {
  recent_.push_back({batch.last_offset(), batch.base_offset(), position, batch.size_bytes()});
  if (recent_.size() > kRecentBatches) recent_.pop_front();
}

Result<void> Segment::index(const RecordBatchView& batch, std::uint64_t position, const LogConfig& config) {
  TRY(load_max_timestamp());
  if (position == 0) first_batch_timestamp_ = batch.max_timestamp();
  if (batch.max_timestamp() > max_timestamp_->timestamp) {
    max_timestamp_ = TimeIndex::Entry{batch.max_timestamp(), batch.last_offset()};
  }
  // index.interval.bytes: one entry when more than that has been appended since the one before.
  if (bytes_since_index_entry_ > config.index_interval_bytes) {
    TRY(offset_index_.append({batch.last_offset(), static_cast<std::uint32_t>(position)}));
    TRY(time_index_.maybe_append(*max_timestamp_));
    bytes_since_index_entry_ = 0;
  }
  bytes_since_index_entry_ += batch.size_bytes();
  remember(batch, position);
  return {};
}

Result<void> Segment::append(ByteView batches, const LogConfig& config) {
  std::uint64_t position = size_bytes_;
  TRY(append_unindexed(batches, config));
  while (!batches.empty()) {
    TRY_ASSIGN(const RecordBatchView batch, RecordBatchView::parse(batches));
    TRY(index(batch, position, config));
    position += batch.size_bytes();
    batches = batches.subspan(batch.size_bytes());
  }
  return {};
}

Result<void> Segment::append_unindexed(ByteView batches, const LogConfig& config) {
  TRY(open_file());
  // preallocate: Apache Kafka gives the file its full size and cuts the zeros off later. Here only the space is taken.
  if (config.preallocate && size_bytes_ == 0 && !is_reserved_) {
    is_reserved_ = true;
    if (const Result<void> taken = file_->reserve(config.segment_bytes); !taken) LOG_WARN("{}", taken.error().context);
  }
  if (config.space_ahead_bytes > 0 && size_bytes_ + batches.size() + config.space_ahead_bytes / 2 > reserved_end_) {
    // On a full disk what was taken earlier is used up.
    const std::uint64_t wanted = size_bytes_ + batches.size() + config.space_ahead_bytes;
    if (file_->reserve(wanted)) reserved_end_ = wanted;
    is_reserved_ = true;
  }
  if (Result<void> written = file_->write_at(size_bytes_, batches); !written) {
    // What was written of it is cut off, so that nothing half is ever read; if that fails too, recovery does it, and nothing
    // may be appended until then.
    if (const Result<void> cut = file_->truncate(size_bytes_); !cut) return fail(Failure::kIo, cut.error().context);
    has_unsynced_cut_ = true;
    return written;
  }
  size_bytes_ += batches.size();
  return {};
}

Result<std::optional<Segment::Position>> Segment::find(Offset offset) {
  if (!recent_.empty() && offset >= recent_.front().base_offset) {
    const auto found = std::ranges::lower_bound(recent_, offset, {}, &Recent::last_offset);
    if (found == recent_.end()) return std::nullopt;
    return Position{found->position, found->batch_bytes, found->base_offset, found->last_offset};
  }
  TRY_ASSIGN(std::optional<Position> found, find_behind_last(offset));
  if (!found) {
    TRY_ASSIGN(const OffsetIndex::Entry entry, offset_index_.lookup(offset));
    TRY(scan(entry.position, false, [&](const RecordBatchView& batch, std::uint64_t position) -> Result<bool> {
      if (batch.last_offset() < offset) return true;
      found = Position{position, batch.size_bytes(), batch.base_offset(), batch.last_offset()};
      return false;
    }));
  }
  if (found) behind_last_found_ = {found->last_offset + 1, found->position + found->batch_bytes};
  return found;
}

// Whoever reads a batch at a time asks next for what is behind it. None: the index has to be asked.
Result<std::optional<Segment::Position>> Segment::find_behind_last(Offset offset) {
  const auto& [wanted, position] = behind_last_found_;
  if (position == 0 || offset != wanted || position + kBatchHeaderBytes > size_bytes_) return std::nullopt;
  TRY(open_file());
  std::array<std::byte, kBatchHeaderBytes> header;
  TRY_ASSIGN(const std::size_t count, file_->read_at(position, header));
  if (count < header.size()) return std::nullopt;
  const auto batch = RecordBatchView::parse_header(header);
  if (!batch || batch->size_bytes() > size_bytes_ - position || batch->last_offset() < offset) return std::nullopt;
  return Position{position, batch->size_bytes(), batch->base_offset(), batch->last_offset()};
}

Result<std::uint64_t> Segment::scan(std::uint64_t position, bool full, const Visit& visit) {
  TRY(open_file());
  Bytes chunk(std::min(full ? kScanChunkBytes : kFirstChunkBytes, size_bytes_ - std::min(position, size_bytes_)));
  std::uint64_t chunk_at = 0;
  std::size_t chunk_bytes = 0;
  while (position + kBatchHeaderBytes <= size_bytes_) {
    std::size_t wanted = kBatchHeaderBytes;
    for (int pass = 0; pass < 2; ++pass) {  // the header first; then, in a full scan, the whole batch
      if (position < chunk_at || position + wanted > chunk_at + chunk_bytes) {
        // What goes on right behind the last chunk will go on; what jumps over large batches needs their headers alone.
        const bool goes_on = chunk_bytes > 0 && position < chunk_at + 2 * chunk_bytes;
        if (goes_on && chunk.size() < kScanChunkBytes) chunk.resize(2 * chunk.size());
        if (chunk.size() < wanted) chunk.resize(wanted);
        chunk_at = position;
        TRY_ASSIGN(chunk_bytes, file_->read_at(position, MutableByteView(chunk).first(
                                              std::min<std::uint64_t>(chunk.size(), size_bytes_ - position))));
        if (chunk_bytes < wanted) return position;
      }
      const auto header = RecordBatchView::parse_header(ByteView(chunk).subspan(position - chunk_at, kBatchHeaderBytes));
      if (!header || header->size_bytes() > size_bytes_ - position) return position;
      wanted = header->size_bytes();
      if (!full) break;
    }
    const std::size_t view_bytes = full ? wanted : kBatchHeaderBytes;
    const ByteView view = ByteView(chunk).subspan(position - chunk_at, view_bytes);
    TRY_ASSIGN(const RecordBatchView batch, full ? RecordBatchView::parse(view) : RecordBatchView::parse_header(view));
    TRY_ASSIGN(const bool go_on, visit(batch, position));
    if (!go_on) return position;
    position += batch.size_bytes();
  }
  return position;
}

Result<std::uint64_t> Segment::recover(const LogConfig& config, const Visit& seen) {
  TRY(offset_index_.truncate(base_offset_));
  TRY(time_index_.truncate(base_offset_));
  // An index file that is damaged may hold any bytes: emptied, not searched.
  TRY(offset_index_.entries().truncate(0));
  TRY(time_index_.entries().truncate(0));
  bytes_since_index_entry_ = 0;
  max_timestamp_ = TimeIndex::Entry{Timestamp(-1), base_offset_};
  first_batch_timestamp_.reset();
  recent_.clear();
  behind_last_found_ = {};
  Offset expected = base_offset_;
  TRY_ASSIGN(const std::uint64_t valid,
             scan(0, true, [&](const RecordBatchView& batch, std::uint64_t position) -> Result<bool> {
               if (!batch.crc_is_valid() || batch.base_offset() < expected || batch.last_offset_delta() < 0) return false;
               expected = batch.next_offset();
               TRY(index(batch, position, config));
               TRY_ASSIGN(const bool go_on, seen(batch, position));
               return go_on;
             }));
  // Whoever was killed may have taken space ahead: the end of the segment gives it back.
  is_reserved_ = size_bytes_ > 0;
  const std::uint64_t cut = size_bytes_ - valid;
  if (cut > 0) {
    LOG_WARN("{}: cutting {} bytes after position {} that are no complete batch", file_->path(), cut, valid);
    TRY(file_->truncate(valid));
    // At once: a later segment may begin here, and flushes then no longer cover this one.
    TRY(file_->sync());
    size_bytes_ = valid;
  }
  TRY(offset_index_.entries().write_out());
  TRY(time_index_.entries().write_out());
  return cut;
}

Result<bool> Segment::indexes_fit() {
  if (!offset_index_.entries().exists() || !time_index_.entries().exists()) return size_bytes_ == 0;
  TRY_ASSIGN(const bool fits, offset_index_.fits(size_bytes_));
  if (!fits) return false;
  TRY_ASSIGN(const TimeIndex::Entry last, time_index_.last());
  return last.offset >= base_offset_;
}

Result<Offset> Segment::next_offset() {
  if (!recent_.empty()) return recent_.back().last_offset + 1;
  TRY_ASSIGN(const OffsetIndex::Entry entry, offset_index_.last());
  Offset next = base_offset_;
  TRY(scan(entry.position, false, [&](const RecordBatchView& batch, std::uint64_t) -> Result<bool> {
    next = batch.next_offset();
    return true;
  }));
  return next;
}

// Of a segment found on disk: the last time index entry, which a clean end has written.
Result<void> Segment::load_max_timestamp() {
  if (max_timestamp_) return {};
  TRY_ASSIGN(TimeIndex::Entry last, time_index_.last());
  max_timestamp_ = last;
  // Batches after it count too: Apache Kafka writes the last entry only when a segment is rolled or closed.
  TRY_ASSIGN(const OffsetIndex::Entry from, offset_index_.lookup(last.offset));
  TRY(scan(from.position, false, [&](const RecordBatchView& batch, std::uint64_t) -> Result<bool> {
    if (batch.max_timestamp() > max_timestamp_->timestamp) {
      max_timestamp_ = TimeIndex::Entry{batch.max_timestamp(), batch.last_offset()};
    }
    return true;
  }));
  return {};
}

Result<TimeIndex::Entry> Segment::max_timestamp() {
  TRY(load_max_timestamp());
  return *max_timestamp_;
}

Result<std::optional<Timestamp>> Segment::first_batch_timestamp() {
  if (first_batch_timestamp_ || size_bytes_ == 0) return first_batch_timestamp_;
  TRY(scan(0, false, [&](const RecordBatchView& batch, std::uint64_t) -> Result<bool> {
    first_batch_timestamp_ = batch.max_timestamp();
    return false;
  }));
  return first_batch_timestamp_;
}

Result<void> Segment::truncate_to(Offset offset) {
  TRY_ASSIGN(const std::optional<Position> from, find(offset));
  TRY(offset_index_.truncate(offset));
  TRY(time_index_.truncate(offset));
  TRY(truncate_transaction_index(offset));
  if (!from) return {};
  behind_last_found_ = {};
  TRY(open_file());
  TRY(file_->truncate(from->position));
  TRY(file_->sync());  // as in recover
  size_bytes_ = from->position;
  while (!recent_.empty() && recent_.back().position >= size_bytes_) recent_.pop_back();
  max_timestamp_.reset();
  if (size_bytes_ == 0) {
    max_timestamp_ = TimeIndex::Entry{Timestamp(-1), base_offset_};
    first_batch_timestamp_.reset();
  }
  bytes_since_index_entry_ = 0;
  return {};
}

Result<void> Segment::seal() {
  if (size_bytes_ > 0) {
    TRY(load_max_timestamp());
    TRY(time_index_.maybe_append(*max_timestamp_));
  }
  TRY(offset_index_.entries().write_out());
  TRY(time_index_.entries().write_out());
  // Empty ones are created: their absence would mean that they are lost.
  TRY(offset_index_.entries().file());
  TRY(time_index_.entries().file());
  std::deque<Recent>().swap(recent_);
  if (is_reserved_ || has_unsynced_cut_) TRY(open_file());
  if (std::exchange(is_reserved_, false)) TRY(file_->truncate(size_bytes_));  // the rest of the space is free again
  // A later segment begins here, and flushes may no longer cover this one: what was cut off must not come back.
  if (std::exchange(has_unsynced_cut_, false)) TRY(file_->sync());
  return {};
}

bool Segment::index_is_full(const LogConfig& config) const {
  return offset_index_.entries().count() >= config.index_bytes_max / OffsetIndex::kEntryBytes ||
         time_index_.entries().count() >= config.index_bytes_max / TimeIndex::kEntryBytes - 1;
}

Result<void> Segment::append_aborted(const AbortedTransaction& aborted) {
  std::array<std::byte, kTransactionEntryBytes> entry{};  // begins with version 0, an int16
  store_big_endian(entry.data() + 2, aborted.producer_id.value());
  store_big_endian(entry.data() + 10, aborted.first_offset.value());
  store_big_endian(entry.data() + 18, aborted.last_offset.value());
  store_big_endian(entry.data() + 26, aborted.last_stable_offset.value());
  TRY_ASSIGN(const auto to, files_.open(path(kTransactionIndexSuffix), OpenMode::kCreate));
  TRY_ASSIGN(const std::uint64_t size, to->size_bytes());
  has_transaction_index_ = true;
  return to->write_at(size / kTransactionEntryBytes * kTransactionEntryBytes, ByteView(entry));
}

Result<std::vector<AbortedTransaction>> Segment::aborted_transactions() {
  std::vector<AbortedTransaction> all;
  if (!has_transaction_index_) return all;
  TRY_ASSIGN(const Bytes content, read_file(files_, path(kTransactionIndexSuffix)));
  for (std::size_t at = 0; at + kTransactionEntryBytes <= content.size(); at += kTransactionEntryBytes) {
    const std::byte* entry = content.data() + at;
    all.push_back({ProducerId(load_big_endian<std::int64_t>(entry + 2)), Offset(load_big_endian<std::int64_t>(entry + 10)),
                   Offset(load_big_endian<std::int64_t>(entry + 18)), Offset(load_big_endian<std::int64_t>(entry + 26))});
  }
  return all;
}

// Transactions that ended at or behind `offset` have not ended any more.
Result<void> Segment::truncate_transaction_index(Offset offset) {
  TRY_ASSIGN(const auto aborted, aborted_transactions());
  const auto kept = std::ranges::lower_bound(aborted, offset, {}, &AbortedTransaction::last_offset) - aborted.begin();
  if (static_cast<std::size_t>(kept) == aborted.size()) return {};
  TRY_ASSIGN(const auto file, files_.open(path(kTransactionIndexSuffix), OpenMode::kReadWrite));
  TRY(file->truncate(static_cast<std::uint64_t>(kept) * kTransactionEntryBytes));
  return file->sync();
}

Result<void> Segment::clear_transaction_index() {
  if (!has_transaction_index_) return {};
  has_transaction_index_ = false;
  return files_.remove(path(kTransactionIndexSuffix));
}

Result<void> Segment::sync_transaction_index() {
  if (!has_transaction_index_) return {};
  TRY_ASSIGN(const auto file, files_.open(path(kTransactionIndexSuffix), OpenMode::kReadWrite));
  return file->sync();
}

Result<std::vector<std::shared_ptr<File>>> Segment::files_to_sync(bool with_indexes) {
  TRY(open_file());
  std::vector<std::shared_ptr<File>> all{file_};
  if (with_indexes) TRY(take_unsynced_indexes(all));
  if (has_transaction_index_) {
    TRY_ASSIGN(auto transactions, files_.open(path(kTransactionIndexSuffix), OpenMode::kReadWrite));
    all.push_back(std::move(transactions));
  }
  return all;
}

Result<void> Segment::take_unsynced_indexes(std::vector<std::shared_ptr<File>>& taken) {
  for (IndexFile* index : {&offset_index_.entries(), &time_index_.entries()}) {
    // A full disk must not keep the records from becoming durable; an index that ends early is only slower.
    const Result<void> written = index->write_out();
    if (!written && !is_passing(written.error().failure)) return std::unexpected(written.error());
    TRY_ASSIGN(auto file, index->take_unsynced());
    if (file) taken.push_back(std::move(file));
  }
  return {};
}

Result<void> Segment::sync_indexes() {
  std::vector<std::shared_ptr<File>> indexes;
  TRY(take_unsynced_indexes(indexes));
  for (const auto& index : indexes) {
    if (Result<void> synced = index->sync(); !synced) {
      sync_indexes_again();
      return synced;
    }
  }
  return {};
}

void Segment::sync_indexes_again() {
  offset_index_.entries().sync_again();
  time_index_.entries().sync_again();
}

Result<void> Segment::change_suffix(std::string_view suffix) {
  for (const std::string& from : paths()) {
    TRY(files_.rename(from, from.substr(0, from.size() - suffix_.size()) + std::string(suffix)));
  }
  suffix_ = suffix;
  offset_index_.entries().path_is(path(kIndexSuffix));
  time_index_.entries().path_is(path(kTimeIndexSuffix));
  return {};
}

std::vector<std::string> Segment::paths() const {
  std::vector<std::string> all{path(kLogSuffix)};
  if (offset_index_.entries().exists()) all.push_back(path(kIndexSuffix));
  if (time_index_.entries().exists()) all.push_back(path(kTimeIndexSuffix));
  if (has_transaction_index_) all.push_back(path(kTransactionIndexSuffix));
  return all;
}

}  // namespace kurier::storage
