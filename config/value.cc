// Values: text to number, list or word, as Kafka's ConfigDef does it, with its sentences.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "config/property_table.h"
#include "config/text.h"

namespace kurier::config {
namespace {

// Java's String.trim: everything up to the space counts.
std::string_view trim(std::string_view text) {
  while (!text.empty() && static_cast<unsigned char>(text.front()) <= ' ') text.remove_prefix(1);
  while (!text.empty() && static_cast<unsigned char>(text.back()) <= ' ') text.remove_suffix(1);
  return text;
}

std::vector<std::string> split_list(std::string_view text) {
  std::vector<std::string> items;
  text = trim(text);
  if (text.empty()) return items;
  while (true) {
    const std::size_t comma = text.find(',');
    items.emplace_back(trim(text.substr(0, comma)));
    if (comma == std::string_view::npos) return items;
    text.remove_prefix(comma + 1);
  }
}

std::string join(const std::vector<std::string>& items, std::string_view between) {
  return fmt::format("{}", fmt::join(items, between));
}

// The decimal notation of java.lang.Double.toString: 1.0, 0.001, 1.0E7.
std::string java_double(double value) {
  if (value == 0) return std::signbit(value) ? "-0.0" : "0.0";
  std::array<char, 40> buffer{};
  const auto [end, error] =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::scientific);
  const std::string_view text(buffer.data(), static_cast<std::size_t>(end - buffer.data()));
  const double magnitude = value < 0 ? -value : value;
  if (magnitude >= 1e-3 && magnitude < 1e7) {
    const auto [fixed_end, fixed_error] =
        std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::fixed);
    std::string fixed(buffer.data(), static_cast<std::size_t>(fixed_end - buffer.data()));
    return fixed.find('.') == std::string::npos ? fixed + ".0" : fixed;
  }
  const std::size_t e = text.find('e');
  std::string mantissa(text.substr(0, e));
  if (mantissa.find('.') == std::string::npos) mantissa += ".0";
  int exponent = 0;
  std::string_view digits = text.substr(e + 1);
  if (digits.starts_with('+')) digits.remove_prefix(1);
  std::from_chars(digits.data(), digits.data() + digits.size(), exponent);
  return fmt::format("{}E{}", mantissa, exponent);
}

std::unexpected<Error> invalid(std::string_view name, std::string_view value, std::string_view why) {
  return fail(Failure::kInvalid, fmt::format("Invalid value {} for configuration {}: {}", value, name, why));
}

// The words of "[compact, delete]", without the mark in front of them that says that case does not matter.
struct Words {
  std::vector<std::string> words;
  bool any_case = false;
};
Words words_of(std::string_view range) {
  Words result;
  constexpr std::string_view kAnyCase = "(case insensitive) ";
  if (range.starts_with(kAnyCase)) {
    result.any_case = true;
    range.remove_prefix(kAnyCase.size());
  }
  if (range.starts_with('[') && range.ends_with(']') && range.find("...") == std::string_view::npos) {
    result.words = split_list(range.substr(1, range.size() - 2));
  }
  return result;
}

// The limits of "[1,...]" and "[0,...,1]", as they are written.
struct Limits {
  std::string least;
  std::string most;
  bool or_minus_one = false;  // "[1,...,9] or -1"
};
Limits limits_of(std::string_view range) {
  Limits result;
  constexpr std::string_view kOrMinusOne = " or -1";
  if (range.ends_with(kOrMinusOne)) {
    result.or_minus_one = true;
    range.remove_suffix(kOrMinusOne.size());
  }
  if (!range.starts_with('[') || !range.ends_with(']')) return result;
  const auto parts = split_list(range.substr(1, range.size() - 2));
  if (!parts.empty() && parts.front() != "...") result.least = parts.front();
  if (parts.size() > 1 && parts.back() != "...") result.most = parts.back();
  return result;
}

template <class Number>
Number number_of(const std::string& text) {
  Number number{};
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

template <class Number>
Result<void> check_limits(std::string_view name, std::string_view shown, Number value, std::string_view range) {
  const Limits limits = limits_of(range);
  const bool too_small = !limits.least.empty() && value < number_of<Number>(limits.least);
  const bool too_large = !limits.most.empty() && value > number_of<Number>(limits.most);
  if (limits.or_minus_one) {
    if ((too_small || too_large) && value != Number(-1)) {
      return invalid(name, shown,
                     fmt::format("Value must be between {} and {} or equal to -1", limits.least, limits.most));
    }
    return {};
  }
  if (too_small) return invalid(name, shown, fmt::format("Value must be at least {}", limits.least));
  if (too_large) return invalid(name, shown, fmt::format("Value must be no more than {}", limits.most));
  return {};
}

Result<Value> parse_whole(std::string_view name, Type type, std::string_view range, std::string_view text,
                          std::int64_t least, std::int64_t most) {
  std::string_view digits = text;
  if (digits.starts_with('+') && digits.size() > 1 && digits[1] != '-') digits.remove_prefix(1);
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc() || end != digits.data() + digits.size() || number < least || number > most) {
    return invalid(name, text, fmt::format("Not a number of type {}", to_string(type)));
  }
  Value value;
  value.text = std::to_string(number);
  value.number = number;
  TRY(check_limits(name, value.text, number, range));
  return value;
}

Result<Value> parse_double(std::string_view name, std::string_view range, std::string_view text) {
  std::string_view digits = text;
  if (digits.starts_with('+')) digits.remove_prefix(1);
  Value value;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value.real);
  if (digits.empty() || error != std::errc() || end != digits.data() + digits.size()) {
    return invalid(name, text, "Not a number of type DOUBLE");
  }
  value.text = java_double(value.real);
  TRY(check_limits(name, value.text, value.real, range));
  return value;
}

