#include "broker/start.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/log.h"
#include "config/property_table.h"
#include "replication/controller/local_controller.h"
#include "storage/state_directory.h"

namespace kurier::broker {
namespace {

using replication::ConfigResourceType;
using storage::LogDirectory;
using storage::MetaProperties;

std::vector<std::string> paths_of(const config::NodeConfig& config) {
  std::vector<std::string> paths = config.log_dirs;
  if (std::ranges::find(paths, config.metadata_log_dir) == paths.end()) paths.push_back(config.metadata_log_dir);
  return paths;
}

using Owners = std::map<std::string, MetaProperties>;  // of the directories that are formatted, by path

// All directories are of this node and of one cluster, and each has an id of its own.
Result<void> check_owners(const Owners& owners, const config::NodeConfig& config) {
  for (const auto& [path, owner] : owners) {
    if (owner.node_id != config.node_id) {
      return fail(Failure::kInvalid, fmt::format("log directory {}: meta.properties says node.id={}, the configuration node.id={}: set "
                                                 "node.id={}, or another directory",
                                                 path, owner.node_id.value(), config.node_id.value(), owner.node_id.value()));
    }
    for (const auto& [other_path, other] : owners) {
      if (other_path >= path) break;
      if (other.cluster_id != owner.cluster_id) {
        return fail(Failure::kInvalid, fmt::format("log directory {}: meta.properties says cluster.id={}, but that of {} cluster.id={}: "
                                                   "a node's directories are of one cluster",
                                                   path, owner.cluster_id, other_path, other.cluster_id));
      }
      if (!owner.directory_id.is_zero() && other.directory_id == owner.directory_id) {
        return fail(Failure::kInvalid, fmt::format("log directory {}: meta.properties says directory.id={}, and that of {} too: one is a "
                                                   "copy of the other; each directory needs an id of its own",
                                                   path, owner.directory_id.to_string(), other_path));
      }
    }
  }
  if (!owners.empty() && !owners.contains(config.metadata_log_dir)) {
    return fail(Failure::kInvalid, fmt::format("metadata log directory {}: it has no meta.properties, but {} belongs to cluster {}: without "
                                               "its metadata the cluster's topics are unknown; set metadata.log.dir to where they are, or "
                                               "restore them",
                                               config.metadata_log_dir, owners.begin()->first, owners.begin()->second.cluster_id));
  }
  return {};
}

// A broken disk, not a mistake of the configuration.
bool is_broken(const Error& error) {
  return error.failure == Failure::kIo || error.failure == Failure::kPermission || error.failure == Failure::kNotFound;
}

// Directories that cannot be used, and why.
class BrokenDirectories {
 public:
  explicit BrokenDirectories(const config::NodeConfig& config) : config_(config) {}
  // The error, if the node cannot do without this one.
  Result<void> add(const std::string& path, const Error& error) {
    const bool is_last = paths_.size() + 1 == config_.log_dirs.size();
    if (!is_broken(error) || path == config_.metadata_log_dir || is_last) return std::unexpected(error);
    LOG_ERROR("{}; the node starts without it, its partitions are offline until a start that can use it",
              error.context);
    paths_.insert(path);
    return {};
  }
  [[nodiscard]] bool contains(const std::string& path) const { return paths_.contains(path); }
  [[nodiscard]] std::vector<std::string> paths() const { return {paths_.begin(), paths_.end()}; }

 private:
  const config::NodeConfig& config_;
  std::set<std::string> paths_;
};

}  // namespace

Result<OpenedDirectories> open_directories(FileSystem& files, const config::NodeConfig& config) {
  const std::vector<std::string> paths = paths_of(config);
  Owners owners;
  BrokenDirectories broken(config);
  for (const std::string& path : paths) {
    const auto owner = LogDirectory::check(files, path);
    if (!owner) {
      TRY(broken.add(path, owner.error()));
    } else if (*owner) {
      owners.emplace(path, **owner);
    }
  }
  TRY(check_owners(owners, config));
  OpenedDirectories opened;
  if (!owners.empty()) opened.cluster_id = owners.begin()->second.cluster_id;
  TRY(storage::StateDirectory::check(files, config.state_dir, opened.cluster_id, config.node_id));

  std::map<std::string, std::unique_ptr<LogDirectory>> directories;
  const auto open = [&](const std::string& path) -> Result<void> {
    auto directory = LogDirectory::open(files, path);
    if (!directory) return broken.add(path, directory.error());
    directories[path] = std::move(*directory);
    return {};
  };
  for (const auto& [path, owner] : owners) TRY(open(path));
  // Before a directory is added to the formatted ones; the controller's own start would look too late.
  if (!owners.empty() && owners.size() < paths.size()) {
    replication::LocalControllerOptions options;
    options.log.log_directory = config.metadata_log_dir;
    options.log.self.id = config.node_id;
    options.accept = accept_metadata;
    TRY(replication::LocalController::check(files, options));
  }
  for (const std::string& path : paths) {
    if (!directories.contains(path) && !broken.contains(path)) TRY(open(path));
  }
  for (const std::string& path : config.log_dirs) {
    if (!broken.contains(path)) opened.logs.push_back(std::move(directories[path]));
  }
  opened.metadata = std::move(directories[config.metadata_log_dir]);  // none: it is among log.dirs
  opened.failed = broken.paths();
  return opened;
}

Result<void> accept_metadata(const replication::MetadataImage& image) {
  if (image.client_quota_count() > 0) {
    return fail(Failure::kUnsupported, fmt::format("the cluster's metadata hold {} client quotas, which are not enforced yet: clients would "
                                                   "go unlimited; remove them with Apache Kafka's kafka-configs first",
                                                   image.client_quota_count()));
  }
  for (const auto& [id, topic] : image.topics()) {
    const auto& configs = image.configs(ConfigResourceType::kTopic, topic->name);
    const auto remote = configs.find("remote.storage.enable");
    if (remote != configs.end() && remote->second == "true") {
      return fail(Failure::kUnsupported, fmt::format("topic {} has remote.storage.enable=true, and tiered storage is not there yet: its older "
                                                     "records could not be read",
                                                     topic->name));
    }
  }
  return {};
}

std::vector<std::string> metadata_notices(const replication::MetadataImage& image, BrokerId self) {
  std::vector<std::string> notices;
  for (const std::string& resource : {std::to_string(self.value()), std::string()}) {
    for (const auto& [name, value] : image.configs(ConfigResourceType::kBroker, resource)) {
      const auto is_default_of_topics = std::ranges::any_of(config::topic_properties(), [&](const config::TopicProperty& property) {
        return fmt::format(",{},", property.broker_synonyms).find("," + name + ",") != std::string::npos;
      });
      if (is_default_of_topics) continue;
      notices.push_back(fmt::format("{}, set dynamically for {}, has no effect here, because only what topics inherit is changed "
                                    "while a node runs; set it in the configuration file",
                                    name, resource.empty() ? "the cluster" : "this broker"));
    }
  }
  return notices;
}

}  // namespace kurier::broker
