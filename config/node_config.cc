#include "config/node_config.h"

#include <algorithm>
#include <charconv>

namespace kurier::config {

std::optional<std::string> NodeConfig::text(std::string_view property, const DynamicBrokerConfigs& dynamic) const {
  const std::string name(property);
  for (const auto* values : {&dynamic.of_this_broker, &dynamic.of_the_cluster, &originals}) {
    if (const auto found = values->find(name); found != values->end()) return found->second;
  }
  const Property* known = find_broker_property(property);
  if (known == nullptr || known->default_text == nullptr) return std::nullopt;
  return known->default_text;
}

// log.retention.ms, then .minutes, then .hours: the first that is set wins, and only the last has a default.
std::optional<std::int64_t> NodeConfig::number(std::string_view property, const DynamicBrokerConfigs& dynamic) const {
  const auto names = broker_synonyms(property);
  for (const std::string_view name : names) {
    const auto value = text(name, dynamic);
    if (!value) continue;
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(value->data(), value->data() + value->size(), number);
    if (error != std::errc()) return std::nullopt;
    if (names.size() == 1) return number;
    if (name.ends_with(".hours")) number *= 3'600'000;
    if (name.ends_with(".minutes")) number *= 60'000;
    // log.retention.*: every negative value means for ever.
    if (name.starts_with("log.retention.") && number < 0) return -1;
    return number;
  }
  return std::nullopt;
}

const Listener* NodeConfig::find_listener(std::string_view name) const {
  const auto found = std::ranges::find(listeners, name, &Listener::name);
  return found == listeners.end() ? nullptr : &*found;
}

}  // namespace kurier::config
