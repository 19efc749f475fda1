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

// Of a thread.
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
  ~Kept() {
    is_over = true;
    for (std::size_t index = 0; index < kSizes; ++index) {
      while (sizes[index].first != nullptr) ::operator delete(take(index));
    }
  }

  std::array<OfSize, kSizes> sizes;
  std::size_t bytes = 0;
  bool is_over = false;
};

thread_local constinit Kept kept{};

}  // namespace

void* FrameMemory::take(std::size_t bytes) {
  const std::size_t index = index_of(bytes);
  return kept.sizes[index].first != nullptr ? kept.take(index) : ::operator new(bytes_of(index));
}

void FrameMemory::leave(void* block, [[maybe_unused]] std::size_t bytes) noexcept {
#ifndef KURIER_RECYCLES_NOTHING
  const std::size_t index = index_of(bytes);
  if (!kept.is_over && kept.bytes + bytes_of(index) <= kKeptBytesMax) {
    Kept::OfSize& sized = kept.sizes[index];
    sized.first = new (block) Block{sized.first};
    ++sized.count;
    kept.bytes += bytes_of(index);
    return;
  }
#endif
  ::operator delete(block);
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
