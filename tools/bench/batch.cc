#include "tools/bench/batch.h"

#include <algorithm>

#include "base/crc32c.h"
#include "base/random.h"
#include "protocol/primitives.h"

namespace kurier::bench {
namespace {

namespace layout = protocol::batch_layout;

std::size_t varint_bytes(std::uint64_t value) {
  std::uint64_t zigzag = value << 1;
  std::size_t count = 1;
  while ((zigzag >>= 7) != 0) ++count;
  return count;
}

// attributes, timestamp delta 0, offset delta, key null, value, no headers
std::size_t record_body_bytes(std::uint32_t offset_delta, std::size_t value_bytes) {
  return 1 + 1 + varint_bytes(offset_delta) + 1 + varint_bytes(value_bytes) + value_bytes + 1;
}

std::size_t record_bytes(std::uint32_t offset_delta, std::size_t value_bytes) {
  const std::size_t body = record_body_bytes(offset_delta, value_bytes);
  return varint_bytes(body) + body;
}

// The length of the value with which the last record ends at `bytes`, if there is one: where a length grows by a byte,
// some sizes cannot be met exactly and the next smaller one is taken.
std::size_t value_bytes_for(std::uint32_t offset_delta, std::size_t bytes) {
  std::size_t value = bytes;
  while (value > 0 && record_bytes(offset_delta, value) > bytes) --value;
  return value;
}

}  // namespace

BatchShape shape_for(std::size_t batch_bytes, std::size_t value_bytes) {
  std::uint32_t records = 0;
  std::size_t total = protocol::kBatchHeaderBytes;
  while (records == 0 || total + record_bytes(records, value_bytes) <= batch_bytes) {
    total += record_bytes(records, value_bytes);
    ++records;
  }
  return {records, std::max(total, batch_bytes)};
}

Bytes encode_batch(const BatchShape& shape, std::size_t value_bytes, Timestamp timestamp, std::uint64_t seed) {
  SeededRandom random(seed);
  protocol::Writer writer;
  writer.raw(Bytes(protocol::kBatchHeaderBytes));
  Bytes value;
  for (std::uint32_t i = 0; i < shape.records; ++i) {
    const bool last = i + 1 == shape.records;
    const std::size_t left = shape.batch_bytes - writer.size_bytes();
    const std::size_t size = last ? value_bytes_for(i, left) : value_bytes;
    value.resize(size);
    for (std::byte& byte : value) byte = static_cast<std::byte>(random.next());
    writer.varint(static_cast<std::int32_t>(record_body_bytes(i, size)));
    writer.int8(0);
    writer.varlong(0);
    writer.varint(static_cast<std::int32_t>(i));
    writer.varint(-1);
    writer.varint(static_cast<std::int32_t>(size));
    writer.raw(value);
    writer.varint(0);
  }
  Bytes batch = writer.take_bytes();
  std::byte* to = batch.data();
  store_big_endian(to + layout::kLength, static_cast<std::int32_t>(batch.size() - protocol::kLogOverheadBytes));
  store_big_endian(to + layout::kLeaderEpoch, std::int32_t{-1});
  store_big_endian(to + layout::kMagic, protocol::kCurrentMagic);
  store_big_endian(to + layout::kLastOffsetDelta, static_cast<std::int32_t>(shape.records - 1));
  store_big_endian(to + layout::kBaseTimestamp, timestamp.value());
  store_big_endian(to + layout::kMaxTimestamp, timestamp.value());
  store_big_endian(to + layout::kProducerId, std::int64_t{-1});
  store_big_endian(to + layout::kProducerEpoch, std::int16_t{-1});
  store_big_endian(to + layout::kBaseSequence, std::int32_t{-1});
  store_big_endian(to + layout::kRecordCount, static_cast<std::int32_t>(shape.records));
  protocol::stamp_crc(batch);
  return batch;
}

BatchStamp::BatchStamp(ByteView batch) {
  std::ranges::copy(batch.first(header_.size()), header_.begin());
  const ByteView records = batch.subspan(header_.size());
  records_crc_ = crc32c(records);
  for (std::size_t bit = 0; bit < column_.size(); ++bit) column_[bit] = crc32c(records, 1U << bit) ^ records_crc_;
}

ByteView BatchStamp::header(ProducerId id, ProducerEpoch epoch, std::int32_t base_sequence) {
  store_big_endian(header_.data() + layout::kProducerId, id.value());
  store_big_endian(header_.data() + layout::kProducerEpoch, epoch.value());
  store_big_endian(header_.data() + layout::kBaseSequence, base_sequence);
  const std::uint32_t of_header = crc32c(ByteView(header_).subspan(layout::kAttributes));
  std::uint32_t crc = records_crc_;
  for (std::size_t bit = 0; bit < column_.size(); ++bit) {
    if ((of_header >> bit & 1U) != 0) crc ^= column_[bit];
  }
  store_big_endian(header_.data() + layout::kCrc, crc);
  return header_;
}

}  // namespace kurier::bench
