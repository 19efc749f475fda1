// The first steps of a start: is this ours, can we serve it, and may we write? Everything is read before anything is written,
// so that a directory of another node, or of a newer version, is left as it was.
//
// Blocking, on the starting thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "config/node_config.h"
#include "replication/metadata/image.h"
#include "storage/log_directory.h"

namespace kurier::broker {

struct OpenedDirectories {
  std::vector<std::unique_ptr<storage::LogDirectory>> logs;  // in the order of log.dirs
  std::unique_ptr<storage::LogDirectory> metadata;           // where metadata.log.dir is none of them
  std::vector<std::string> failed;  // those of log.dirs that cannot be used; the others go on
  std::string cluster_id;                                    // empty: nothing is formatted yet
};

// Checks, creates and locks log.dirs and metadata.log.dir, and checks kurier.state.dir. A directory whose disk is broken is left
// out, as long as it is not the one with the metadata log and another one is left. The error names the directory and what to do.
Result<OpenedDirectories> open_directories(FileSystem& files, const config::NodeConfig& config);

// Whether this node can serve a cluster with such metadata without weakening what it promises.
Result<void> accept_metadata(const replication::MetadataImage& image);

// For the log: what the metadata configure that has no effect here.
[[nodiscard]] std::vector<std::string> metadata_notices(const replication::MetadataImage& image, BrokerId self);

}  // namespace kurier::broker
