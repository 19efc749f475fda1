// OneShard: a node's only shard as it is in the program, with real files, the real loop and the real handlers; only sockets
// are missing (memory_stream.h). For programs that measure what a request costs.
#pragma once

#include <stdlib.h>

#include <catch2/catch.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/next_round.h"
#include "broker/broker.h"
#include "broker/cluster_control.h"
#include "broker/group_coordinators.h"
#include "broker/log_manager.h"
#include "broker/net/posix_file_system.h"
#include "broker/net/reactor.h"
#include "broker/net/system_clock.h"
#include "replication/raft/format.h"
#include "tests/performance/memory_stream.h"
#include "tests/support/manual_pool.h"

namespace kurier::performance {

class OneShard {
 public:
  static constexpr const char* kListener = "PLAINTEXT";
  static constexpr TopicId kTopicId{7, 1};
  static constexpr const char* kTopic = "measured";

  OneShard() {
    char pattern[] = "/tmp/kurier-performance-XXXXXX";
    REQUIRE(::mkdtemp(pattern) != nullptr);
    root_ = pattern;
    config_.node_id = BrokerId(1);
    config_.controller_listener_names = {"CONTROLLER"};
    start_controller();
    start_broker();
  }
  ~OneShard() {
    for (const auto& [stream, connection] : connections_) connection->close();
    REQUIRE(files_.remove_tree(root_));
  }
  OneShard(const OneShard&) = delete;
  OneShard& operator=(const OneShard&) = delete;

  // Runs `work` on the shard's thread, within its loop, when the topic is there. Once.
  void run(std::function<Task<void>()> work) {
    create_topic(8);
    reactor_.post([this, &work] { run_when_ready(work); });
    reactor_.run();
  }
  // co_await: when the shard has done what there was to do, and what that has deferred.
  [[nodiscard]] NextRound next_round() { return {reactor_}; }
  // On the shard.
  MemoryStream& connect() {
    auto stream = std::make_unique<MemoryStream>();
    MemoryStream& end = *stream;
    net::ConnectionContext context;
    context.listener_name = kListener;
    auto connection = std::make_shared<net::Connection>(*connection_shard_, std::move(stream), std::move(context),
                                                        [](net::Connection*) {});
    connection->start();
    connections_.emplace(&end, std::move(connection));
    return end;
  }

 private:
  void start_controller() {
    const std::string directory = root_ + "/metadata";
    const auto formatted = replication::format_standalone(
        files_, {cluster_id_, config_.node_id, {directory}, directory, {{"CONTROLLER", "localhost", 9093}}}, random_,
        clock_.wall());
    REQUIRE(formatted);
    replication::LocalControllerOptions options;
    options.log.log_directory = directory;
    options.log.self = {config_.node_id, formatted->front().directory_id, {{"CONTROLLER", "localhost", 9093}}, 0, 1};
    options.incarnation_id = Uuid::generate(random_);
    options.broker.id = config_.node_id;
    options.broker.incarnation_id = Uuid::generate(random_);
    options.broker.log_dirs = {kDirectoryId};
    auto started = replication::LocalController::start({files_, clock_, random_, reactor_, pool_, {}, {}, {}, {}},
                                                       std::move(options));
    REQUIRE(started);
    controller_ = std::move(*started);
    fetches_ = std::make_unique<broker::MetadataFetches>(clock_, reactor_, reactor_, *controller_, cluster_id_);
  }

