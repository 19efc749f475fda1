#include "coordinator/group/other_groups.h"

#include <algorithm>
#include <array>

#include "protocol/messages/consumer_group_current_member_assignment_value.h"
#include "protocol/messages/consumer_group_member_metadata_value.h"
#include "protocol/messages/consumer_group_metadata_value.h"
#include "protocol/messages/consumer_group_regular_expression_value.h"
#include "protocol/messages/consumer_group_target_assignment_metadata_value.h"
#include "protocol/messages/streams_group_current_member_assignment_value.h"
#include "protocol/messages/streams_group_metadata_value.h"
#include "protocol/messages/streams_group_target_assignment_metadata_value.h"
#include "protocol/messages/streams_group_topology_value.h"

namespace kurier::coordinator {
namespace {

// Types of records: the first int16 of a key.
enum RecordType : std::int16_t {
  kConsumerMetadata = 3,
  kConsumerPartitionMetadata = 4,
  kConsumerMember = 5,
  kConsumerTargetMetadata = 6,
  kConsumerTargetMember = 7,
  kConsumerCurrent = 8,
  kShareMember = 10,
  kShareMetadata = 11,
  kShareTargetMetadata = 12,
  kShareTargetMember = 13,
  kShareCurrent = 14,
  kShareStatePartitionMetadata = 15,
  kConsumerRegularExpression = 16,
  kStreamsMetadata = 17,
  kStreamsMember = 19,
  kStreamsTargetMetadata = 20,
  kStreamsTargetMember = 21,
  kStreamsCurrent = 22,
  kStreamsTopology = 23,
};

constexpr std::array<std::int16_t, 19> kTombstoneOrder = {kConsumerCurrent,
                                                          kConsumerTargetMember,
                                                          kConsumerTargetMetadata,
                                                          kConsumerMember,
                                                          kConsumerRegularExpression,
                                                          kConsumerPartitionMetadata,
                                                          kConsumerMetadata,
                                                          kShareCurrent,
                                                          kShareTargetMember,
                                                          kShareTargetMetadata,
                                                          kShareMember,
                                                          kShareStatePartitionMetadata,
                                                          kShareMetadata,
                                                          kStreamsCurrent,
                                                          kStreamsTargetMember,
                                                          kStreamsTargetMetadata,
                                                          kStreamsMember,
                                                          kStreamsMetadata,
                                                          kStreamsTopology};

constexpr std::int8_t kMemberIsStable = 0;

std::int16_t type_of(const Bytes& key) {
  return key.size() < 2 ? std::int16_t{-1} : load_big_endian<std::int16_t>(key.data());
}

// The second string of a member's key.
std::string member_of(const Bytes& key) {
  protocol::Reader reader(key);
  static_cast<void>(reader.int16());
  static_cast<void>(reader.string());
  return reader.string();
}

// What cannot be read counts as its defaults: these values only describe a group that is not served here.
template <class Value>
Value decode(const Bytes& bytes) {
  protocol::Reader reader(bytes);
  const std::int16_t version = reader.int16();
  Value value;
  if (version >= Value::kMinVersion && version <= Value::kMaxVersion) value.decode(reader, version);
  return reader.ok() ? value : Value{};
}

// What decides the state of a consumer or streams group.
struct Epochs {
  std::int32_t group = 0;
  std::int32_t assignment = 0;
  std::int32_t topology = -1;            // streams
  std::int32_t validated_topology = -2;  // streams
  bool reconciled_members = true;
  struct Current {
    std::int32_t epoch;
    bool stable;
  };
  std::map<std::string, Current> current;
};

std::string state_of(const OtherGroup& group, const Epochs& epochs) {
  if (group.is_empty()) return "Empty";
  if (group.type == GroupType::kShare) return "Stable";
  if (group.type == GroupType::kStreams && epochs.topology != epochs.validated_topology) return "NotReady";
  if (epochs.group > epochs.assignment) return "Assigning";
  const bool reconciled = std::ranges::all_of(group.member_epochs, [&](const auto& member) {
    const auto current = epochs.current.find(member.first);
    return current != epochs.current.end() && current->second.stable && current->second.epoch == epochs.assignment;
  });
  return reconciled ? "Stable" : "Reconciling";
}

void read_record(OtherGroup& group, Epochs& epochs, const Bytes& key, const Bytes& value) {
  using namespace protocol;
  switch (type_of(key)) {
    case kConsumerMetadata: epochs.group = decode<ConsumerGroupMetadataValue>(value).epoch; break;
    case kConsumerTargetMetadata:
      epochs.assignment = decode<ConsumerGroupTargetAssignmentMetadataValue>(value).assignment_epoch;
      break;
    case kConsumerMember: {
      group.member_epochs.try_emplace(member_of(key), 0);
      const auto member = decode<ConsumerGroupMemberMetadataValue>(value);
      group.subscribed_topics.insert(member.subscribed_topic_names.begin(), member.subscribed_topic_names.end());
      break;
    }
    case kConsumerRegularExpression: {
      const auto resolved = decode<ConsumerGroupRegularExpressionValue>(value);
      group.subscribed_topics.insert(resolved.topics.begin(), resolved.topics.end());
      break;
    }
    case kConsumerCurrent: {
      const auto current = decode<ConsumerGroupCurrentMemberAssignmentValue>(value);
      epochs.current[member_of(key)] = {current.member_epoch, current.state == kMemberIsStable};
      break;
    }
    case kShareMember:
    case kStreamsMember: group.member_epochs.try_emplace(member_of(key), 0); break;
    case kStreamsMetadata: {
      const auto metadata = decode<StreamsGroupMetadataValue>(value);
      epochs.group = metadata.epoch;
      epochs.validated_topology = metadata.validated_topology_epoch;
      break;
    }
    case kStreamsTargetMetadata:
      epochs.assignment = decode<StreamsGroupTargetAssignmentMetadataValue>(value).assignment_epoch;
      break;
    case kStreamsCurrent: {
      const auto current = decode<StreamsGroupCurrentMemberAssignmentValue>(value);
      epochs.current[member_of(key)] = {current.member_epoch, current.state == kMemberIsStable};
      break;
    }
    case kStreamsTopology: epochs.topology = decode<StreamsGroupTopologyValue>(value).epoch; break;
    default: break;
  }
}

}  // namespace

const char* to_string(GroupType type) {
  switch (type) {
    case GroupType::kClassic: return "classic";
    case GroupType::kConsumer: return "consumer";
    case GroupType::kShare: return "share";
    case GroupType::kStreams: return "streams";
  }
  return "unknown";
}

std::optional<OtherGroup> other_group(const GroupStateReader& state, std::string_view id) {
  std::optional<OtherGroup> group;
  Epochs epochs;
  state.for_each_other_record(id, [&](const Bytes& key, const Bytes& value) {
    const std::int16_t type = type_of(key);
    if (!group) {
      group.emplace();
      group->type = type >= kStreamsMetadata                                    ? GroupType::kStreams
                    : type >= kShareMember && type < kConsumerRegularExpression ? GroupType::kShare
                                                                                : GroupType::kConsumer;
    }
    read_record(*group, epochs, key, value);
  });
  if (!group) return std::nullopt;
  for (auto& [member, epoch] : group->member_epochs) {
    if (const auto current = epochs.current.find(member); current != epochs.current.end())
      epoch = current->second.epoch;
  }
  group->state = state_of(*group, epochs);
  return group;
}

std::vector<CoordinatorRecord> other_group_tombstones(const GroupStateReader& state, std::string_view group) {
  std::vector<CoordinatorRecord> records;
  state.for_each_other_record(group, [&](const Bytes& key, const Bytes&) { records.push_back({key, std::nullopt}); });
  std::ranges::sort(records, {}, [](const CoordinatorRecord& record) {
    return std::pair(std::ranges::find(kTombstoneOrder, type_of(record.key)), record.key);
  });
  return records;
}

}  // namespace kurier::coordinator
