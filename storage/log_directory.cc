#include "storage/log_directory.h"

#include <fmt/core.h>

#include <algorithm>

#include "storage/log.h"

namespace kurier::storage {
namespace {
constexpr const char* kCleanShutdownMark = "/.kafka_cleanshutdown";
constexpr std::string_view kMetadataDirectory = "__cluster_metadata-0";
}  // namespace

Result<std::unique_ptr<LogDirectory>> LogDirectory::open(FileSystem& files, const std::string& path) {
  std::unique_ptr<LogDirectory> directory(new LogDirectory(files, path));
  if (Result<void> made = files.make_directories(path); !made) {
    return std::unexpected(made.error().within("log directory " + path));
  }
  auto lock = files.lock(path + "/.lock");
  if (!lock) {
    const std::string hint = lock.error().failure == Failure::kInUse
                                 ? "; a broker may be running on it: stop that one, or set another log.dirs"
                                 : "";
    return fail(lock.error().failure, fmt::format("log directory {}: {}{}", path, lock.error().context, hint));
  }
  directory->lock_ = std::move(*lock);
  TRY_ASSIGN(directory->meta_properties_, read_meta_properties(files, path + "/meta.properties"));
  return directory;
}

Result<std::optional<MetaProperties>> LogDirectory::check(FileSystem& files, const std::string& path) {
  const auto there = files.exists(path);
  if (!there) return std::unexpected(there.error().within("log directory " + path));
  if (!*there) return std::nullopt;
  const auto entries = files.list(path);
  if (!entries) {
    const bool is_file = entries.error().failure == Failure::kNotFound;
    return fail(entries.error().failure, is_file ? fmt::format("log directory {}: this is no directory", path)
                                                 : fmt::format("log directory {}: {}", path, entries.error().context));
  }
  TRY_ASSIGN(auto properties, read_meta_properties(files, path + "/meta.properties"));
  if (properties) return properties;
  for (const FileSystem::Entry& entry : *entries) {
    if (!entry.is_directory) continue;
    // A first start that was interrupted has left a metadata log without records.
    if (entry.name == kMetadataDirectory) {
      TRY_ASSIGN(const auto logs, files.list(path + "/" + entry.name));
      if (std::ranges::none_of(logs, [](const FileSystem::Entry& file) { return file.name.ends_with(kLogSuffix); })) continue;
    }
    return fail(Failure::kInvalid, fmt::format("log directory {}: it holds {} but no meta.properties, which says whose it is: "
                                               "restore that file, or set another directory",
                                               path, entry.name));
  }
  return std::nullopt;
}

Result<void> LogDirectory::format(const MetaProperties& properties) {
  TRY(write_meta_properties(files_, path_ + "/meta.properties", properties));
  meta_properties_ = properties;
  return {};
}

Result<LogDirectory::Found> LogDirectory::list() {
  TRY_ASSIGN(const auto entries, files_.list(path_));
  Found found;
  for (const FileSystem::Entry& entry : entries) {
    if (!entry.is_directory || entry.name == kMetadataDirectory) continue;
    if (entry.name.ends_with("-delete")) {
      found.deleted.push_back(entry.name);
      continue;
    }
    // Future replicas and strays are kept as they are: what moves replicas between directories is not there yet.
    if (entry.name.ends_with("-future") || entry.name.ends_with("-stray")) continue;
    if (!parse_partition_directory(entry.name)) {
      return fail(Failure::kInvalid,
                  fmt::format("{}/{} is not the directory of a partition (topic-number); a log directory holds nothing else: "
                              "move it away",
                              path_, entry.name));
    }
    found.partitions.push_back(entry.name);
  }
  return found;
}

std::string LogDirectory::partition_path(const std::string& topic, PartitionIndex partition) const {
  return fmt::format("{}/{}-{}", path_, topic, partition.value());
}

Result<OffsetCheckpoint> LogDirectory::read(const std::string& name) {
  return read_offset_checkpoint(files_, path_ + "/" + name);
}

Result<void> LogDirectory::write(const std::string& name, const OffsetCheckpoint& offsets) {
  return write_offset_checkpoint(files_, path_ + "/" + name, offsets);
}

Result<bool> LogDirectory::has_clean_shutdown_mark(FileSystem& files, const std::string& path) {
  return files.exists(path + kCleanShutdownMark);
}

Result<bool> LogDirectory::take_clean_shutdown_mark() {
  TRY_ASSIGN(const bool was_clean, has_clean_shutdown_mark(files_, path_));
  if (!was_clean) return false;
  TRY(files_.remove(path_ + kCleanShutdownMark));
  TRY(files_.sync_directory(path_));
  return true;
}

Result<void> LogDirectory::write_clean_shutdown_mark(BrokerEpoch broker_epoch) {
  const std::string text = fmt::format("{{\"version\":0,\"brokerEpoch\":{}}}", broker_epoch.value());
  return write_file_atomically(files_, path_ + kCleanShutdownMark, as_bytes(text));
}

}  // namespace kurier::storage
