// RecycledMemory: memory of what comes and goes with every request, as frames of coroutines and of requests do.
//
// A thread keeps a few blocks of each size for the next one of that size. That is a quarter of the instructions of malloc and
// free, and for more than a KiB, which glibc would merge with its neighbours and split again, far fewer. A block may be left on
// another thread than it was taken on. Under a sanitizer nothing is kept, so that what is used too late is seen.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <new>

namespace kurier {

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define KURIER_RECYCLES_NOTHING
#endif
#endif

class RecycledMemory {
  static constexpr std::size_t kStepBytes = 64;
  static constexpr std::size_t kSizes = 64;

 public:
  static constexpr std::size_t kBytesMax = kStepBytes * kSizes;  // of a block that is kept

  [[nodiscard]] static void* take(std::size_t bytes) {
    const std::size_t size = (bytes - 1) / kStepBytes;
    if (size >= kSizes || kept_.blocks[size] == nullptr) return ::operator new(rounded(bytes));
    Block* const block = kept_.blocks[size];
    kept_.blocks[size] = block->next;
    --kept_.counts[size];
    return block;
  }
  // `bytes` as when it was taken.
  static void leave(void* memory, std::size_t bytes) noexcept {
    const std::size_t size = (bytes - 1) / kStepBytes;
    if (size >= kSizes || kept_.counts[size] >= kept_.blocks_max) return leave_slowly(memory, bytes);
    kept_.blocks[size] = new (memory) Block{kept_.blocks[size]};
    ++kept_.counts[size];
  }

 private:
  struct Block {
    Block* next;
  };
  // Of a thread. Until it has been opened, and when the thread ends, nothing is kept.
  struct Kept {
    std::array<Block*, kSizes> blocks;
    std::array<std::uint8_t, kSizes> counts;
    std::uint8_t blocks_max;
    bool is_over;
  };
  struct Closer;

#ifdef KURIER_RECYCLES_NOTHING
  static std::size_t rounded(std::size_t bytes) { return bytes; }  // what is read behind the end is seen, too
#else
  static std::size_t rounded(std::size_t bytes) { return (bytes + kStepBytes - 1) / kStepBytes * kStepBytes; }
#endif
  static void leave_slowly(void* memory, std::size_t bytes) noexcept;

  static inline constinit thread_local Kept kept_{};
};

}  // namespace kurier
