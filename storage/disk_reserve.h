// DiskReserve: disk space that nobody uses, kept for when the disk is full: enough for a start, and for deleting topics.
//
// A file in kurier.state.dir, which is of use where that lies on the file system of the metadata log, as it does by default: its
// space is taken in advance (File::reserve), and given back by removing it. Any thread; the calls block.
#pragma once

#include <mutex>
#include <string>

#include "base/file_system.h"

namespace kurier::storage {

class DiskReserve {
 public:
  static constexpr std::uint64_t kBytes = 4 << 20;

  // In `directory`, which is there.
  DiskReserve(FileSystem& files, std::string directory)
      : files_(files), directory_(std::move(directory)), path_(directory_ + "/reserve") {}

  // Takes the space, or as much of it as there is. Nothing to do if all of it is taken.
  void take();
  // Gives the space back. False: there was none.
  bool release();
  // `release` where less is free than the reserve has.
  bool release_if_full();

 private:
  FileSystem& files_;
  const std::string directory_;
  const std::string path_;
  std::mutex mutex_;
  std::uint64_t taken_bytes_ = 0;
};

}  // namespace kurier::storage
