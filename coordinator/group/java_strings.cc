#include "coordinator/group/java_strings.h"

#include <limits>

namespace kurier::coordinator {
namespace {

constexpr char32_t kReplacement = 0xfffd;

// The code point at `*at`, which moves behind it. Of a broken sequence, the longest part that could have begun one is
// replaced.
char32_t next_code_point(std::string_view text, std::size_t* at) {
  const auto byte_at = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t first = byte_at((*at)++);
  if (first < 0x80) return first;
  const std::size_t more = first >= 0xf0 && first <= 0xf4  ? 3
                           : first >= 0xe0 && first < 0xf0 ? 2
                           : first >= 0xc2 && first < 0xe0 ? 1
                                                           : 0;
  if (more == 0) return kReplacement;
  char32_t point = first & (0x3f >> more);
  for (std::size_t i = 0; i < more; ++i) {
    if (*at == text.size()) return kReplacement;
    const std::uint8_t byte = byte_at(*at);
    // The second byte decides about overlong forms and what lies beyond U+10FFFF.
    const std::uint8_t low = i > 0 ? 0x80 : first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    const std::uint8_t high = i == 0 && first == 0xf4 ? 0x8f : 0xbf;
    if (byte < low || byte > high) return kReplacement;
    point = (point << 6) | (byte & 0x3f);
    ++*at;
  }
  return point >= 0xd800 && point < 0xe000 ? kReplacement : point;  // a surrogate
}

template <class Unit>
void for_each_utf16_unit(std::string_view text, Unit&& unit) {
  for (std::size_t at = 0; at < text.size();) {
    const char32_t point = next_code_point(text, &at);
    if (point < 0x10000) {
      unit(static_cast<std::uint32_t>(point));
    } else {
      unit(0xd800 + static_cast<std::uint32_t>((point - 0x10000) >> 10));
      unit(0xdc00 + static_cast<std::uint32_t>((point - 0x10000) & 0x3ff));
    }
  }
}

}  // namespace

std::int32_t java_hash(std::string_view text) {
  std::uint32_t hash = 0;
  for_each_utf16_unit(text, [&](std::uint32_t unit) { hash = 31 * hash + unit; });
  return static_cast<std::int32_t>(hash);
}

std::size_t java_length(std::string_view text) {
  std::size_t length = 0;
  for_each_utf16_unit(text, [&](std::uint32_t) { ++length; });
  return length;
}

std::int32_t group_partition(std::string_view group_id, std::int32_t partitions) {
  const std::int32_t hash = java_hash(group_id);
  const std::int32_t positive = hash == std::numeric_limits<std::int32_t>::min() ? 0 : hash < 0 ? -hash : hash;
  return positive % partitions;
}

}  // namespace kurier::coordinator
