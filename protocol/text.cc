#include "protocol/text.h"

#include <cstdint>
#include <cstring>

namespace kurier::protocol {
namespace {

constexpr std::string_view kReplacement = "\uFFFD";

unsigned byte_at(std::string_view bytes, std::size_t at) { return static_cast<unsigned char>(bytes[at]); }
bool is_continuation(unsigned byte) { return (byte & 0xC0U) == 0x80; }

// Bytes of a character that begins like this; 1 also for what begins none.
std::size_t stated_length(unsigned first) {
  if (first >= 0xC2 && first < 0xE0) return 2;
  if (first >= 0xE0 && first < 0xF0) return 3;
  if (first >= 0xF0 && first < 0xF5) return 4;
  return 1;
}

// No longer forms of what has a shorter one, nothing beyond U+10FFFF. Surrogates are not found out here in Java either.
bool may_follow(unsigned first, unsigned second) {
  if (first == 0xE0 && second < 0xA0) return false;
  if (first == 0xF0 && second < 0x90) return false;
  if (first == 0xF4 && second >= 0x90) return false;
  return is_continuation(second);
}

struct Sequence {
  std::size_t length;  // in bytes
  bool is_character;
};

Sequence sequence_at(std::string_view bytes, std::size_t at) {
  const unsigned first = byte_at(bytes, at);
  if (first < 0x80) return {1, true};
  const std::size_t stated = stated_length(first);
  if (stated == 1) return {1, false};
  std::size_t length = 1;
  for (; length < stated && at + length < bytes.size(); ++length) {
    const unsigned next = byte_at(bytes, at + length);
    if (length == 1 ? !may_follow(first, next) : !is_continuation(next)) break;
  }
  const bool is_surrogate = first == 0xED && length == 3 && byte_at(bytes, at + 1) >= 0xA0;
  return {length, length == stated && !is_surrogate};
}

// Where the first malformed sequence begins; the size if there is none.
std::size_t valid_prefix(std::string_view bytes) {
  std::size_t at = 0;
  while (at < bytes.size()) {
    const Sequence sequence = sequence_at(bytes, at);
    if (!sequence.is_character) break;
    at += sequence.length;
  }
  return at;
}

}  // namespace

bool is_ascii(std::string_view bytes) {
  constexpr std::uint64_t kHighBits = 0x8080808080808080;
  const char* at = bytes.data();
  std::size_t left = bytes.size();
  std::uint64_t seen = 0;
  for (; left >= 8; left -= 8, at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, at, 8);
    seen |= word;
  }
  for (; left > 0; --left, ++at) seen |= static_cast<unsigned char>(*at);
  return (seen & kHighBits) == 0;
}

std::string java_text(std::string_view bytes) {
  if (is_ascii(bytes)) return std::string(bytes);
  std::size_t at = valid_prefix(bytes);
  std::string text(bytes.substr(0, at));
  while (at < bytes.size()) {
    const Sequence sequence = sequence_at(bytes, at);
    text += sequence.is_character ? bytes.substr(at, sequence.length) : kReplacement;
    at += sequence.length;
  }
  return text;
}

}  // namespace kurier::protocol
