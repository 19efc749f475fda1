// RecycledVector: a vector that comes and goes with every request. Its memory is RecycledMemory's (recycled_memory.h).
#pragma once

#include <cstddef>
#include <vector>

#include "base/recycled_memory.h"

namespace kurier {

template <class T>
struct RecycledAllocator {
  using value_type = T;

  RecycledAllocator() = default;
  template <class Other>
  explicit(false) RecycledAllocator(const RecycledAllocator<Other>&) noexcept {}

  [[nodiscard]] T* allocate(std::size_t count) { return static_cast<T*>(RecycledMemory::take(count * sizeof(T))); }
  void deallocate(T* memory, std::size_t count) noexcept { RecycledMemory::leave(memory, count * sizeof(T)); }

  friend bool operator==(const RecycledAllocator&, const RecycledAllocator&) { return true; }
};

template <class T>
using RecycledVector = std::vector<T, RecycledAllocator<T>>;

}  // namespace kurier
