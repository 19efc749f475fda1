// IndexFile: a file of fixed-size entries in ascending order (.index, .timeindex), searched without being loaded.
//
// New entries are kept in memory and written a few at a time: a crash loses them, and recovery builds them again. Formats:
// docs/formats/log.md. Used by Segment, on the partition's shard.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/file_system.h"
#include "base/ids.h"

namespace kurier::storage {

class IndexFile {
 public:
  static constexpr std::size_t kEntryBytesMax = 12;
  // `size_bytes`: of the file as it was found; none: it is created with the first entries.
  IndexFile(FileSystem& files, std::string path, std::size_t entry_bytes, std::optional<std::uint64_t> size_bytes);

  [[nodiscard]] bool exists() const { return exists_; }

  [[nodiscard]] std::uint64_t count() const { return written_ + pending_.size() / entry_bytes_; }
  Result<void> append(ByteView entry);
  Result<void> read(std::uint64_t index, MutableByteView entry);
  struct Found {
    std::uint64_t count = 0;
    std::array<std::byte, kEntryBytesMax> last{};  // the last of them, if there is one
  };
  // The entries at the front for which `below(bytes of an entry)` holds; it holds for a prefix. Looks first right behind where the
  // last search ended, as readers go on from there; else reads single entries until what is left fits into kStretchBytes. That is
  // read at once.
  template <class Below>
  Result<Found> find_prefix(Below below);
  Result<void> truncate(std::uint64_t count);
  Result<void> write_out();  // what is pending goes to the file
  // Created if it does not exist.
  Result<std::shared_ptr<File>> file();
  // For syncing: null if nothing was written to it since it was last taken. Who takes it syncs it or gives the log up.
  Result<std::shared_ptr<File>> take_unsynced();
  void sync_again() { is_synced_ = false; }
  void close() { file_.reset(); }  // it is opened again when it is needed
  [[nodiscard]] const std::string& path() const { return path_; }
  void path_is(std::string path) { path_ = std::move(path); }  // after it was renamed

 private:
  static constexpr std::size_t kStretchBytes = 4096;
  Result<void> read_stretch(std::uint64_t first, MutableByteView stretch);

  FileSystem& files_;
  std::string path_;
  std::size_t entry_bytes_;
  bool exists_;            // the file, maybe empty
  bool is_synced_ = false;  // what is in the file, or about to be by whoever took it
  std::uint64_t written_;  // entries in the file
  std::uint64_t found_ = 0;  // by the last search: any number, 0 if there was none
  Bytes pending_;
  std::shared_ptr<File> file_;
};

// Offset → position in the segment. An entry is the last offset of a batch and the position where that batch begins.
class OffsetIndex {
 public:
  static constexpr std::size_t kEntryBytes = 8;
  struct Entry {
    Offset offset;
    std::uint32_t position = 0;
  };
  OffsetIndex(FileSystem& files, std::string path, Offset base_offset, std::optional<std::uint64_t> size_bytes)
      : entries_(files, std::move(path), kEntryBytes, size_bytes), base_offset_(base_offset) {}

  Result<void> append(Entry entry);
  // The last entry whose offset is at most `offset`; the segment's beginning if there is none.
  Result<Entry> lookup(Offset offset);
  Result<Entry> last();
  // Drops entries of `offset` and above.
  Result<void> truncate(Offset offset);
  // Whether the last entry fits a segment of `log_bytes`; a file that does not is to be rebuilt.
  Result<bool> fits(std::uint64_t log_bytes);
  [[nodiscard]] IndexFile& entries() { return entries_; }
  [[nodiscard]] const IndexFile& entries() const { return entries_; }

 private:
  [[nodiscard]] Entry decode(ByteView bytes) const;
  Result<Entry> at(std::uint64_t index);
  IndexFile entries_;
  Offset base_offset_;
};

// Timestamp → offset: no batch after the entry's offset, up to the next entry, has an earlier maximum than the entry's.
class TimeIndex {
 public:
  static constexpr std::size_t kEntryBytes = 12;
  struct Entry {
    Timestamp timestamp{-1};
    Offset offset;
  };
  TimeIndex(FileSystem& files, std::string path, Offset base_offset, std::optional<std::uint64_t> size_bytes)
      : entries_(files, std::move(path), kEntryBytes, size_bytes), base_offset_(base_offset) {}

  // Appended only if its timestamp is later than the last one's.
  Result<void> maybe_append(Entry entry);
  // The last entry whose timestamp is at most `timestamp`; {-1, base offset} if there is none.
  Result<Entry> lookup(Timestamp timestamp);
  Result<Entry> last() { return lookup(Timestamp(INT64_MAX)); }
  Result<void> truncate(Offset offset);  // drops entries of `offset` and above
  [[nodiscard]] IndexFile& entries() { return entries_; }
  [[nodiscard]] const IndexFile& entries() const { return entries_; }

 private:
  [[nodiscard]] Entry decode(ByteView bytes) const;
  Result<Entry> at(std::uint64_t index);
  IndexFile entries_;
  Offset base_offset_;
};

}  // namespace kurier::storage
