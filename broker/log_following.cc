// How the partitions of a shard follow the metadata: a little at a time, while a pool makes and renames their directories.
#include <fmt/core.h>

#include <algorithm>
#include <limits>

#include "base/log.h"
#include "broker/large_requests.h"
#include "broker/log_manager.h"

namespace kurier::broker {
namespace {

using replication::ConfigResourceType;
using replication::MetadataImage;

constexpr std::chrono::milliseconds kDelayMax =
    std::chrono::hours(24 * 365);  // what may be said is longer than a clock can count

// The shard owns both names of it, and so does what was there before of the same name.
std::string directory_of(const std::string& topic, PartitionIndex index) {
  return fmt::format("{}-{}", topic, index.value());
}

}  // namespace

void LogManager::apply(std::shared_ptr<const Changes> changes, Callback followed) {
  auto following = std::make_shared<Following>();
  following->deleted = changes->deleted_topics.begin();
  following->topic = changes->topics.begin();
  following->config = changes->configs.begin();
  following->changes = std::move(changes);
  following->followed = std::move(followed);
  following->batch = work_.new_batch();
  following_.push_back(std::move(following));
  if (following_.size() == 1) follow();
}

void LogManager::follow() {
  const FollowingPointer following = following_.front();
  bool goes_on = true;
  for (std::size_t i = 0; goes_on && i < kElementsPerTurn; ++i) goes_on = step(following);
  if (!goes_on) {
    following_.pop_front();
    tell_directories();
    if (following->has_removed) ports_.topic_removed();
    one_less(following);
  }
  if (!following_.empty()) ports_.executor.post([this] { follow(); });
}

bool LogManager::step(const FollowingPointer& following) {
  Following& one = *following;
  if (!one.leaving.empty()) {
    const auto partition = std::move(one.leaving.back());
    one.leaving.pop_back();
    if (!partition) return true;
    partition->resign();
    ports_.observer.leads_no_longer(partition);
    set_aside(partition->log().directory(), partition->topic_id(), partition->config().file_delete_delay, following);
  } else if (one.deleted != one.changes->deleted_topics.end()) {
    remove(one.deleted->first, one.deleted->second, one);
    ++one.deleted;
  } else if (one.topic != one.changes->topics.end()) {
    follow_topic(following);
  } else if (one.config != one.changes->configs.end()) {
    follow_config(*one.config++);
  } else {
    return false;
  }
  return true;
}

void LogManager::one_less(const FollowingPointer& following) {
  if (--following->left > 0) return;
  tell_directories();
  following->changes.reset();
  if (auto followed = std::exchange(following->followed, {})) followed();
}

// One partition of the topic, as the newest image has it: what this image said of it may be of the past already.
void LogManager::follow_topic(const FollowingPointer& following) {
  const auto image = ports_.image();
  const auto topic = image->topic(*following->topic);
  const auto next_topic = [&] {
    ++following->topic;
    following->partition = PartitionIndex(0);
  };
  if (!topic) return next_topic();
  const auto at = topic->partitions.lower_bound(following->partition);
  if (at == topic->partitions.end()) return next_topic();
  follow_partition(following, topic, at->second);
  if (std::next(at) == topic->partitions.end()) return next_topic();
  following->partition = std::next(at)->first;
}

void LogManager::follow_partition(const FollowingPointer& following, const replication::TopicPointer& topic,
                                  const replication::PartitionImage& partition) {
  const PartitionIndex index = partition.partition_id;
  const std::pair place{topic->id, index};
  if (!is_mine(topic->name, partition) || to_open_.contains(place) || offline_.contains(place) ||
      making_.contains(place))
    return;
  const LocalTopic* local = table_.find(topic->id);
  const auto known = local == nullptr ? nullptr : local->find(index);
  if (known == nullptr) return make(following, topic, index);
  if (known->is_offline() || known->leader().leader_epoch() == partition.leader_epoch) return;
  known->lead(leadership(partition, known->config()));
  if (partition.leader == config_.node_id) {
    ports_.observer.leads(known, partition_ports());
  } else {
    ports_.observer.leads_no_longer(known);
  }
}

void LogManager::make(const FollowingPointer& following, const replication::TopicPointer& topic, PartitionIndex index) {
  const auto is_unwanted = std::make_shared<std::atomic<bool>>(false);
  making_.emplace(std::pair(topic->id, index), is_unwanted);
  ++following->left;
  work_.add(following->batch, directory_of(topic->name, index),
            [this, following = following, topic, index, is_unwanted, image = ports_.image()]() mutable -> Callback {
              auto opened = *is_unwanted || is_stopping_
                                ? Result<Opened>(fail(Failure::kCancelled, "it is not wanted any more"))
                                : open_log(*image, *topic, topic->partitions.find(index)->second);
              return [this, following = std::move(following), id = topic->id, index, image = std::move(image),
                      opened = std::move(opened)]() mutable {
                made(id, index, *image, std::move(opened));
                one_less(following);
              };
            });
}

// `with`: the image that it was made by.
void LogManager::made(TopicId id, PartitionIndex index, const MetadataImage& with, Result<Opened> opened) {
  const bool is_wanted = making_.erase({id, index}) > 0;
  const auto image = ports_.image();
  const auto topic = image->topic(id);
  const replication::PartitionImage* partition = topic ? image->partition(id, index) : nullptr;
  if (!is_wanted || partition == nullptr) {
    if (opened) set_aside(opened->log->directory(), id, opened->config.file_delete_delay, nullptr);
    return;
  }
  if (!opened && opened.error().failure == Failure::kCancelled) return;
  // Nobody has told a partition that was not there yet.
  if (opened && opened->directory->failed) opened = fail(Failure::kIo, "its log directory has failed");
  const bool is_outdated = opened && image.get() != &with && has_other_configs(with, *image, topic->name);
  const Result<void> adopted = opened ? adopt(*topic, *partition, std::move(*opened)) : std::unexpected(opened.error());
  if (!adopted) return could_not_open(*topic, *partition, adopted.error());
  if (is_outdated) change_config(*image, *table_.find(id));
}

bool LogManager::has_other_configs(const MetadataImage& left, const MetadataImage& right,
                                   const std::string& topic) const {
  const std::string self = std::to_string(config_.node_id.value());
  const auto differ = [&](ConfigResourceType type, const std::string& name) {
    return left.configs(type, name) != right.configs(type, name);
  };
  return differ(ConfigResourceType::kTopic, topic) || differ(ConfigResourceType::kBroker, self) ||
         differ(ConfigResourceType::kBroker, "");
}

void LogManager::follow_config(const replication::ConfigResource& resource) {
  const auto image = ports_.image();
  if (resource.type == static_cast<std::int8_t>(ConfigResourceType::kBroker)) {
    for (const auto& [id, topic] : table_.topics()) change_config(*image, topic);  // what topics inherit
  }
  if (resource.type != static_cast<std::int8_t>(ConfigResourceType::kTopic)) return;
  if (shard_ == 0) say_what_does_not_hold(config_, *image, resource.name);
  if (const LocalTopic* local = table_.find(resource.name)) change_config(*image, *local);
}

void LogManager::remove(TopicId topic, const std::string& name, Following& following) {
  following.leaving = table_.remove(topic);
  std::ranges::reverse(following.leaving);  // taken from the back
  following.has_removed = following.has_removed || !following.leaving.empty();
  for (auto at = making_.lower_bound({topic, PartitionIndex(std::numeric_limits<std::int32_t>::min())});
       at != making_.end() && at->first.first == topic; at = making_.erase(at)) {
    *at->second = true;
  }
  forget_unopened(topic, name);
}

// Kafka's name for it: out of the way at once, gone after file.delete.delay.ms.
void LogManager::set_aside(std::string path, TopicId topic, std::chrono::milliseconds delay,
                           const FollowingPointer& following) {
  if (auto* directory = directories_.holding(path)) --directory->partitions;
  if (following) ++following->left;
  const std::string name = path.substr(path.rfind('/') + 1);
  const auto batch = following ? following->batch : removals_;
  work_.add_next(batch, name, [this, path = std::move(path), topic, delay, following]() -> Callback {
    std::string gone = renamed_directory(path, topic, "delete");
    const Result<void> moved = ports_.files.rename(path, gone);
    if (!moved) LOG_ERROR("deleting {}: {}", path, moved.error().context);
    return [this, delay, following, gone = moved ? std::move(gone) : std::string()]() mutable {
      if (!gone.empty()) remove_tree_later(std::move(gone), delay);
      if (following) one_less(following);
    };
  });
}

void LogManager::remove_tree_later(std::string path, std::chrono::milliseconds delay) {
  const MonotonicTime due = ports_.clock.monotonic() + std::min(delay, kDelayMax);
  ports_.timers.start(due, [this, path = std::move(path)]() mutable {
    const std::string name = path;
    work_.add(removals_, name, [this, path = std::move(path)]() -> Callback {
      const Result<void> removed = ports_.files.remove_tree(path);
      if (!removed) LOG_ERROR("removing {}: {}", path, removed.error().context);
      return {};
    });
  });
}

// One at a time, because it may be a long recovery.
void LogManager::try_again() {
  tries_again_ = false;
  while (!to_open_.empty()) {
    const auto id = to_open_.begin()->first;
    const auto index = to_open_.begin()->second;
    const auto image = ports_.image();
    const auto topic = image->topic(id);
    const replication::PartitionImage* partition = topic ? image->partition(id, index) : nullptr;
    if (partition == nullptr) {
      to_open_.erase(to_open_.begin());
      continue;
    }
    tries_again_ = true;
    work_.add(removals_, directory_of(topic->name, index), [this, image, topic, partition, id, index]() -> Callback {
      return [this, id, index, opened = open_log(*image, *topic, *partition)]() mutable {
        opened_after_all(id, index, std::move(opened));
      };
    });
    return;
  }
}

void LogManager::opened_after_all(TopicId id, PartitionIndex index, Result<Opened> opened) {
  tries_again_ = false;
  const auto image = ports_.image();
  const auto topic = image->topic(id);
  const replication::PartitionImage* partition = topic ? image->partition(id, index) : nullptr;
  to_open_.erase({id, index});
  if (partition == nullptr) {
    if (opened) set_aside(opened->log->directory(), id, {}, nullptr);
    return try_again();
  }
  const Result<void> adopted = opened ? adopt(*topic, *partition, std::move(*opened)) : std::unexpected(opened.error());
  if (adopted) {
    directories_.no_longer_unopened({topic->name, index});
    tell_directories();
    LOG_INFO("partition {}-{} is open after all", topic->name, index.value());
    return try_again();
  }
  if (is_passing(adopted.error().failure)) {
    to_open_.emplace(id, index);
    return try_again_later();
  }
  offline_.emplace(id, index);
  LOG_ERROR("partition {}-{} stays offline until the next start: {}", topic->name, index.value(),
            adopted.error().context);
  try_again();
}

}  // namespace kurier::broker
