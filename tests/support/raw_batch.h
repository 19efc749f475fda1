// Batches made by hand for tests of what does not look into records.
#pragma once

#include <array>

#include "protocol/record_batch.h"

namespace kurier::test {

struct BatchOptions {
  std::int32_t records = 1;
  ProducerId producer_id{-1};
  ProducerEpoch producer_epoch{-1};
  std::int32_t base_sequence = -1;
  Timestamp timestamp{0};
  std::int16_t attributes = 0;
  std::size_t payload_bytes = 10;
  std::uint64_t fill = 0;
};

inline Bytes raw_batch(const BatchOptions& options, ByteView payload = {}) {
  namespace layout = protocol::batch_layout;
  Bytes batch(protocol::kBatchHeaderBytes + (payload.empty() ? options.payload_bytes : payload.size()));
  std::byte* to = batch.data();
  store_big_endian(to + layout::kLength, static_cast<std::int32_t>(batch.size() - protocol::kLogOverheadBytes));
  store_big_endian(to + layout::kMagic, protocol::kCurrentMagic);
  store_big_endian(to + layout::kAttributes, options.attributes);
  store_big_endian(to + layout::kLastOffsetDelta, options.records - 1);
  store_big_endian(to + layout::kBaseTimestamp, options.timestamp.value());
  store_big_endian(to + layout::kMaxTimestamp, options.timestamp.value());
  store_big_endian(to + layout::kProducerId, options.producer_id.value());
  store_big_endian(to + layout::kProducerEpoch, options.producer_epoch.value());
  store_big_endian(to + layout::kBaseSequence, options.base_sequence);
  store_big_endian(to + layout::kRecordCount, options.records);
  for (std::size_t i = 0; i < batch.size() - protocol::kBatchHeaderBytes; ++i) {
    to[protocol::kBatchHeaderBytes + i] = payload.empty() ? static_cast<std::byte>(options.fill + i) : payload[i];
  }
  protocol::stamp_crc(batch);
  return batch;
}

// The marker that ends a transaction.
inline Bytes marker_batch(ProducerId producer_id, ProducerEpoch epoch, bool commit, Timestamp timestamp) {
  // length 32/2=16, attributes, timestamp delta, offset delta, key length 4, key, value length 6, value, no headers
  constexpr int kLength = 1 + 1 + 1 + 1 + 4 + 1 + 6 + 1;
  const std::array<int, kLength + 1> record{2 * kLength, 0, 0, 0, 8, 0, 0, 0, commit ? 1 : 0, 12, 0, 0, 0, 0, 0, 7, 0};
  Bytes payload;
  for (const int byte : record) payload.push_back(static_cast<std::byte>(byte));
  return raw_batch({.producer_id = producer_id,
                    .producer_epoch = epoch,
                    .timestamp = timestamp,
                    .attributes = protocol::kTransactionalMask | protocol::kControlMask},
                   payload);
}

}  // namespace kurier::test
