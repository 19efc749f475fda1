#include "tools/client/json.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

namespace kurier::client {
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

template <class Value, class Text>
std::string array_of(const std::vector<Value>& values, Text text) {
  std::string out = "[";
  for (const Value& value : values) out += (out.size() > 1 ? ", " : "") + text(value);
  return out + "]";
}

// The length of the character that begins `bytes` in UTF-8; 0 if none does.
std::size_t character_bytes(ByteView bytes) {
  const auto byte = [&](std::size_t i) { return std::to_integer<std::uint32_t>(bytes[i]); };
  const std::uint32_t first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t length = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  if (length == 0 || bytes.size() < length) return 0;
  std::uint32_t code = first & (0xffU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0U) != 0x80) return 0;
    code = (code << 6U) | (byte(i) & 0x3fU);
  }
  const bool is_surrogate = code >= 0xd800 && code < 0xe000;
  const bool is_too_long = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
  return is_surrogate || is_too_long || code > 0x10ffff ? 0 : length;
}

}  // namespace

bool is_utf8(ByteView bytes) {
  while (!bytes.empty()) {
    const std::size_t length = character_bytes(bytes);
    if (length == 0) return false;
    bytes = bytes.subspan(length);
  }
  return true;
}

std::string base64(ByteView bytes) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - at);
    std::uint32_t three = 0;
    for (std::size_t i = 0; i < 3; ++i) {
      three = (three << 8U) | (i < count ? std::to_integer<std::uint32_t>(bytes[at + i]) : 0);
    }
    for (std::size_t i = 0; i < 4; ++i) out += i <= count ? kDigits[(three >> (18 - 6 * i)) & 0x3fU] : '=';
  }
  return out;
}

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

void JsonObject::add(std::string_view name, const std::vector<JsonObject>& values) {
  add_raw(name, array_of(values, [](const JsonObject& value) { return value.text(); }));
}

void JsonObject::add(std::string_view name, const std::vector<std::string>& values) {
  add_raw(name, array_of(values, [](const std::string& value) { return quoted(value); }));
}

void JsonObject::add(std::string_view name, const std::vector<std::int32_t>& values) {
  add_raw(name, array_of(values, [](std::int32_t value) { return std::to_string(value); }));
}

void JsonObject::add_bytes(std::string_view name, ByteView value) {
  if (is_utf8(value)) return add(name, as_text(value));
  add(std::string(name) + "_base64", base64(value));
}

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

}  // namespace kurier::client
