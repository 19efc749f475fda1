// Small helpers on words, used only inside config/.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

namespace kurier::config {

template <class Range, class Item>
[[nodiscard]] bool contains(const Range& range, const Item& item) {
  return std::ranges::find(range, item) != std::ranges::end(range);
}

[[nodiscard]] inline std::string upper(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = (c >= 'a' && c <= 'z') ? static_cast<char>(c - 32) : c;
  return result;
}

[[nodiscard]] inline std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = (c >= 'A' && c <= 'Z') ? static_cast<char>(c + 32) : c;
  return result;
}

// How many bytes of it are UTF-8: all of them, or those before the first fault.
[[nodiscard]] std::size_t utf8_prefix(std::string_view text);
[[nodiscard]] inline bool is_utf8(std::string_view text) { return utf8_prefix(text) == text.size(); }

}  // namespace kurier::config
