#include "base/crc32c.h"

#include <isa-l/crc.h>

#include <algorithm>

namespace kurier {

std::uint32_t crc32c(ByteView bytes, std::uint32_t seed) {
  // ISA-L counts in int; it also wants the register, not the finished checksum, hence the complements.
  constexpr std::size_t kChunk = std::size_t{1} << 30;
  std::uint32_t state = ~seed;
  while (!bytes.empty()) {
    const std::size_t size = std::min(bytes.size(), kChunk);
    auto* data = reinterpret_cast<unsigned char*>(const_cast<std::byte*>(bytes.data()));  // ISA-L does not write
    state = crc32_iscsi(data, static_cast<int>(size), state);
    bytes = bytes.subspan(size);
  }
  return ~state;
}

}  // namespace kurier
