// Where settings come from: a YAML file, a .properties file, --set. Each reader turns text into settings that remember
// their place, and reports every fault of form that it finds. Used by load_config only.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace kurier::config {

struct Setting {
  std::string name;
  std::string value;
  std::string where;  // "server.yaml:12" or "--set"
};

struct ReadSettings {
  std::vector<Setting> settings;    // a name occurs once; where the format allows a repetition, the last one holds
  std::vector<std::string> faults;  // "server.yaml:12: ..."
};

// In UTF-8. Keys of nested maps are joined with dots, lists with commas. No anchors, aliases, tags or repeated keys.
[[nodiscard]] ReadSettings read_yaml(std::string_view path, const std::string& content);

// As java.util.Properties reads it. Bytes that are not UTF-8 are taken for ISO-8859-1.
[[nodiscard]] ReadSettings read_properties(std::string_view path, std::string_view content);

[[nodiscard]] ReadSettings read_arguments(const std::vector<std::string>& arguments);

}  // namespace kurier::config
