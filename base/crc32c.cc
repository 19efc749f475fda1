#include "base/crc32c.h"

#include <isa-l/crc.h>
#include <nmmintrin.h>

#include <algorithm>
#include <cstring>

namespace kurier {
namespace {

// ISA-L goes by blocks of so many bytes; what is less takes half the time if it is taken eight bytes an instruction.
constexpr std::size_t kBlockBytes = 256;

std::uint32_t crc32c_of_short(ByteView bytes, std::uint32_t seed) {
  std::uint64_t state = ~seed;
  for (; bytes.size() >= sizeof(std::uint64_t); bytes = bytes.subspan(sizeof(std::uint64_t))) {
    std::uint64_t word;
    std::memcpy(&word, bytes.data(), sizeof(word));
    state = _mm_crc32_u64(state, word);
  }
  auto last = static_cast<std::uint32_t>(state);
  for (const std::byte byte : bytes) last = _mm_crc32_u8(last, std::to_integer<std::uint8_t>(byte));
  return ~last;
}

}  // namespace

std::uint32_t crc32c(ByteView bytes, std::uint32_t seed) {
  if (bytes.size() < kBlockBytes) return crc32c_of_short(bytes, seed);
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
