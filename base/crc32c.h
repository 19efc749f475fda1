// CRC-32C (Castagnoli), the checksum of record batches. Hardware-accelerated.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace kurier {

// The checksum of `bytes`, continuing from `seed`, the checksum of what came before (0: nothing).
[[nodiscard]] std::uint32_t crc32c(ByteView bytes, std::uint32_t seed = 0);

}  // namespace kurier