// Lists that Kafka does not accept empty.
bool must_not_be_empty(std::string_view name) {
  static constexpr std::array kNames = {
      "process.roles",         "controller.listener.names", "listeners",
      "advertised.listeners",  "log.dir",                   "log.dirs",
      "group.consumer.assignors", "group.share.assignors",  "group.streams.assignors",
      "group.coordinator.rebalance.protocols",
  };
  return contains(kNames, name);
}

bool is_replica(std::string_view text) {  // "0:1"
  const std::size_t colon = text.find(':');
  const auto is_number = [](std::string_view part) {
    return !part.empty() && std::ranges::all_of(part, [](char c) { return c >= '0' && c <= '9'; });
  };
  return colon != std::string_view::npos && is_number(text.substr(0, colon)) && is_number(text.substr(colon + 1));
}

Result<void> check_list(std::string_view name, const std::vector<std::string>& list, std::string_view range) {
  if (range.starts_with("[partitionId]")) {
    const bool fits = (list.size() == 1 && list.front() == "*") || std::ranges::all_of(list, is_replica);
    if (fits) return {};
    return invalid(name, "[" + join(list, ", ") + "]",
                   fmt::format("{} must be the literal '*' or a list of replicas in the following format: {}", name,
                               range));
  }
  if (range == "non-empty list") return {};  // the quorum's addresses are read by node_config
  const Words allowed = words_of(range);
  if (list.empty()) {
    if (!must_not_be_empty(name)) return {};
    return fail(Failure::kInvalid, fmt::format("Configuration '{}' must not be empty. Valid values include: {}", name,
                                               allowed.words.empty() ? "any non-empty value" : std::string(range)));
  }
  std::vector<std::string> sorted = list;
  std::ranges::sort(sorted);
  if (std::ranges::adjacent_find(sorted) != sorted.end()) {
    return fail(Failure::kInvalid, fmt::format("Configuration '{}' values must not be duplicated.", name));
  }
  for (const std::string& item : list) {
    if (item.empty()) return fail(Failure::kInvalid, fmt::format("Configuration '{}' values must not be empty.", name));
    if (!allowed.words.empty() && !contains(allowed.words, item)) {
      return invalid(name, item, "String must be one of: " + join(allowed.words, ", "));
    }
  }
  return {};
}

Result<void> check_string(std::string_view name, std::string_view text, std::string_view range) {
  if (range == "non-empty string" && text.empty()) return invalid(name, text, "String must be non-empty");
  const Words allowed = words_of(range);
  if (allowed.words.empty()) return {};
  const bool fits = std::ranges::any_of(allowed.words, [&](const std::string& word) {
    return allowed.any_case ? lower(word) == lower(text) : word == text;
  });
  if (fits) return {};
  return invalid(name, text, fmt::format("String must be one of{}: {}", allowed.any_case ? " (case insensitive)" : "",
                                         join(allowed.words, ", ")));
}

}  // namespace

Result<Value> parse_value(std::string_view name, Type type, std::string_view range, std::string_view text) {
  const std::string_view trimmed = trim(text);
  Value value;
  switch (type) {
    case Type::kBoolean: {
      const std::string word = lower(trimmed);
      if (word != "true" && word != "false") return invalid(name, text, "Expected value to be either true or false");
      value.text = word;
      value.number = word == "true" ? 1 : 0;
      return value;
    }
    case Type::kInt:
      return parse_whole(name, type, range, trimmed, INT32_MIN, INT32_MAX);
    case Type::kShort:
      return parse_whole(name, type, range, trimmed, INT16_MIN, INT16_MAX);
    case Type::kLong:
      return parse_whole(name, type, range, trimmed, INT64_MIN, INT64_MAX);
    case Type::kDouble:
      return parse_double(name, range, trimmed);
    case Type::kList:
      value.list = split_list(trimmed);
      TRY(check_list(name, value.list, range));
      value.text = join(value.list, ",");
      return value;
    case Type::kString:
      value.text = trimmed;
      TRY(check_string(name, value.text, range));
      return value;
    case Type::kUnknown:
    case Type::kClass:
    case Type::kPassword:
      value.text = trimmed;
      return value;
  }
  return fail(Failure::kInvalid, "no such type");
}

std::string expectation(Type type, std::string_view range) {
  const Words allowed = words_of(range);
  if (!allowed.words.empty() && (type == Type::kString || type == Type::kList)) {
    return (type == Type::kList ? "any of " : "one of ") + join(allowed.words, ", ");
  }
  std::string what;
  switch (type) {
    case Type::kBoolean: return "true or false";
    case Type::kInt: what = "an int"; break;
    case Type::kShort: what = "a short"; break;
    case Type::kLong: what = "a long"; break;
    case Type::kDouble: what = "a number"; break;
    case Type::kList: return range.starts_with("[partitionId]") ? "* or " + std::string(range) : "a list of words";
    case Type::kString: return range == "non-empty string" ? "a text that is not empty" : "a text";
    case Type::kClass: return "the name of a class";
    case Type::kUnknown:
    case Type::kPassword: return "a text";
  }
  const Limits limits = limits_of(range);
  if (!limits.least.empty() && !limits.most.empty()) {
    return fmt::format("{} from {} to {}{}", what, limits.least, limits.most, limits.or_minus_one ? ", or -1" : "");
  }
  if (!limits.least.empty()) return fmt::format("{}, {} or more", what, limits.least);
  return what;
}

}  // namespace kurier::config
