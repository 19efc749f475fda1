#include "broker/net/posix_file_system.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <filesystem>
#include <mutex>
#include <set>

namespace kurier::net {
namespace {

std::unexpected<Error> failed(std::string_view call, std::string_view path) {
  return std::unexpected(error_from_errno(errno, fmt::format("{} {}", call, path)));
}

class PosixFile final : public File {
 public:
  PosixFile(int descriptor, std::string path) : descriptor_(descriptor), path_(std::move(path)) {}
  ~PosixFile() override { ::close(descriptor_); }

  Result<void> write_at(std::uint64_t position, std::span<const ByteView> buffers) override {
    std::size_t index = 0;   // the first buffer that is not written completely
    std::size_t skipped = 0;  // of that buffer
    while (true) {
      std::array<iovec, 16> pieces;
      std::size_t count = 0;
      for (std::size_t at = index, skip = skipped; at < buffers.size() && count < pieces.size(); ++at, skip = 0) {
        const ByteView rest = buffers[at].subspan(skip);
        if (!rest.empty()) pieces[count++] = {const_cast<std::byte*>(rest.data()), rest.size()};
      }
      if (count == 0) return {};
      const ssize_t written =
          ::pwritev(descriptor_, pieces.data(), static_cast<int>(count), static_cast<off_t>(position));
      if (written < 0) {
        if (errno == EINTR) continue;
        return failed("pwritev", path_);
      }
      position += static_cast<std::uint64_t>(written);
      auto left = static_cast<std::size_t>(written);
      while (index < buffers.size() && left >= buffers[index].size() - skipped) {
        left -= buffers[index].size() - skipped;
        ++index;
        skipped = 0;
      }
      skipped += left;
    }
  }

  Result<std::size_t> read_at(std::uint64_t position, MutableByteView buffer) const override {
    std::size_t done = 0;
    while (done < buffer.size()) {
      const ssize_t count = ::pread(descriptor_, buffer.data() + done, buffer.size() - done,
                                    static_cast<off_t>(position + done));
      if (count < 0) {
        if (errno == EINTR) continue;
        return failed("pread", path_);
      }
      if (count == 0) break;
      done += static_cast<std::size_t>(count);
    }
    return done;
  }

  Result<std::size_t> read_cached_at(std::uint64_t position, MutableByteView buffer) const override {
    std::size_t done = 0;
    while (done < buffer.size()) {
      const iovec piece{buffer.data() + done, buffer.size() - done};
      const ssize_t count = ::preadv2(descriptor_, &piece, 1, static_cast<off_t>(position + done), RWF_NOWAIT);
      if (count < 0) {
        if (errno == EINTR) continue;
        if (errno == EAGAIN) return fail(Failure::kTimeout, "not in the page cache: " + path_);
        if (errno == EOPNOTSUPP) return read_at(position, buffer);  // a file system without RWF_NOWAIT
        return failed("preadv2", path_);
      }
      if (count == 0) break;  // a short read that is not the end is followed by EAGAIN
      done += static_cast<std::size_t>(count);
    }
    return done;
  }

  Result<std::uint64_t> size_bytes() const override {
    struct stat status{};
    if (::fstat(descriptor_, &status) != 0) return failed("fstat", path_);
    return static_cast<std::uint64_t>(status.st_size);
  }

  Result<void> truncate(std::uint64_t size_bytes) override {
    if (::ftruncate(descriptor_, static_cast<off_t>(size_bytes)) != 0) return failed("ftruncate", path_);
    return {};
  }

  Result<void> reserve(std::uint64_t size_bytes) override {
    if (::fallocate(descriptor_, FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(size_bytes)) != 0 && errno != EOPNOTSUPP) {
      return failed("fallocate", path_);
    }
    return {};
  }

  Result<void> sync() override {
    if (sync_failed_.load(std::memory_order_acquire)) {
      return fail(Failure::kIo, "an earlier fdatasync failed, what it covered may be lost: " + path_);
    }
    if (::fdatasync(descriptor_) != 0) {
      sync_failed_.store(true, std::memory_order_release);
      return failed("fdatasync", path_);
    }
    return {};
  }

  const std::string& path() const override { return path_; }
  int descriptor() const override { return descriptor_; }

 private:
  const int descriptor_;
  const std::string path_;
  std::atomic<bool> sync_failed_ = false;
};

// fcntl locks do not conflict within one process, and closing any descriptor of the file drops them: so the process
// remembers the paths that it holds itself.
std::mutex held_mutex;
std::set<std::string>& held_paths() {
  static std::set<std::string> paths;
  return paths;
}

class PosixFileLock final : public FileLock {
 public:
  PosixFileLock(int descriptor, std::string path) : descriptor_(descriptor), path_(std::move(path)) {}
  ~PosixFileLock() override {
    const std::lock_guard lock(held_mutex);
    held_paths().erase(path_);
    ::close(descriptor_);
  }

