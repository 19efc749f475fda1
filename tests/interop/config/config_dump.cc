// Prints kurier's tables of properties in the notation of ConfigDump.java, for compare_config.py.
#include <fmt/format.h>

#include <cstdio>
#include <string>

#include "config/property_table.h"
#include "config/topic_config.h"

using namespace kurier::config;

int main() {
  const auto text_or_none = [](const char* text) { return text == nullptr ? std::string("\\N") : std::string(text); };
  const auto is_internal = [](Visibility visibility) { return visibility == Visibility::kInternal ? "true" : "false"; };
  for (const Property& property : broker_properties()) {
    if (is_ours(property.name)) continue;
    std::puts(fmt::format("broker\t{}\t{}\t{}\t{}\t{}\t{}", property.name, to_string(property.type),
                          text_or_none(property.default_text), property.range, to_string(property.update_mode),
                          is_internal(property.visibility)).c_str());
    const auto synonyms = broker_synonyms(property.name);
    if (synonyms.size() > 1) std::puts(fmt::format("alias\t{}\t{}", property.name, fmt::join(synonyms, ",")).c_str());
  }
  for (const TopicProperty& property : topic_properties()) {
    std::puts(fmt::format("topic\t{}\t{}\t{}\t{}\t{}\t{}", property.name, to_string(property.type),
                          text_or_none(property.default_text), property.range, property.broker_synonyms,
                          is_internal(property.visibility)).c_str());
  }
  for (const ConfigEntry& entry : describe_topic(NodeConfig(), {}, {})) {
    std::puts(fmt::format("listed topic\t{}\t{}", entry.name, entry.value.value_or("\\N")).c_str());
  }
  for (const ConfigEntry& entry : describe_broker(NodeConfig(), {})) {
    std::puts(fmt::format("listed broker\t{}", entry.name).c_str());
  }
  return 0;
}
