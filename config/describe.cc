// The listings of DescribeConfigs: which names, in which order, with which source and synonyms.
#include <algorithm>
#include <string>

#include "config/topic_config.h"

namespace kurier::config {
namespace {

using Overrides = std::map<std::string, std::string>;

void add_if_set(std::vector<ConfigSynonym>& synonyms, const Overrides& values, std::string_view name, bool is_sensitive,
                Source source) {
  const auto found = values.find(std::string(name));
  if (found == values.end()) return;
  const auto shown = is_sensitive ? std::nullopt : std::optional(found->second);
  synonyms.push_back({std::string(name), shown, source});
}

// Everything that says a value for `name` or one of its aliases, the strongest first. Kafka drops what comes before the
// first entry for the name itself, so log.retention.ms has no synonyms when only log.retention.hours has a value.
std::vector<ConfigSynonym> synonyms_of(const NodeConfig& node, const DynamicBrokerConfigs& dynamic,
                                       std::string_view name, bool is_sensitive) {
  std::vector<ConfigSynonym> synonyms;
  for (const std::string_view alias : broker_synonyms(name)) {
    add_if_set(synonyms, dynamic.of_this_broker, alias, is_sensitive, Source::kDynamicBroker);
    add_if_set(synonyms, dynamic.of_the_cluster, alias, is_sensitive, Source::kDynamicDefaultBroker);
    const auto& written = node.originals_as_written.contains(std::string(alias)) ? node.originals_as_written
                                                                                 : node.originals;
    add_if_set(synonyms, written, alias, is_sensitive, Source::kStaticBroker);
    const Property* property = find_broker_property(alias);
    if (property != nullptr && property->default_text != nullptr) {
      const auto shown = is_sensitive ? std::nullopt : std::optional<std::string>(property->default_text);
      synonyms.push_back({std::string(alias), shown, Source::kDefault});
    }
  }
  const auto first = std::ranges::find(synonyms, name, &ConfigSynonym::name);
  synonyms.erase(synonyms.begin(), first);
  return synonyms;
}

bool is_dynamic(const ConfigEntry& entry) {
  if (entry.synonyms.empty()) return false;
  const Source source = entry.synonyms.front().source;
  return source == Source::kDynamicBroker || source == Source::kDynamicDefaultBroker;
}

// The value as Kafka prints it after parsing: lists without blanks, doubles in Java's notation.
std::optional<std::string> normal_text(const ConfigSynonym& synonym) {
  const Property* property = find_broker_property(synonym.name);
  if (property == nullptr || !synonym.value) return synonym.value;
  const auto value = parse_value(property->name, property->type, property->range, *synonym.value);
  return value ? value->text : synonym.value;
}

ConfigEntry broker_entry(const NodeConfig& node, const DynamicBrokerConfigs& dynamic, const Property& property) {
  ConfigEntry entry;
  entry.name = property.name;
  entry.type = property.type;
  entry.is_sensitive = property.type == Type::kPassword;
  entry.read_only = property.update_mode == UpdateMode::kReadOnly;
  entry.documentation = property.doc;
  entry.synonyms = synonyms_of(node, dynamic, property.name, entry.is_sensitive);
  if (!entry.synonyms.empty()) entry.source = entry.synonyms.front().source;
  if (entry.is_sensitive) return entry;
  entry.value = is_dynamic(entry) ? normal_text(entry.synonyms.front()) : node.text(property.name);
  return entry;
}

std::vector<ConfigEntry> in_java_order(std::vector<ConfigEntry> entries) {
  std::vector<std::string_view> names;
  for (const ConfigEntry& entry : entries) names.push_back(entry.name);
  std::vector<ConfigEntry> sorted;
  sorted.reserve(entries.size());
  for (const std::size_t i : java_hash_map_order(names)) sorted.push_back(std::move(entries[i]));
  return sorted;
}

}  // namespace

std::vector<ConfigEntry> describe_broker(const NodeConfig& node, const DynamicBrokerConfigs& dynamic) {
  std::vector<ConfigEntry> entries;
  for (const Property& property : broker_properties()) {
    if (property.visibility == Visibility::kInternal || is_ours(property.name)) continue;
    entries.push_back(broker_entry(node, dynamic, property));
  }
  entries = in_java_order(std::move(entries));
  // What is set but unknown to Kafka's table comes last: ours, and what is given to plug-ins. Kafka takes such values
  // for sensitive, because it cannot know.
  std::vector<ConfigEntry> rest;
  for (const auto& [name, value] : node.originals) {
    if (find_broker_property(name) != nullptr && !is_ours(name)) continue;
    ConfigEntry entry;
    entry.name = name;
    entry.source = Source::kStaticBroker;
    entry.read_only = true;
    entry.is_sensitive = !is_ours(name);
    entry.type = Type::kUnknown;
    if (const Property* property = find_broker_property(name)) {
      entry.type = property->type;
      entry.documentation = property->doc;
      entry.value = value;
    }
    entry.synonyms.push_back({name, entry.value, Source::kStaticBroker});
    rest.push_back(std::move(entry));
  }
  for (ConfigEntry& entry : in_java_order(std::move(rest))) entries.push_back(std::move(entry));
  return entries;
}

std::vector<ConfigEntry> describe_cluster_default(const NodeConfig& node, const DynamicBrokerConfigs& dynamic) {
  std::vector<ConfigEntry> entries;
  for (const auto& [name, value] : dynamic.of_the_cluster) {
    const Property* property = find_broker_property(name);
    if (property == nullptr) continue;
    ConfigEntry entry = broker_entry(node, {.of_this_broker = {}, .of_the_cluster = dynamic.of_the_cluster}, *property);
    if (!entry.is_sensitive) entry.value = value;
    entry.source = Source::kDynamicDefaultBroker;
    std::erase_if(entry.synonyms, [](const ConfigSynonym& s) { return s.source != Source::kDynamicDefaultBroker; });
    entries.push_back(std::move(entry));
  }
  return in_java_order(std::move(entries));
}

std::vector<ConfigEntry> describe_topic(const NodeConfig& node, const DynamicBrokerConfigs& dynamic,
                                        const Overrides& overrides) {
  std::vector<ConfigEntry> entries;
  for (const TopicProperty& property : topic_properties()) {
    if (property.visibility == Visibility::kInternal) continue;
    ConfigEntry entry;
    entry.name = property.name;
    entry.type = property.type;
    entry.documentation = property.doc;
    const std::string_view first = property.broker_synonyms.substr(0, property.broker_synonyms.find(','));
    if (first.empty()) {
      if (property.default_text != nullptr) entry.value = property.default_text;
    } else {
      entry.synonyms = synonyms_of(node, dynamic, first, false);
      if (is_dynamic(entry)) {
        entry.value = normal_text(entry.synonyms.front());
      } else if (property.broker_synonyms.contains(',')) {
        if (const auto number = node.number(first)) entry.value = std::to_string(*number);
      } else {
        entry.value = node.text(first);
      }
    }
    if (const auto found = overrides.find(entry.name); found != overrides.end()) {
      const auto value = parse_value(property.name, property.type, property.range, found->second);
      entry.value = value ? value->text : found->second;
      entry.synonyms.insert(entry.synonyms.begin(), {entry.name, entry.value, Source::kDynamicTopic});
    }
    if (!entry.synonyms.empty()) entry.source = entry.synonyms.front().source;
    entries.push_back(std::move(entry));
  }
  return in_java_order(std::move(entries));
}

}  // namespace kurier::config
