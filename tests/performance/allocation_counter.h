// Counts what is allocated while it counts: operator new and the C library's malloc, realloc and calloc alike, of whoever calls.
//
// It stands in front of the C library's malloc, so it is linked into a program of its own. Under a sanitizer, which has an
// allocator itself, it counts nothing and says so (`is_counting_possible`).
#pragma once

#include <cstddef>
#include <string>

namespace kurier::performance {

[[nodiscard]] bool is_counting_possible();

struct Allocations {
  std::size_t count = 0;
  std::size_t bytes = 0;  // as asked for
};

// From here on what this thread allocates is counted; not nested. `remember`: where, too, for description_of_remembered.
void start_counting(bool remember = false);
Allocations stop_counting();

// A line for each allocation that was remembered: its bytes, and the functions that led to it, the innermost first.
std::string description_of_remembered();

}  // namespace kurier::performance
