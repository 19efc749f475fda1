#include "tools/client/records.h"

#include "base/check.h"
#include "protocol/compression.h"
#include "protocol/record.h"

namespace kurier::client {
namespace {

namespace layout = protocol::batch_layout;

// MurmurHash2 of 32 bits with the seed of Kafka's clients.
std::uint32_t murmur2(ByteView bytes) {
  constexpr std::uint32_t kSeed = 0x9747b28c;
  constexpr std::uint32_t kMultiplier = 0x5bd1e995;
  const auto byte = [&](std::size_t i) { return std::to_integer<std::uint32_t>(bytes[i]); };
  std::uint32_t hash = kSeed ^ static_cast<std::uint32_t>(bytes.size());
  std::size_t at = 0;
  for (; at + 4 <= bytes.size(); at += 4) {
    std::uint32_t word = byte(at) | byte(at + 1) << 8U | byte(at + 2) << 16U | byte(at + 3) << 24U;
    word *= kMultiplier;
    word ^= word >> 24U;
    hash = (hash * kMultiplier) ^ (word * kMultiplier);
  }
  if (at < bytes.size()) {
    for (std::size_t i = bytes.size() - at; i > 0; --i) hash ^= byte(at + i - 1) << (8 * (i - 1));
    hash *= kMultiplier;
  }
  hash ^= hash >> 13U;
  hash *= kMultiplier;
  return hash ^ (hash >> 15U);
}

void append_string(Bytes& to, ByteView bytes) {
  protocol::append_varint(to, static_cast<std::int32_t>(bytes.size()));
  to.insert(to.end(), bytes.begin(), bytes.end());
}

}  // namespace

std::int32_t partition_for_key(ByteView key, std::int32_t partitions) {
  KURIER_CHECK(partitions > 0);
  return static_cast<std::int32_t>(murmur2(key) & 0x7fffffffU) % partitions;
}

Bytes encode_batch(const std::vector<OutgoingRecord>& records, Timestamp timestamp, protocol::Codec codec,
                   std::optional<ProducerPlace> place) {
  KURIER_CHECK(!records.empty());
  Bytes payload;
  for (std::size_t i = 0; i < records.size(); ++i) {
    const OutgoingRecord& record = records[i];
    Bytes headers;
    for (const auto& [name, value] : record.headers) {
      append_string(headers, as_bytes(name));
      append_string(headers, value);
    }
    protocol::RecordView view;
    view.key = record.key;
    view.value = record.value;
    view.header_count = static_cast<std::int32_t>(record.headers.size());
    view.headers = headers;
    protocol::append_record(payload, view, static_cast<std::int32_t>(i), 0);
  }
  if (codec != protocol::Codec::kNone) payload = protocol::compress(codec, payload, protocol::default_level(codec));

  const ProducerPlace none{ProducerId(-1), ProducerEpoch(-1), -1};
  const ProducerPlace& producer = place ? *place : none;
  const auto count = static_cast<std::int32_t>(records.size());
  Bytes batch(protocol::kBatchHeaderBytes);
  batch.insert(batch.end(), payload.begin(), payload.end());
  std::byte* to = batch.data();
  store_big_endian(to + layout::kLength, static_cast<std::int32_t>(batch.size() - protocol::kLogOverheadBytes));
  store_big_endian(to + layout::kLeaderEpoch, std::int32_t{-1});
  store_big_endian(to + layout::kMagic, protocol::kCurrentMagic);
  store_big_endian(to + layout::kAttributes, static_cast<std::int16_t>(codec));
  store_big_endian(to + layout::kLastOffsetDelta, count - 1);
  store_big_endian(to + layout::kBaseTimestamp, timestamp.value());
  store_big_endian(to + layout::kMaxTimestamp, timestamp.value());
  store_big_endian(to + layout::kProducerId, producer.id.value());
  store_big_endian(to + layout::kProducerEpoch, producer.epoch.value());
  store_big_endian(to + layout::kBaseSequence, producer.base_sequence);
  store_big_endian(to + layout::kRecordCount, count);
  protocol::stamp_crc(batch);
  return batch;
}

}  // namespace kurier::client
