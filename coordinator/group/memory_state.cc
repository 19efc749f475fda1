#include "coordinator/group/memory_state.h"

namespace kurier::coordinator {

const MemoryGroupState::Group* MemoryGroupState::find(std::string_view group) const {
  const auto found = groups_.find(group);
  return found == groups_.end() ? nullptr : &found->second;
}

void MemoryGroupState::forget_if_nothing(std::string_view group) {
  const auto found = groups_.find(group);
  if (found != groups_.end() && found->second.is_nothing()) groups_.erase(found);
}

namespace {

// Behind `after`; the first one if there is none.
template <class Map, class Key>
auto behind(const Map& map, const std::optional<Key>& after) {
  return after ? map.upper_bound(*after) : map.begin();
}

}  // namespace

void MemoryGroupState::visit_groups(const std::optional<std::string>& after, const VisitGroup& visit) const {
  for (auto at = behind(groups_, after); at != groups_.end(); ++at) {
    if (!visit(at->first)) return;
  }
}

void MemoryGroupState::visit_groups_with_members(const std::optional<std::string>& after,
                                                 const VisitGroup& visit) const {
  for (auto at = behind(groups_, after); at != groups_.end(); ++at) {
    const auto& classic = at->second.classic;
    if (classic && !classic->members.empty() && !visit(at->first)) return;
  }
}

std::optional<protocol::GroupMetadataValue> MemoryGroupState::classic_group(std::string_view group) const {
  const Group* found = find(group);
  return found == nullptr ? std::nullopt : found->classic;
}

void MemoryGroupState::for_each_other_record(
    std::string_view group, const std::function<void(const Bytes& key, const Bytes& value)>& visit) const {
  const Group* found = find(group);
  if (found == nullptr) return;
  for (const auto& [key, value] : found->others) visit(key, value);
}

std::optional<CommittedOffset> MemoryGroupState::offset(std::string_view group, std::string_view topic,
                                                        std::int32_t partition) const {
  const Group* found = find(group);
  if (found == nullptr) return std::nullopt;
  const auto at = found->offsets.find(TopicPartition{std::string(topic), partition});
  return at == found->offsets.end() ? std::nullopt : std::optional(at->second);
}

void MemoryGroupState::visit_offsets(std::string_view group, const std::optional<TopicPartition>& after,
                                     const VisitOffset& visit) const {
  const Group* found = find(group);
  if (found == nullptr) return;
  for (auto at = behind(found->offsets, after); at != found->offsets.end(); ++at) {
    if (!visit(at->first, at->second)) return;
  }
}

bool MemoryGroupState::has_offsets(std::string_view group) const {
  const Group* found = find(group);
  return found != nullptr && !found->offsets.empty();
}

bool MemoryGroupState::has_pending(std::string_view group, std::string_view topic, std::int32_t partition) const {
  const Group* found = find(group);
  return found != nullptr && found->pending.contains(TopicPartition{std::string(topic), partition});
}

void MemoryGroupState::visit_pending(std::string_view group, const std::optional<TopicPartition>& after,
                                     const VisitPending& visit) const {
  const Group* found = find(group);
  if (found == nullptr) return;
  for (auto at = behind(found->pending, after); at != found->pending.end(); ++at) {
    for (const auto& [producer, offset] : at->second) {
      if (!visit(producer, at->first, offset)) return;
    }
  }
}

bool MemoryGroupState::has_any_pending(std::string_view group) const {
  const Group* found = find(group);
  return found != nullptr && !found->pending.empty();
}

void MemoryGroupState::put_classic_group(std::string_view group, protocol::GroupMetadataValue value) {
  at(group).classic = std::move(value);
}

void MemoryGroupState::erase_classic_group(std::string_view group) {
  if (const auto found = groups_.find(group); found != groups_.end()) found->second.classic.reset();
  forget_if_nothing(group);
}

void MemoryGroupState::put_other_record(std::string_view group, Bytes key, Bytes value) {
  at(group).others[std::move(key)] = std::move(value);
}

void MemoryGroupState::erase_other_record(std::string_view group, const Bytes& key) {
  if (const auto found = groups_.find(group); found != groups_.end()) found->second.others.erase(key);
  forget_if_nothing(group);
}

void MemoryGroupState::put_offset(std::string_view group, const TopicPartition& partition, CommittedOffset offset) {
  at(group).offsets[partition] = std::move(offset);
}

void MemoryGroupState::erase_offset(std::string_view group, const TopicPartition& partition) {
  if (const auto found = groups_.find(group); found != groups_.end()) found->second.offsets.erase(partition);
  forget_if_nothing(group);
}

void MemoryGroupState::put_pending(ProducerId producer, std::string_view group, const TopicPartition& partition,
                                   CommittedOffset offset) {
  at(group).pending[partition][producer] = std::move(offset);
  pending_of_[producer].insert(GroupPartition{std::string(group), partition});
}

void MemoryGroupState::erase_pending(std::string_view group, const TopicPartition& partition) {
  const auto found = groups_.find(group);
  if (found == groups_.end()) return;
  const auto at = found->second.pending.find(partition);
  if (at == found->second.pending.end()) return;
  for (const auto& [producer, offset] : at->second) {
    const auto of = pending_of_.find(producer);
    of->second.erase(GroupPartition{std::string(group), partition});
    if (of->second.empty()) pending_of_.erase(of);
  }
  found->second.pending.erase(at);
  forget_if_nothing(group);
}

std::vector<std::pair<GroupPartition, CommittedOffset>> MemoryGroupState::take_pending(ProducerId producer) {
  std::vector<std::pair<GroupPartition, CommittedOffset>> taken;
  const auto of = pending_of_.find(producer);
  if (of == pending_of_.end()) return taken;
  for (const GroupPartition& where : of->second) {
    auto& pending = groups_.find(where.group)->second.pending;
    const auto at = pending.find(where.partition);
    const auto own = at->second.find(producer);
    taken.emplace_back(where, std::move(own->second));
    at->second.erase(own);
    if (at->second.empty()) pending.erase(at);
    forget_if_nothing(where.group);
  }
  pending_of_.erase(of);
  return taken;
}

}  // namespace kurier::coordinator
