#include "broker/group_coordinators.h"

#include <fmt/core.h>

#include "base/log.h"
#include "broker/partition_log.h"
#include "coordinator/view/stored_views.h"
#include "coordinator/view/viewed_group_state.h"

namespace kurier::broker {
namespace {

// Longer than a view takes to open, shorter than anybody's request timeout.
constexpr std::chrono::milliseconds kLoadPatience(500);

coordinator::GroupOptions options_of(const config::NodeConfig& config) {
  coordinator::GroupOptions options;
  options.initial_rebalance_delay = config.group.initial_rebalance_delay;
  options.min_session_timeout = config.group.min_session_timeout;
  options.max_session_timeout = config.group.max_session_timeout;
  options.max_size = static_cast<std::size_t>(config.group.max_size);
  options.offset_metadata_max = static_cast<std::size_t>(config.offsets.metadata_max_bytes);
  options.offsets_retention = config.offsets.retention;
  return options;
}

}  // namespace

GroupCoordinators::GroupCoordinators(Ports ports, const config::NodeConfig& config)
    : ports_(std::move(ports)),
      config_(config),
      options_(options_of(config)),
      partitions_(config.offsets.topic.partitions),
      sweeper_(ports_.executor, ports_.timers, ports_.clock) {}

GroupCoordinators::~GroupCoordinators() { resign_all(); }

std::expected<std::shared_ptr<GroupRuntime>, protocol::ErrorCode> GroupCoordinators::find(
    PartitionIndex partition) const {
  const auto found = runtimes_.find(partition);
  if (found == runtimes_.end()) {
    return std::unexpected(not_begun_.contains(partition) ? protocol::ErrorCode::kCoordinatorLoadInProgress
                                                          : protocol::ErrorCode::kNotCoordinator);
  }
  const protocol::ErrorCode availability = found->second->availability();
  if (availability != protocol::ErrorCode::kNone) return std::unexpected(availability);
  return found->second;
}

Task<std::expected<std::shared_ptr<GroupRuntime>, protocol::ErrorCode>> GroupCoordinators::find_loaded(
    PartitionIndex partition) const {
  if (const auto loading = runtimes_.find(partition); loading != runtimes_.end()) {
    co_await GroupRuntime::until_loaded(loading->second, kLoadPatience);
  }
  co_return find(partition);
}

void GroupCoordinators::leads(const std::shared_ptr<Partition>& partition, PartitionPorts ports) {
  if (partition->topic() != kTopic) return;
  const LogDirectoryState* directory = ports_.directories.holding(partition->log().directory());
  const bool after_clean_stop = directory != nullptr && directory->was_clean;  // so until the logs are loaded
  ports_.executor.post([this, partition, ports, after_clean_stop] {
    const Beginning beginning{partition, ports, after_clean_stop};
    if (started_) {
      begin(beginning);
    } else {
      not_begun_.erase(partition->index());
      not_begun_.emplace(partition->index(), beginning);
    }
  });
}

void GroupCoordinators::start(const replication::MetadataImage& image) {
  started_ = true;
  const auto topic = image.topic(kTopic);
  if (topic && !topic->partitions.empty()) partitions_ = static_cast<std::int32_t>(topic->partitions.size());
  for (const auto& [index, beginning] : std::exchange(not_begun_, {})) begin(beginning);
}

void GroupCoordinators::begin(const Beginning& beginning) {
  const auto& [partition, ports, after_clean_stop, views_lost] = beginning;
  if (auto old = runtimes_.extract(partition->index())) old.mapped()->resign();
  const std::string name = fmt::format("{}-{}", kTopic, partition->index().value());
  auto view = view_of(beginning, name);
  const auto lost = [this, again = Beginning{partition, ports, false, views_lost + 1}] {
    // Whoever called is still in the old one.
    ports_.executor.post([this, again] {
      const auto found = runtimes_.find(again.partition->index());
      const bool is_its =
          found != runtimes_.end() && found->second->availability() == protocol::ErrorCode::kNotCoordinator;
      if (is_its) begin(again);
    });
  };
  auto runtime = std::make_shared<GroupRuntime>(
      coordinator::RuntimePorts{ports_.clock, ports_.timers, ports_.spawner}, name,
      std::make_unique<PartitionLog>(ports, partition, ports_.reads),
      std::make_unique<coordinator::GroupMachine>(options_, ports_.random,
                                                  std::make_unique<coordinator::ViewedGroupState>(view)),
      partition->leader().leader_epoch(), config_.offsets.commit_timeout, GroupRuntime::View{view, lost});
  runtimes_[partition->index()] = runtime;
  runtime->begin();
  if (!after_clean_stop) ports_.spawner.spawn("deletions", go_on_with_deletions(*this, std::move(runtime), partition));
}

// A kill, or another view, has ended the sweep that a deletion began, or kept it from beginning. What was committed since this leads
// is of topics that there are, which another shard may have known first. (Apache Kafka leaves it until it expires.)
Task<void> GroupCoordinators::go_on_with_deletions(GroupCoordinators& self, std::shared_ptr<GroupRuntime> runtime,
                                                   std::shared_ptr<Partition> partition) {
  constexpr std::chrono::milliseconds kNever = std::chrono::hours(24 * 365);
  co_await GroupRuntime::until_loaded(runtime, kNever);
  if (runtime->availability() != protocol::ErrorCode::kNone) co_return;
  const Offset end = partition->log().log_end_offset();
  self.sweeper_.forget(
      runtime, [&self, end](const coordinator::TopicPartition& at, const coordinator::CommittedOffset& offset) {
        if (offset.record_offset >= end) return false;
        const auto image = self.ports_.image();
        return (offset.topic_id.is_zero() ? image->topic(at.topic) : image->topic(offset.topic_id)) == nullptr;
      });
}

// A view that was lost is made anew; if that is lost too, the disk is not to be relied on.
std::shared_ptr<coordinator::PartitionView> GroupCoordinators::view_of(const Beginning& beginning,
                                                                       const std::string& name) {
  const LogDirectoryState* directory = ports_.directories.holding(beginning.partition->log().directory());
  return std::make_shared<coordinator::PartitionView>(
      coordinator::PartitionView::Ports{
          ports_.clock, ports_.timers, ports_.executor, ports_.reads,
          [open = ports_.open_store, give_up = beginning.views_lost > 1]() -> Result<KeyValueStore*> {
            if (give_up) return fail(Failure::kIo, "it could not be read again and again");
            return open();
          },
          [this, partition = beginning.partition](Offset end, std::move_only_function<void()> save) {
            save_last(partition, end, std::move(save));
          }},
      coordinator::PartitionView::Options{.name = name,
                                          .topic_id = beginning.partition->topic_id(),
                                          .partition = beginning.partition->index(),
                                          .log_directory_id = directory == nullptr ? kZeroUuid : directory->id,
                                          .distrust = beginning.views_lost > 0});
}

// While the node goes on, only what is durable already: nobody waits for the flush of a log that others lead.
void GroupCoordinators::save_last(const std::shared_ptr<Partition>& partition, Offset end,
                                  std::move_only_function<void()> save) {
  if (is_stopping_) {
    last_saves_.push_back({partition, end, std::move(save)});
  } else if (partition->log().durable_end() >= end) {
    ports_.reads.run(std::move(save));
  }
}

void GroupCoordinators::save_views() {
  for (LastSave& last : std::exchange(last_saves_, {})) {
    if (last.partition->log().durable_end() >= last.end) last.save();
  }
}

void GroupCoordinators::leads_no_longer(const std::shared_ptr<Partition>& partition) {
  if (partition->topic() != kTopic) return;
  ports_.executor.post([this, partition] {
    not_begun_.erase(partition->index());
    if (auto old = runtimes_.extract(partition->index())) old.mapped()->resign();
  });
}

void GroupCoordinators::topics_deleted(const std::map<TopicId, std::string>& topics) {
  coordinator::DeletedTopics deleted;
  for (const auto& [id, name] : topics) deleted.insert({name, id});
  for (const auto& [index, runtime] : runtimes_) sweeper_.forget(runtime, deleted);
  for (const auto& [id, name] : topics) {
    if (name == kTopic) erase_views(id);
  }
}

// Of the partitions that this leads until what `leads_no_longer` has posted is done. Their coordinators have nothing to save
// after that. If the node ends too soon, the next start erases them.
void GroupCoordinators::erase_views(TopicId topic) {
  std::vector<Bytes> prefixes;
  for (const auto& [index, runtime] : runtimes_) prefixes.push_back(coordinator::view_prefix(topic, index));
  ports_.executor.post([this, prefixes = std::move(prefixes)]() mutable {
    ports_.reads.run([open_store = ports_.open_store, prefixes = std::move(prefixes)] {
      const auto opened = open_store();
      for (const Bytes& prefix : prefixes) {
        const Result<void> erased = opened ? (*opened)->erase_prefix(prefix) : std::unexpected(opened.error());
        if (!erased) LOG_WARN("the view of a deleted topic is not erased: {}", erased.error().context);
      }
    });
  });
}

void GroupCoordinators::expire_offsets_regularly() {
  constexpr std::chrono::milliseconds kNever = std::chrono::hours(24 * 365);
  ports_.timers.start(ports_.clock.monotonic() + std::min(config_.offsets.retention_check_interval, kNever), [this] {
    expire_offsets();
    expire_offsets_regularly();
  });
}

void GroupCoordinators::expire_offsets() {
  for (const auto& [index, runtime] : runtimes_) sweeper_.expire(runtime);
}

void GroupCoordinators::resign_all() {
  is_stopping_ = true;
  for (const auto& [index, runtime] : std::exchange(runtimes_, {})) runtime->resign();
}

}  // namespace kurier::broker
