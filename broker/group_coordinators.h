// GroupCoordinators: the coordinators of the partitions of __consumer_offsets that one shard leads.
//
// On the shard's thread, but for `leads` and `leads_no_longer`, which the starting thread calls too: they post.
#pragma once

#include <expected>
#include <functional>
#include <map>
#include <memory>

#include "broker/log_manager.h"
#include "config/node_config.h"
#include "coordinator/group/group_machine.h"
#include "coordinator/runtime/coordinator_runtime.h"

namespace kurier::broker {

using GroupRuntime = coordinator::CoordinatorRuntime<coordinator::GroupMachine>;

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
  };
  GroupCoordinators(Ports ports, const config::NodeConfig& config);
  ~GroupCoordinators() override;

  // The coordinator of a partition, or NOT_COORDINATOR, or COORDINATOR_LOAD_IN_PROGRESS.
  [[nodiscard]] std::expected<std::shared_ptr<GroupRuntime>, protocol::ErrorCode> find(PartitionIndex partition) const;
  // The same for a request, which waits a moment for one that loads: clients would come back after a pause of their own.
  Task<std::expected<std::shared_ptr<GroupRuntime>, protocol::ErrorCode>> find_loaded(PartitionIndex partition) const;
  [[nodiscard]] const coordinator::GroupOptions& options() const { return options_; }
  [[nodiscard]] const std::map<PartitionIndex, std::shared_ptr<GroupRuntime>>& all() const { return runtimes_; }

  // PartitionObserver
  void leads(const std::shared_ptr<Partition>& partition, PartitionPorts ports) override;
  void leads_no_longer(const std::shared_ptr<Partition>& partition) override;

  // From now on coordinators load; once, when the node serves.
  void start();
  void topics_deleted(const std::map<TopicId, std::string>& topics);
  void expire_offsets_regularly();
  // Whoever waits is answered, and nothing is answered from now on.
  void resign_all();

 private:
  struct Beginning {
    std::shared_ptr<Partition> partition;
    PartitionPorts ports;
    int views_lost = 0;  // one after the other, since this leads the partition
  };
  void begin(const Beginning& beginning);
  [[nodiscard]] std::shared_ptr<coordinator::PartitionView> view_of(const Beginning& beginning,
                                                                    const std::string& name);
  void expire_offsets();

  Ports ports_;
  const config::NodeConfig& config_;
  coordinator::GroupOptions options_;
  std::map<PartitionIndex, std::shared_ptr<GroupRuntime>> runtimes_;
  bool started_ = false;
  std::map<PartitionIndex, Beginning> not_begun_;
};

}  // namespace kurier::broker
