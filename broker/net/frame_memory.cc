#include "broker/net/frame_memory.h"

#include <algorithm>
#include <array>
#include <bit>
#include <new>
#include <utility>

#include "base/recycled_memory.h"

namespace kurier::net {
namespace {

// Sizes grow by a quarter of a power of two, so that at most a fifth of a block is not asked for.
constexpr std::size_t kSmallestBytes = RecycledMemory::kBytesMax;
constexpr std::size_t kSizesPerDoubling = 4;

constexpr std::size_t index_of(std::size_t bytes) {
  const std::size_t doubling = std::bit_width((std::max(bytes, kSmallestBytes + 1) - 1) / kSmallestBytes) - 1;
  const std::size_t base = kSmallestBytes << doubling;
  const std::size_t step = base / kSizesPerDoubling;
  return doubling * kSizesPerDoubling + (std::max(bytes, base + 1) - base + step - 1) / step - 1;
}

constexpr std::size_t bytes_of(std::size_t index) {
  const std::size_t base = kSmallestBytes << (index / kSizesPerDoubling);
  return base + (index % kSizesPerDoubling + 1) * base / kSizesPerDoubling;
}

constexpr std::size_t kSizes = index_of(FrameMemory::kBytesMax) + 1;
static_assert(bytes_of(kSizes - 1) == FrameMemory::kBytesMax);

struct Block {
  Block* next;
};

// Of a thread, which opens it with the first block that it takes: who only leaves blocks would keep them for nobody.
struct Kept {
  struct OfSize {
    Block* first = nullptr;
    std::size_t count = 0;
    std::size_t unused = 0;  // the fewest that were here since the last trim
  };

  Block* take(std::size_t index) {
    OfSize& sized = sizes[index];
    sized.unused = std::min(sized.unused, --sized.count);
    bytes -= bytes_of(index);
    return std::exchange(sized.first, sized.first->next);
  }

  std::array<OfSize, kSizes> sizes;
  std::size_t bytes = 0;
  bool is_open = false;
  bool is_over = false;
};

thread_local constinit Kept kept{};

// Gives back what a thread has kept when it ends.
struct Closer {
  ~Closer() {
    kept.is_open = false;
    kept.is_over = true;
    for (std::size_t index = 0; index < kSizes; ++index) {
      while (kept.sizes[index].first != nullptr) ::operator delete(kept.take(index));
    }
  }
};

void* take_fresh(std::size_t index) {
#ifndef KURIER_RECYCLES_NOTHING
  if (!kept.is_open && !kept.is_over) {
    static thread_local const Closer closer;
    kept.is_open = true;
  }
#endif
  return ::operator new(bytes_of(index));
}

}  // namespace

void* FrameMemory::take(std::size_t bytes) {
  const std::size_t index = index_of(bytes);
  return kept.sizes[index].first != nullptr ? kept.take(index) : take_fresh(index);
}

void FrameMemory::leave(void* block, std::size_t bytes) noexcept {
  const std::size_t index = index_of(bytes);
  if (!kept.is_open || kept.bytes + bytes_of(index) > kKeptBytesMax) return ::operator delete(block);
  Kept::OfSize& sized = kept.sizes[index];
  sized.first = new (block) Block{sized.first};
  ++sized.count;
  kept.bytes += bytes_of(index);
}

bool FrameMemory::has_kept(std::size_t bytes) { return kept.sizes[index_of(bytes)].first != nullptr; }

void FrameMemory::trim() noexcept {
  for (std::size_t index = 0; index < kSizes; ++index) {
    Kept::OfSize& sized = kept.sizes[index];
    for (std::size_t left = sized.unused; left > 0; --left) ::operator delete(kept.take(index));
    sized.unused = sized.count;
  }
}

std::size_t FrameMemory::kept_bytes() { return kept.bytes; }

}  // namespace kurier::net
