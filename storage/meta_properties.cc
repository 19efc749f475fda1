#include "storage/meta_properties.h"

#include <fmt/core.h>

#include <charconv>

namespace kurier::storage {

std::map<std::string, std::string, std::less<>> parse_property_lines(std::string_view text) {
  std::map<std::string, std::string, std::less<>> values;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
    const std::size_t equals = line.find('=');
    if (line.empty() || line.front() == '#' || equals == std::string_view::npos) continue;
    values.emplace(line.substr(0, equals), line.substr(equals + 1));
  }
  return values;
}

Result<std::optional<MetaProperties>> read_meta_properties(FileSystem& files, const std::string& path) {
  const auto content = read_file(files, path);
  if (!content) {
    if (content.error().failure == Failure::kNotFound) return std::nullopt;
    return std::unexpected(content.error());
  }
  const auto values = parse_property_lines(as_text(*content));
  const auto value_of = [&](std::string_view key) {
    const auto found = values.find(key);
    return found == values.end() ? std::string() : found->second;
  };
  const std::string version = value_of("version");
  if (version != "1") {
    return fail(version.empty() || version == "0" ? Failure::kMalformed : Failure::kUnsupported,
                fmt::format("{}: version '{}' of the directory's format; this program reads and writes version 1", path, version));
  }
  MetaProperties properties;
  properties.cluster_id = value_of("cluster.id");
  if (properties.cluster_id.empty()) return fail(Failure::kMalformed, path + ": cluster.id is missing");
  const std::string node = value_of("node.id");
  std::int32_t node_id = -1;
  const auto [end, error] = std::from_chars(node.data(), node.data() + node.size(), node_id);
  if (error != std::errc{} || end != node.data() + node.size() || node_id < 0) {
    return fail(Failure::kMalformed, fmt::format("{}: node.id '{}' is no number of 0 or more", path, node));
  }
  properties.node_id = BrokerId(node_id);
  // Directories formatted before KIP-858 have no id of their own.
  if (const std::string directory = value_of("directory.id"); !directory.empty()) {
    auto id = Uuid::parse(directory);
    if (!id) return std::unexpected(id.error().within(path + ": directory.id"));
    properties.directory_id = *id;
  }
  return properties;
}

Result<void> write_meta_properties(FileSystem& files, const std::string& path, const MetaProperties& properties) {
  const std::string text =
      fmt::format("#\nnode.id={}\ndirectory.id={}\nversion=1\ncluster.id={}\n", properties.node_id.value(),
                  properties.directory_id.to_string(), properties.cluster_id);
  return write_file_atomically(files, path, as_bytes(text));
}

}  // namespace kurier::storage
