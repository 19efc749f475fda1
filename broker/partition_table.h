// PartitionTable: the partitions of one shard by topic and number. On that shard's thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "broker/partition.h"

namespace kurier::broker {

struct LocalTopic {
  std::string name;
  TopicId id;
  std::vector<std::shared_ptr<Partition>> partitions;  // by number; null: not on this shard

  [[nodiscard]] std::shared_ptr<Partition> find(PartitionIndex index) const {
    const auto at = static_cast<std::size_t>(index.value());
    return index.value() >= 0 && at < partitions.size() ? partitions[at] : nullptr;
  }
};

class PartitionTable {
 public:
  void add(std::shared_ptr<Partition> partition) {
    unopened_.erase({partition->topic_id(), partition->index()});
    LocalTopic& topic = by_id_[partition->topic_id()];
    topic.name = partition->topic();
    topic.id = partition->topic_id();
    by_name_[topic.name] = topic.id;
    const auto at = static_cast<std::size_t>(partition->index().value());
    if (topic.partitions.size() <= at) topic.partitions.resize(at + 1);
    topic.partitions[at] = std::move(partition);
  }
  // What it held; its requests have not been answered yet.
  std::vector<std::shared_ptr<Partition>> remove(TopicId id) {
    const auto first = unopened_.lower_bound({id, PartitionIndex(INT32_MIN)});
    unopened_.erase(first, unopened_.upper_bound({id, PartitionIndex(INT32_MAX)}));
    const auto found = by_id_.extract(id);
    if (!found) return {};
    const auto named = by_name_.find(found.mapped().name);
    if (named != by_name_.end() && named->second == id) by_name_.erase(named);
    return std::move(found.mapped().partitions);
  }
  // Its log could not be opened: it is not on its way, it is offline.
  void could_not_open(TopicId id, PartitionIndex index) { unopened_.emplace(id, index); }
  [[nodiscard]] bool is_unopened(TopicId id, PartitionIndex index) const { return unopened_.contains({id, index}); }
  [[nodiscard]] const LocalTopic* find(const std::string& name) const {
    const auto found = by_name_.find(name);
    return found == by_name_.end() ? nullptr : find(found->second);
  }
  [[nodiscard]] const LocalTopic* find(TopicId id) const {
    const auto found = by_id_.find(id);
    return found == by_id_.end() ? nullptr : &found->second;
  }
  [[nodiscard]] const std::map<TopicId, LocalTopic>& topics() const { return by_id_; }

 private:
  std::map<TopicId, LocalTopic> by_id_;
  std::unordered_map<std::string, TopicId> by_name_;
  std::set<std::pair<TopicId, PartitionIndex>> unopened_;
};

}  // namespace kurier::broker
