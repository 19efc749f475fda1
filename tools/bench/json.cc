#include "tools/bench/json.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

namespace kurier::bench {
namespace {

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<int>(c));
    } else {
      out += c;
    }
  }
  return out + "\"";
}

}  // namespace

void JsonObject::add_member(std::string_view name, std::string_view value) {
  if (!members_.empty()) members_ += ", ";
  members_ += quoted(name);
  members_ += ": ";
  members_ += value;
}

void JsonObject::add_human(std::string_view name, std::string_view value) {
  if (!human_.empty()) human_ += '\n';
  human_ += fmt::format("{:32} {}", name, value);
}

void JsonObject::add_raw(std::string_view name, std::string_view value) {
  add_member(name, value);
  add_human(name, value);
}

void JsonObject::add(std::string_view name, std::string_view value) {
  add_member(name, quoted(value));
  add_human(name, value);
}

void JsonObject::add(std::string_view name, double value) {
  add_raw(name, std::isfinite(value) ? fmt::format("{:.6g}", value) : "null");
}

void JsonObject::add(std::string_view name, bool value) { add_raw(name, value ? "true" : "false"); }

void JsonObject::add(std::string_view name, const JsonObject& value) {
  add_member(name, value.text());
  std::string_view rest = value.human_;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    if (!human_.empty()) human_ += '\n';
    const std::string line = fmt::format("{}.{}", name, rest.substr(0, end));
    // The inner name was padded to 32: the prefix takes from that padding.
    const std::size_t gap = line.find(' ');
    const std::size_t text = line.find_first_not_of(' ', gap);
    human_ += fmt::format("{:32} {}", line.substr(0, gap), text == std::string::npos ? "" : line.substr(text));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
}

}  // namespace kurier::bench
