#include "broker/node.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "base/log.h"
#include "broker/broker.h"
#include "broker/cluster_control.h"
#include "broker/log_manager.h"
#include "broker/net/host_name.h"
#include "broker/net/posix_file_system.h"
#include "broker/net/reactor_thread.h"
#include "broker/net/server.h"
#include "broker/net/signals.h"
#include "broker/net/system_clock.h"
#include "broker/net/system_random.h"
#include "broker/net/thread_pool.h"
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

class Node {
 public:
  Node(config::LoadedConfig config, MonotonicTime started)
      : config_(std::move(config.node)), started_(started), shard_(clock_), flusher_("flush", 2), metadata_sync_("metadata-sync", 1) {}

  Result<void> run();

 private:
  Result<void> open_directories();
  Result<void> format();
  Result<void> start_controller();
  Result<void> start_broker();
  void serve();
  void begin_stop(int signal_number);
  Result<void> finish_stop();
  void schedule(std::chrono::milliseconds interval, void (LogManager::*work)());
  [[nodiscard]] bool is_controller_listener(const config::Listener& listener) const {
    return std::ranges::find(config_.controller_listener_names, listener.name) != config_.controller_listener_names.end();
  }
  [[nodiscard]] std::vector<replication::VoterEndpoint> controller_endpoints() const;

  const config::NodeConfig config_;
  const MonotonicTime started_;
  net::SystemClock clock_;
  net::SystemRandom random_;
  net::PosixFileSystem files_;
  net::Reactor shard_;
  net::ThreadPool flusher_;
  net::ThreadPool metadata_sync_;
  std::unique_ptr<storage::LogDirectory> metadata_directory_;  // where it is none of log.dirs
  std::vector<LogManager::Directory> directories_;
  std::string cluster_id_;
  DirectoryId metadata_directory_id_;
  std::unique_ptr<LocalController> controller_;
  std::unique_ptr<net::ReactorThread> control_;
  std::unique_ptr<ClusterControl> cluster_control_;
  std::unique_ptr<Broker> broker_;
  std::unique_ptr<LogManager> logs_;
  std::unique_ptr<net::Server> server_;
  Result<void> outcome_;
};

Result<void> Node::run() {
  if (!config_.is_broker || !config_.is_controller) {
    return fail(Failure::kUnsupported, "process.roles: only broker,controller together is there yet");
  }
  net::watch_stop_signals(shard_, [this](int signal_number) { begin_stop(signal_number); });
  TRY(open_directories());
  TRY(format());
  control_ = std::make_unique<net::ReactorThread>("control", clock_);
  TRY(start_controller());
  TRY(start_broker());
  controller_->unfence([this] { shard_.post([this] { serve(); }); });
  shard_.run();
  TRY(outcome_);
  return finish_stop();
}

Result<void> Node::open_directories() {
  for (const std::string& path : config_.log_dirs) {
    TRY_ASSIGN(auto opened, storage::LogDirectory::open(files_, path));
    LogManager::Directory directory;
    directory.files = std::move(opened);
    TRY_ASSIGN(directory.was_clean, directory.files->take_clean_shutdown_mark());
    TRY_ASSIGN(directory.recovery_points, directory.files->recovery_points());
    TRY_ASSIGN(directory.log_start_offsets, directory.files->log_start_offsets());
    if (directory.files->meta_properties()) cluster_id_ = directory.files->meta_properties()->cluster_id;
    directories_.push_back(std::move(directory));
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
    for (LogManager::Directory& mine : directories_) {
      if (mine.files->path() == directory.path) mine.id = directory.directory_id;
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
  options.controller.topic_configs.describe = [this](const std::string&, const replication::ConfigMap& overrides) {
    std::vector<protocol::CreateTopicsResponse::CreatableTopicConfigs> described;
    for (const config::ConfigEntry& entry : config::describe_topic(config_, {}, overrides)) {
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
  for (const LogManager::Directory& directory : directories_) options.broker.log_dirs.push_back(directory.id);
  replication::LocalControllerPorts ports{
      .files = files_,
      .clock = clock_,
      .random = random_,
      .control = control_->reactor(),
      .sync_pool = metadata_sync_,
      .publish =
          [this](replication::ImagePointer image, const replication::MetadataDelta::Changes& changes) {
            shard_.post([this, image = std::move(image), changes] {
              broker_->set_image(image);
              logs_->apply(*image, changes);
            });
          },
      .failed =
          [this](const Error& error) {
            shard_.post([this, error] {
              LOG_ERROR("the metadata log cannot be written any more, the node stops: {}", error.context);
              outcome_ = std::unexpected(error);
              shard_.stop();
            });
          }};
  TRY_ASSIGN(controller_, LocalController::start(std::move(ports), std::move(options)));
  return {};
}

Result<void> Node::start_broker() {
  cluster_control_ = std::make_unique<ClusterControl>(shard_, control_->reactor(), *controller_, config_.node_id);
  broker_ = std::make_unique<Broker>(Broker::Ports{clock_, shard_, shard_}, config_, cluster_id_, *cluster_control_);
  logs_ = std::make_unique<LogManager>(files_, PartitionPorts{clock_, shard_, shard_, flusher_}, config_, broker_->partitions(),
                                       std::move(directories_));
  const auto image = controller_->image();
  broker_->set_image(image);
  TRY(logs_->load(*image));
  server_ = std::make_unique<net::Server>(shard_, *broker_, server_options(config_.network));
  for (const config::Listener& listener : config_.listeners) {
    TRY_ASSIGN(const Endpoint bound, server_->listen(listener.name, {listener.host, listener.port}));
    static_cast<void>(bound);
  }
  return {};
}

void Node::serve() {
  server_->start();
  schedule(config_.log.retention_check_interval, &LogManager::maintain);
  schedule(config_.log.flush_offset_checkpoint_interval, &LogManager::write_checkpoints);
  std::vector<std::string> listeners;
  for (const config::Listener& listener : config_.listeners) {
    listeners.push_back(fmt::format("{}://{}", listener.name, Endpoint{listener.host, listener.port}.to_string()));
  }
  LOG_INFO("ready: node {} (broker, controller) of cluster {} on {} after {} ms", config_.node_id.value(), cluster_id_,
           fmt::join(listeners, ", "),
           std::chrono::duration_cast<std::chrono::milliseconds>(clock_.monotonic() - started_).count());
  log::flush();
}

void Node::schedule(std::chrono::milliseconds interval, void (LogManager::*work)()) {
  constexpr std::chrono::milliseconds kNever = std::chrono::hours(24 * 365);
  shard_.start(clock_.monotonic() + std::min(interval, kNever), [this, interval, work] {
    (logs_.get()->*work)();
    schedule(interval, work);
  });
}

// Requests in flight are answered; then the controller is told that the broker goes.
void Node::begin_stop(int signal_number) {
  LOG_INFO("stopping on signal {}: a second one ends the process at once", signal_number);
  if (!server_) {  // still starting
    shard_.stop();
    return;
  }
  broker_->begin_shutdown();
  server_->drain([this] {
    controller_->shut_down_broker([this] { shard_.post([this] { shard_.stop(); }); });
  });
}

Result<void> Node::finish_stop() {
  const BrokerEpoch epoch = controller_->broker_epoch();
  control_->stop();
  TRY(logs_->close_clean(epoch));
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
