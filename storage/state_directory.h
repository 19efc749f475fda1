// StateDirectory: kurier.state.dir: what is only ours and can be rebuilt from the logs. Outside every log directory, because
// Apache Kafka does not start on a directory that holds anything but partitions.
//
// Bound to one node of one cluster by its file `kurier.properties` (version, cluster.id, node.id), so that a view is never
// used with logs that it does not reflect. Opened at the start, after the cluster id is known, and held until shutdown.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/file_system.h"
#include "base/ids.h"

namespace kurier::storage {

class StateDirectory {
 public:
  // Creates and binds it if it is missing, and locks it. kInUse: another process holds it; kInvalid: it belongs to another
  // node or cluster, or is no directory; kUnsupported: its format is newer.
  static Result<std::unique_ptr<StateDirectory>> open(FileSystem& files, const std::string& path,
                                                      const std::string& cluster_id, BrokerId node_id);
  // Whether `open` would refuse the file that is there. Writes nothing. An empty cluster id fits every cluster.
  static Result<void> check(FileSystem& files, const std::string& path, const std::string& cluster_id, BrokerId node_id);

  // The epoch in which this program last led the metadata log, if from then on everything that compaction made lies before the
  // recovery points on the disk (LogOptions::cleaned_before_recovery_point). Whoever has led since, another program perhaps, has
  // done so in a later one. None: not known. Any thread.
  [[nodiscard]] std::optional<LeaderEpoch> last_epoch() const;
  Result<void> last_epoch_is(LeaderEpoch epoch);

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  StateDirectory(FileSystem& files, std::string path) : files_(files), path_(std::move(path)) {}

  FileSystem& files_;
  std::string path_;
  std::unique_ptr<FileLock> lock_;
};

}  // namespace kurier::storage
