// JsonObject: what a run says of itself: names and values in the order in which they were added, on one line.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

namespace kurier::bench {

class JsonObject {
 public:
  void add(std::string_view name, std::string_view value);
  void add(std::string_view name, const char* value) { add(name, std::string_view(value)); }
  void add(std::string_view name, double value);  // null if it is not finite: JSON has no such number
  void add(std::string_view name, bool value);
  void add(std::string_view name, const JsonObject& value);
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

}  // namespace kurier::bench
