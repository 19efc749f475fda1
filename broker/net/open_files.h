// How many files and sockets this process may have open, and the three that it must have.
#pragma once

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

namespace kurier::net {

// Where the process was started without a standard input, output or error output, the next file or socket would get its number,
// and be written to as that. First thing in main.
inline void open_standard_descriptors() {
  for (int number = 0; number <= 2; ++number) {
    if (::fcntl(number, F_GETFD) != -1) continue;
    // Gets the lowest number that is free, which is this one.
    if (::open("/dev/null", O_RDWR) != number) std::abort();
  }
}

// Raises the limit as far as it goes without being root, as Java does, and returns it.
inline std::size_t raise_open_files_max() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return SIZE_MAX;
  if (limit.rlim_cur < limit.rlim_max) {
    const rlimit raised{limit.rlim_max, limit.rlim_max};
    if (::setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
  }
  return limit.rlim_cur == RLIM_INFINITY ? SIZE_MAX : static_cast<std::size_t>(limit.rlim_cur);
}

// Of `open_files_max` descriptors so many are left for what is open for a moment only: an index, a checkpoint, a snapshot, the
// last steps of a stop. Logs leave twice as many, so that somebody can still connect and delete a topic.
inline std::size_t descriptors_for_moments(std::size_t open_files_max) {
  return std::clamp<std::size_t>(open_files_max / 16, 4, 32);
}

// Whether more than `spare` descriptors are free: new ones get the lowest number that is. Asks the kernel.
inline bool has_free_descriptors(std::size_t open_files_max, std::size_t spare) {
  const int probe = ::open("/", O_PATH | O_CLOEXEC);
  if (probe < 0) return false;
  ::close(probe);
  return static_cast<std::size_t>(probe) + spare < open_files_max;
}

}  // namespace kurier::net
