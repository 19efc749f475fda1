#include "broker/node.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <set>

#include "base/log.h"
#include "broker/log_cleaner_runner.h"
#include "broker/net/frame_memory.h"
#include "broker/net/host_name.h"
#include "broker/net/open_files.h"
#include "broker/net/posix_file_system.h"
#include "broker/net/reactor_thread.h"
#include "broker/net/signals.h"
#include "broker/net/system_clock.h"
#include "broker/net/system_random.h"
#include "broker/net/thread_pool.h"
#include "broker/server_options.h"
#include "broker/shard_runtime.h"
#include "broker/start.h"
#include "broker/state_store.h"
#include "coordinator/view/stored_views.h"
#include "replication/raft/format.h"
#include "storage/disk_reserve.h"
#include "storage/state_directory.h"

namespace kurier::broker {
namespace {

using replication::LocalController;

// How long requests in flight may take to be answered, and the answers to be read, when the node stops.
constexpr std::chrono::seconds kDrainMax(10);
// How long connections may take to be closed when the node gives up.
constexpr std::chrono::seconds kGiveUpMax(1);
// They wait for fsyncs most of the time, and a file system makes several durable with one write of its journal.
constexpr std::size_t kDirectoryThreads = 4;
constexpr std::chrono::seconds kTrimInterval(1);  // what requests have not needed for so long goes back to the system
constexpr std::size_t kFlushThreads = 4;  // partitions that can be flushed at once
constexpr std::chrono::milliseconds kNever = std::chrono::hours(24 * 365);  // an interval may be longer than a clock can count

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
  [[nodiscard]] std::vector<std::string> log_directories();  // those that can be used
  Result<void> format();
  Result<void> start_controller();
  Result<void> start_shards();
  Result<void> bind_listeners();
  void listen();
  void forget_views_of_deleted_topics(const replication::MetadataImage& image);
  void publish(const replication::ImagePointer& image, replication::MetadataDelta::Changes changes, Callback followed);
  void serve();
  void begin_stop(int signal_number);
  void one_shard_has_drained();
  Result<void> finish_stop();
  void stop_threads();
  void give_up(const Error& error);
  void one_shard_is_closed();
  void directory_failed(LogDirectoryState& directory, const Error& error);
  void forget_checkpoints();
  void maintain_regularly(ShardRuntime& shard);
  void write_checkpoints_regularly();
  void remember_epoch();
  void start_cleaner();
  void repeat(net::Reactor& reactor, std::chrono::milliseconds delay, std::chrono::milliseconds interval, std::function<void()> work);
  [[nodiscard]] std::vector<replication::VoterEndpoint> controller_endpoints() const;

