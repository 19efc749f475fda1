#include "tools/client/first_word.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace kurier::client {

std::string complaint_about_first_word(int argc, const char* const* argv,
                                       const std::vector<std::string_view>& commands) {
  const std::string_view word = argc > 1 ? argv[1] : "";
  if (word.empty() || word.starts_with('-') || std::ranges::find(commands, word) != commands.end()) return {};
  return fmt::format("'{}' is none of {}", word, fmt::join(commands, ", "));
}

}  // namespace kurier::client
