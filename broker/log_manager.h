// LogManager: the partitions of one shard, made to follow the metadata, and what is done to their logs from time to time.
//
// On the shard's thread once the node serves; before and after that on the starting thread. Directories are made, renamed and
// removed by a pool (directory_work.h): between the metadata and the log a partition is neither served nor unknown, and
// requests for it are answered NOT_LEADER_OR_FOLLOWER, as while a leader is elected.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "broker/directory_work.h"
#include "broker/log_directories.h"
#include "broker/partition_table.h"
#include "broker/shards.h"
#include "config/node_config.h"
#include "replication/controller/controller.h"
#include "replication/metadata/image.h"

namespace kurier::broker {

// Who wants to know what this shard leads: the coordinators. On the shard's thread, or the starting thread.
class PartitionObserver {
 public:
  virtual ~PartitionObserver() = default;
  // Also when it leads in a new epoch.
  virtual void leads(const std::shared_ptr<Partition>& partition, PartitionPorts ports) = 0;
  virtual void leads_no_longer(const std::shared_ptr<Partition>& partition) = 0;
};

struct LogManagerPorts {
  FileSystem& files;
  const Clock& clock;
  Executor& executor;  // of the shard
  Timers& timers;
  WorkPool& flusher;
  WorkPool& directory_pool;  // makes, renames and removes directories
  PartitionObserver& observer;
  // A directory has failed for the first time; on the shard that saw it. Every shard's directory_failed is to be called.
  std::function<void(LogDirectoryState& directory, const Error& error)> directory_failed;
  // Replicas lie in other directories than the metadata say.
  std::function<void(std::vector<replication::DirectoryAssignment>)> assign_directories;
  // A topic was deleted: what the checkpoints say of it must not be taken for the next topic of its name.
  std::function<void()> topic_removed;
  std::function<std::shared_ptr<const replication::MetadataImage>()> image;  // the shard's; on its thread
  std::function<bool()> has_descriptors;  // for one more log; on any thread
};

class LogManager final : public DiskMonitor {
 public:
  // Everything given outlives it. It has the partitions that `shard` of `shards` owns.
  LogManager(LogManagerPorts ports, const config::NodeConfig& config, PartitionTable& table, LogDirectories& directories,
             ShardIndex shard, ShardIndex shards);

  struct Opened {
    std::unique_ptr<storage::Log> log;
    config::TopicConfig config;
    LogDirectoryState* directory = nullptr;
  };
  // Opens or creates the log of a partition, and recovers it if it has to be. On any thread, for several logs at once.
  Result<Opened> open_log(const replication::MetadataImage& image, const replication::TopicImage& topic,
                          const replication::PartitionImage& partition) const;
  // A partition that could not be opened: it is offline. Where what was lacking may come back (descriptors), it is tried again
  // from time to time.
  void could_not_open(const replication::TopicImage& topic, const replication::PartitionImage& partition,
                      const Error& error);
  // From here on the partition is served.
  Result<void> adopt(const replication::TopicImage& topic, const replication::PartitionImage& partition, Opened opened);

  using Changes = replication::MetadataDelta::Changes;
  // The shard has a new image, which differs by `changes` from the one before. What it takes is done a little at a time and in
  // the order of the images. `followed` is called when the partitions that it adds are served or offline and the directories of
  // those that it removes are out of the way.
  void apply(std::shared_ptr<const Changes> changes, Callback followed);
  // The node stops: directories that are not begun are left to the next start, so that nobody waits for them. Those that are to be
  // renamed still are.
  void begin_stop() { is_stopping_ = true; }
  // Tells the controller where replicas lie that were adopted since it was last called. `apply` does it too.
  void tell_directories();

  // Retention, rolling by time, flushing of what is sealed: at log.retention.check.interval.ms.
  void maintain();
  // producer.id.expiration.check.interval.ms
  void expire_producers();
  // Files of a log that are no part of it any more.
  void remove_later(std::vector<std::string> paths, std::chrono::milliseconds delay);
  // Adds to what the checkpoints of each directory are to say, in the order of LogDirectories::all().
  void collect_offsets(std::vector<DirectoryOffsets>& offsets) const;
  void directory_failed(const LogDirectoryState& directory);
  // Flushes and closes all logs; a directory in which that has failed is marked as failed.
  void close_logs();

  // DiskMonitor
  void disk_failed(const std::string& partition_path, const Error& error) override;

