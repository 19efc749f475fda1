#include "storage/index_file.h"

#include <fmt/core.h>

#include <algorithm>

namespace kurier::storage {
namespace {
constexpr std::size_t kPendingBytesMax = 768;  // 96 or 64 entries

}  // namespace

IndexFile::IndexFile(FileSystem& files, std::string path, std::size_t entry_bytes, std::optional<std::uint64_t> size_bytes)
    : files_(files),
      path_(std::move(path)),
      entry_bytes_(entry_bytes),
      exists_(size_bytes.has_value()),
      written_(size_bytes.value_or(0) / entry_bytes) {}

Result<std::shared_ptr<File>> IndexFile::file() {
  if (!file_) {
    TRY_ASSIGN(file_, files_.open(path_, OpenMode::kCreate));
    exists_ = true;
  }
  return file_;
}

Result<std::shared_ptr<File>> IndexFile::take_unsynced() {
  if (is_synced_) return nullptr;
  TRY_ASSIGN(auto taken, file());
  is_synced_ = true;
  return taken;
}

Result<void> IndexFile::append(ByteView entry) {
  pending_.insert(pending_.end(), entry.begin(), entry.end());
  if (pending_.size() < kPendingBytesMax) return {};
  // On a full disk they stay in memory: the records that they are of are in the log already.
  Result<void> written = write_out();
  return !written && is_passing(written.error().failure) ? Result<void>{} : written;
}

Result<void> IndexFile::write_out() {
  if (pending_.empty()) return {};
  TRY_ASSIGN(const auto to, file());
  is_synced_ = false;
  TRY(to->write_at(written_ * entry_bytes_, pending_));
  written_ += pending_.size() / entry_bytes_;
  Bytes().swap(pending_);
  return {};
}

Result<void> IndexFile::read(std::uint64_t index, MutableByteView entry) {
  if (index >= written_) {
    const auto from = pending_.begin() + static_cast<std::ptrdiff_t>((index - written_) * entry_bytes_);
    std::copy(from, from + static_cast<std::ptrdiff_t>(entry_bytes_), entry.begin());
    return {};
  }
  TRY_ASSIGN(const auto from, file());
  TRY_ASSIGN(const std::size_t count, from->read_at(index * entry_bytes_, entry));
  if (count != entry_bytes_) return fail(Failure::kCorrupt, fmt::format("{} ends before entry {}", path_, index));
  return {};
}

// As many entries from `first` on as fit into `stretch`, which the file holds.
Result<void> IndexFile::read_stretch(std::uint64_t first, MutableByteView stretch) {
  TRY_ASSIGN(const auto from, file());
  TRY_ASSIGN(const std::size_t size_bytes, from->read_at(first * entry_bytes_, stretch));
  if (size_bytes == stretch.size()) return {};
  return fail(Failure::kCorrupt,
              fmt::format("{} ends before entry {}", path_, first + stretch.size() / entry_bytes_ - 1));
}

template <class Below>
Result<IndexFile::Found> IndexFile::find_prefix(Below below) {
  Found found;
  const auto take = [&](std::uint64_t index, ByteView entry) {
    found.count = index + 1;
    std::ranges::copy(entry, found.last.begin());
  };
  std::array<std::byte, kEntryBytesMax> bytes{};
  const MutableByteView entry = MutableByteView(bytes).first(entry_bytes_);
  std::uint64_t end = count();
  if (written_ < end) {
    TRY(read(written_, entry));
    if (below(entry)) {
      take(written_, entry);
    } else {
      end = written_;
    }
  }
  std::array<std::byte, kStretchBytes> buffer;
  MutableByteView stretch;
  std::uint64_t first = 0;  // of the stretch
  const auto at = [&](std::uint64_t index) {
    return ByteView(stretch).subspan((index - first) * entry_bytes_, entry_bytes_);
  };
  const auto size_to = [&](std::uint64_t last) { return MutableByteView(buffer).first((last - first) * entry_bytes_); };

  const bool is_long = (end - found.count) * entry_bytes_ > kStretchBytes;
  if (is_long && end == written_ && found_ > 0 && found_ <= end) {
    first = found_ - 1;
    stretch = size_to(std::min(end, first + kStretchBytes / entry_bytes_));
    TRY(read_stretch(first, stretch));
    const std::uint64_t last = first + stretch.size() / entry_bytes_ - 1;
    if (below(at(first)) && (last + 1 == end || !below(at(last)))) {
      take(first, at(first));
      end = std::min(end, last + 1);
    }
  }
  const bool is_at_hand = found.count > first && !stretch.empty();
  while (!is_at_hand && (end - found.count) * entry_bytes_ > kStretchBytes) {
    const std::uint64_t middle = found.count + (end - found.count) / 2;
    TRY(read(middle, entry));
    if (below(entry)) {
      take(middle, entry);
    } else {
      end = middle;
    }
  }
  if (!is_at_hand && found.count < end) {
    first = found.count;
    stretch = size_to(end);
    if (first >= written_) {
      std::ranges::copy(ByteView(pending_).subspan((first - written_) * entry_bytes_, stretch.size()), stretch.begin());
    } else {
      TRY(read_stretch(first, stretch));
    }
  }
  while (found.count < end) {
    const std::uint64_t middle = found.count + (end - found.count) / 2;
    if (below(at(middle))) {
      take(middle, at(middle));
    } else {
      end = middle;
    }
  }
  found_ = found.count;
  return found;
}

Result<void> IndexFile::truncate(std::uint64_t to_count) {
  if (to_count >= count()) return {};
  if (to_count >= written_) {
    pending_.resize((to_count - written_) * entry_bytes_);
    return {};
  }
  pending_.clear();
  TRY_ASSIGN(const auto to, file());
  is_synced_ = false;
  TRY(to->truncate(to_count * entry_bytes_));
  written_ = to_count;
  return {};
}

Result<void> OffsetIndex::append(Entry entry) {
  std::array<std::byte, kEntryBytes> bytes{};
  store_big_endian(bytes.data(), static_cast<std::int32_t>(entry.offset - base_offset_));
  store_big_endian(bytes.data() + 4, entry.position);
  return entries_.append(bytes);
}

OffsetIndex::Entry OffsetIndex::decode(ByteView bytes) const {
  return {base_offset_ + load_big_endian<std::int32_t>(bytes.data()), load_big_endian<std::uint32_t>(bytes.data() + 4)};
}

Result<OffsetIndex::Entry> OffsetIndex::at(std::uint64_t index) {
  std::array<std::byte, kEntryBytes> bytes{};
  TRY(entries_.read(index, bytes));
  return decode(bytes);
}

Result<OffsetIndex::Entry> OffsetIndex::lookup(Offset offset) {
  TRY_ASSIGN(const auto found, entries_.find_prefix([&](ByteView entry) { return decode(entry).offset <= offset; }));
  return found.count == 0 ? Entry{base_offset_, 0} : decode(found.last);
}

Result<OffsetIndex::Entry> OffsetIndex::last() {
  if (entries_.count() == 0) return Entry{base_offset_, 0};
  return at(entries_.count() - 1);
}

Result<void> OffsetIndex::truncate(Offset offset) {
  TRY_ASSIGN(const auto found, entries_.find_prefix([&](ByteView entry) { return decode(entry).offset < offset; }));
  return entries_.truncate(found.count);
}

Result<bool> OffsetIndex::fits(std::uint64_t log_bytes) {
  if (entries_.count() == 0) return true;
  TRY_ASSIGN(const Entry last_entry, at(entries_.count() - 1));
  return last_entry.offset >= base_offset_ && last_entry.position < log_bytes &&
         (entries_.count() == 1 || last_entry.position > 0);
}

Result<void> TimeIndex::maybe_append(Entry entry) {
  if (entry.timestamp.value() < 0) return {};
  TRY_ASSIGN(const Entry previous, last());
  if (entry.timestamp <= previous.timestamp) return {};
  std::array<std::byte, kEntryBytes> bytes{};
  store_big_endian(bytes.data(), entry.timestamp.value());
  store_big_endian(bytes.data() + 8, static_cast<std::int32_t>(entry.offset - base_offset_));
  return entries_.append(bytes);
}

TimeIndex::Entry TimeIndex::decode(ByteView bytes) const {
  return {Timestamp(load_big_endian<std::int64_t>(bytes.data())),
          base_offset_ + load_big_endian<std::int32_t>(bytes.data() + 8)};
}

Result<TimeIndex::Entry> TimeIndex::at(std::uint64_t index) {
  std::array<std::byte, kEntryBytes> bytes{};
  TRY(entries_.read(index, bytes));
  return decode(bytes);
}

Result<TimeIndex::Entry> TimeIndex::lookup(Timestamp timestamp) {
  if (timestamp.value() == INT64_MAX && entries_.count() > 0) return at(entries_.count() - 1);
  TRY_ASSIGN(const auto found,
             entries_.find_prefix([&](ByteView entry) { return decode(entry).timestamp <= timestamp; }));
  return found.count == 0 ? Entry{Timestamp(-1), base_offset_} : decode(found.last);
}

Result<void> TimeIndex::truncate(Offset offset) {
  TRY_ASSIGN(const auto found, entries_.find_prefix([&](ByteView entry) { return decode(entry).offset < offset; }));
  return entries_.truncate(found.count);
}

}  // namespace kurier::storage
