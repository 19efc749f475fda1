// GroupCoordinators: the coordinators of the partitions of __consumer_offsets that one shard leads.
//
// On the shard's thread, but for `leads` and `leads_no_longer`, which the starting thread calls too: they post.
#pragma once

#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "broker/log_manager.h"
#include "broker/offset_sweeper.h"
#include "config/node_config.h"
#include "coordinator/group/group_machine.h"
#include "coordinator/group/java_strings.h"
#include "coordinator/runtime/coordinator_runtime.h"

namespace kurier::broker {

class GroupCoordinators final : public PartitionObserver {
 public:
  struct Ports {
    const Clock& clock;
    Executor& executor;
    Timers& timers;
    Spawner& spawner;
    Random& random;
    WorkPool& reads;  // one thread: of the log and of views, in turn
    LogDirectories& directories;
    std::function<Result<KeyValueStore*>()> open_store;  // of views; on the pool, whenever one is opened
    std::function<std::shared_ptr<const replication::MetadataImage>()> image;  // the shard's newest
  };
  static constexpr const char* kTopic = "__consumer_offsets";
  GroupCoordinators(Ports ports, const config::NodeConfig& config);
  ~GroupCoordinators() override;

  // The coordinator of a partition, or NOT_COORDINATOR, or COORDINATOR_LOAD_IN_PROGRESS.
  [[nodiscard]] std::expected<std::shared_ptr<GroupRuntime>, protocol::ErrorCode> find(PartitionIndex partition) const;
  // The same for a request, which waits a moment for one that loads: clients would come back after a pause of their own.
  Task<std::expected<std::shared_ptr<GroupRuntime>, protocol::ErrorCode>> find_loaded(PartitionIndex partition) const;
  // Where a group belongs. As in Apache Kafka that is decided at the start, by the partitions that there are then, or by
  // offsets.topic.num.partitions: more of them (CreatePartitions) move groups at the next one.
  [[nodiscard]] PartitionIndex partition_of(std::string_view group) const {
    return PartitionIndex(coordinator::group_partition(group, partitions_));
  }
  [[nodiscard]] const coordinator::GroupOptions& options() const { return options_; }
  [[nodiscard]] const std::map<PartitionIndex, std::shared_ptr<GroupRuntime>>& all() const { return runtimes_; }

  // PartitionObserver
  void leads(const std::shared_ptr<Partition>& partition, PartitionPorts ports) override;
  void leads_no_longer(const std::shared_ptr<Partition>& partition) override;

  // From now on coordinators load; once, when the node serves.
  void start(const replication::MetadataImage& image);
  void topics_deleted(const std::map<TopicId, std::string>& topics);
  void expire_offsets_regularly();
  // Before a clean stop: what deleted topics have left is forgotten.
  void finish_deletions() { sweeper_.finish(); }
  // The node stops: whoever waits is answered, and nothing is answered from now on.
  void resign_all();
  // What of the views of resigned coordinators was not saved yet, now that the logs are closed. On any thread, when the pool
  // has stopped. A log that could not be flushed has none: no view is durable before what it is of.
  void save_views();

 private:
  struct Beginning {
    std::shared_ptr<Partition> partition;
    PartitionPorts ports;
    bool after_clean_stop = false;  // of this node: no deletion was interrupted
    int views_lost = 0;  // one after the other, since this leads the partition
  };
  void begin(const Beginning& beginning);
  [[nodiscard]] std::shared_ptr<coordinator::PartitionView> view_of(const Beginning& beginning,
                                                                    const std::string& name);
  void save_last(const std::shared_ptr<Partition>& partition, Offset end, std::move_only_function<void()> save);
  static Task<void> go_on_with_deletions(GroupCoordinators& self, std::shared_ptr<GroupRuntime> runtime,
                                         std::shared_ptr<Partition> partition);
  void expire_offsets();
  void erase_views(TopicId topic);

  Ports ports_;
  const config::NodeConfig& config_;
  coordinator::GroupOptions options_;
  std::map<PartitionIndex, std::shared_ptr<GroupRuntime>> runtimes_;
  bool started_ = false;
  bool is_stopping_ = false;
  struct LastSave {
    std::shared_ptr<Partition> partition;
    Offset end;  // of the log, as far as the view has it
    std::move_only_function<void()> save;
  };
  std::vector<LastSave> last_saves_;
  std::int32_t partitions_;
  std::map<PartitionIndex, Beginning> not_begun_;
  OffsetSweeper sweeper_;
};

}  // namespace kurier::broker
