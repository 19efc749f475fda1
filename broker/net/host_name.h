// This machine's name, as clients elsewhere may know it: for advertised listeners that name no host.
#pragma once

#include <unistd.h>

#include <array>
#include <string>

namespace kurier::net {

inline std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 && name[0] != 0 ? name.data() : "localhost";
}

}  // namespace kurier::net
