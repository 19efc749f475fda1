// How many files and sockets this process may have open.
#pragma once

#include <sys/resource.h>

#include <cstddef>
#include <cstdint>

namespace kurier::net {

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

}  // namespace kurier::net
