#include "base/file_system.h"

namespace kurier {

Result<Bytes> read_file(FileSystem& files, const std::string& path, std::uint64_t size_bytes_max) {
  TRY_ASSIGN(const auto file, files.open(path, OpenMode::kRead));
  TRY_ASSIGN(const std::uint64_t size, file->size_bytes());
  if (size > size_bytes_max) {
    return fail(Failure::kExhausted, path + " has " + std::to_string(size) + " bytes, expected at most " +
                                         std::to_string(size_bytes_max));
  }
  Bytes content(size);
  TRY_ASSIGN(const std::size_t count, file->read_at(0, content));
  content.resize(count);
  return content;
}

Result<void> replace_file(FileSystem& files, const std::string& path, ByteView content) {
  const std::string temporary = path + ".tmp";
  {
    TRY_ASSIGN(const auto file, files.open(temporary, OpenMode::kTruncate));
    TRY(file->write_at(0, content));
    TRY(file->sync());
  }
  return files.rename(temporary, path);
}

Result<void> write_file_atomically(FileSystem& files, const std::string& path, ByteView content) {
  TRY(replace_file(files, path, content));
  const auto slash = path.rfind('/');
  return files.sync_directory(slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash));
}

}  // namespace kurier
