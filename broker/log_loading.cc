// The start: every log opened, in parallel where there are many.
#include <fmt/core.h>

#include <latch>
#include <map>
#include <set>

#include "base/log.h"
#include "broker/log_manager.h"

namespace kurier::broker {
namespace {

struct Job {
  LogManager* manager;
  replication::TopicPointer topic;
  const replication::PartitionImage* partition;
  Result<LogManager::Opened> opened = fail(Failure::kCancelled, "not opened yet");
};

std::vector<Job> jobs_of(const std::vector<LogManager*>& managers, const replication::MetadataImage& image, BrokerId self) {
  std::vector<Job> jobs;
  for (const auto& [id, topic] : image.topics()) {
    for (const auto& [index, partition] : topic->partitions) {
      if (std::ranges::find(partition.replicas, self) == partition.replicas.end()) continue;
      const ShardIndex owner = Shards::owner_of(topic->name, index, static_cast<ShardIndex>(managers.size()));
      jobs.push_back({.manager = managers[owner], .topic = topic, .partition = &partition});
    }
  }
  return jobs;
}

// Says how far it is, a few times in a long recovery.
class Progress {
 public:
  explicit Progress(std::size_t total) : total_(total) {}
  void one_more() {
    const std::size_t done = ++done_;
    if (total_ >= 1000 && done % (total_ / 10) == 0) LOG_INFO("{} of {} logs are open", done, total_);
  }

 private:
  const std::size_t total_;
  std::atomic<std::size_t> done_{0};
};

void open_all(std::vector<Job>& jobs, const replication::MetadataImage& image, WorkPool& pool) {
  Progress progress(jobs.size());
  const auto open = [&](Job& job) {
    job.opened = job.manager->open_log(image, *job.topic, *job.partition);
    progress.one_more();
  };
  if (jobs.size() == 1) return open(jobs.front());
  std::latch left(static_cast<std::ptrdiff_t>(jobs.size()));
  for (Job& job : jobs) {
    pool.run([&] {
      open(job);
      left.count_down();
    });
  }
  left.wait();
}

// As Apache Kafka does: out of the way of the next topic of its name, and kept. Its topic was deleted while the directory was not
// there, or the node was killed before it got to it.
Result<void> set_stray_aside(FileSystem& files, const std::string& path) {
  const auto stored_id = storage::read_partition_metadata(files, path);
  Uuid id = stored_id ? stored_id->value_or(kZeroUuid) : kZeroUuid;
  std::string stray = renamed_directory(path, id, "stray");
  for (;;) {
    TRY_ASSIGN(const bool is_taken, files.exists(stray));
    if (!is_taken) break;
    ++id.low;
    stray = renamed_directory(path, id, "stray");
  }
  LOG_WARN("{} is no partition of this cluster's metadata: kept as {}, to be looked at and removed by hand", path,
           stray);
  return files.rename(path, stray);
}

Result<void> tidy(FileSystem& files, LogDirectoryState& directory, const std::set<std::string>& known) {
  TRY_ASSIGN(const auto found, directory.files->list());
  for (const std::string& name : found.deleted) TRY(files.remove_tree(directory.path() + "/" + name));
  bool has_strays = false;
  for (const std::string& name : found.partitions) {
    if (known.contains(name)) continue;
    const Result<void> moved = set_stray_aside(files, directory.path() + "/" + name);
    if (!moved) LOG_ERROR("{}/{}: {}", directory.path(), name, moved.error().context);
    has_strays = has_strays || moved;
  }
  return has_strays ? files.sync_directory(directory.path()) : Result<void>{};
}

}  // namespace

Result<void> load_logs(FileSystem& files, const std::vector<LogManager*>& managers, LogDirectories& directories,
                       const replication::MetadataImage& image, BrokerId self, WorkPool& pool) {
  std::vector<Job> jobs = jobs_of(managers, image, self);
  if (!jobs.empty()) open_all(jobs, image, pool);
  std::set<std::string> known;
  for (Job& job : jobs) {
    const Result<void> adopted =
        job.opened ? job.manager->adopt(*job.topic, *job.partition, std::move(*job.opened)) : std::unexpected(job.opened.error());
    known.insert(fmt::format("{}-{}", job.topic->name, job.partition->partition_id.value()));
    if (!adopted) {
      job.manager->could_not_open(*job.topic, *job.partition, adopted.error());
    }
  }
  for (LogDirectoryState& directory : directories.all()) TRY(tidy(files, directory, known));
  directories.forget_last_run();
  return {};
}

}  // namespace kurier::broker
