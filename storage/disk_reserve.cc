#include "storage/disk_reserve.h"

#include "base/log.h"

namespace kurier::storage {

void DiskReserve::take() {
  constexpr std::uint64_t kSmallestBytes = 64 << 10;
  const std::lock_guard lock(mutex_);
  if (taken_bytes_ == kBytes) return;
  const auto file = files_.open(path_, OpenMode::kCreate);
  if (!file) {
    LOG_WARN("no disk space is kept in reserve: {}", file.error().context);
    return;
  }
  for (std::uint64_t bytes = kBytes; bytes >= kSmallestBytes && bytes > taken_bytes_; bytes /= 2) {
    if (!(*file)->reserve(bytes)) continue;
    taken_bytes_ = bytes;
    return;
  }
}

bool DiskReserve::release() {
  const std::lock_guard lock(mutex_);
  taken_bytes_ = 0;
  const Result<void> removed = files_.remove(path_);
  if (removed) LOG_WARN("the disk is full: the space that was kept in reserve for that ({}) is used now", path_);
  return removed.has_value();
}

bool DiskReserve::release_if_full() {
  const auto free = files_.free_bytes(directory_);
  return free && *free < kBytes && release();
}

}  // namespace kurier::storage
