// The first word of a command line says what is to be done.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace kurier::client {

// What is wrong with argv[1] if it is none of `commands`; empty if it is one of them, an option, or missing.
[[nodiscard]] std::string complaint_about_first_word(int argc, const char* const* argv,
                                                     const std::vector<std::string_view>& commands);

}  // namespace kurier::client
