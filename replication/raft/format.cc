#include "replication/raft/format.h"

#include <fmt/core.h>

#include <algorithm>

#include "replication/metadata/image.h"
#include "replication/raft/metadata_log.h"
#include "storage/meta_properties.h"

namespace kurier::replication {
namespace {

// metadata.version first, then the others by name, as the tool writes them. kraft.version is a control record.
std::vector<Bytes> feature_records() {
  std::vector<Bytes> values;
  for (const FeatureRange& feature : supported_features()) {
    if (std::string_view(feature.name) == "kraft.version" || feature.default_level == 0) continue;
    protocol::FeatureLevelRecord record;
    record.name = feature.name;
    record.feature_level = feature.default_level;
    values.push_back(encode_record(record, RecordVersions{}));
  }
  return values;
}

Result<void> write_bootstrap(FileSystem& files, const std::string& log_directory, const Voter& voter, Timestamp now) {
  const std::string directory = log_directory + "/" + std::string(kMetadataDirectory);
  TRY(files.make_directories(directory));
  const SnapshotContent content{now, 1, {voter}};
  return write_snapshot(files, directory, {Offset(0), LeaderEpoch(0)}, content, feature_records(), now);
}

}  // namespace

Result<std::vector<Formatted>> format_standalone(FileSystem& files, const FormatOptions& options, Random& random,
                                                 Timestamp now) {
  std::vector<std::string> paths = options.log_directories;
  if (std::ranges::find(paths, options.metadata_directory) == paths.end()) paths.push_back(options.metadata_directory);
  std::vector<Formatted> formatted;
  std::vector<std::size_t> missing;
  for (const std::string& path : paths) {
    TRY_ASSIGN(const auto found, storage::read_meta_properties(files, path + "/meta.properties"));
    if (!found) {
      missing.push_back(formatted.size());
      formatted.push_back({path, Uuid::generate(random)});
      continue;
    }
    if (found->cluster_id != options.cluster_id || found->node_id != options.node_id) {
      return fail(Failure::kInvalid, fmt::format("{} belongs to node {} of cluster {}; this is node {} of cluster {}", path,
                                                 found->node_id.value(), found->cluster_id, options.node_id.value(),
                                                 options.cluster_id));
    }
    formatted.push_back({path, found->directory_id});
  }
  for (const std::size_t i : missing) {
    TRY(files.make_directories(formatted[i].path));
    if (formatted[i].path == options.metadata_directory) {
      const Voter voter{options.node_id, formatted[i].directory_id, options.controller_endpoints, 0, 1};
      TRY(write_bootstrap(files, formatted[i].path, voter, now));
    }
    // Last: a directory that has it is complete.
    TRY(storage::write_meta_properties(files, formatted[i].path + "/meta.properties",
                                       {options.cluster_id, options.node_id, formatted[i].directory_id}));
  }
  return formatted;
}

}  // namespace kurier::replication
