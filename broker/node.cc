#include "broker/node.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "base/log.h"
#include "broker/net/host_name.h"
#include "broker/net/posix_file_system.h"
#include "broker/net/reactor_thread.h"
#include "broker/net/signals.h"
#include "broker/net/system_clock.h"
#include "broker/net/system_random.h"
#include "broker/net/thread_pool.h"
#include "broker/shard_runtime.h"
#include "replication/raft/format.h"

namespace kurier::broker {
namespace {

using replication::LocalController;

net::ServerOptions server_options(const config::NetworkConfig& network) {
  net::ServerOptions options;
  options.limits.frame_bytes_max = static_cast<std::size_t>(network.socket_request_max_bytes);
  constexpr std::chrono::milliseconds kForEver = std::chrono::hours(24 * 365);
  const bool for_ever = network.connections_max_idle.count() < 0;
  options.limits.idle_max = for_ever ? kForEver : std::min(network.connections_max_idle, kForEver);
  options.socket.send_buffer_bytes = network.socket_send_buffer_bytes;
  options.socket.receive_buffer_bytes = network.socket_receive_buffer_bytes;
  options.backlog = network.socket_listen_backlog;
  options.connections_max = static_cast<std::size_t>(network.max_connections);
  options.connections_per_ip_max = static_cast<std::size_t>(network.max_connections_per_ip);
  return options;
}

// Without a host clients are sent to this machine's own name.
std::string advertised_host(const config::Listener& listener) { return listener.host.empty() ? net::host_name() : listener.host; }

std::size_t shard_count(const config::NodeConfig& config) {
  return config.shards > 0 ? static_cast<std::size_t>(config.shards) : net::core_count();
}

class Node {
 public:
  Node(config::LoadedConfig config, MonotonicTime started);
  ~Node() { stop_threads(); }

  Result<void> run();

 private:
  Result<void> open_directories();
  Result<void> format();
  Result<void> start_controller();
  Result<void> start_shards();
  Result<void> listen();
  void publish(const replication::ImagePointer& image, const replication::MetadataDelta::Changes& changes);
  void serve();
  void begin_stop(int signal_number);
  void one_shard_has_drained();
  Result<void> finish_stop();
  void stop_threads();
  void give_up(const Error& error);
  void directory_failed(LogDirectoryState& directory, const Error& error);
  void maintain_regularly(ShardRuntime& shard);
  void write_checkpoints_regularly();
  [[nodiscard]] std::vector<replication::VoterEndpoint> controller_endpoints() const;

