// Small helpers on words, used only inside config/.
#pragma once

#include <algorithm>
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

}  // namespace kurier::config
