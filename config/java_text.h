// Numbers, words and lists as Java's own parsers take them and as Java writes them: what Apache Kafka accepts in a
// configuration is what java.lang and ConfigDef accept. Pure functions, used only inside config/.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace kurier::config {

// String.trim: everything up to the space counts.
[[nodiscard]] std::string_view java_trim(std::string_view text);

// Integer.parseInt, Long.parseLong: a sign and digits, of any script that Java finds in one char.
[[nodiscard]] std::optional<std::int64_t> java_whole(std::string_view text);

// Double.parseDouble of a text that is trimmed: also 0x1p-2, 1e3, .5, 0.5f, NaN, Infinity.
[[nodiscard]] std::optional<double> java_real(std::string_view text);

// Double.toString: 1.0, 0.001, 1.0E7, NaN.
[[nodiscard]] std::string java_real_text(double value);

// true or false in whatever case, as String.equalsIgnoreCase compares.
[[nodiscard]] std::optional<bool> java_boolean(std::string_view text);

// ConfigDef's lists: trimmed, and split where the regular expression \s*,\s* matches. Of a text of blanks: no items.
[[nodiscard]] std::vector<std::string> java_list(std::string_view text);

}  // namespace kurier::config
