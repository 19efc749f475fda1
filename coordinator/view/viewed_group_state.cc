#include "coordinator/view/viewed_group_state.h"

#include "coordinator/view/ordered_key.h"

namespace kurier::coordinator {
namespace {

enum Family : std::uint8_t { kGroup = 1, kWithMembers = 2, kProducer = 3 };
enum Part : std::uint8_t { kClassic = 1, kOther = 2, kOffset = 3, kPending = 4 };

OrderedKey part_of(std::string_view group, Part part) {
  OrderedKey key;
  key.tag(kGroup).text(group).tag(part);
  return key;
}

Bytes behind_group(std::string_view group) { return OrderedKey().tag(kGroup).text(group).tag(0xff).take(); }
Bytes classic_key(std::string_view group) { return part_of(group, kClassic).take(); }
Bytes other_key(std::string_view group, const Bytes& key) { return part_of(group, kOther).rest(key).take(); }
Bytes offset_key(std::string_view group, std::string_view topic, std::int32_t partition) {
  return part_of(group, kOffset).text(topic).number(partition).take();
}
Bytes pending_keys(std::string_view group, std::string_view topic, std::int32_t partition) {
  return part_of(group, kPending).text(topic).number(partition).take();
}
Bytes pending_key(std::string_view group, const TopicPartition& partition, ProducerId producer) {
  return part_of(group, kPending).text(partition.topic).number(partition.partition).number(producer.value()).take();
}
Bytes with_members_key(std::string_view group) { return OrderedKey().tag(kWithMembers).text(group).take(); }
Bytes producer_keys(ProducerId producer) { return OrderedKey().tag(kProducer).number(producer.value()).take(); }
Bytes producer_key(ProducerId producer, std::string_view group, const TopicPartition& partition) {
  OrderedKey key;
  key.tag(kProducer).number(producer.value()).text(group).text(partition.topic).number(partition.partition);
  return key.take();
}

TopicPartition read_partition(OrderedKeyReader& reader) {
  std::string topic = reader.text();
  return {std::move(topic), reader.number<std::int32_t>()};
}

Error damaged() { return Error{Failure::kCorrupt, "a key that cannot be read"}; }

}  // namespace

template <class Value>
std::optional<Value> ViewedGroupState::sound(Result<Value> decoded) const {
  if (decoded) return *std::move(decoded);
  view_->reading_failed(decoded.error());
  return std::nullopt;
}

bool ViewedGroupState::has_any(const Bytes& prefix) const {
  bool has = false;
  view_->scan(prefix, [&](ByteView, ByteView) {
    has = true;
    return false;
  });
  return has;
}

bool ViewedGroupState::may_have_pending() const {
  if (!may_have_pending_) may_have_pending_ = has_any(OrderedKey().tag(kProducer).take());
  return *may_have_pending_;
}

// ---- reading

void ViewedGroupState::visit_groups(const std::optional<std::string>& after, const VisitGroup& visit) const {
  constexpr int kStepsMax = 8;  // from a group to the next; further away it is looked up
  const Bytes all = OrderedKey().tag(kGroup).take();
  std::optional<Bytes> from = after ? behind_group(*after) : all;
  std::optional<std::string> current;
  while (from) {
    const Bytes begin = *std::exchange(from, std::nullopt);
    int steps = 0;
    view_->scan(all, begin, [&](ByteView key, ByteView) {
      OrderedKeyReader reader(key.subspan(all.size()));
      std::string group = reader.text();
      if (!reader.ok()) {
        view_->reading_failed(damaged());
        return false;
      }
      if (current == group) {
        if (++steps < kStepsMax) return true;
        from = behind_group(group);
        return false;
      }
      current = std::move(group);
      steps = 0;
      return visit(*current);
    });
  }
}

void ViewedGroupState::visit_groups_with_members(const std::optional<std::string>& after,
                                                 const VisitGroup& visit) const {
  const Bytes all = OrderedKey().tag(kWithMembers).take();
  view_->scan(all, after ? with_members_key(*after) : all, [&](ByteView key, ByteView) {
    OrderedKeyReader reader(key.subspan(all.size()));
    const std::string group = reader.text();
    if (!reader.ok()) view_->reading_failed(damaged());
    if (reader.ok() && after == group) return true;
    return reader.ok() && visit(group);
  });
}

std::optional<protocol::GroupMetadataValue> ViewedGroupState::classic_group(std::string_view group) const {
  const auto value = view_->get(classic_key(group));
  return value ? sound(decode_classic_group(*value)) : std::nullopt;
}

void ViewedGroupState::for_each_other_record(
    std::string_view group, const std::function<void(const Bytes& key, const Bytes& value)>& visit) const {
  const Bytes prefix = part_of(group, kOther).take();
  view_->scan(prefix, [&](ByteView key, ByteView value) {
    const auto record = sound(decode_other_record(value));
    if (record) visit(to_bytes(key.subspan(prefix.size())), *record);
    return record.has_value();
  });
}

std::optional<CommittedOffset> ViewedGroupState::offset(std::string_view group, std::string_view topic,
                                                        std::int32_t partition) const {
  const auto value = view_->get(offset_key(group, topic, partition));
  return value ? sound(decode_offset(*value)) : std::nullopt;
}

void ViewedGroupState::visit_offsets(std::string_view group, const std::optional<TopicPartition>& after,
                                     const VisitOffset& visit) const {
  const Bytes prefix = part_of(group, kOffset).take();
  const Bytes from = after ? offset_key(group, after->topic, after->partition) : prefix;
  view_->scan(prefix, from, [&](ByteView key, ByteView value) {
    OrderedKeyReader reader(key.subspan(prefix.size()));
    const TopicPartition partition = read_partition(reader);
    if (!reader.ok()) view_->reading_failed(damaged());
    if (reader.ok() && after == partition) return true;
    const auto offset = sound(decode_offset(value));
    return offset && reader.ok() && visit(partition, *offset);
  });
}

bool ViewedGroupState::has_offsets(std::string_view group) const { return has_any(part_of(group, kOffset).take()); }

bool ViewedGroupState::has_pending(std::string_view group, std::string_view topic, std::int32_t partition) const {
  return may_have_pending() && has_any(pending_keys(group, topic, partition));
}

void ViewedGroupState::visit_pending(std::string_view group, const std::optional<TopicPartition>& after,
                                     const VisitPending& visit) const {
  if (!may_have_pending()) return;
  const Bytes prefix = part_of(group, kPending).take();
  const Bytes from = after ? pending_keys(group, after->topic, after->partition) : prefix;
  view_->scan(prefix, from, [&](ByteView key, ByteView value) {
    OrderedKeyReader reader(key.subspan(prefix.size()));
    const TopicPartition partition = read_partition(reader);
    const ProducerId producer(reader.number<std::int64_t>());
    if (!reader.ok()) view_->reading_failed(damaged());
    if (reader.ok() && after == partition) return true;
    const auto offset = sound(decode_offset(value));
    return offset && reader.ok() && visit(producer, partition, *offset);
  });
}

bool ViewedGroupState::has_any_pending(std::string_view group) const {
  return may_have_pending() && has_any(part_of(group, kPending).take());
}

// ---- changing

void ViewedGroupState::put_classic_group(std::string_view group, protocol::GroupMetadataValue value) {
  if (value.members.empty()) {
    view_->erase(with_members_key(group));
  } else {
    view_->put(with_members_key(group), {});
  }
  view_->put(classic_key(group), encode_classic_group(value));
}

void ViewedGroupState::erase_classic_group(std::string_view group) {
  view_->erase(with_members_key(group));
  view_->erase(classic_key(group));
}

void ViewedGroupState::put_other_record(std::string_view group, Bytes key, Bytes value) {
  view_->put(other_key(group, key), encode_other_record(value));
}

void ViewedGroupState::erase_other_record(std::string_view group, const Bytes& key) {
  view_->erase(other_key(group, key));
}

void ViewedGroupState::put_offset(std::string_view group, const TopicPartition& partition, CommittedOffset offset) {
  view_->put(offset_key(group, partition.topic, partition.partition), encode_offset(offset));
}

void ViewedGroupState::erase_offset(std::string_view group, const TopicPartition& partition) {
  view_->erase(offset_key(group, partition.topic, partition.partition));
}

void ViewedGroupState::put_pending(ProducerId producer, std::string_view group, const TopicPartition& partition,
                                   CommittedOffset offset) {
  may_have_pending_ = true;
  view_->put(pending_key(group, partition, producer), encode_offset(offset));
  view_->put(producer_key(producer, group, partition), {});
}

void ViewedGroupState::erase_pending(std::string_view group, const TopicPartition& partition) {
  if (!may_have_pending()) return;
  const Bytes prefix = pending_keys(group, partition.topic, partition.partition);
  std::vector<ProducerId> producers;
  view_->scan(prefix, [&](ByteView key, ByteView) {
    OrderedKeyReader reader(key.subspan(prefix.size()));
    producers.push_back(ProducerId(reader.number<std::int64_t>()));
    if (!reader.ok()) view_->reading_failed(damaged());
    return reader.ok();
  });
  for (const ProducerId producer : producers) {
    view_->erase(pending_key(group, partition, producer));
    view_->erase(producer_key(producer, group, partition));
  }
}

std::vector<std::pair<GroupPartition, CommittedOffset>> ViewedGroupState::take_pending(ProducerId producer) {
  if (!may_have_pending()) return {};
  may_have_pending_.reset();
  const Bytes prefix = producer_keys(producer);
  std::vector<GroupPartition> places;
  view_->scan(prefix, [&](ByteView key, ByteView) {
    OrderedKeyReader reader(key.subspan(prefix.size()));
    std::string group = reader.text();
    places.push_back({std::move(group), read_partition(reader)});
    if (!reader.ok()) view_->reading_failed(damaged());
    return reader.ok();
  });
  std::vector<std::pair<GroupPartition, CommittedOffset>> taken;
  for (GroupPartition& place : places) {
    const auto value = view_->get(pending_key(place.group, place.partition, producer));
    auto offset = value ? sound(decode_offset(*value)) : std::nullopt;
    view_->erase(pending_key(place.group, place.partition, producer));
    view_->erase(producer_key(producer, place.group, place.partition));
    if (offset) taken.emplace_back(std::move(place), *std::move(offset));
  }
  return taken;
}

}  // namespace kurier::coordinator
