// Broker: what the handlers of one shard work with: the configuration, the metadata, the partitions, the controller.
//
// Belongs to one shard. The image is replaced by the control thread's messages; a handler keeps the one it began with.
#pragma once

#include <expected>
#include <memory>
#include <span>

#include "broker/call.h"
#include "broker/fetch_session.h"
#include "broker/partition_table.h"
#include "broker/shards.h"
#include "config/node_config.h"
#include "replication/metadata/image.h"

namespace kurier::broker {

struct ApiEntry {
  protocol::ApiKey key;
  std::int16_t min_version;
  std::int16_t max_version;
  bool on_broker;
  bool on_controller;
  net::Concurrency concurrency;
  Handler handler;
};
// What this node answers; ApiVersions lists exactly this.
[[nodiscard]] std::span<const ApiEntry> served_apis();
[[nodiscard]] const ApiEntry* find_served(protocol::ApiKey key, bool on_controller_listener);

class ClusterControl;     // broker/cluster_control.h
class GroupCoordinators;  // broker/group_coordinators.h

class Broker final : public net::RequestHandler {
 public:
  struct Ports {
    const Clock& clock;
    Timers& timers;
    Spawner& spawner;
    Random& random;
    LargeRequests& large_requests;  // of the node
  };
  // `shards` and `control` outlive it; `shard` is its own place among the `shard_count` shards.
  Broker(Ports ports, const config::NodeConfig& config, std::string cluster_id, std::int16_t kraft_version,
         ClusterControl& control, GroupCoordinators& groups, const Shards& shards, ShardIndex shard,
         ShardIndex shard_count);

  // net::RequestHandler
  Result<net::Concurrency> classify(const net::ConnectionContext& connection, ByteView frame) override;
  Task<net::Reply> handle(net::ConnectionContext& connection, net::FrameBuffer frame) override;
  void connection_closed(net::ConnectionContext& connection) override;

  [[nodiscard]] const Ports& ports() const { return ports_; }
  [[nodiscard]] const config::NodeConfig& config() const { return config_; }
  [[nodiscard]] const std::string& cluster_id() const { return cluster_id_; }
  [[nodiscard]] std::int16_t kraft_version() const { return kraft_version_; }
  [[nodiscard]] ClusterControl& control() { return control_; }
  // Those of this shard.
  [[nodiscard]] GroupCoordinators& groups() { return groups_; }
  [[nodiscard]] const Shards& shards() const { return shards_; }
  [[nodiscard]] ShardIndex shard() const { return shard_; }
  [[nodiscard]] Executor& executor() const { return *shards_.at(shard_).executor; }
  [[nodiscard]] LargeRequests& large_requests() const { return ports_.large_requests; }
  [[nodiscard]] PartitionTable& partitions() { return partitions_; }
  [[nodiscard]] FetchSessions& fetch_sessions() { return fetch_sessions_; }
  // A partition that this shard owns and may serve; otherwise what a client is told: UNKNOWN_TOPIC_OR_PARTITION,
  // NOT_LEADER_OR_FOLLOWER where the replica is on another node or its directory is being made, KAFKA_STORAGE_ERROR where its
  // disk has failed.
  [[nodiscard]] std::expected<std::shared_ptr<Partition>, protocol::ErrorCode> partition(const TopicId& topic, PartitionIndex index) const;
  [[nodiscard]] const std::shared_ptr<const replication::MetadataImage>& image() const { return image_; }
  void set_image(std::shared_ptr<const replication::MetadataImage> image) { image_ = std::move(image); }
  // Every fetch that waits is answered with what there is, now and from now on.
  void begin_shutdown();
  [[nodiscard]] bool is_shutting_down() const { return shutting_down_; }

  // Fetches that wait register a wake-up for begin_shutdown.
  using WakeId = std::uint64_t;
  WakeId on_shutdown(std::move_only_function<void()> wake);
  void forget_shutdown(WakeId id) { shutdown_wakes_.erase(id); }

 private:
  // Every request passes here before its handler: has the client said who it is, may it ask this at all, and how long is
  // it to be held back for what it has used up.
  struct Admission {
    bool close = false;
    std::chrono::milliseconds throttle{0};
  };
  [[nodiscard]] Admission admit(const Call& call);
  [[nodiscard]] bool is_controller_listener(const net::ConnectionContext& connection) const;

  Ports ports_;
  const config::NodeConfig& config_;
  const std::string cluster_id_;
  const std::int16_t kraft_version_;  // nothing changes it while the node runs
  ClusterControl& control_;
  GroupCoordinators& groups_;
  const Shards& shards_;
  const ShardIndex shard_;
  PartitionTable partitions_;
  FetchSessions fetch_sessions_;
  std::shared_ptr<const replication::MetadataImage> image_;
  std::map<WakeId, std::move_only_function<void()>> shutdown_wakes_;
  WakeId last_wake_ = 0;
  bool shutting_down_ = false;
};

}  // namespace kurier::broker
