// The real Random: every number comes from getrandom(2). Stateless; any thread.
#pragma once

#include <sys/random.h>

#include "base/check.h"
#include "base/random.h"

namespace kurier::net {

class SystemRandom final : public Random {
 public:
  std::uint64_t next() override {
    std::uint64_t number = 0;
    // Up to 256 bytes are never cut short by a signal once the pool is initialised (getrandom(2)).
    KURIER_CHECK(::getrandom(&number, sizeof number, 0) == static_cast<ssize_t>(sizeof number));
    return number;
  }
};

}  // namespace kurier::net
