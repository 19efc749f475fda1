// Records of __consumer_offsets as bytes: a key begins with its type, a value with its version (both int16). Versions
// are those that Apache Kafka 4.4 writes: group metadata 3, offset commits 4 (1 if they carry an expiry of their own).
// Pure functions, any thread.
#pragma once

#include <optional>
#include <string>
#include <variant>

#include "base/bytes.h"
#include "base/result.h"
#include "coordinator/group/outcome.h"
#include "coordinator/group/state.h"
#include "protocol/messages/group_metadata_value.h"

namespace kurier::coordinator {

[[nodiscard]] CoordinatorRecord group_record(const std::string& group, const protocol::GroupMetadataValue& value);
[[nodiscard]] CoordinatorRecord group_tombstone(const std::string& group);
[[nodiscard]] CoordinatorRecord offset_record(const std::string& group, const TopicPartition& partition,
                                              const CommittedOffset& offset);
[[nodiscard]] CoordinatorRecord offset_tombstone(const std::string& group, const TopicPartition& partition);

// What a record says. `other`: a record of another group type, whose bytes are kept as they are.
struct GroupRecord {
  std::string group;
  std::optional<protocol::GroupMetadataValue> value;
};
struct OffsetRecord {
  std::string group;
  TopicPartition partition;
  std::optional<CommittedOffset> offset;  // record_offset is not set
};
struct OtherRecord {
  std::int16_t type = 0;
  std::string group;
};
struct UnknownRecord {  // a type that Apache Kafka 4.4 does not have: like it, we pass over it
  std::int16_t type = 0;
};
using DecodedRecord = std::variant<GroupRecord, OffsetRecord, OtherRecord, UnknownRecord>;

// kUnsupported: a version of a value that Apache Kafka 4.4 does not have.
// kCorrupt: bytes that do not fit. A null value is a tombstone.
[[nodiscard]] Result<DecodedRecord> decode_record(ByteView key, std::optional<ByteView> value);

}  // namespace kurier::coordinator
