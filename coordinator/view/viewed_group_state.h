// ViewedGroupState: the durable state of one partition of __consumer_offsets as keys and values of a PartitionView.
//
//   1 group 1                              the last group record
//   1 group 2 key                          a record of another group type
//   1 group 3 topic partition              a committed offset
//   1 group 4 topic partition producer     an offset of a transaction whose marker has not come
//   2 group                                nothing; the last group record names members
//   3 producer group topic partition       nothing; the producer has something pending there
//
// Nothing of it but `may_have_pending_` is kept in memory; every call is one short read of the view, or goes over what it names. One thread.
#pragma once

#include "coordinator/group/state.h"
#include "coordinator/view/partition_view.h"

namespace kurier::coordinator {

class ViewedGroupState final : public GroupState {
 public:
  explicit ViewedGroupState(std::shared_ptr<PartitionView> view) : view_(std::move(view)) {}

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

 private:
  template <class Value>
  [[nodiscard]] std::optional<Value> sound(Result<Value> decoded) const;
  [[nodiscard]] bool has_any(const Bytes& prefix) const;
  [[nodiscard]] bool may_have_pending() const;

  std::shared_ptr<PartitionView> view_;
  // Whether any producer has anything pending, which is rare: nothing has to be looked up then. None: not known.
  mutable std::optional<bool> may_have_pending_;
};

}  // namespace kurier::coordinator
