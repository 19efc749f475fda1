#include "coordinator/view/view_values.h"

#include "base/check.h"
#include "coordinator/view/view.pb.h"
#include "protocol/primitives.h"

namespace kurier::coordinator {
namespace {

constexpr std::int32_t kFormat = 2;  // 1: ids that were no UTF-8 were as they came

template <class Message>
Bytes serialized(const Message& message) {
  Bytes bytes(message.ByteSizeLong());
  KURIER_CHECK(message.SerializeToArray(bytes.data(), static_cast<int>(bytes.size())));
  return bytes;
}

template <class Message>
Result<Message> parsed(ByteView bytes) {
  Message message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    return fail(Failure::kCorrupt, "a value of a coordinator's view that cannot be read");
  return message;
}

std::string text_of(ByteView bytes) { return std::string(as_text(bytes)); }

std::string text_of(const Uuid& id) {
  Bytes bytes(16);
  store_big_endian(bytes.data(), id.high);
  store_big_endian(bytes.data() + 8, id.low);
  return text_of(bytes);
}

Result<Uuid> uuid_of(const std::string& text) {
  if (text.empty()) return kZeroUuid;
  if (text.size() != 16) return fail(Failure::kCorrupt, "an id of a coordinator's view that has not 16 bytes");
  const std::byte* bytes = as_bytes(text).data();
  return Uuid{load_big_endian<std::uint64_t>(bytes), load_big_endian<std::uint64_t>(bytes + 8)};
}

}  // namespace

Bytes encode_position(const StoredPosition& position) {
  stored::Position message;
  message.set_format(kFormat);
  message.set_offset(position.position.offset.value());
  message.set_leader_epoch(position.position.leader_epoch.value());
  message.set_log_directory_id(text_of(position.log_directory_id));
  if (position.position.crc) message.set_batch_crc(*position.position.crc);
  return serialized(message);
}

Result<StoredPosition> decode_position(ByteView bytes) {
  TRY_ASSIGN(const auto message, parsed<stored::Position>(bytes));
  if (message.format() != kFormat) return fail(Failure::kUnsupported, "a coordinator's view of another version");
  TRY_ASSIGN(const Uuid directory, uuid_of(message.log_directory_id()));
  ViewPosition position{Offset(message.offset()), LeaderEpoch(message.leader_epoch())};
  if (message.has_batch_crc()) position.crc = message.batch_crc();
  return StoredPosition{position, directory};
}

Bytes encode_offset(const CommittedOffset& offset) {
  stored::Offset message;
  message.set_offset(offset.offset.value());
  message.set_leader_epoch(offset.leader_epoch.value());
  message.set_metadata(offset.metadata);
  message.set_commit_timestamp(offset.commit_timestamp.value());
  message.set_expire_timestamp(offset.expire_timestamp.value());
  if (!offset.topic_id.is_zero()) message.set_topic_id(text_of(offset.topic_id));
  message.set_record_offset(offset.record_offset.value());
  return serialized(message);
}

Result<CommittedOffset> decode_offset(ByteView bytes) {
  TRY_ASSIGN(auto message, parsed<stored::Offset>(bytes));
  CommittedOffset offset;
  offset.offset = Offset(message.offset());
  offset.leader_epoch = LeaderEpoch(message.leader_epoch());
  offset.metadata = std::move(*message.mutable_metadata());
  offset.commit_timestamp = Timestamp(message.commit_timestamp());
  offset.expire_timestamp = Timestamp(message.expire_timestamp());
  TRY_ASSIGN(offset.topic_id, uuid_of(message.topic_id()));
  offset.record_offset = Offset(message.record_offset());
  return offset;
}

Bytes encode_classic_group(const protocol::GroupMetadataValue& group) {
  protocol::Writer writer;
  group.encode(writer, protocol::GroupMetadataValue::kMaxVersion);
  KURIER_CHECK_MESSAGE(writer.ok(), writer.error());
  stored::ClassicGroup message;
  message.set_version(protocol::GroupMetadataValue::kMaxVersion);
  message.set_value(text_of(writer.take_bytes()));
  return serialized(message);
}

Result<protocol::GroupMetadataValue> decode_classic_group(ByteView bytes) {
  TRY_ASSIGN(const auto message, parsed<stored::ClassicGroup>(bytes));
  using Value = protocol::GroupMetadataValue;
  if (message.version() < Value::kMinVersion || message.version() > Value::kMaxVersion)
    return fail(Failure::kUnsupported, "a group of a coordinator's view of another version");
  protocol::Reader reader(as_bytes(message.value()));
  Value value;
  value.decode(reader, static_cast<std::int16_t>(message.version()));
  if (!reader.ok()) return fail(Failure::kCorrupt, "a group of a coordinator's view: " + std::string(reader.error()));
  return value;
}

Bytes encode_other_record(ByteView value) {
  stored::OtherRecord message;
  message.set_value(text_of(value));
  return serialized(message);
}

Result<Bytes> decode_other_record(ByteView bytes) {
  TRY_ASSIGN(const auto message, parsed<stored::OtherRecord>(bytes));
  return to_bytes(message.value());
}

}  // namespace kurier::coordinator
