// Text of message fields for logs and test failures. Used by the generated to_string; secrets never get here.
#pragma once

#include <concepts>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/uuid.h"
#include "protocol/error_code.h"
#include "protocol/records.h"

namespace kurier::protocol {

inline constexpr std::size_t kElementsShownMax = 16;

inline void append_value(std::string& text, bool value) { text += value ? "true" : "false"; }
template <class T>
  requires(std::integral<T> || std::floating_point<T>)
void append_value(std::string& text, T value) {
  text += std::to_string(value);
}
template <class Tag, class Rep>
void append_value(std::string& text, Id<Tag, Rep> value) {
  text += std::to_string(value.value());
}
inline void append_value(std::string& text, ErrorCode value) { text += to_string(value); }
inline void append_value(std::string& text, const std::string& value) { (text += '\'') += value + '\''; }
inline void append_value(std::string& text, const Uuid& value) { text += value.to_string(); }
inline void append_value(std::string& text, const Bytes& value) { text += std::to_string(value.size()) + " bytes"; }
inline void append_value(std::string& text, const Records& value) {
  text += value.is_nothing() ? "null" : std::to_string(value.size_bytes()) + " bytes of records";
}
template <class T>
  requires requires(const T& value, std::string& text) { value.append_text(text); }
void append_value(std::string& text, const T& value) {
  value.append_text(text);
}
template <class T>
void append_value(std::string& text, const std::vector<T>& values) {
  text += '[';
  for (std::size_t i = 0; i < values.size() && i < kElementsShownMax; ++i) {
    if (i > 0) text += ", ";
    append_value(text, values[i]);
  }
  if (values.size() > kElementsShownMax) text += ", … " + std::to_string(values.size()) + " in all";
  text += ']';
}
template <class T>
void append_value(std::string& text, const std::optional<T>& value) {
  if (value) {
    append_value(text, *value);
  } else {
    text += "null";
  }
}

}  // namespace kurier::protocol
