// The steps of load_config: settings → values → NodeConfig → cross-checks, all adding to one list of faults.
#pragma once

#include <fmt/format.h>

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/node_config.h"
#include "config/source.h"

namespace kurier::config {

class Loading {
 public:
  explicit Loading(std::string file) : file_(std::move(file)) {}

  std::map<std::string, Value, std::less<>> values;        // of every broker property that is set or has a default
  std::map<std::string, std::string, std::less<>> places;  // of those that are set
  std::vector<std::string> faults;
  std::vector<std::string> notices;

  [[nodiscard]] bool is_set(std::string_view name) const { return places.contains(name); }
  [[nodiscard]] const Value* value(std::string_view name) const {
    const auto found = values.find(name);
    return found == values.end() ? nullptr : &found->second;
  }
  [[nodiscard]] std::int64_t number(std::string_view name) const { return value(name) ? value(name)->number : 0; }
  [[nodiscard]] std::string text(std::string_view name) const { return value(name) ? value(name)->text : ""; }
  [[nodiscard]] std::vector<std::string> list(std::string_view name) const {
    return value(name) ? value(name)->list : std::vector<std::string>();
  }

  // A fault of `name`, with the place where it is set; the file (or "the configuration") where it is not.
  void fault(std::string_view name, std::string_view what) {
    const auto place = places.find(name);
    const std::string where = place != places.end() ? place->second : file_.empty() ? "the configuration" : file_;
    faults.push_back(fmt::format("{}: {}: {}", where, name, what));
  }
  void require(bool holds, std::string_view name, std::string_view what) {
    if (!holds) fault(name, what);
  }

 private:
  std::string file_;
};

// KIP-612: listener.name.<name>.max.connections and .max.connection.creation.rate.
[[nodiscard]] inline bool is_listener_limit(std::string_view name) {
  return name.starts_with("listener.name.") &&
         (name.ends_with(".max.connections") || name.ends_with(".max.connection.creation.rate"));
}

// Names, types, ranges, support.
void take_settings(Loading& loading, const std::vector<Setting>& settings, bool is_stock, NodeConfig& node);
// Everything that is one value of one property.
void fill_values(const Loading& loading, NodeConfig& node);
// Roles, listeners, quorum, directories: what depends on several properties.
void fill_identity(Loading& loading, NodeConfig& node);
// Kafka's own checks between values.
void check_values(Loading& loading, const NodeConfig& node);

}  // namespace kurier::config