  const config::NodeConfig config_;
  const MonotonicTime started_;
  net::SystemClock clock_;
  net::SystemRandom random_;
  net::PosixFileSystem files_;
  net::Reactor main_;  // the first shard; it also accepts connections and starts and stops the others
  std::vector<std::unique_ptr<net::ReactorThread>> threads_;  // of the other shards
  LogDirectories directories_{files_};
  net::ThreadPool flusher_{"flush", 2};
  net::ThreadPool metadata_sync_{"metadata-sync", 1};
  std::unique_ptr<storage::LogDirectory> metadata_directory_;  // where it is none of log.dirs
  std::string cluster_id_;
  DirectoryId metadata_directory_id_;
  std::unique_ptr<LocalController> controller_;
  std::unique_ptr<MetadataFetches> metadata_fetches_;  // goes after the control thread
  std::unique_ptr<net::ReactorThread> control_;
  Shards shards_;
  std::vector<ShardRuntime> runtimes_;
  CheckpointWriter checkpoints_{runtimes_, directories_, flusher_};
  std::size_t shards_to_drain_ = 0;
  Result<void> outcome_;
};

Node::Node(config::LoadedConfig config, MonotonicTime started) : config_(std::move(config.node)), started_(started), main_(clock_) {
  runtimes_.resize(shard_count(config_));
  runtimes_.front().reactor = &main_;
  for (std::size_t i = 1; i < runtimes_.size(); ++i) {
    threads_.push_back(std::make_unique<net::ReactorThread>(fmt::format("shard-{}", i), clock_));
    runtimes_[i].reactor = &threads_.back()->reactor();
  }
}

Result<void> Node::run() {
  if (!config_.is_broker || !config_.is_controller) {
    return fail(Failure::kUnsupported, "process.roles: only broker,controller together is there yet");
  }
  net::watch_stop_signals(main_, [this](int signal_number) { begin_stop(signal_number); });
  TRY(open_directories());
  TRY(format());
  control_ = std::make_unique<net::ReactorThread>("control", clock_);
  TRY(start_controller());
  TRY(start_shards());
  TRY(listen());
  controller_->unfence([this] { main_.post([this] { serve(); }); });
  main_.run();
  TRY(outcome_);
  return finish_stop();
}

Result<void> Node::open_directories() {
  for (const std::string& path : config_.log_dirs) TRY(directories_.add(path));
  for (const LogDirectoryState& directory : directories_.all()) {
    if (directory.files->meta_properties()) cluster_id_ = directory.files->meta_properties()->cluster_id;
  }
  if (std::ranges::find(config_.log_dirs, config_.metadata_log_dir) == config_.log_dirs.end()) {
    TRY_ASSIGN(metadata_directory_, storage::LogDirectory::open(files_, config_.metadata_log_dir));
    if (metadata_directory_->meta_properties()) cluster_id_ = metadata_directory_->meta_properties()->cluster_id;
  }
  return {};
}

std::vector<replication::VoterEndpoint> Node::controller_endpoints() const {
  std::vector<replication::VoterEndpoint> endpoints;
  for (const config::Listener& listener : config_.advertised_controller_listeners) {
    endpoints.push_back({listener.name, advertised_host(listener), listener.port});
  }
  return endpoints;
}

Result<void> Node::format() {
  if (cluster_id_.empty()) cluster_id_ = Uuid::generate(random_).to_string();
  TRY_ASSIGN(const auto formatted,
             replication::format_standalone(files_,
                                            {.cluster_id = cluster_id_,
                                             .node_id = config_.node_id,
                                             .log_directories = config_.log_dirs,
                                             .metadata_directory = config_.metadata_log_dir,
                                             .controller_endpoints = controller_endpoints()},
                                            random_, clock_.wall()));
  for (const replication::Formatted& directory : formatted) {
    if (directory.path == config_.metadata_log_dir) metadata_directory_id_ = directory.directory_id;
    for (LogDirectoryState& mine : directories_.all()) {
      if (mine.path() == directory.path) mine.id = directory.directory_id;
    }
  }
  return {};
}

Result<void> Node::start_controller() {
  replication::LocalControllerOptions options;
  options.log.log_directory = config_.metadata_log_dir;
  options.log.self = {.id = config_.node_id, .directory_id = metadata_directory_id_, .endpoints = controller_endpoints()};
  options.log.segment_bytes = static_cast<std::uint64_t>(config_.metadata_log.segment_bytes);
  options.log.segment_time = config_.metadata_log.segment_age_max;
  options.log.snapshot_bytes = static_cast<std::uint64_t>(config_.metadata_log.max_record_bytes_between_snapshots);
  options.log.snapshot_interval = config_.metadata_log.max_snapshot_interval;
  options.log.retention_bytes = config_.metadata_log.retention_bytes;
  options.log.retention_ms = config_.metadata_log.retention.count();
  options.controller.num_partitions = config_.log.num_partitions;
  options.controller.default_replication_factor = static_cast<std::int16_t>(config_.default_replication_factor);
  options.controller.topic_configs.validate = [this](const std::string&, const replication::ConfigMap& overrides) -> std::optional<std::string> {
    const auto parsed = config::parse_topic_config(config_, overrides);
    return parsed ? std::nullopt : std::optional(parsed.error().context);
  };
  options.controller.topic_configs.describe = [this](const replication::MetadataImage& image, const replication::ConfigMap& overrides) {
    using replication::ConfigResourceType;
    const config::DynamicBrokerConfigs dynamic{image.configs(ConfigResourceType::kBroker, std::to_string(config_.node_id.value())),
                                               image.configs(ConfigResourceType::kBroker, "")};
    std::vector<protocol::CreateTopicsResponse::CreatableTopicConfigs> described;
    for (const config::ConfigEntry& entry : config::describe_topic(config_, dynamic, overrides)) {
      described.push_back({.name = entry.name,
                           .value = entry.value,
                           .read_only = entry.read_only,
                           .config_source = static_cast<std::int8_t>(entry.source),
                           .is_sensitive = entry.is_sensitive});
    }
    return described;
  };
  options.incarnation_id = Uuid::generate(random_);
  for (const config::Listener& listener : config_.advertised_controller_listeners) {
    options.controller_endpoints.push_back({.name = listener.name, .host = advertised_host(listener), .port = listener.port});
  }
  options.broker.id = config_.node_id;
  options.broker.incarnation_id = options.incarnation_id;
  if (!config_.rack.empty()) options.broker.rack = config_.rack;
  for (const config::Listener& listener : config_.advertised_listeners) {
    options.broker.endpoints.push_back({.name = listener.name, .host = advertised_host(listener), .port = listener.port});
  }
  for (const LogDirectoryState& directory : directories_.all()) options.broker.log_dirs.push_back(directory.id);
  replication::LocalControllerPorts ports{
      .files = files_,
      .clock = clock_,
      .random = random_,
      .control = control_->reactor(),
      .sync_pool = metadata_sync_,
      .publish = [this](replication::ImagePointer image, const auto& changes) { publish(image, changes); },
      .log_changed =
          [this](bool high_watermark_advanced) {
            if (metadata_fetches_) metadata_fetches_->log_changed(high_watermark_advanced);
          },
      .failed =
          [this](const Error& error) {
            main_.post([this, error] {
              LOG_ERROR("the metadata log cannot be written any more, the node stops: {}", error.context);
              give_up(error);
            });
          }};
  TRY_ASSIGN(controller_, LocalController::start(std::move(ports), std::move(options)));
  return {};
}

Result<void> Node::start_shards() {
  const auto count = static_cast<ShardIndex>(runtimes_.size());
  const auto image = controller_->image();
  metadata_fetches_ = std::make_unique<MetadataFetches>(clock_, control_->reactor(), control_->reactor(), *controller_, cluster_id_);
  std::vector<LogManager*> managers;
  for (ShardIndex i = 0; i < count; ++i) {
    ShardRuntime& shard = runtimes_[i];
    net::Reactor& reactor = *shard.reactor;
    shard.control = std::make_unique<ClusterControl>(reactor, control_->reactor(), *controller_, *metadata_fetches_, config_.node_id);
    shard.broker = std::make_unique<Broker>(Broker::Ports{clock_, reactor, reactor, random_}, config_, cluster_id_, *shard.control,
                                            shards_, i, count);
    shard.broker->set_image(image);
    shard.logs = std::make_unique<LogManager>(
        LogManagerPorts{files_, clock_, reactor, reactor, flusher_,
                        [this](LogDirectoryState& directory, const Error& error) { directory_failed(directory, error); }},
        config_, shard.broker->partitions(), directories_, i, count);
    shard.server = std::make_unique<net::Server>(reactor, *shard.broker, server_options(config_.network));
    managers.push_back(shard.logs.get());
    shards_.add({&reactor, &reactor, shard.broker.get()});
  }
  const std::size_t threads = static_cast<std::size_t>(config_.log.recovery_threads_per_data_dir) * directories_.all().size();
  net::ThreadPool recovery("recovery", image->partition_count() > 1 ? threads : 1);
  return load_logs(files_, managers, directories_, *image, config_.node_id, recovery);
}

Result<void> Node::listen() {
  net::Server& acceptor = *runtimes_.front().server;
  std::vector<net::Server*> others;
  for (std::size_t i = 1; i < runtimes_.size(); ++i) others.push_back(runtimes_[i].server.get());
  acceptor.share_with(others);
  for (const config::Listener& listener : config_.listeners) {
    TRY_ASSIGN(const Endpoint bound, acceptor.listen(listener.name, {listener.host, listener.port}));
    static_cast<void>(bound);
  }
  return {};
}

// On the control thread. Whoever is answered after this finds the image at every shard: messages arrive in order.
void Node::publish(const replication::ImagePointer& image, const replication::MetadataDelta::Changes& changes) {
  const auto shared = std::make_shared<const replication::MetadataDelta::Changes>(changes);
  for (ShardRuntime& shard : runtimes_) {
    shard.reactor->post([&shard, image, shared] {
      shard.broker->set_image(image);
      shard.logs->apply(*image, *shared);
    });
  }
}

void Node::serve() {
  for (ShardRuntime& shard : runtimes_) {
    shard.reactor->post([this, &shard] {
      shard.server->start();
      maintain_regularly(shard);
    });
  }
  write_checkpoints_regularly();
  std::vector<std::string> listeners;
  for (const config::Listener& listener : config_.listeners) {
    listeners.push_back(fmt::format("{}://{}", listener.name, Endpoint{listener.host, listener.port}.to_string()));
  }
  LOG_INFO("ready: node {} (broker, controller) of cluster {} on {} after {} ms", config_.node_id.value(), cluster_id_,
           fmt::join(listeners, ", "),
           std::chrono::duration_cast<std::chrono::milliseconds>(clock_.monotonic() - started_).count());
  log::flush();
}

constexpr std::chrono::milliseconds kNever = std::chrono::hours(24 * 365);  // an interval may be longer than a clock can count

void Node::maintain_regularly(ShardRuntime& shard) {
  shard.reactor->start(clock_.monotonic() + std::min(config_.log.retention_check_interval, kNever), [this, &shard] {
    shard.logs->maintain();
    maintain_regularly(shard);
  });
}

void Node::write_checkpoints_regularly() {
  main_.start(clock_.monotonic() + std::min(config_.log.flush_offset_checkpoint_interval, kNever), [this] {
    checkpoints_.begin_round();
    write_checkpoints_regularly();
  });
}

// On the first shard.
void Node::give_up(const Error& error) {
  outcome_ = std::unexpected(error);
  main_.stop();
}

// On any shard.
void Node::directory_failed(LogDirectoryState& directory, const Error& error) {
  LOG_ERROR("log directory {} has failed, its partitions are offline until the next start: {}", directory.path(), error.context);
  for (ShardRuntime& shard : runtimes_) {
    shard.reactor->post([&shard, &directory] { shard.logs->directory_failed(directory); });
  }
  if (!std::ranges::all_of(directories_.all(), [](const LogDirectoryState& one) { return one.failed.load(); })) return;
  main_.post([this, error] {
    LOG_ERROR("all log directories have failed, the node stops");
    give_up(error);
  });
}

// Requests in flight are answered; then the controller is told that the broker goes.
void Node::begin_stop(int signal_number) {
  LOG_INFO("stopping on signal {}: a second one ends the process at once", signal_number);
  if (shards_.count() < runtimes_.size() || !runtimes_.back().server) {  // still starting
    main_.stop();
    return;
  }
  shards_to_drain_ = runtimes_.size();
  metadata_fetches_->shut_down();
  for (ShardRuntime& shard : runtimes_) {
    shard.reactor->post([this, &shard] {
      shard.broker->begin_shutdown();
      shard.server->drain([this] { main_.post([this] { one_shard_has_drained(); }); });
    });
  }
}

void Node::one_shard_has_drained() {
  if (--shards_to_drain_ > 0) return;
  controller_->shut_down_broker([this] { main_.post([this] { main_.stop(); }); });
}

void Node::stop_threads() {
  if (control_) control_->stop();
  for (const auto& thread : threads_) thread->stop();
}

Result<void> Node::finish_stop() {
  const BrokerEpoch epoch = controller_->broker_epoch();
  stop_threads();
  for (ShardRuntime& shard : runtimes_) shard.logs->close_logs();
  checkpoints_.write_now();
  TRY(directories_.mark_clean(epoch));
  TRY(controller_->close());
  LOG_INFO("stopped cleanly");
  return {};
}

}  // namespace

Result<void> serve(config::LoadedConfig config, MonotonicTime started) {
  net::block_stop_signals();
  for (const std::string& notice : config.notices) LOG_WARN("{}", notice);
  Node node(std::move(config), started);
  return node.run();
}

}  // namespace kurier::broker
