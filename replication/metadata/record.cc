#include "replication/metadata/record.h"

#include <fmt/core.h>

#include "base/check.h"

namespace kurier::replication {
namespace {

using protocol::BrokerRegistrationChangeRecord;
using protocol::PartitionChangeRecord;
using protocol::PartitionRecord;
using protocol::RegisterBrokerRecord;

constexpr std::uint32_t kFrameVersion = 1;
// Levels of metadata.version from which on a record may have a version.
constexpr std::int16_t kMigration = 8;  // 3.4-IV0
constexpr std::int16_t kElr = 23;       // 4.0-IV1, KIP-966
constexpr std::int16_t kCordoned = 30;  // 4.3-IV0, KIP-1066

// The lowest version that can say it, as Kafka's controller chooses.
std::int16_t version_for(const BrokerRegistrationChangeRecord& record) {
  if (record.cordoned_log_dirs) return 3;
  if (!record.log_dirs.empty()) return 2;
  return record.in_controlled_shutdown != 0 ? 1 : 0;
}

std::int16_t version_for_partition(const RecordVersions& versions) {
  if (versions.metadata_version >= kElr) return 2;
  return versions.knows_directories() ? 1 : 0;
}

// What the finalized levels cannot say is left out, as Kafka's image writer leaves it out.
template <class Message>
void keep_what_can_be_said(Message& message, const RecordVersions& versions) {
  if constexpr (std::is_same_v<Message, RegisterBrokerRecord>) {
    if (!versions.knows_directories()) message.log_dirs.clear();
    if (versions.metadata_version < kCordoned) message.cordoned_log_dirs.reset();
  } else {
    if (!versions.knows_directories()) message.directories = {};
    if (!versions.elr) {
      message.eligible_leader_replicas.reset();
      message.last_known_elr.reset();
    }
  }
}

}  // namespace

std::int16_t version_of(const MetadataRecord& record, const RecordVersions& versions) {
  if (const auto* change = std::get_if<BrokerRegistrationChangeRecord>(&record)) return version_for(*change);
  if (std::holds_alternative<PartitionRecord>(record) || std::holds_alternative<PartitionChangeRecord>(record)) {
    return version_for_partition(versions);
  }
  if (std::holds_alternative<RegisterBrokerRecord>(record)) {
    if (versions.metadata_version >= kCordoned) return 4;
    if (versions.knows_directories()) return 3;
    return versions.metadata_version >= kMigration ? 2 : 1;
  }
  return 0;
}

Bytes encode_record(const MetadataRecord& record, const RecordVersions& versions) {
  const std::int16_t version = version_of(record, versions);
  protocol::Writer writer;
  writer.uvarint(kFrameVersion);
  std::visit(
      [&](const auto& message) {
        writer.uvarint(static_cast<std::uint32_t>(message.kRecordType));
        writer.uvarint(static_cast<std::uint32_t>(version));
        using Message = std::remove_cvref_t<decltype(message)>;
        if constexpr (std::is_same_v<Message, RegisterBrokerRecord> || std::is_same_v<Message, PartitionRecord> ||
                      std::is_same_v<Message, PartitionChangeRecord>) {
          Message sayable = message;
          keep_what_can_be_said(sayable, versions);
          sayable.encode(writer, version);
        } else {
          message.encode(writer, version);
        }
      },
      record);
  KURIER_CHECK_MESSAGE(writer.ok(), writer.error());
  return writer.take_bytes();
}

Result<MetadataRecord> decode_record(ByteView bytes) {
  protocol::Reader reader(bytes);
  const std::uint32_t frame = reader.uvarint();
  const std::uint32_t type = reader.uvarint();
  const std::uint32_t version = reader.uvarint();
  if (!reader.ok()) return fail(Failure::kCorrupt, "a metadata record without a header: " + reader.error());
  if (frame != kFrameVersion) {
    return fail(Failure::kUnsupported, fmt::format("metadata record of frame version {} (1 is known), written by a newer Kafka", frame));
  }
  MetadataRecord record;
  if (!protocol::make_metadata_record(type, record)) {
    return fail(Failure::kUnsupported, fmt::format("metadata record of the unknown type {}, written by a newer Kafka", type));
  }
  Result<void> decoded = std::visit(
      [&](auto& message) -> Result<void> {
        if (version > static_cast<std::uint32_t>(message.kMaxVersion) || version < static_cast<std::uint32_t>(message.kMinVersion)) {
          return fail(Failure::kUnsupported, fmt::format("{} of version {} ({} to {} are known), written by a newer Kafka",
                                                         message.kName, version, message.kMinVersion, message.kMaxVersion));
        }
        message.decode(reader, static_cast<std::int16_t>(version));
        if (!reader.ok()) return fail(Failure::kCorrupt, fmt::format("{}: {}", message.kName, reader.error()));
        return {};
      },
      record);
  if (!decoded) return std::unexpected(decoded.error());
  if (reader.remaining() != 0) {
    return fail(Failure::kCorrupt, fmt::format("metadata record of type {}: {} bytes too many", type, reader.remaining()));
  }
  return record;
}

}  // namespace kurier::replication
