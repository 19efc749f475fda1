#include "coordinator/group/records.h"

#include <fmt/core.h>

#include <utility>

#include "base/check.h"
#include "protocol/messages/group_metadata_key.h"
#include "protocol/messages/legacy_offset_commit_key.h"
#include "protocol/messages/legacy_offset_commit_value.h"
#include "protocol/messages/offset_commit_key.h"
#include "protocol/messages/offset_commit_value.h"

namespace kurier::coordinator {
namespace {

using protocol::GroupMetadataKey;
using protocol::GroupMetadataValue;
using protocol::LegacyOffsetCommitKey;
using protocol::LegacyOffsetCommitValue;
using protocol::OffsetCommitKey;
using protocol::OffsetCommitValue;

constexpr std::int16_t kGroupMetadataVersion = 3;
constexpr std::int16_t kOffsetCommitVersion = 4;
constexpr std::int16_t kOffsetCommitVersionWithExpiry = 1;

constexpr std::int16_t kFirstOtherType = 3;  // ConsumerGroupMetadata
constexpr std::int16_t kLastOtherType = 23;  // StreamsGroupTopology

template <class Message>
Bytes encode(std::int16_t prefix, const Message& message, std::int16_t version) {
  protocol::Writer writer;
  writer.int16(prefix);
  message.encode(writer, version);
  KURIER_CHECK_MESSAGE(writer.ok(), writer.error());
  return writer.take_bytes();
}

Bytes group_key(const std::string& group) {
  GroupMetadataKey key;
  key.group = group;
  return encode(GroupMetadataKey::kRecordType, key, 0);
}

Bytes offset_key(const std::string& group, const TopicPartition& partition) {
  OffsetCommitKey key;
  key.group = group;
  key.topic = partition.topic;
  key.partition = partition.partition;
  return encode(OffsetCommitKey::kRecordType, key, 0);
}

Error corrupt(const char* name, const protocol::Reader& reader) {
  return Error{Failure::kCorrupt, fmt::format("a record of __consumer_offsets, {}: {}", name, reader.error())};
}

template <class Key>
Result<Key> decode_key(protocol::Reader& reader) {
  Key key;
  key.decode(reader, 0);
  if (!reader.ok()) return std::unexpected(corrupt(Key::kName, reader));
  return key;
}

template <class Value>
Result<Value> decode_value(ByteView bytes) {
  protocol::Reader reader(bytes);
  const std::int16_t version = reader.int16();
  if (reader.ok() && (version < Value::kMinVersion || version > Value::kMaxVersion)) {
    return fail(
        Failure::kUnsupported,
        fmt::format("a record of __consumer_offsets: {} of version {} ({} to {} are known), written by a newer Kafka",
                    Value::kName, version, Value::kMinVersion, Value::kMaxVersion));
  }
  Value value;
  value.decode(reader, version);
  if (!reader.ok()) return std::unexpected(corrupt(Value::kName, reader));
  return value;
}

Result<std::optional<CommittedOffset>> decode_offset(std::optional<ByteView> bytes) {
  if (!bytes) return std::nullopt;
  TRY_ASSIGN(const OffsetCommitValue value, decode_value<OffsetCommitValue>(*bytes));
  CommittedOffset offset;
  offset.offset = Offset(value.offset);
  offset.leader_epoch = LeaderEpoch(value.leader_epoch);
  offset.metadata = value.metadata;
  offset.commit_timestamp = value.commit_timestamp;
  offset.expire_timestamp = value.expire_timestamp;
  offset.topic_id = value.topic_id;
  return offset;
}

Result<std::optional<CommittedOffset>> decode_legacy_offset(std::optional<ByteView> bytes) {
  if (!bytes) return std::nullopt;
  TRY_ASSIGN(const LegacyOffsetCommitValue value, decode_value<LegacyOffsetCommitValue>(*bytes));
  CommittedOffset offset;
  offset.offset = Offset(value.offset);
  offset.metadata = value.metadata;
  offset.commit_timestamp = value.commit_timestamp;
  return offset;
}

template <class Key>
Result<DecodedRecord> offset_of(protocol::Reader& reader, Result<std::optional<CommittedOffset>> offset) {
  TRY_ASSIGN(Key key, decode_key<Key>(reader));
  if (!offset) return std::unexpected(offset.error());
  return OffsetRecord{std::move(key.group), TopicPartition{std::move(key.topic), key.partition}, *std::move(offset)};
}

}  // namespace

CoordinatorRecord group_record(const std::string& group, const GroupMetadataValue& value) {
  return {group_key(group), encode(kGroupMetadataVersion, value, kGroupMetadataVersion)};
}

CoordinatorRecord group_tombstone(const std::string& group) { return {group_key(group), std::nullopt}; }

CoordinatorRecord offset_record(const std::string& group, const TopicPartition& partition,
                                const CommittedOffset& offset) {
  OffsetCommitValue value;
  value.offset = offset.offset.value();
  value.leader_epoch = offset.leader_epoch.value();
  value.metadata = offset.metadata;
  value.commit_timestamp = offset.commit_timestamp;
  value.expire_timestamp = offset.expire_timestamp;
  value.topic_id = offset.topic_id;
  const std::int16_t version =
      offset.expire_timestamp == Timestamp(-1) ? kOffsetCommitVersion : kOffsetCommitVersionWithExpiry;
  return {offset_key(group, partition), encode(version, value, version)};
}

CoordinatorRecord offset_tombstone(const std::string& group, const TopicPartition& partition) {
  return {offset_key(group, partition), std::nullopt};
}

Result<DecodedRecord> decode_record(ByteView key, std::optional<ByteView> value) {
  protocol::Reader reader(key);
  const std::int16_t type = reader.int16();
  if (!reader.ok()) return std::unexpected(corrupt("a key", reader));
  if (type == LegacyOffsetCommitKey::kRecordType)
    return offset_of<LegacyOffsetCommitKey>(reader, decode_legacy_offset(value));
  if (type == OffsetCommitKey::kRecordType) return offset_of<OffsetCommitKey>(reader, decode_offset(value));
  if (type == GroupMetadataKey::kRecordType) {
    TRY_ASSIGN(GroupMetadataKey group, decode_key<GroupMetadataKey>(reader));
    if (!value) return GroupRecord{std::move(group.group), std::nullopt};
    TRY_ASSIGN(GroupMetadataValue decoded, decode_value<GroupMetadataValue>(*value));
    return GroupRecord{std::move(group.group), std::move(decoded)};
  }
  if (type < kFirstOtherType || type > kLastOtherType) return UnknownRecord{type};
  // The key of every other type begins with the group's id.
  std::string group = reader.string();
  if (!reader.ok()) return std::unexpected(corrupt("a key of another group type", reader));
  return OtherRecord{type, std::move(group)};
}

}  // namespace kurier::coordinator
