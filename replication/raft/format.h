// Formatting: the files that a node alone in its quorum finds at its first start, as `kafka-storage format --standalone`
// of Apache Kafka 4.4 writes them: meta.properties in each log directory, and the 0-0 checkpoint of the metadata log with
// the voter and the feature levels. Blocking, before anything runs. docs/formats/metadata-log.md.
#pragma once

#include <string>
#include <vector>

#include "base/file_system.h"
#include "base/random.h"
#include "replication/raft/raft_records.h"

namespace kurier::replication {

struct FormatOptions {
  std::string cluster_id;                           // 22 characters of base64, usually
  BrokerId node_id;
  std::vector<std::string> log_directories;         // log.dirs
  std::string metadata_directory;                   // metadata.log.dir; one of log_directories, or another
  std::vector<VoterEndpoint> controller_endpoints;  // advertised
};

struct Formatted {
  std::string path;
  Uuid directory_id;
};

// Formats the directories that are not formatted yet and returns all. kInvalid: one belongs to another cluster or node.
Result<std::vector<Formatted>> format_standalone(FileSystem& files, const FormatOptions& options, Random& random,
                                                 Timestamp now);

}  // namespace kurier::replication
