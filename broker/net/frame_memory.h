// FrameMemory: the memory of requests larger than RecycledMemory keeps, up to kBytesMax.
//
// A thread keeps some of it for the next frames. Memory fresh from the kernel would be a page fault and a page of zeros for
// every 4 KiB, and is in no cache. What was not needed for a while goes back (`trim`). A block may be left on another thread
// than it was taken on; a thread that takes none keeps none. Under a sanitizer nothing is kept, so that what is used too late is seen.
#pragma once

#include <cstddef>

namespace kurier::net {

class FrameMemory {
 public:
  static constexpr std::size_t kBytesMax = 2 << 20;  // of a block that is kept
  static constexpr std::size_t kKeptBytesMax = 16 << 20;  // in all, by a thread

  // `bytes`: more than 0, at most kBytesMax.
  [[nodiscard]] static void* take(std::size_t bytes);
  // `bytes` as when it was taken.
  static void leave(void* block, std::size_t bytes) noexcept;
  // Whether take(bytes) would find a block that was kept.
  [[nodiscard]] static bool has_kept(std::size_t bytes);
  // Gives back what this thread has not needed since the last call.
  static void trim() noexcept;
  [[nodiscard]] static std::size_t kept_bytes();  // by this thread
};

}  // namespace kurier::net
