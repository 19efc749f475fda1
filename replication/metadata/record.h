// A metadata record as bytes: frame version 1, type, version (all unsigned varints), then the message. What is decoded must
// be known to this program: a type, a version or a frame from the future is kUnsupported. Pure functions, any thread.
// Format: docs/formats/metadata-log.md.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "protocol/messages/metadata_records.h"

namespace kurier::replication {

using protocol::MetadataRecord;

// The finalized levels that decide which version of a record may be written.
struct RecordVersions {
  std::int16_t metadata_version = 33;  // metadata.version: 4.4-IV2
  bool elr = true;                     // eligible.leader.replicas.version ≥ 1

  [[nodiscard]] bool knows_directories() const { return metadata_version >= 17; }  // 3.7-IV2, KIP-858
  [[nodiscard]] bool knows_controller_registration() const { return metadata_version >= 15; }  // 3.7-IV0, KIP-919
};

[[nodiscard]] Bytes encode_record(const MetadataRecord& record, const RecordVersions& versions);
[[nodiscard]] std::int16_t version_of(const MetadataRecord& record, const RecordVersions& versions);
[[nodiscard]] Result<MetadataRecord> decode_record(ByteView bytes);

}  // namespace kurier::replication
