// MemoryGroupState: the durable state of one partition of __consumer_offsets, all of it in memory. For tests, and to
// replay into. One thread.
#pragma once

#include <map>
#include <set>

#include "coordinator/group/state.h"

namespace kurier::coordinator {

class MemoryGroupState final : public GroupState {
 public:
  void visit_groups(const std::optional<std::string>& after, const VisitGroup& visit) const override;
  void visit_groups_with_members(const std::optional<std::string>& after, const VisitGroup& visit) const override;
  [[nodiscard]] std::optional<protocol::GroupMetadataValue> classic_group(std::string_view group) const override;
  void for_each_other_record(std::string_view group,
                             const std::function<void(const Bytes& key, const Bytes& value)>& visit) const override;
  [[nodiscard]] std::optional<CommittedOffset> offset(std::string_view group, std::string_view topic,
                                                      std::int32_t partition) const override;
  void visit_offsets(std::string_view group, const std::optional<TopicPartition>& after,
                     const VisitOffset& visit) const override;
  [[nodiscard]] bool has_offsets(std::string_view group) const override;
  [[nodiscard]] bool has_pending(std::string_view group, std::string_view topic, std::int32_t partition) const override;
  void visit_pending(std::string_view group, const std::optional<TopicPartition>& after,
                     const VisitPending& visit) const override;
  [[nodiscard]] bool has_any_pending(std::string_view group) const override;

  void put_classic_group(std::string_view group, protocol::GroupMetadataValue value) override;
  void erase_classic_group(std::string_view group) override;
  void put_other_record(std::string_view group, Bytes key, Bytes value) override;
  void erase_other_record(std::string_view group, const Bytes& key) override;
  void put_offset(std::string_view group, const TopicPartition& partition, CommittedOffset offset) override;
  void erase_offset(std::string_view group, const TopicPartition& partition) override;
  void put_pending(ProducerId producer, std::string_view group, const TopicPartition& partition,
                   CommittedOffset offset) override;
  void erase_pending(std::string_view group, const TopicPartition& partition) override;
  std::vector<std::pair<GroupPartition, CommittedOffset>> take_pending(ProducerId producer) override;

  bool operator==(const MemoryGroupState& other) const {
    return groups_ == other.groups_ && pending_of_ == other.pending_of_;
  }

 private:
  struct Group {
    std::optional<protocol::GroupMetadataValue> classic;
    std::map<Bytes, Bytes> others;
    std::map<TopicPartition, CommittedOffset> offsets;
    std::map<TopicPartition, std::map<ProducerId, CommittedOffset>> pending;
    [[nodiscard]] bool is_nothing() const { return !classic && others.empty() && offsets.empty() && pending.empty(); }
    bool operator==(const Group&) const = default;
  };
  [[nodiscard]] const Group* find(std::string_view group) const;
  Group& at(std::string_view group) { return groups_[std::string(group)]; }
  void forget_if_nothing(std::string_view group);

  std::map<std::string, Group, std::less<>> groups_;
  std::map<ProducerId, std::set<GroupPartition>> pending_of_;  // where a producer has something pending
};

}  // namespace kurier::coordinator
