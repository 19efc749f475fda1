// LogCleanerRunner: cleans the node's compacted logs in the background, the dirtiest first, at most log.cleaner.threads at once.
//
// A shell around storage/cleaner.h. It lives on the first shard; a shard is asked which of its logs is the dirtiest, and makes
// the changes to it; what reads, writes and syncs runs on the pool, in slices that log.cleaner.io.max.bytes.per.second allows.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "base/random.h"
#include "broker/io_rate.h"
#include "broker/log_manager.h"
#include "storage/cleaner.h"

namespace kurier::broker {

struct CleanerPorts {
  FileSystem& files;
  const Clock& clock;
  Random& random;
  Executor& home;
  Timers& timers;  // of home
  WorkPool& pool;  // log.cleaner.threads threads
  // A log was cleaned: its offset is to be written down. On home.
  std::function<void()> write_checkpoints;
  // Writes down how far logs are durable; called back on home, true if that is on the disk.
  std::function<void(std::move_only_function<void(bool)>)> write_recovery_points;
};

class LogCleanerRunner {
 public:
  struct Shard {
    Executor* executor = nullptr;
    PartitionTable* partitions = nullptr;
    LogManager* logs = nullptr;
  };
  // Everything given outlives it, and the pool's work.
  LogCleanerRunner(CleanerPorts ports, const config::LogDefaults& config, std::vector<Shard> shards);

  // On home, once.
  void start();

 private:
  using PartitionKey = std::pair<TopicId, PartitionIndex>;
  // Used on the shard alone.
  struct ShardState : Shard {
    std::set<PartitionKey> busy;
    std::set<PartitionKey> uncleanable;  // until the next start
  };
  struct Candidate {
    std::size_t shard = 0;
    std::weak_ptr<Partition> partition;
    PartitionKey key;
    double dirty_ratio = 0;
  };
  struct Search {
    std::size_t shards_left = 0;
    std::optional<Candidate> best;
  };
  // One log that is being cleaned. It is handed from thread to thread.
  struct Work {
    Candidate candidate;
    storage::CleaningJob job;
    storage::CleaningLimits limits;
    std::unique_ptr<storage::Cleaning> cleaning;
    std::vector<std::string> old_files;
    MonotonicTime began;
  };
  using WorkPointer = std::shared_ptr<Work>;
  using Progress = storage::Cleaning::Progress;

  void look();  // home
  void look_later();
  [[nodiscard]] std::optional<Candidate> dirtiest(std::size_t shard);  // shard
  void found(const std::shared_ptr<Search>& search);  // home
  void begin(Candidate candidate);  // shard
  void make_durable(const WorkPointer& work);  // shard
  void run(WorkPointer work);  // shard
  void progressed(WorkPointer work, Progress progress, std::uint64_t bytes);  // home
  void go_on(const WorkPointer& work);  // shard
  void offer(const WorkPointer& work);  // shard
  void take(const WorkPointer& work);  // shard
  void settle(const WorkPointer& work);  // shard
  void finish(const WorkPointer& work);  // shard
  void failed(const WorkPointer& work, const Error& error);  // shard
  void ended(bool at_once);  // home
  // Runs `step` on the shard of the log, if the partition is still there; otherwise the work ends.
  void on_shard(WorkPointer work, void (LogCleanerRunner::*step)(const WorkPointer&));
  void sync_and_then(WorkPointer work, void (LogCleanerRunner::*step)(const WorkPointer&));
  [[nodiscard]] storage::Log* log_of(const Work& work) const;  // shard

  CleanerPorts ports_;
  const config::LogDefaults& config_;
  std::vector<ShardState> shards_;
  IoRate rate_;
  std::size_t running_ = 0;
  bool searching_ = false;
  bool waiting_ = false;
};

}  // namespace kurier::broker
