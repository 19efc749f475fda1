// Values: text to number, list or word, as Kafka's ConfigDef does it, with its sentences.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "config/java_text.h"
#include "config/property_table.h"
#include "config/text.h"

namespace kurier::config {
namespace {

std::string join(const std::vector<std::string>& items, std::string_view between) {
  return fmt::format("{}", fmt::join(items, between));
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
    result.words = java_list(range.substr(1, range.size() - 2));
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
  const auto parts = java_list(range.substr(1, range.size() - 2));
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
  const auto number = java_whole(java_trim(text));
  if (!number || *number < least || *number > most) {
    return invalid(name, text, fmt::format("Not a number of type {}", to_string(type)));
  }
  Value value;
  value.text = std::to_string(*number);
  value.number = *number;
  TRY(check_limits(name, value.text, *number, range));
  return value;
}

Result<Value> parse_double(std::string_view name, std::string_view range, std::string_view text) {
  const auto number = java_real(java_trim(text));
  if (!number) return invalid(name, text, "Not a number of type DOUBLE");
  Value value;
  value.real = *number;
  value.text = java_real_text(value.real);
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

bool is_replica(std::string_view text) {  // "0:1"; Kafka's pattern lets nothing pass too
  if (text.empty()) return true;
  const std::size_t colon = text.find(':');
  const auto is_number = [](std::string_view part) {
    return !part.empty() && std::ranges::all_of(part, [](char c) { return c >= '0' && c <= '9'; });
  };
  return colon != std::string_view::npos && is_number(text.substr(0, colon)) && is_number(text.substr(colon + 1));
}

bool is_of_replicas(std::string_view range) { return range.starts_with("[partitionId]"); }
bool is_of_addresses(std::string_view range) { return range == "non-empty list"; }

// ConfigDef drops what a list says again, but not from lists whose form has a rule of its own.
std::vector<std::string> parse_list(std::string_view text, std::string_view range) {
  std::vector<std::string> list = java_list(text);
  if (is_of_replicas(range) || is_of_addresses(range)) return list;
  std::vector<std::string> distinct;
  for (std::string& item : list) {
    if (!contains(distinct, item)) distinct.push_back(std::move(item));
  }
  return distinct;
}

Result<void> check_list(std::string_view name, const std::vector<std::string>& list, std::string_view range) {
  if (is_of_replicas(range)) {
    const bool fits = (list.size() == 1 && list.front() == "*") || std::ranges::all_of(list, is_replica);
    if (fits) return {};
    return invalid(name, "[" + join(list, ", ") + "]",
                   fmt::format("{} must be the literal '*' or a list of replicas in the following format: {}", name,
                               range));
  }
  if (is_of_addresses(range)) return {};  // the quorum's addresses are read by node_config
  const Words allowed = words_of(range);
  if (list.empty()) {
    if (!must_not_be_empty(name)) return {};
    return fail(Failure::kInvalid, fmt::format("Configuration '{}' must not be empty. Valid values include: {}", name,
                                               allowed.words.empty() ? "any non-empty value" : std::string(range)));
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
  const std::string_view trimmed = java_trim(text);
  Value value;
  switch (type) {
    case Type::kBoolean: {
      const auto truth = java_boolean(trimmed);
      if (!truth) return invalid(name, text, "Expected value to be either true or false");
      value.text = *truth ? "true" : "false";
      value.number = *truth ? 1 : 0;
      return value;
    }
    case Type::kInt: return parse_whole(name, type, range, text, INT32_MIN, INT32_MAX);
    case Type::kShort: return parse_whole(name, type, range, text, INT16_MIN, INT16_MAX);
    case Type::kLong: return parse_whole(name, type, range, text, INT64_MIN, INT64_MAX);
    case Type::kDouble: return parse_double(name, range, text);
    case Type::kList:
      value.list = parse_list(trimmed, range);
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