 private:
  const int descriptor_;
  const std::string path_;
};

int flags_of(OpenMode mode) {
  switch (mode) {
    case OpenMode::kRead: return O_RDONLY;
    case OpenMode::kReadWrite: return O_RDWR;
    case OpenMode::kCreate: return O_RDWR | O_CREAT;
    case OpenMode::kTruncate: return O_RDWR | O_CREAT | O_TRUNC;
  }
  return O_RDONLY;
}

}  // namespace

Result<std::unique_ptr<File>> PosixFileSystem::open(const std::string& path, OpenMode mode) {
  const int descriptor = ::open(path.c_str(), flags_of(mode) | O_CLOEXEC, 0644);
  if (descriptor < 0) return failed("open", path);
  return std::make_unique<PosixFile>(descriptor, path);
}

Result<void> PosixFileSystem::rename(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return failed("rename", fmt::format("{} to {}", from, to));
  return {};
}

Result<void> PosixFileSystem::remove(const std::string& path) {
  if (::unlink(path.c_str()) != 0) return failed("unlink", path);
  return {};
}

Result<void> PosixFileSystem::remove_tree(const std::string& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  if (error) return std::unexpected(error_from_errno(error.value(), "removing " + path));
  return {};
}

Result<void> PosixFileSystem::make_directories(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return std::unexpected(error_from_errno(error.value(), "creating directory " + path));
  return {};
}

Result<void> PosixFileSystem::sync_directory(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return failed("open", path);
  const int status = ::fsync(descriptor);
  const int error_number = errno;
  ::close(descriptor);
  if (status != 0) return std::unexpected(error_from_errno(error_number, "fsync " + path));
  return {};
}

Result<std::vector<FileSystem::Entry>> PosixFileSystem::list(const std::string& path) {
  std::error_code error;
  std::vector<Entry> entries;
  std::filesystem::directory_iterator at(path, error);
  if (error) return std::unexpected(error_from_errno(error.value(), "listing " + path));
  for (; at != std::filesystem::directory_iterator(); at.increment(error)) {
    if (error) return std::unexpected(error_from_errno(error.value(), "listing " + path));
    struct stat status{};
    if (::stat(at->path().c_str(), &status) != 0) {
      if (errno == ENOENT) continue;  // removed meanwhile
      return failed("stat", at->path().native());
    }
    entries.push_back(Entry{.name = at->path().filename().native(),
                            .is_directory = S_ISDIR(status.st_mode),
                            .size_bytes = static_cast<std::uint64_t>(status.st_size),
                            .modified = Timestamp(status.st_mtim.tv_sec * 1000 + status.st_mtim.tv_nsec / 1'000'000)});
  }
  std::ranges::sort(entries, {}, &Entry::name);
  return entries;
}

Result<bool> PosixFileSystem::exists(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) == 0) return true;
  if (errno == ENOENT || errno == ENOTDIR) return false;
  return failed("stat", path);
}

Result<std::unique_ptr<FileLock>> PosixFileSystem::lock(const std::string& path) {
  std::error_code unresolved;
  const std::string key = std::filesystem::weakly_canonical(path, unresolved).native();
  const std::lock_guard guard(held_mutex);
  if (held_paths().contains(key)) return fail(Failure::kInUse, path + " is held by this process already");
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor < 0) return failed("open", path);
  struct flock request{};
  request.l_type = F_WRLCK;
  request.l_whence = SEEK_SET;
  if (::fcntl(descriptor, F_SETLK, &request) != 0) {
    const int error_number = errno;
    struct flock holder{};
    holder.l_type = F_WRLCK;
    holder.l_whence = SEEK_SET;
    const bool known = ::fcntl(descriptor, F_GETLK, &holder) == 0 && holder.l_type != F_UNLCK;
    ::close(descriptor);
    if (error_number != EAGAIN && error_number != EACCES) {
      return std::unexpected(error_from_errno(error_number, "fcntl " + path));
    }
    return fail(Failure::kInUse, known ? fmt::format("{} is locked by process {}", path, holder.l_pid)
                                       : fmt::format("{} is locked by another process", path));
  }
  held_paths().insert(key);
  return std::make_unique<PosixFileLock>(descriptor, key);
}

Result<std::uint64_t> PosixFileSystem::free_bytes(const std::string& path) {
  struct statvfs status{};
  if (::statvfs(path.c_str(), &status) != 0) return failed("statvfs", path);
  return static_cast<std::uint64_t>(status.f_bavail) * status.f_frsize;
}

}  // namespace kurier::net
