#include "storage/state_directory.h"

#include <fmt/core.h>

#include <charconv>

#include "storage/meta_properties.h"

namespace kurier::storage {
namespace {

constexpr const char* kLastRun = "/last-epoch";

std::string file_of(const std::string& path) { return path + "/kurier.properties"; }

std::string content_of(const std::string& cluster_id, BrokerId node_id) {
  return fmt::format("version=1\ncluster.id={}\nnode.id={}\n", cluster_id, node_id.value());
}

std::unexpected<Error> refused(Failure failure, const std::string& path, std::string_view what) {
  return fail(failure, fmt::format("kurier.state.dir {} {}: set another one, or remove it: what it holds is made anew from "
                                   "the logs",
                                   path, what));
}

}  // namespace

Result<void> StateDirectory::check(FileSystem& files, const std::string& path, const std::string& cluster_id, BrokerId node_id) {
  TRY_ASSIGN(const bool there, files.exists(path));
  if (!there) return {};
  if (!files.list(path)) return fail(Failure::kInvalid, fmt::format("kurier.state.dir {} is no directory that can be read", path));
  const auto content = read_file(files, file_of(path));
  if (!content) {
    if (content.error().failure == Failure::kNotFound) return {};
    return std::unexpected(content.error());
  }
  const auto values = parse_property_lines(as_text(*content));
  const auto value_of = [&](std::string_view key) {
    const auto found = values.find(key);
    return found == values.end() ? std::string() : found->second;
  };
  if (value_of("version") != "1") {
    return refused(Failure::kUnsupported, path, fmt::format("has the format version '{}', this program knows 1", value_of("version")));
  }
  const bool is_same_cluster = cluster_id.empty() || value_of("cluster.id") == cluster_id;
  if (!is_same_cluster || value_of("node.id") != std::to_string(node_id.value())) {
    return refused(Failure::kInvalid, path,
                   fmt::format("belongs to node {} of cluster {}, this is node {}{}", value_of("node.id"), value_of("cluster.id"),
                               node_id.value(), cluster_id.empty() ? "" : " of cluster " + cluster_id));
  }
  return {};
}

Result<std::unique_ptr<StateDirectory>> StateDirectory::open(FileSystem& files, const std::string& path,
                                                             const std::string& cluster_id, BrokerId node_id) {
  TRY(check(files, path, cluster_id, node_id));
  if (Result<void> made = files.make_directories(path); !made) return std::unexpected(made.error().within("kurier.state.dir " + path));
  std::unique_ptr<StateDirectory> directory(new StateDirectory(files, path));
  auto lock = files.lock(path + "/.lock");
  if (!lock) {
    const char* hint = lock.error().failure == Failure::kInUse ? "; each node needs one of its own" : "";
    return fail(lock.error().failure, fmt::format("kurier.state.dir {}: {}{}", path, lock.error().context, hint));
  }
  directory->lock_ = std::move(*lock);
  TRY_ASSIGN(const bool is_bound, files.exists(file_of(path)));
  if (!is_bound) {
    if (Result<void> written = write_file_atomically(files, file_of(path), as_bytes(content_of(cluster_id, node_id))); !written) {
      return std::unexpected(written.error().within("kurier.state.dir " + path));
    }
  }
  return directory;
}

std::optional<LeaderEpoch> StateDirectory::last_epoch() const {
  const auto content = read_file(files_, path_ + kLastRun);
  if (!content) return std::nullopt;
  const std::string_view text = as_text(*content);
  std::int32_t epoch = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), epoch);
  if (error != std::errc{} || end == text.data() + text.size() || *end != '\n') return std::nullopt;
  return LeaderEpoch(epoch);
}

Result<void> StateDirectory::last_epoch_is(LeaderEpoch epoch) {
  return write_file_atomically(files_, path_ + kLastRun, as_bytes(fmt::format("{}\n", epoch.value())));
}

}  // namespace kurier::storage
