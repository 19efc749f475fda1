#include "base/recycled_memory.h"

namespace kurier {

// Gives back what a thread has kept when it ends.
struct RecycledMemory::Closer {
  ~Closer() {
    kept_.blocks_max = 0;
    kept_.is_over = true;
    for (Block*& first : kept_.blocks) {
      while (first != nullptr) {
        Block* const next = first->next;
        ::operator delete(first);
        first = next;
      }
    }
  }
};

void RecycledMemory::leave_slowly(void* memory, [[maybe_unused]] std::size_t bytes) noexcept {
#ifndef KURIER_RECYCLES_NOTHING
  constexpr std::uint8_t kBlocksMax = 32;
  if (kept_.blocks_max == 0 && !kept_.is_over) {
    static thread_local const Closer closer;
    kept_.blocks_max = kBlocksMax;
    return leave(memory, bytes);
  }
#endif
  ::operator delete(memory);
}

}  // namespace kurier
