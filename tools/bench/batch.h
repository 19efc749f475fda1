// Record batches and produce requests made before anything is measured.
//
// `encode_batch` makes one uncompressed batch of records that hold no key, no headers and bytes that do not repeat. A
// `BatchStamp` gives such a batch its producer and sequence later, at the cost of a checksum over 40 bytes: the
// checksum of the records is known, and a checksum of two parts is linear in that of the first. Plain values, any
// thread.
#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.h"
#include "base/ids.h"
#include "protocol/record_batch.h"

namespace kurier::bench {

struct BatchShape {
  std::uint32_t records = 1;
  std::size_t batch_bytes = 0;  // of the whole batch, header included
};

// The records that fit into `batch_bytes` if each has a value of `value_bytes`; the last one's value is longer, so that
// the batch has exactly `batch_bytes`. At least one record, so a batch may be longer than asked for.
[[nodiscard]] BatchShape shape_for(std::size_t batch_bytes, std::size_t value_bytes);

[[nodiscard]] Bytes encode_batch(const BatchShape& shape, std::size_t value_bytes, Timestamp timestamp,
                                 std::uint64_t seed);

// The first bytes of a batch, with a producer, and the checksum that goes with it.
class BatchStamp {
 public:
  explicit BatchStamp(ByteView batch);
  // The header for this place in the producer's sequence. The view lives until the next call.
  ByteView header(ProducerId id, ProducerEpoch epoch, std::int32_t base_sequence);

 private:
  std::array<std::byte, protocol::kBatchHeaderBytes> header_;
  std::uint32_t records_crc_;             // of the records alone
  std::array<std::uint32_t, 32> column_;  // what bit i of the header's checksum becomes past the records
};

}  // namespace kurier::bench
