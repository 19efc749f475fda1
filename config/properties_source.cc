// The notation of java.util.Properties.load:
// https://docs.oracle.com/javase/8/docs/api/java/util/Properties.html#load-java.io.Reader-
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <expected>
#include <optional>

#include "config/source.h"
#include "config/text.h"

namespace kurier::config {
namespace {

void append_utf8(std::string& text, std::uint32_t code) {
  const auto add = [&](std::uint32_t byte) { text += static_cast<char>(static_cast<unsigned char>(byte)); };
  if (code < 0x80) {
    add(code);
  } else if (code < 0x800) {
    add(0xC0 | (code >> 6));
    add(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    add(0xE0 | (code >> 12));
    add(0x80 | ((code >> 6) & 0x3F));
    add(0x80 | (code & 0x3F));
  } else {
    add(0xF0 | (code >> 18));
    add(0x80 | ((code >> 12) & 0x3F));
    add(0x80 | ((code >> 6) & 0x3F));
    add(0x80 | (code & 0x3F));
  }
}

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\f'; }

std::string_view skip_blanks(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  return text;
}

std::optional<std::uint32_t> hex4(std::string_view text) {
  if (text.size() < 4) return std::nullopt;
  std::uint32_t code = 0;
  for (const char c : text.substr(0, 4)) {
    const int digit = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                             : -1;
    if (digit < 0) return std::nullopt;
    code = code * 16 + static_cast<std::uint32_t>(digit);
  }
  return code;
}

// Resolves the escapes of a name or value. A fault is said instead.
std::expected<std::string, std::string> unescape(std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      if (text[i] != '\\') result += text[i];
      continue;
    }
    const char c = text[++i];
    if (c != 'u') {
      result += c == 't' ? '\t' : c == 'n' ? '\n' : c == 'r' ? '\r' : c == 'f' ? '\f' : c;
      continue;
    }
    auto code = hex4(text.substr(i + 1));
    if (!code) return std::unexpected("\\u needs four hexadecimal digits");
    i += 4;
    // Two halves of one character beyond the first 65,536.
    if (*code >= 0xD800 && *code < 0xDC00 && text.substr(i + 1).starts_with("\\u")) {
      const auto low = hex4(text.substr(i + 3));
      if (low && *low >= 0xDC00 && *low < 0xE000) {
        code = 0x10000 + ((*code - 0xD800) << 10) + (*low - 0xDC00);
        i += 6;
      }
    }
    if (*code >= 0xD800 && *code < 0xE000) {
      return std::unexpected("\\uD800 to \\uDFFF are halves of a character; \\uD83D\\uDE00 is a whole one");
    }
    append_utf8(result, *code);
  }
  return result;
}

// Takes one line off `rest`, without its end (\n, \r or \r\n).
std::string_view take_line(std::string_view& rest) {
  const std::size_t end = rest.find_first_of("\r\n");
  const std::string_view line = rest.substr(0, end);
  if (end == std::string_view::npos) {
    rest = {};
  } else {
    rest.remove_prefix(end + (rest.substr(end).starts_with("\r\n") ? 2 : 1));
  }
  return line;
}

bool is_continued(std::string_view line) {
  std::size_t backslashes = 0;
  while (backslashes < line.size() && line[line.size() - 1 - backslashes] == '\\') ++backslashes;
  return backslashes % 2 == 1;
}

// Where the name ends: at the first =, : or blank that has no backslash before it.
std::size_t end_of_name(std::string_view line) {
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '\\') {
      ++i;
    } else if (line[i] == '=' || line[i] == ':' || is_blank(line[i])) {
      return i;
    }
  }
  return line.size();
}

void put(std::vector<Setting>& settings, Setting setting) {
  const auto same = std::ranges::find(settings, setting.name, &Setting::name);
  if (same == settings.end()) {
    settings.push_back(std::move(setting));
  } else {
    *same = std::move(setting);
  }
}

}  // namespace

ReadSettings read_properties(std::string_view path, std::string_view content) {
  std::string converted;
  if (!is_utf8(content)) {
    for (const char c : content) append_utf8(converted, static_cast<unsigned char>(c));
    content = converted;
  }
  ReadSettings result;
  int number = 0;
  while (!content.empty()) {
    std::string_view line = skip_blanks(take_line(content));
    const int first = ++number;
    if (line.empty() || line.front() == '#' || line.front() == '!') continue;
    std::string whole(line);
    while (is_continued(whole)) {
      whole.pop_back();
      if (content.empty()) break;
      whole += skip_blanks(take_line(content));
      ++number;
    }
    line = whole;
    const std::size_t end = end_of_name(line);
    std::string_view rest = skip_blanks(line.substr(end));
    if (!rest.empty() && (rest.front() == '=' || rest.front() == ':')) rest = skip_blanks(rest.substr(1));
    const auto name = unescape(line.substr(0, end));
    const auto value = unescape(rest);
    const std::string where = fmt::format("{}:{}", path, first);
    if (!name || !value) {
      result.faults.push_back(where + ": " + (name ? value.error() : name.error()));
    } else {
      put(result.settings, {*name, *value, where});
    }
  }
  return result;
}

ReadSettings read_arguments(const std::vector<std::string>& arguments) {
  ReadSettings result;
  for (const std::string& argument : arguments) {
    const std::size_t equals = argument.find('=');
    if (equals == std::string::npos || equals == 0) {
      result.faults.push_back(fmt::format("--set {}: expected name=value", argument));
    } else {
      put(result.settings, {argument.substr(0, equals), argument.substr(equals + 1), "--set"});
    }
  }
  return result;
}

}  // namespace kurier::config
