#include "config/property_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <unordered_map>
#include <utility>

#include "config/properties.h"
#include "config/text.h"

namespace kurier::config {
namespace {

// What a java.util.HashMap makes of a key before it picks a bucket.
std::uint32_t java_spread_hash(std::string_view text) {
  std::uint32_t hash = 0;
  for (const char c : text) hash = hash * 31 + static_cast<unsigned char>(c);
  return hash ^ (hash >> 16);
}

const std::vector<Property>& all_broker_properties() {
  static const std::vector<Property> all = [] {
    std::vector<Property> table;
    for (const auto part : {kNodeProperties, kGroupProperties, kLogProperties, kSecurityProperties, kOwnProperties}) {
      table.insert(table.end(), part.begin(), part.end());
    }
    return table;
  }();
  return all;
}

std::size_t edit_distance(std::string_view left, std::string_view right) {
  std::vector<std::size_t> row(right.size() + 1);
  for (std::size_t j = 0; j < row.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= left.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= right.size(); ++j) {
      const std::size_t changed = diagonal + (left[i - 1] == right[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, changed});
    }
  }
  return row.back();
}

}  // namespace

std::span<const Property> broker_properties() { return all_broker_properties(); }
std::span<const TopicProperty> topic_properties() { return kTopicProperties; }

const Property* find_broker_property(std::string_view name) {
  static const auto index = [] {
    std::unordered_map<std::string_view, const Property*> by_name;
    for (const Property& property : broker_properties()) by_name.emplace(property.name, &property);
    return by_name;
  }();
  const auto found = index.find(name);
  return found == index.end() ? nullptr : found->second;
}

const TopicProperty* find_topic_property(std::string_view name) {
  const auto found = std::ranges::find(kTopicProperties, name, &TopicProperty::name);
  return found == kTopicProperties.end() ? nullptr : &*found;
}

SupportAndReason support_of(const TopicProperty& property) {
  const std::string_view first = property.broker_synonyms.substr(0, property.broker_synonyms.find(','));
  const Property* broker = first.empty() ? nullptr : find_broker_property(first);
  if (broker == nullptr) return {property.own_support, property.own_reason};
  return {broker->support, broker->reason};
}

bool is_ours(std::string_view name) { return name.starts_with("kurier."); }

std::vector<std::string_view> broker_synonyms(std::string_view name) {
  static const std::vector<std::vector<std::string_view>> groups = {
      {"log.roll.ms", "log.roll.hours"},
      {"log.roll.jitter.ms", "log.roll.jitter.hours"},
      {"log.retention.ms", "log.retention.minutes", "log.retention.hours"},
  };
  for (const auto& group : groups) {
    if (contains(group, name)) return group;
  }
  // One way only: the scheduler's interval is the default of log.flush.interval.ms, not the reverse.
  if (name == "log.flush.interval.ms") return {name, "log.flush.scheduler.interval.ms"};
  return {name};
}

std::optional<std::string_view> nearest_broker_property(std::string_view name) {
  std::optional<std::string_view> nearest;
  std::size_t distance_max = std::max<std::size_t>(2, name.size() / 4);
  for (const Property& property : broker_properties()) {
    if (property.visibility == Visibility::kInternal) continue;
    // Names whose lengths differ by more cannot be near; a file may hold a line of megabytes.
    const std::size_t longer = std::max(name.size(), property.name.size());
    if (longer - std::min(name.size(), property.name.size()) > distance_max) continue;
    const std::size_t distance = edit_distance(name, property.name);
    if (distance <= distance_max && (!nearest || distance < distance_max)) {
      nearest = property.name;
      distance_max = distance;
    }
  }
  return nearest;
}

std::string_view to_string(Type type) {
  static constexpr std::array<std::string_view, 10> kNames = {"UNKNOWN", "BOOLEAN", "STRING", "INT",   "SHORT",
                                                              "LONG", "DOUBLE",  "LIST",   "CLASS", "PASSWORD"};
  return kNames.at(static_cast<std::size_t>(type));
}

std::string_view to_string(UpdateMode mode) {
  switch (mode) {
    case UpdateMode::kReadOnly: return "read-only";
    case UpdateMode::kPerBroker: return "per-broker";
    case UpdateMode::kClusterWide: return "cluster-wide";
  }
  return "";
}

std::string no_effect(std::span<const std::string_view> names, std::string_view reason) {
  return fmt::format("{} {} no effect here, because {}", fmt::join(names, ", "), names.size() == 1 ? "has" : "have", reason);
}

std::vector<std::size_t> java_hash_map_order(std::span<const std::string_view> names) {
  std::size_t buckets = 16;  // doubled when more than three quarters full
  while (names.size() * 4 > buckets * 3) buckets *= 2;
  std::vector<std::size_t> order(names.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  // Within a bucket the order of insertion holds.
  std::ranges::sort(order, {}, [&](std::size_t i) {
    return std::pair(java_spread_hash(names[i]) & (buckets - 1), i);
  });
  return order;
}

}  // namespace kurier::config
