// The one table of properties: every name that a broker or controller of Apache Kafka 4.4 knows, every topic
// configuration, and the few of our own, each with type, default, range, where it can change, and whether it works
// here.
//
// Immutable data, used by any thread. Names, types, defaults, ranges, update modes and order are Apache Kafka's;
// tests/interop/config compares them with its jars. The data itself is in properties_*.cc.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kurier::config {

// Numbered as DescribeConfigs numbers them.
enum class Type : std::int8_t {
  kUnknown = 0,  // of a name that belongs to a plug-in
  kBoolean = 1,
  kString = 2,
  kInt = 3,
  kShort = 4,
  kLong = 5,
  kDouble = 6,
  kList = 7,
  kClass = 8,
  kPassword = 9,
};

enum class Support : std::uint8_t {
  kWorks,
  kNoEffect,  // accepted; the start says that it does nothing here, and why
  kRefused,   // any value but the default stops the start: to ignore it would weaken security, durability or isolation
};

enum class UpdateMode : std::uint8_t { kReadOnly, kPerBroker, kClusterWide };

// Internal properties are accepted and never listed.
enum class Visibility : std::uint8_t { kPublic, kInternal };

inline constexpr const char* kNoDefault = nullptr;

struct Property {
  std::string_view name;
  Type type;
  const char* default_text;  // as Kafka prints it; kNoDefault: none
  std::string_view range;    // in Kafka's notation: "[1,...]", "[0,...,1]", "[compact, delete]", "" for any value
  UpdateMode update_mode;
  Visibility visibility;
  Support support;
  std::string_view reason;  // why it has no effect or is refused; empty if it works
  std::string_view doc;     // one line of our own, with the unit

  [[nodiscard]] std::optional<std::string_view> default_value() const {
    return default_text == nullptr ? std::nullopt : std::optional<std::string_view>(default_text);
  }
};

struct TopicProperty {
  std::string_view name;
  Type type;
  const char* default_text;
  std::string_view range;
  std::string_view broker_synonyms;  // comma-separated, the first that is set wins; empty if there is none
  Visibility visibility;
  std::string_view doc;
  // Of those without a synonym; the others work as their first synonym does. See support_of.
  Support own_support = Support::kWorks;
  std::string_view own_reason = "";
};

// Apache Kafka's properties in the order of its definition, then our own (kurier.*).
[[nodiscard]] std::span<const Property> broker_properties();
[[nodiscard]] std::span<const TopicProperty> topic_properties();
[[nodiscard]] const Property* find_broker_property(std::string_view name);  // nullptr: no such name
[[nodiscard]] const TopicProperty* find_topic_property(std::string_view name);
struct SupportAndReason {
  Support support;
  std::string_view reason;
};
[[nodiscard]] SupportAndReason support_of(const TopicProperty& property);
[[nodiscard]] bool is_ours(std::string_view name);  // kurier.*, unknown to Apache Kafka

// The names a broker looks at for `name`, in the order in which they win; just `name` if it has no alias.
[[nodiscard]] std::vector<std::string_view> broker_synonyms(std::string_view name);

// The known name with the smallest edit distance, if it is near enough to be meant.
[[nodiscard]] std::optional<std::string_view> nearest_broker_property(std::string_view name);

// Parses as Kafka's ConfigDef does (trims, accepts true/false in any case) and checks the range. The normal text is
// what Kafka prints for the value. The error's context is Kafka's own sentence:
// "Invalid value x for configuration retention.ms: Not a number of type LONG".
struct Value {
  std::string text;  // normal form
  std::int64_t number = 0;           // boolean (0, 1), int, short, long
  double real = 0;                   // double
  std::vector<std::string> list;     // list
};
[[nodiscard]] Result<Value> parse_value(std::string_view name, Type type, std::string_view range,
                                        std::string_view text);

[[nodiscard]] std::string_view to_string(Type type);        // "INT", as Kafka prints it
[[nodiscard]] std::string_view to_string(UpdateMode mode);  // "read-only", "per-broker", "cluster-wide"
// "a, b have no effect here, because tiered storage is not there yet"
[[nodiscard]] std::string no_effect(std::span<const std::string_view> names, std::string_view reason);
// What a person should write: "an int, 1 or more", "one of compact, delete".
[[nodiscard]] std::string expectation(Type type, std::string_view range);

// The order in which a java.util.HashMap that got `names` in this order iterates them: that of DescribeConfigs.
[[nodiscard]] std::vector<std::size_t> java_hash_map_order(std::span<const std::string_view> names);

}  // namespace kurier::config