 private:
  [[nodiscard]] bool is_mine(const std::string& topic, const replication::PartitionImage& partition) const;
  [[nodiscard]] config::TopicConfig topic_config(const replication::MetadataImage& image, const std::string& topic) const;
  [[nodiscard]] replication::PartitionLeaderState leadership(const replication::PartitionImage& partition,
                                                             const config::TopicConfig& config) const;
  void change_config(const replication::MetadataImage& image, const LocalTopic& topic);
  [[nodiscard]] PartitionPorts partition_ports() {
    return {ports_.clock, ports_.executor, ports_.timers, ports_.flusher, *this};
  }

  // One change of the metadata on its way (log_following.cc).
  struct Following {
    std::shared_ptr<const Changes> changes;
    Callback followed;
    DirectoryWork::Batch batch = 0;
    std::map<TopicId, std::string>::const_iterator deleted;  // the next ones
    std::set<TopicId>::const_iterator topic;
    PartitionIndex partition{0};
    std::set<replication::ConfigResource>::const_iterator config;
    std::vector<std::shared_ptr<Partition>> leaving;  // of a topic that is deleted
    bool has_removed = false;
    std::size_t left = 1;  // directories at work, and the walk itself
  };
  using FollowingPointer = std::shared_ptr<Following>;
  void follow();
  bool step(const FollowingPointer& following);  // false: nothing is left
  void follow_topic(const FollowingPointer& following);
  void follow_partition(const FollowingPointer& following, const replication::TopicPointer& topic,
                        const replication::PartitionImage& partition);
  void follow_config(const replication::ConfigResource& resource);
  void one_less(const FollowingPointer& following);
  void make(const FollowingPointer& following, const replication::TopicPointer& topic, PartitionIndex index);
  void made(TopicId id, PartitionIndex index, const replication::MetadataImage& with, Result<Opened> opened);
  [[nodiscard]] bool has_other_configs(const replication::MetadataImage& left, const replication::MetadataImage& right,
                                       const std::string& topic) const;

  void remove(TopicId topic, const std::string& name, Following& following);
  // Out of the way before anything else is done there, and gone after `delay`.
  void set_aside(std::string path, TopicId topic, std::chrono::milliseconds delay, const FollowingPointer& following);
  void remove_tree_later(std::string path, std::chrono::milliseconds delay);
  void forget_unopened(TopicId id, const std::string& name);
  void try_again_later();
  void try_again();
  void opened_after_all(TopicId id, PartitionIndex index, Result<Opened> opened);
  void maintain(Partition& partition, Timestamp now);

  LogManagerPorts ports_;
  const config::NodeConfig& config_;
  PartitionTable& table_;
  LogDirectories& directories_;
  const ShardIndex shard_;
  const ShardIndex shards_;
  DirectoryWork work_;
  const DirectoryWork::Batch removals_ = work_.new_batch();
  std::deque<FollowingPointer> following_;
  // Partitions whose directories are being made. True: nobody wants them any more.
  std::map<std::pair<TopicId, PartitionIndex>, std::shared_ptr<std::atomic<bool>>> making_;
  std::vector<replication::DirectoryAssignment> untold_;
  std::set<std::pair<TopicId, PartitionIndex>> to_open_;  // offline for a lack that may pass
  // Until the next start. They are somewhere, and must not be made anew elsewhere.
  std::set<std::pair<TopicId, PartitionIndex>> offline_;
  bool tries_again_ = false;
  std::atomic<bool> is_stopping_{false};  // read by the pool
};

// "…/topic-3" → "…/topic-3.<id>-delete", with `what` as its end.
[[nodiscard]] std::string renamed_directory(const std::string& path, const Uuid& id, std::string_view what);

// What the metadata configure for this broker, and for all.
[[nodiscard]] config::DynamicBrokerConfigs dynamic_broker_configs(const config::NodeConfig& config,
                                                                  const replication::MetadataImage& image);

// For the log: what of the topic's own configuration is not understood or has no effect here; and of all that is configured.
void say_what_does_not_hold(const config::NodeConfig& config, const replication::MetadataImage& image,
                            const std::string& topic);
void say_what_does_not_hold(const config::NodeConfig& config, const replication::MetadataImage& image);

// At the start: opens the logs of all partitions that the image gives to this node, on the threads of `pool`
// (num.recovery.threads.per.data.dir for each directory), and hands them to the managers, one for each shard. A partition that
// cannot be opened is offline alone. What else lies in the directories is renamed to -stray, or removed if its name ends with -delete.
Result<void> load_logs(FileSystem& files, const std::vector<LogManager*>& managers, LogDirectories& directories,
                       const replication::MetadataImage& image, BrokerId self, WorkPool& pool);

}  // namespace kurier::broker
