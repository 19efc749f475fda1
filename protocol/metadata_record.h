// Metadata records: the values of the records of __cluster_metadata: a frame version, a type, a version, the message.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "protocol/messages/metadata_records.h"

namespace kurier::protocol {

struct DecodedMetadataRecord {
  MetadataRecord record;
  std::int16_t version = 0;
};

// kUnsupported: a frame version, type or version from the future. kMalformed: bytes that do not fit.
Result<DecodedMetadataRecord> decode_metadata_record(ByteView bytes);
// kInvalid: the record says something that this version cannot express.
Result<Bytes> encode_metadata_record(const MetadataRecord& record, std::int16_t version);
[[nodiscard]] std::string to_string(const MetadataRecord& record);

}  // namespace kurier::protocol
