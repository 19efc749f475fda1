// ShardRuntime: what one shard is made of, and the checkpoints that all shards write together.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "broker/broker.h"
#include "broker/cluster_control.h"
#include "broker/group_coordinators.h"
#include "broker/log_manager.h"
#include "broker/net/reactor.h"
#include "broker/net/server.h"

namespace kurier::broker {

// Made and destroyed on the main thread while no shard runs; everything else happens on the reactor's thread.
struct ShardRuntime {
  net::Reactor* reactor = nullptr;
  std::unique_ptr<ClusterControl> control;
  std::unique_ptr<GroupCoordinators> groups;
  std::unique_ptr<Broker> broker;
  std::unique_ptr<LogManager> logs;
  std::unique_ptr<net::Server> server;
};

// Gathers the offsets of every shard and writes the checkpoints of every directory, on a pool, one round at a time.
// On the first shard's thread.
class CheckpointWriter {
 public:
  // All outlive it and the pool's work.
  CheckpointWriter(const std::vector<ShardRuntime>& shards, LogDirectories& directories, WorkPool& pool)
      : shards_(shards), directories_(directories), pool_(pool) {}

  // While a round runs, what is asked for waits for the next. `written`, on the first shard: whether everything is on the disk.
  using Written = std::move_only_function<void(bool)>;
  void begin_round(CheckpointKinds kinds, Written written = {});
  // The same at once, when no shard runs any more.
  void write_now();

 private:
  struct Round {
    std::vector<DirectoryOffsets> offsets;
    std::size_t shards_left;
    CheckpointKinds kinds;
    std::vector<Written> written;
  };
  void gathered(const std::shared_ptr<Round>& round);

  const std::vector<ShardRuntime>& shards_;
  LogDirectories& directories_;
  WorkPool& pool_;
  bool round_runs_ = false;
  CheckpointKinds wanted_;
  std::vector<Written> waiting_;
};

}  // namespace kurier::broker