  config::NodeConfig config_;  // constant once bind_listeners() has filled in ports
  const MonotonicTime started_;
  const std::size_t open_files_max_ = net::raise_open_files_max();
  net::SystemClock clock_;
  net::SystemRandom random_;
  net::PosixFileSystem files_;
  net::Reactor main_;  // the first shard; it also accepts connections and starts and stops the others
  std::vector<std::unique_ptr<net::ReactorThread>> threads_;  // of the other shards
  LogDirectories directories_{files_};
  net::ThreadPool flusher_{"flush", kFlushThreads};
  net::ThreadPool directory_pool_{"directories", kDirectoryThreads};
  net::ThreadPool metadata_sync_{"metadata-sync", 1};
  std::unique_ptr<StateStore> state_store_;
  net::ThreadPool coordinator_reads_{"coordinator", 1};
  net::ThreadPool large_requests_pool_{"large-requests", 1};
  LargeRequests large_requests_{large_requests_pool_};
  std::unique_ptr<storage::LogDirectory> metadata_directory_;  // where it is none of log.dirs
  std::unique_ptr<storage::StateDirectory> state_directory_;
  std::unique_ptr<storage::DiskReserve> reserve_;
  bool reserve_was_needed_ = false;
  std::string cluster_id_;
  DirectoryId metadata_directory_id_;
  LeaderEpoch epoch_{-1};  // of the metadata log, in this run
  replication::ImagePointer published_;  // of the control thread
  std::unique_ptr<LocalController> controller_;
  std::unique_ptr<MetadataFetches> metadata_fetches_;  // goes after the control thread
  std::unique_ptr<net::ReactorThread> control_;
  Shards shards_;
  std::vector<ShardRuntime> runtimes_;
  std::vector<net::ListeningSocket> sockets_;  // until the first shard's server has them
  CheckpointWriter checkpoints_{runtimes_, directories_, flusher_};
  std::unique_ptr<LogCleanerRunner> cleaner_;
  std::unique_ptr<net::ThreadPool> cleaner_pool_;
  std::size_t shards_to_drain_ = 0;
  bool is_stopping_ = false;
  Result<void> outcome_;
};

Node::Node(config::LoadedConfig config, MonotonicTime started) : config_(std::move(config.node)), started_(started), main_(clock_) {
  runtimes_.resize(shard_count(config_));
  for (std::size_t i = 0; i < runtimes_.size(); ++i) {
    if (i > 0) threads_.push_back(std::make_unique<net::ReactorThread>(fmt::format("shard-{}", i), clock_));
    runtimes_[i].reactor = i > 0 ? &threads_.back()->reactor() : &main_;
    if (runtimes_.size() > 1) runtimes_[i].reactor->join_team(this);
  }
}

Result<void> Node::run() {
  if (!config_.is_broker || !config_.is_controller) {
    return fail(Failure::kUnsupported, "process.roles: only broker,controller together is there yet");
  }
  net::watch_stop_signals(main_, [this](int signal_number) { begin_stop(signal_number); });
  TRY(open_directories());
  TRY(bind_listeners());
  TRY(format());
  control_ = std::make_unique<net::ReactorThread>("control", clock_);
  TRY(start_controller());
  TRY(start_shards());
  controller_->unfence([this] { main_.post([this] { serve(); }); });
  main_.run();
  TRY(outcome_);
  return finish_stop();
}

Result<void> Node::open_directories() {
  TRY_ASSIGN(OpenedDirectories opened, broker::open_directories(files_, config_));
  cluster_id_ = std::move(opened.cluster_id);
  metadata_directory_ = std::move(opened.metadata);
  for (auto& directory : opened.logs) TRY(directories_.add(std::move(directory)));
  if (!opened.failed.empty()) directories_.some_are_missing();
  directories_.on_failure(
      [this](LogDirectoryState& directory, const Error& error) { directory_failed(directory, error); });
  return {};
}

std::vector<std::string> Node::log_directories() {
  std::vector<std::string> paths;
  for (const LogDirectoryState& directory : directories_.all()) paths.push_back(directory.path());
  return paths;
}

// Before anything is written: an address in use stops the start. Port 0 becomes the one that the system chose, which is then
// advertised, registered and said.
Result<void> Node::bind_listeners() {
  for (config::Listener& listener : config_.listeners) {
    TRY_ASSIGN(net::ListeningSocket socket, net::ListeningSocket::bind(listener.name, {listener.host, listener.port},
                                                                       config_.network.socket_listen_backlog));
    listener.port = socket.local().port;
    for (auto* advertised : {&config_.advertised_listeners, &config_.advertised_controller_listeners}) {
      const auto found = std::ranges::find(*advertised, listener.name, &config::Listener::name);
      if (found != advertised->end() && found->port == 0) found->port = listener.port;
    }
    sockets_.push_back(std::move(socket));
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
  TRY_ASSIGN(const auto formatted, replication::format_standalone(files_,
                                                                  {.cluster_id = cluster_id_,
                                                                   .node_id = config_.node_id,
                                                                   .log_directories = log_directories(),
                                                                   .metadata_directory = config_.metadata_log_dir,
                                                                   .controller_endpoints = controller_endpoints()},
                                                                  random_, clock_.wall()));
  for (const replication::Formatted& directory : formatted) {
    if (directory.path == config_.metadata_log_dir) metadata_directory_id_ = directory.directory_id;
    for (LogDirectoryState& mine : directories_.all()) {
      if (mine.path() == directory.path) mine.id = directory.directory_id;
    }
  }
  TRY_ASSIGN(state_directory_, storage::StateDirectory::open(files_, config_.state_dir, cluster_id_, config_.node_id));
  reserve_ = std::make_unique<storage::DiskReserve>(files_, config_.state_dir);
  reserve_was_needed_ = reserve_->release_if_full();
  state_store_ = std::make_unique<StateStore>(files_, config_.state_dir);
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
  options.controller.min_insync_replicas = static_cast<std::int32_t>(config_.number("min.insync.replicas").value_or(1));
  options.accept = [this](const replication::MetadataImage& image) -> Result<void> {
    TRY(accept_metadata(image));
    // The last moment before the metadata log is written: from here on an end that is torn is that of a crash.
    return directories_.take_clean_shutdown_marks();
  };
  options.controller.topic_configs.validate = [this](const std::string&, const replication::ConfigMap& overrides) -> std::optional<std::string> {
    const auto parsed = config::parse_topic_config(config_, overrides);
    return parsed ? std::nullopt : std::optional(parsed.error().context);
  };
  options.controller.topic_configs.describe = [this](const replication::MetadataImage& image,
                                                     const replication::ConfigMap& overrides) {
    const auto dynamic = dynamic_broker_configs(config_, image);
    std::vector<protocol::CreateTopicsResponse::CreatableTopicConfigs> described;
    for (const config::ConfigEntry& entry : config::describe_topic(config_, dynamic, overrides)) {
      const auto own = overrides.find(entry.name);
      described.push_back({.name = entry.name,
                           .value = own == overrides.end() ? entry.value : own->second,  // as it was written
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
      .publish = [this](replication::ImagePointer image, auto changes,
                        Callback followed) { publish(image, std::move(changes), std::move(followed)); },
      .log_changed =
          [this](bool high_watermark_advanced) {
            if (metadata_fetches_) metadata_fetches_->log_changed(high_watermark_advanced);
          },
      .make_room = [this] { return reserve_->release(); },
      .failed =
          [this](const Error& error) {
            main_.post([this, error] {
              LOG_ERROR("the metadata log cannot be written any more, the node stops: {}", error.context);
              give_up(error);
            });
          }};
  TRY_ASSIGN(controller_, LocalController::start(std::move(ports), std::move(options)));
  epoch_ = controller_->quorum().epoch;
  return {};
}

Result<void> Node::start_shards() {
  const auto count = static_cast<ShardIndex>(runtimes_.size());
  const auto image = controller_->image();
  forget_views_of_deleted_topics(*image);
  metadata_fetches_ = std::make_unique<MetadataFetches>(clock_, control_->reactor(), control_->reactor(), *controller_, cluster_id_);
  TRY_ASSIGN(const net::ServerOptions server, server_options(config_.network, count, open_files_max_));
  std::vector<LogManager*> managers;
  for (ShardIndex i = 0; i < count; ++i) {
    ShardRuntime& shard = runtimes_[i];
    net::Reactor& reactor = *shard.reactor;
    shard.control = std::make_unique<ClusterControl>(reactor, control_->reactor(), *controller_, *metadata_fetches_, config_.node_id);
    shard.groups = std::make_unique<GroupCoordinators>(
        GroupCoordinators::Ports{clock_, reactor, reactor, reactor, random_, coordinator_reads_, directories_,
                                 [this] { return state_store_->open(); }, [&shard] { return shard.broker->image(); }},
        config_);
    shard.broker = std::make_unique<Broker>(Broker::Ports{clock_, reactor, reactor, random_, large_requests_}, config_,
                                            cluster_id_, controller_->kraft_version(), *shard.control, *shard.groups,
                                            shards_, i, count);
    shard.broker->set_image(image);
    shard.logs = std::make_unique<LogManager>(
        LogManagerPorts{
            files_, clock_, reactor, reactor, flusher_, directory_pool_, *shard.groups,
            [this](LogDirectoryState& directory, const Error& error) { directory_failed(directory, error); },
            [this](auto assignments) { controller_->assign_directories(std::move(assignments)); },
            [this] { forget_checkpoints(); }, [&shard] { return shard.broker->image(); },
            [files_max = open_files_max_] {
              return net::has_free_descriptors(files_max, 2 * net::descriptors_for_moments(files_max));
            }},
        config_, shard.broker->partitions(), directories_, i, count);
    shard.server = std::make_unique<net::Server>(reactor, *shard.broker, server);
    managers.push_back(shard.logs.get());
    shards_.add({&reactor, &reactor, shard.broker.get()});
  }
  listen();
  const std::optional<LeaderEpoch> last = state_directory_->last_epoch();
  const bool was_here_last = last && epoch_ == *last + 1;
  const bool all_were_clean =
      image->partition_count() == 0 || std::ranges::all_of(directories_.all(), &LogDirectoryState::was_clean);
  directories_.cleaned_before_recovery_points(was_here_last || all_were_clean);
  for (const std::string& notice : metadata_notices(*image, config_.node_id)) LOG_WARN("{}", notice);
  say_what_does_not_hold(config_, *image);
  const std::size_t threads = static_cast<std::size_t>(config_.log.recovery_threads_per_data_dir) * directories_.all().size();
  net::ThreadPool recovery("recovery", image->partition_count() > 1 ? threads : 1);
  TRY(load_logs(files_, managers, directories_, *image, config_.node_id, recovery));
  for (LogManager* manager : managers) manager->tell_directories();
  return {};
}

// Of those that were deleted when nobody could erase their views: while the node was down, or when it ended too soon.
void Node::forget_views_of_deleted_topics(const replication::MetadataImage& image) {
  std::set<TopicId> topics;
  if (const auto offsets = image.topic(GroupCoordinators::kTopic)) topics.insert(offsets->id);
  state_store_->when_opened([topics](KeyValueStore& store) {
    const auto erased = coordinator::erase_views_of_others(store, topics);
    if (!erased) {
      LOG_WARN("the views of deleted topics are not erased: {}", erased.error().context);
    } else if (*erased > 0) {
      LOG_INFO("the views of {} deleted topics are erased", *erased);
    }
  });
}

void Node::listen() {
  net::Server& acceptor = *runtimes_.front().server;
  std::vector<net::Server*> others;
  for (std::size_t i = 1; i < runtimes_.size(); ++i) others.push_back(runtimes_[i].server.get());
  acceptor.share_with(others);
  for (net::ListeningSocket& socket : sockets_) acceptor.listen(std::move(socket));
  sockets_.clear();
}

// On the control thread. Whoever is answered after `followed` finds the image at every shard, and what it made is served. What
// the image before held alone is freed here and not on a shard.
void Node::publish(const replication::ImagePointer& image, replication::MetadataDelta::Changes changes,
                   Callback followed) {
  struct Round {
    replication::MetadataDelta::Changes changes;
    replication::ImagePointer replaced;
    Callback followed;
    std::size_t shards_left;
  };
  auto round = std::make_shared<Round>(std::move(changes), std::exchange(published_, image), std::move(followed),
                                       runtimes_.size());
  for (ShardRuntime& shard : runtimes_) {
    shard.reactor->post([this, &shard, image, round]() mutable {
      shard.broker->set_image(image);
      shard.groups->topics_deleted(round->changes.deleted_topics);
      std::shared_ptr<const LogManager::Changes> its_changes(round, &round->changes);
      shard.logs->apply(std::move(its_changes), [this, round = std::move(round)]() mutable {
        control_->reactor().post([round = std::move(round)] {
          if (--round->shards_left == 0 && round->followed) round->followed();
        });
      });
    });
  }
}

void Node::serve() {
  if (is_stopping_) return;
  // What the start has not used of it is taken before a client can.
  if (reserve_was_needed_) reserve_->take();
  for (ShardRuntime& shard : runtimes_) {
    shard.reactor->post([this, &shard] {
      shard.server->start();
      shard.groups->start(*shard.broker->image());
      shard.groups->expire_offsets_regularly();
      maintain_regularly(shard);
    });
  }
  write_checkpoints_regularly();
  remember_epoch();
  start_cleaner();
  std::vector<std::string> listeners;
  for (const config::Listener& listener : config_.listeners) {
    listeners.push_back(fmt::format("{}://{}", listener.name, Endpoint{listener.host, listener.port}.to_string()));
  }
  LOG_INFO("ready: node {} (broker, controller) of cluster {} on {} after {} ms", config_.node_id.value(), cluster_id_,
           fmt::join(listeners, ", "),
           std::chrono::duration_cast<std::chrono::milliseconds>(clock_.monotonic() - started_).count());
  log::flush();
}

void Node::repeat(net::Reactor& reactor, std::chrono::milliseconds delay, std::chrono::milliseconds interval,
                  std::function<void()> work) {
  constexpr static std::chrono::milliseconds kShortest(100);  // some intervals may be 0
  reactor.start(clock_.monotonic() + std::min(delay, kNever), [this, &reactor, interval, work = std::move(work)]() mutable {
    work();
    repeat(reactor, std::max(interval, kShortest), interval, std::move(work));
  });
}

// On the shard.
void Node::maintain_regularly(ShardRuntime& shard) {
  repeat(*shard.reactor, config_.log.initial_task_delay, config_.log.retention_check_interval, [&shard] { shard.logs->maintain(); });
  const auto expiration = config_.producer_id_expiration_check_interval;
  repeat(*shard.reactor, expiration, expiration, [&shard] { shard.logs->expire_producers(); });
  repeat(*shard.reactor, kTrimInterval, kTrimInterval, [] { net::FrameMemory::trim(); });
}

// Only where nobody may have left what was compacted and is not durable, which would have to be remembered until a clean stop.
void Node::remember_epoch() {
  if (!directories_.cleaned_before_recovery_points()) return;
  flusher_.run([this, epoch = epoch_] {
    if (const Result<void> written = state_directory_->last_epoch_is(epoch); !written)
      LOG_WARN("{}", written.error().context);
  });
}

void Node::start_cleaner() {
  if (!config_.log.cleaner_enable || config_.log.cleaner_threads == 0) return;
  std::vector<LogCleanerRunner::Shard> shards;
  for (ShardRuntime& shard : runtimes_)
    shards.push_back({shard.reactor, &shard.broker->partitions(), shard.logs.get()});
  cleaner_pool_ = std::make_unique<net::ThreadPool>("cleaner", static_cast<std::size_t>(config_.log.cleaner_threads));
  cleaner_ = std::make_unique<LogCleanerRunner>(
      CleanerPorts{files_, clock_, random_, main_, main_, *cleaner_pool_,
                   [this] { checkpoints_.begin_round({.cleaner_offsets = true}); },
                   [this](auto written) { checkpoints_.begin_round({.recovery_points = true}, std::move(written)); }},
      config_.log, std::move(shards));
  cleaner_->start();
}

void Node::write_checkpoints_regularly() {
  const auto write = [this](std::chrono::milliseconds delay, std::chrono::milliseconds interval, CheckpointKinds kinds) {
    repeat(main_, delay, interval, [this, kinds] { checkpoints_.begin_round(kinds); });
  };
  const config::LogDefaults& log = config_.log;
  write(log.initial_task_delay, log.flush_offset_checkpoint_interval, {.recovery_points = true});
  write(log.initial_task_delay, log.flush_start_offset_checkpoint_interval, {.log_start_offsets = true});
  const auto interval = config_.replica.high_watermark_checkpoint_interval;
  write(interval, interval, {.high_watermarks = true});
  constexpr std::chrono::seconds kReserveInterval(10);
  repeat(main_, std::chrono::milliseconds(0), kReserveInterval, [this] { flusher_.run([this] { reserve_->take(); }); });
  if (const auto snapshots = config_.metadata_log.max_snapshot_interval; snapshots.count() > 0) {
    repeat(main_, snapshots, snapshots, [this] { control_->reactor().post([this] { controller_->maintain(); }); });
  }
}

// On the first shard. Clients see their connections closed and turn to another broker; what waits for an answer gets none.
void Node::give_up(const Error& error) {
  if (!outcome_) return;
  outcome_ = std::unexpected(error);
  is_stopping_ = true;
  shards_to_drain_ = runtimes_.size();
  for (ShardRuntime& shard : runtimes_) {
    shard.reactor->post([this, &shard] {
      if (!shard.server) return main_.post([this] { one_shard_is_closed(); });
      shard.broker->begin_shutdown();
      shard.server->drain([this] { main_.post([this] { one_shard_is_closed(); }); });
      shard.server->close_all();
    });
  }
  main_.start(clock_.monotonic() + kGiveUpMax, [this] { main_.stop(); });
}

void Node::one_shard_is_closed() {
  if (--shards_to_drain_ == 0) main_.stop();
}

// On any shard.
void Node::directory_failed(LogDirectoryState& directory, const Error& error) {
  LOG_ERROR("log directory {} has failed, its partitions are offline until the next start: {}", directory.path(), error.context);
  for (ShardRuntime& shard : runtimes_) {
    shard.reactor->post([&shard, &directory] { shard.logs->directory_failed(directory); });
  }
  controller_->directories_failed({directory.id});
  const bool has_metadata = directory.path() == config_.metadata_log_dir;
  if (!has_metadata &&
      !std::ranges::all_of(directories_.all(), [](const LogDirectoryState& one) { return one.failed.load(); }))
    return;
  main_.post([this, error, has_metadata] {
    LOG_ERROR("{}, the node stops",
              has_metadata ? "the metadata log lies in this directory" : "all log directories have failed");
    give_up(error);
  });
}

// On any shard: as Apache Kafka does when replicas are deleted. A recovery point or log start offset of an earlier topic would
// make a restart after a crash trust, or throw away, what it must not; what was cleaned of it would count as clean.
void Node::forget_checkpoints() {
  main_.post([this] {
    checkpoints_.begin_round({.recovery_points = true, .log_start_offsets = true, .cleaner_offsets = true});
  });
}

// Requests in flight are answered; then the controller is told that the broker goes.
void Node::begin_stop(int signal_number) {
  if (!outcome_) return;  // it stops already
  LOG_INFO("stopping on signal {}: a second one ends the process at once", signal_number);
  log::flush();
  is_stopping_ = true;
  shards_to_drain_ = runtimes_.size();
  metadata_fetches_->shut_down();
  for (ShardRuntime& shard : runtimes_) {
    shard.reactor->post([this, &shard] {
      shard.broker->begin_shutdown();
      shard.groups->finish_deletions();
      shard.groups->resign_all();
      shard.logs->begin_stop();
      shard.server->drain([this] { main_.post([this] { one_shard_has_drained(); }); });
      // A client that does not read its answers must not keep the node.
      shard.reactor->start(clock_.monotonic() + kDrainMax, [&shard] {
        if (shard.server->connections() == 0) return;
        LOG_WARN("{} connections have not taken their answers in {} s: closing them", shard.server->connections(), kDrainMax.count());
        shard.server->close_all();
      });
    });
  }
}

void Node::one_shard_has_drained() {
  if (!outcome_ || --shards_to_drain_ > 0) return;
  controller_->shut_down_broker([this] { main_.post([this] { main_.stop(); }); });
}

void Node::stop_threads() {
  if (control_) control_->stop();
  metadata_sync_.stop();  // what it still does is of the controller's log
  for (const auto& thread : threads_) thread->stop();
  large_requests_pool_.stop();
  // What they still do is of the shards' log managers and of the checkpoints, which are written once more after this.
  flusher_.stop();
  directory_pool_.stop();
}

Result<void> Node::finish_stop() {
  const BrokerEpoch epoch = controller_->broker_epoch();
  stop_threads();
  cleaner_pool_.reset();  // what it is doing ends; nobody goes on with it
  coordinator_reads_.stop();  // what resigned coordinators had to save
  for (ShardRuntime& shard : runtimes_) shard.logs->close_logs(), shard.groups->save_views();
  state_store_->close();
  checkpoints_.write_now();
  TRY(controller_->close());  // before the marks: they say that the metadata log is whole, too
  TRY(directories_.mark_clean(epoch));
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
