// meta.properties: which node of which cluster a log directory belongs to. Version 1, as KRaft writes it.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "base/file_system.h"
#include "base/ids.h"
#include "base/uuid.h"

namespace kurier::storage {

struct MetaProperties {
  std::string cluster_id;
  BrokerId node_id{-1};
  DirectoryId directory_id;
  friend bool operator==(const MetaProperties&, const MetaProperties&) = default;
};

// key=value lines; '#' begins a comment. What Java's Properties would escape does not occur in these values.
[[nodiscard]] std::map<std::string, std::string, std::less<>> parse_property_lines(std::string_view text);

// None if there is no such file. kUnsupported: a version this program does not know; kMalformed: a line or a field is
// wrong or missing.
Result<std::optional<MetaProperties>> read_meta_properties(FileSystem& files, const std::string& path);
Result<void> write_meta_properties(FileSystem& files, const std::string& path, const MetaProperties& properties);

}  // namespace kurier::storage