  void start_broker() {
    REQUIRE(directories_.add(storage::LogDirectory::open(files_, root_ + "/data").value()));
    directories_.all().back().id = kDirectoryId;
    control_ = std::make_unique<broker::ClusterControl>(reactor_, reactor_, *controller_, *fetches_, config_.node_id);
    groups_ = std::make_unique<broker::GroupCoordinators>(
        broker::GroupCoordinators::Ports{
            clock_, reactor_, reactor_, reactor_, random_, pool_, directories_,
            []() -> Result<KeyValueStore*> { return fail(Failure::kIo, "there is no store"); }},
        config_);
    broker_ =
        std::make_unique<broker::Broker>(broker::Broker::Ports{clock_, reactor_, reactor_, random_, large_requests_},
                                         config_, cluster_id_, std::int16_t{1}, *control_, *groups_, shards_, 0, 1);
    shards_.add({&reactor_, &reactor_, broker_.get()});
    connection_shard_.reset(new net::ConnectionShard{.clock = clock_,
                                                     .timers = reactor_,
                                                     .spawner = reactor_,
                                                     .executor = reactor_,
                                                     .handler = *broker_,
                                                     .limits = {},
                                                     .next_malformed_log = {},
                                                     .wait_for_memory = {},
                                                     .spare_slots = {},
                                                     .spare_frames = {}});
    logs_ = std::make_unique<broker::LogManager>(
        broker::LogManagerPorts{files_, clock_, reactor_, reactor_, pool_, pool_, *groups_,
                                [](broker::LogDirectoryState&, const Error&) {}, [](const auto&) {}, [] {},
                                [this] { return broker_->image(); }, [] { return true; }},
        config_, broker_->partitions(), directories_, broker::ShardIndex(0), broker::ShardIndex(1));
    REQUIRE(broker::load_logs(files_, {logs_.get()}, directories_, *broker_->image(), config_.node_id, pool_));
  }

  void create_topic(std::int32_t partitions) {
    replication::MetadataDelta delta(*broker_->image());
    protocol::TopicRecord topic;
    topic.name = kTopic;
    topic.topic_id = kTopicId;
    REQUIRE(delta.replay(topic));
    for (std::int32_t i = 0; i < partitions; ++i) {
      protocol::PartitionRecord partition;
      partition.topic_id = kTopicId;
      partition.partition_id = PartitionIndex(i);
      partition.replicas = partition.isr = {config_.node_id};
      partition.leader = config_.node_id;
      partition.leader_epoch = LeaderEpoch(0);
      partition.partition_epoch = PartitionEpoch(0);
      REQUIRE(delta.replay(partition));
    }
    auto changes = std::make_shared<replication::MetadataDelta::Changes>(delta.changes());
    broker_->set_image(std::make_shared<const replication::MetadataImage>(delta.take()));
    logs_->apply(std::move(changes), [this] { is_ready_ = true; });
  }

  void run_when_ready(std::function<Task<void>()>& work) {
    pool_.run_one();
    if (!is_ready_) return reactor_.post([this, &work] { run_when_ready(work); });
    reactor_.spawn("work", run_to_the_end(work(), reactor_));
  }
  static Task<void> run_to_the_end(Task<void> work, net::Reactor& reactor) {
    co_await std::move(work);
    reactor.stop();
  }

  static constexpr DirectoryId kDirectoryId{1, 1};
  const std::string cluster_id_ = "AAAAAAAAAAAAAAAAAAAAAQ";
  std::string root_;
  bool is_ready_ = false;
  config::NodeConfig config_;
  net::SystemClock clock_;
  SeededRandom random_{1};
  net::PosixFileSystem files_;
  net::Reactor reactor_{clock_};
  test::ManualPool pool_;
  broker::LargeRequests large_requests_{pool_};
  broker::LogDirectories directories_{files_};
  broker::Shards shards_;
  std::unique_ptr<replication::LocalController> controller_;
  std::unique_ptr<broker::MetadataFetches> fetches_;
  std::unique_ptr<broker::ClusterControl> control_;
  std::unique_ptr<broker::GroupCoordinators> groups_;
  std::unique_ptr<broker::Broker> broker_;
  std::unique_ptr<broker::LogManager> logs_;
  std::unique_ptr<net::ConnectionShard> connection_shard_;
  std::map<MemoryStream*, std::shared_ptr<net::Connection>> connections_;
};

}  // namespace kurier::performance
