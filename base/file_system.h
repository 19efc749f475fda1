// Port: files. Blocking calls; every implementation may be used from several threads, one File by one at a time unless
// said otherwise. The real one is in broker/net, the one that loses what was not synced in tests/simulation.
//
// Errors carry the path. kNoSpace and kIo mean that the directory can no longer be trusted with writes.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/result.h"

namespace kurier {

class File {
 public:
  virtual ~File() = default;

  // Writes all of `buffers` one after the other at `position`; a short write is finished or is an error.
  virtual Result<void> write_at(std::uint64_t position, std::span<const ByteView> buffers) = 0;
  Result<void> write_at(std::uint64_t position, ByteView bytes) { return write_at(position, {&bytes, 1}); }

  // Reads up to buffer.size() bytes; fewer only at the end of the file. Safe from several threads.
  virtual Result<std::size_t> read_at(std::uint64_t position, MutableByteView buffer) const = 0;
  // The same if the page cache can serve it without waiting for the disk; kTimeout if it cannot.
  virtual Result<std::size_t> read_cached_at(std::uint64_t position, MutableByteView buffer) const = 0;

  [[nodiscard]] virtual Result<std::uint64_t> size_bytes() const = 0;
  virtual Result<void> truncate(std::uint64_t size_bytes) = 0;
  // Disk space for so many bytes from the beginning, while the size stays as it is; truncate gives back what is not used.
  // A hint: file systems that cannot do it do nothing.
  virtual Result<void> reserve(std::uint64_t) { return {}; }
  // fdatasync. Once it has failed it keeps failing: what the kernel dropped cannot be synced later. Safe from another
  // thread than the one that writes.
  virtual Result<void> sync() = 0;
  [[nodiscard]] virtual const std::string& path() const = 0;  // as it was when opened
  // For sendfile; -1 where there is no such thing.
  [[nodiscard]] virtual int descriptor() const { return -1; }
};

// Held until destroyed: nobody else holds the same path, Apache Kafka included (an fcntl lock, as Java takes).
class FileLock {
 public:
  virtual ~FileLock() = default;
};

enum class OpenMode {
  kRead,       // must exist
  kReadWrite,  // must exist
  kCreate,     // read and write; created when missing, kept when not
  kTruncate,   // read and write; created or emptied
};

class FileSystem {
 public:
  struct Entry {
    std::string name;  // without the directory
    bool is_directory = false;
    std::uint64_t size_bytes = 0;
    Timestamp modified;
  };

  virtual ~FileSystem() = default;

  virtual Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) = 0;
  virtual Result<void> rename(const std::string& from, const std::string& to) = 0;  // replaces `to`
  virtual Result<void> remove(const std::string& path) = 0;                         // a file; kNotFound if missing
  virtual Result<void> remove_tree(const std::string& path) = 0;                    // fine if missing
  virtual Result<void> make_directories(const std::string& path) = 0;               // fine if present
  virtual Result<void> sync_directory(const std::string& path) = 0;
  virtual Result<std::vector<Entry>> list(const std::string& path) = 0;             // sorted by name
  [[nodiscard]] virtual Result<bool> exists(const std::string& path) = 0;
  virtual Result<std::unique_ptr<FileLock>> lock(const std::string& path) = 0;      // kInUse if another holds it
  [[nodiscard]] virtual Result<std::uint64_t> free_bytes(const std::string& path) = 0;
};

// The whole file; kExhausted beyond `size_bytes_max`.
Result<Bytes> read_file(FileSystem& files, const std::string& path, std::uint64_t size_bytes_max = 64 << 20);

// Replaces `path` so that after a power cut either the old or the new content is there: path.tmp, fsync, rename, fsync
// of the directory.
Result<void> write_file_atomically(FileSystem& files, const std::string& path, ByteView content);
// The same without the last step, for whoever syncs the directory later: until then a power cut may take the new content.
Result<void> replace_file(FileSystem& files, const std::string& path, ByteView content);

}  // namespace kurier
