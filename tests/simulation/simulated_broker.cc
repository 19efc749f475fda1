#include "tests/simulation/simulated_broker.h"

#include <array>

#include "base/check.h"

namespace kurier::simulation {

using namespace broker;

SimulatedBroker::SimulatedBroker(SimulatedFileSystem& machine, SimulatedKeyValueStore& store, Random& random,
                                 Options options)
    : machine_(machine),
      store_(store),
      random_(random),
      options_(std::move(options)),
      image_(std::make_shared<const replication::MetadataImage>(image_of(options_))) {
  shard_.pass(std::chrono::duration_cast<std::chrono::milliseconds>(options_.begins.time_since_epoch()));
  const auto open_store = [this]() -> Result<KeyValueStore*> {
    if (!options_.store_opens) return fail(Failure::kIo, "the simulated store cannot be opened");
    return &store_;
  };
  groups_ =
      std::make_unique<GroupCoordinators>(GroupCoordinators::Ports{shard_, shard_, shard_, shard_, random_, reads_,
                                                                   directories_, open_store, [this] { return image_; }},
                                          options_.config);
  logs_ = std::make_unique<LogManager>(
      LogManagerPorts{.files = machine_,
                      .clock = shard_,
                      .executor = shard_,
                      .timers = shard_,
                      .flusher = flusher_,
                      .directory_pool = directory_work_,
                      .observer = *groups_,
                      .directory_failed = [this](LogDirectoryState& directory,
                                                 const Error&) { logs_->directory_failed(directory); },
                      .assign_directories = [](const auto&) {},
                      .topic_removed = [] {},
                      .image = [this] { return image_; },
                      .has_descriptors = [] { return true; }},
      options_.config, table_, directories_, ShardIndex(0), ShardIndex(1));
}

// Whoever waits is sent away, and nothing is left that could call back.
SimulatedBroker::~SimulatedBroker() {
  groups_->resign_all();
  if (partition_) partition_->resign();
  work_until_idle();
}

replication::MetadataImage SimulatedBroker::image_of(const Options& options) {
  replication::MetadataDelta delta{replication::MetadataImage{}};
  const auto add = [&](const replication::MetadataRecord& record) {
    const Result<void> replayed = delta.replay(record);
    KURIER_CHECK_MESSAGE(replayed.has_value(), replayed.error().context);
  };
  for (std::size_t i = 0; i < options.topics.size(); ++i) {
    protocol::TopicRecord other;
    other.name = options.topics[i];
    other.topic_id = TopicId{11, i + 1};
    add(other);
  }
  protocol::TopicRecord topic;
  topic.name = kTopic;
  topic.topic_id = kTopicId;
  add(topic);
  protocol::PartitionRecord partition;
  partition.topic_id = kTopicId;
  partition.partition_id = PartitionIndex(0);
  partition.replicas = {options.config.node_id};
  partition.isr = partition.replicas;
  partition.directories = {kDirectoryId};
  partition.leader = options.config.node_id;
  partition.leader_epoch = options.leader_epoch;
  partition.partition_epoch = PartitionEpoch(0);
  add(partition);
  for (const auto& [name, value] : options.topic_config) {
    protocol::ConfigRecord config;
    config.resource_type = static_cast<std::int8_t>(replication::ConfigResourceType::kTopic);
    config.resource_name = kTopic;
    config.name = name;
    config.value = value;
    add(config);
  }
  return delta.take();
}

Result<void> SimulatedBroker::start() {
  TRY(machine_.make_directories(kDirectory));
  TRY_ASSIGN(auto directory, storage::LogDirectory::open(machine_, kDirectory));
  TRY(directories_.add(std::move(directory)));
  directories_.all().front().id = kDirectoryId;
  TRY(directories_.take_clean_shutdown_marks());
  directories_.cleaned_before_recovery_points(!options_.others_have_cleaned || directories_.all().front().was_clean);
  TRY(load_logs(machine_, {logs_.get()}, directories_, *image_, options_.config.node_id, flusher_));
  const LocalTopic* topic = table_.find(kTopicId);
  if (topic == nullptr) return fail(Failure::kIo, "the log could not be opened");
  partition_ = topic->find(PartitionIndex(0));
  groups_->start(*image_);
  groups_->expire_offsets_regularly();
  start_cleaner();
  return {};
}

void SimulatedBroker::start_cleaner() {
  cleaner_ = std::make_unique<LogCleanerRunner>(
      CleanerPorts{machine_, shard_, random_, shard_, shard_, cleaning_,
                   [this] { write_checkpoints({.cleaner_offsets = true}); },
                   [this](auto written) { write_checkpoints({.recovery_points = true}, std::move(written)); }},
      options_.config.log, std::vector<LogCleanerRunner::Shard>{{&shard_, &table_, logs_.get()}});
  cleaner_->start();
}

void SimulatedBroker::write_checkpoints(CheckpointKinds kinds, std::move_only_function<void(bool)> done) {
  std::vector<DirectoryOffsets> offsets(1);
  logs_->collect_offsets(offsets);
  flusher_.run([this, offsets = std::move(offsets), kinds, done = std::move(done)]() mutable {
    const bool written = directories_.write_checkpoints(offsets, kinds);
    shard_.post([written, done = std::move(done)]() mutable {
      if (done) done(written);
    });
  });
}

bool SimulatedBroker::work() {
  shard_.run_posted();
  std::vector<test::ManualPool*> busy;
  for (test::ManualPool* pool : {&reads_, &flusher_, &directory_work_, &cleaning_}) {
    if (!pool->is_idle()) busy.push_back(pool);
  }
  if (busy.empty()) return false;
  busy[random_.below(busy.size())]->run_one();
  shard_.run_posted();
  return true;
}

void SimulatedBroker::work_until_idle() {
  while (work()) {
  }
}

Result<void> SimulatedBroker::stop() {
  groups_->resign_all();
  work_until_idle();
  logs_->close_logs();
  groups_->save_views();
  TRY(store_.flush());
  std::vector<DirectoryOffsets> offsets(1);
  logs_->collect_offsets(offsets);
  directories_.write_checkpoints(offsets, {true, true, true, true});
  return directories_.mark_clean(BrokerEpoch(1));
}

std::shared_ptr<GroupRuntime> SimulatedBroker::coordinator() const {
  const auto found = groups_->find(PartitionIndex(0));
  return found ? *found : nullptr;
}

}  // namespace kurier::simulation
