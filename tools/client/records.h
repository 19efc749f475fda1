// Records on their way out: which partition a key belongs to, and a batch of records as it is sent. Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "protocol/record_batch.h"

namespace kurier::client {

struct OutgoingRecord {
  std::optional<Bytes> key;
  std::optional<Bytes> value;
  std::vector<std::pair<std::string, Bytes>> headers;
};

// Where Java's producer, and kafka-console-producer, put a key: murmur2 modulo the partitions (more than 0).
[[nodiscard]] std::int32_t partition_for_key(ByteView key, std::int32_t partitions);

// Where a batch belongs in its producer's sequence; without one it is not idempotent.
struct ProducerPlace {
  ProducerId id;
  ProducerEpoch epoch;
  std::int32_t base_sequence = 0;
};

// `records`: at least one, all with this timestamp.
[[nodiscard]] Bytes encode_batch(const std::vector<OutgoingRecord>& records, Timestamp timestamp, protocol::Codec codec,
                                 std::optional<ProducerPlace> place);

}  // namespace kurier::client
