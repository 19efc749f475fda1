#include "config/java_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "config/text.h"

namespace kurier::config {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hex_digit(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

// The zeros of the decimal digits of Unicode's first plane (Java 17), each followed by its 1 to 9.
constexpr std::array<std::uint16_t, 36> kZeros = {
    0x0660, 0x06f0, 0x07c0, 0x0966, 0x09e6, 0x0a66, 0x0ae6, 0x0b66, 0x0be6, 0x0c66, 0x0ce6, 0x0d66,
    0x0de6, 0x0e50, 0x0ed0, 0x0f20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90,
    0x1b50, 0x1bb0, 0x1c40, 0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10};

std::optional<unsigned> digit_of(unsigned character) {
  for (const unsigned zero : kZeros) {
    if (character >= zero && character < zero + 10) return character - zero;
  }
  return std::nullopt;
}

// The digit with which `text` begins, which is cut off. `text` is UTF-8.
std::optional<unsigned> take_digit(std::string_view& text) {
  const auto byte_at = [&](std::size_t i) { return static_cast<unsigned>(static_cast<unsigned char>(text[i])); };
  if (is_digit(text.front())) {
    const unsigned digit = byte_at(0) - '0';
    text.remove_prefix(1);
    return digit;
  }
  const unsigned lead = byte_at(0);
  const std::size_t length = lead >= 0xC2 && lead < 0xE0 ? 2 : lead >= 0xE0 && lead < 0xF0 ? 3 : 0;
  if (length == 0 || text.size() < length) return std::nullopt;
  unsigned character = lead & (length == 2 ? 0x1FU : 0x0FU);
  for (std::size_t i = 1; i < length; ++i) character = (character << 6) | (byte_at(i) & 0x3FU);
  const auto digit = digit_of(character);
  if (digit) text.remove_prefix(length);
  return digit;
}

std::size_t skip(std::string_view text, std::size_t at, bool (*is_part)(char)) {
  while (at < text.size() && is_part(text[at])) ++at;
  return at;
}

// Where the exponent at `at` ends: a letter, perhaps a sign, digits. nullopt if there is none.
std::optional<std::size_t> exponent_end(std::string_view text, std::size_t at, char letter) {
  if (at >= text.size() || (text[at] | 0x20) != letter) return std::nullopt;
  ++at;
  if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
  const std::size_t end = skip(text, at, is_digit);
  return end > at ? std::optional(end) : std::nullopt;
}

// How much of the text, which has no sign, is a number in Java's grammar, without its type suffix. 0: it is none.
std::size_t number_length(std::string_view text) {
  const bool is_hex = text.starts_with("0x") || text.starts_with("0X");
  const auto is_part = is_hex ? is_hex_digit : is_digit;
  const std::size_t begin = is_hex ? 2 : 0;
  std::size_t at = skip(text, begin, is_part);
  std::size_t digits = at - begin;
  if (at < text.size() && text[at] == '.') {
    const std::size_t end = skip(text, at + 1, is_part);
    digits += end - at - 1;
    at = end;
  }
  if (digits == 0) return 0;
  const auto end = exponent_end(text, at, is_hex ? 'p' : 'e');
  if (end) return *end;
  return is_hex ? 0 : at;  // a hexadecimal number must have an exponent
}

bool is_regex_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

}  // namespace

std::string_view java_trim(std::string_view text) {
  while (!text.empty() && static_cast<unsigned char>(text.front()) <= ' ') text.remove_prefix(1);
  while (!text.empty() && static_cast<unsigned char>(text.back()) <= ' ') text.remove_suffix(1);
  return text;
}

std::optional<std::int64_t> java_whole(std::string_view text) {
  const bool is_negative = text.starts_with('-');
  if (is_negative || text.starts_with('+')) text.remove_prefix(1);
  if (text.empty()) return std::nullopt;
  const std::uint64_t most =
      static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()) + (is_negative ? 1 : 0);
  std::uint64_t number = 0;
  while (!text.empty()) {
    const auto digit = take_digit(text);
    if (!digit || number > (most - *digit) / 10) return std::nullopt;
    number = number * 10 + *digit;
  }
  return static_cast<std::int64_t>(is_negative ? 0 - number : number);
}

std::optional<double> java_real(std::string_view text) {
  const bool is_negative = text.starts_with('-');
  if (is_negative || text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  if (text == "NaN") {
    value = std::numeric_limits<double>::quiet_NaN();
  } else if (text == "Infinity") {
    value = std::numeric_limits<double>::infinity();
  } else {
    const std::size_t length = number_length(text);
    const std::string_view suffix = text.substr(length);
    const bool has_suffix = suffix.size() == 1 && std::string_view("fFdD").contains(suffix.front());
    if (length == 0 || !(suffix.empty() || has_suffix)) return std::nullopt;
    // As in Java what is too large is infinite and what is too small is zero. Nobody here sets a locale.
    value = std::strtod(std::string(text.substr(0, length)).c_str(), nullptr);
  }
  return is_negative ? -value : value;
}

std::string java_real_text(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
  if (value == 0) return std::signbit(value) ? "-0.0" : "0.0";
  std::array<char, 40> buffer{};
  const auto [end, error] =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::scientific);
  std::string_view text(buffer.data(), static_cast<std::size_t>(end - buffer.data()));
  const double magnitude = value < 0 ? -value : value;
  if (magnitude >= 1e-3 && magnitude < 1e7) {
    const auto [fixed_end, fixed_error] =
        std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::fixed);
    std::string fixed(buffer.data(), static_cast<std::size_t>(fixed_end - buffer.data()));
    return fixed.find('.') == std::string::npos ? fixed + ".0" : fixed;
  }
  if (text.find('.') == std::string_view::npos) {
    // Java writes at least two digits: those that are nearest, which differ where a number has less than that (4.9E-324).
    const auto [two_end, two_error] =
        std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::scientific, 1);
    text = std::string_view(buffer.data(), static_cast<std::size_t>(two_end - buffer.data()));
  }
  const std::size_t e = text.find('e');
  const std::string_view mantissa = text.substr(0, e);
  int exponent = 0;
  std::string_view digits = text.substr(e + 1);
  if (digits.starts_with('+')) digits.remove_prefix(1);
  std::from_chars(digits.data(), digits.data() + digits.size(), exponent);
  return fmt::format("{}E{}", mantissa, exponent);
}

std::optional<bool> java_boolean(std::string_view text) {
  std::string word = lower(text);
  // The long s, whose capital is an S: the one letter beyond ASCII that Java takes for one of these words'.
  constexpr std::string_view kLongS = "\u017f";
  if (const std::size_t at = word.find(kLongS); at != std::string::npos) word.replace(at, kLongS.size(), "s");
  if (word == "true") return true;
  if (word == "false") return false;
  return std::nullopt;
}

std::vector<std::string> java_list(std::string_view text) {
  std::vector<std::string> items;
  text = java_trim(text);
  if (text.empty()) return items;
  while (true) {
    const std::size_t comma = text.find(',');
    std::string_view item = text.substr(0, comma);
    while (comma != std::string_view::npos && !item.empty() && is_regex_space(item.back())) item.remove_suffix(1);
    items.emplace_back(item);
    if (comma == std::string_view::npos) return items;
    text.remove_prefix(comma + 1);
    while (!text.empty() && is_regex_space(text.front())) text.remove_prefix(1);
  }
}

}  // namespace kurier::config
