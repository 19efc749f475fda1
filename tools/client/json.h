// JsonObject: what a program says: names and values in the order in which they were added, on one line. Text is UTF-8;
// what may be anything goes in with `add_bytes`.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace kurier::client {

class JsonObject {
 public:
  void add(std::string_view name, std::string_view value);
  void add(std::string_view name, const char* value) { add(name, std::string_view(value)); }
  void add(std::string_view name, double value);  // null if it is not finite: JSON has no such number
  void add(std::string_view name, bool value);
  void add(std::string_view name, const JsonObject& value);
  void add(std::string_view name, const std::vector<JsonObject>& values);
  void add(std::string_view name, const std::vector<std::string>& values);
  void add(std::string_view name, const std::vector<std::int32_t>& values);
  void add_null(std::string_view name) { add_raw(name, "null"); }
  // As text if it is UTF-8, else as `name`_base64.
  void add_bytes(std::string_view name, ByteView value);
  template <std::integral Number>
  void add(std::string_view name, Number value) {
    add_raw(name, std::to_string(value));
  }
  [[nodiscard]] std::string text() const { return "{" + members_ + "}"; }
  // "name=value name=value", for people; what is inside an object has its name in front.
  [[nodiscard]] std::string human() const { return human_; }

 private:
  void add_raw(std::string_view name, std::string_view value);
  void add_member(std::string_view name, std::string_view value);
  void add_human(std::string_view name, std::string_view value);
  std::string members_;
  std::string human_;
};

[[nodiscard]] bool is_utf8(ByteView bytes);  // no surrogates, nothing longer than it need be
[[nodiscard]] std::string base64(ByteView bytes);

}  // namespace kurier::client
