#include "base/uuid.h"

#include "base/bytes.h"
#include "base/random.h"

namespace kurier {

namespace {
constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::size_t kTextLength = 22;

int sextet(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '-' || c == '+') return 62;
  if (c == '_' || c == '/') return 63;
  return -1;
}
}  // namespace

std::string Uuid::to_string() const {
  std::array<std::byte, 18> bytes{};  // two bytes of padding, so that the loop reads whole groups of three
  store_big_endian(bytes.data(), high);
  store_big_endian(bytes.data() + 8, low);
  std::string text;
  text.reserve(24);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::uint32_t group = std::to_integer<std::uint32_t>(bytes[i]) << 16 |
                                std::to_integer<std::uint32_t>(bytes[i + 1]) << 8 |
                                std::to_integer<std::uint32_t>(bytes[i + 2]);
    for (int shift = 18; shift >= 0; shift -= 6) text.push_back(kAlphabet[group >> shift & 63]);
  }
  text.resize(kTextLength);
  return text;
}

Result<Uuid> Uuid::parse(std::string_view text) {
  const auto malformed = [&] {
    return fail(Failure::kMalformed, "'" + std::string(text) + "' is not a uuid: expected 22 characters of base64");
  };
  if (text.size() == kTextLength + 2 && text.ends_with("==")) text.remove_suffix(2);
  if (text.size() != kTextLength) return malformed();
  std::array<std::byte, 16> bytes{};
  std::uint32_t bits = 0;
  int bit_count = 0;
  std::size_t filled = 0;
  for (const char c : text) {
    const int value = sextet(c);
    if (value < 0) return malformed();
    bits = bits << 6 | static_cast<std::uint32_t>(value);
    bit_count += 6;
    if (bit_count >= 8 && filled < bytes.size()) {
      bit_count -= 8;
      bytes[filled++] = static_cast<std::byte>(bits >> bit_count & 0xff);
    }
  }
  return Uuid{load_big_endian<std::uint64_t>(bytes.data()), load_big_endian<std::uint64_t>(bytes.data() + 8)};
}

Uuid Uuid::generate(Random& random) {
  for (;;) {
    Uuid uuid{random.next(), random.next()};
    uuid.high = (uuid.high & ~0xf000ULL) | 0x4000ULL;
    uuid.low = (uuid.low & ~(0xc0ULL << 56)) | 0x80ULL << 56;
    if (uuid.to_string().front() != '-') return uuid;
  }
}

}  // namespace kurier
