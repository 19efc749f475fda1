// Port: the durable state of one partition of __consumer_offsets, which is what its records say.
//
// Only replay.h writes to it. ViewedGroupState implements it over a view; MemoryGroupState keeps all in
// memory. Calls come from one thread and do not block: what an operation reads is listed in docs/coordinator.md.
// Everything is visited in the order of its key (group ids, topics as bytes; partitions as numbers), so that equal
// states give equal traces.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/uuid.h"
#include "protocol/messages/group_metadata_value.h"

namespace kurier::coordinator {

struct CommittedOffset {
  Offset offset;
  LeaderEpoch leader_epoch{-1};
  std::string metadata;
  Timestamp commit_timestamp;
  Timestamp expire_timestamp{-1};  // -1: the broker's retention decides
  TopicId topic_id;                // zero: committed by name
  Offset record_offset{-1};        // of the record that says so, in __consumer_offsets
  bool operator==(const CommittedOffset&) const = default;
};

struct TopicPartition {
  std::string topic;
  std::int32_t partition = 0;
  auto operator<=>(const TopicPartition&) const = default;
};

struct GroupPartition {
  std::string group;
  TopicPartition partition;
  auto operator<=>(const GroupPartition&) const = default;
};

class GroupStateReader {
 public:
  virtual ~GroupStateReader() = default;

  // Every group of which there is a record, a committed offset or a pending one, behind `after`.
  using VisitGroup = std::function<bool(const std::string& group)>;  // false: no more
  virtual void visit_groups(const std::optional<std::string>& after, const VisitGroup& visit) const = 0;
  // Those of them whose last group record names members.
  virtual void visit_groups_with_members(const std::optional<std::string>& after, const VisitGroup& visit) const = 0;
  // The last group record; none if the group has none.
  [[nodiscard]] virtual std::optional<protocol::GroupMetadataValue> classic_group(std::string_view group) const = 0;
  // Records of other group types (keys from 3 on), as bytes.
  virtual void for_each_other_record(std::string_view group,
                                     const std::function<void(const Bytes& key, const Bytes& value)>& visit) const = 0;

  [[nodiscard]] virtual std::optional<CommittedOffset> offset(std::string_view group, std::string_view topic,
                                                              std::int32_t partition) const = 0;
  // Those of a group behind `after`.
  using VisitOffset = std::function<bool(const TopicPartition&, const CommittedOffset&)>;  // false: no more
  virtual void visit_offsets(std::string_view group, const std::optional<TopicPartition>& after,
                             const VisitOffset& visit) const = 0;
  [[nodiscard]] virtual bool has_offsets(std::string_view group) const = 0;

  // Offsets of transactions whose marker has not come.
  [[nodiscard]] virtual bool has_pending(std::string_view group, std::string_view topic,
                                         std::int32_t partition) const = 0;
  using VisitPending = std::function<bool(ProducerId, const TopicPartition&, const CommittedOffset&)>;
  virtual void visit_pending(std::string_view group, const std::optional<TopicPartition>& after,
                             const VisitPending& visit) const = 0;
  [[nodiscard]] virtual bool has_any_pending(std::string_view group) const = 0;

  // Without an end but the last one.
  template <class Visit>
  void for_each_group(Visit visit) const {
    visit_groups(std::nullopt, [&](const std::string& group) { return visit(group), true; });
  }
  template <class Visit>
  void for_each_group_with_members(Visit visit) const {
    visit_groups_with_members(std::nullopt, [&](const std::string& group) { return visit(group), true; });
  }
  template <class Visit>
  void for_each_offset(std::string_view group, Visit visit) const {
    visit_offsets(group, std::nullopt, [&](const TopicPartition& partition, const CommittedOffset& offset) {
      return visit(partition, offset), true;
    });
  }
  template <class Visit>
  void for_each_pending(std::string_view group, Visit visit) const {
    visit_pending(group, std::nullopt,
                  [&](ProducerId producer, const TopicPartition& partition, const CommittedOffset& offset) {
                    return visit(producer, partition, offset), true;
                  });
  }
};

class GroupState : public GroupStateReader {
 public:
  virtual void put_classic_group(std::string_view group, protocol::GroupMetadataValue value) = 0;
  virtual void erase_classic_group(std::string_view group) = 0;
  virtual void put_other_record(std::string_view group, Bytes key, Bytes value) = 0;
  virtual void erase_other_record(std::string_view group, const Bytes& key) = 0;
  virtual void put_offset(std::string_view group, const TopicPartition& partition, CommittedOffset offset) = 0;
  virtual void erase_offset(std::string_view group, const TopicPartition& partition) = 0;
  virtual void put_pending(ProducerId producer, std::string_view group, const TopicPartition& partition,
                           CommittedOffset offset) = 0;
  // Of every producer.
  virtual void erase_pending(std::string_view group, const TopicPartition& partition) = 0;
  // Removes and returns what a producer has pending, by group, topic and partition.
  virtual std::vector<std::pair<GroupPartition, CommittedOffset>> take_pending(ProducerId producer) = 0;
};

}  // namespace kurier::coordinator
