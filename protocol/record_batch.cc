#include "protocol/record_batch.h"

#include <string>

#include "base/check.h"
#include "base/crc32c.h"

namespace kurier::protocol {

const char* to_string(Codec codec) {
  switch (codec) {
    case Codec::kNone: return "none";
    case Codec::kGzip: return "gzip";
    case Codec::kSnappy: return "snappy";
    case Codec::kLz4: return "lz4";
    case Codec::kZstd: return "zstd";
  }
  return "unknown";
}

Result<RecordBatchView> RecordBatchView::parse_header(ByteView header) {
  if (header.size() < kLogOverheadBytes) {
    return fail(Failure::kOutOfRange, "a batch goes on beyond the end: its length is not there");
  }
  const auto length = load_big_endian<std::int32_t>(header.data() + batch_layout::kLength);
  if (length < static_cast<std::int32_t>(kBatchHeaderBytes - kLogOverheadBytes)) {
    return fail(Failure::kMalformed, "batch length " + std::to_string(length) + " is less than a header's 49 bytes");
  }
  if (header.size() > batch_layout::kMagic) {
    const auto magic = load_big_endian<std::int8_t>(header.data() + batch_layout::kMagic);
    if (magic != kCurrentMagic) {
      return fail(Failure::kMalformed, "batch has magic " + std::to_string(magic) + ", only 2 is supported");
    }
  }
  if (header.size() < kBatchHeaderBytes) {
    return fail(Failure::kOutOfRange, "a batch goes on beyond the end: its header is cut off");
  }
  const RecordBatchView batch(header);
  const int codec = batch.attributes() & kCodecMask;
  if (codec > static_cast<int>(Codec::kZstd)) {
    return fail(Failure::kMalformed, "batch has the unknown compression codec " + std::to_string(codec));
  }
  return batch;
}

Result<RecordBatchView> RecordBatchView::parse(ByteView bytes) {
  TRY_ASSIGN(const RecordBatchView header, parse_header(bytes));
  const std::size_t size_bytes = header.size_bytes();
  if (bytes.size() < size_bytes) {
    return fail(Failure::kOutOfRange, "a batch of " + std::to_string(size_bytes) + " bytes goes on beyond the end: " +
                                          std::to_string(bytes.size()) + " bytes are there");
  }
  return RecordBatchView(bytes.first(size_bytes));
}

std::int32_t RecordBatchView::last_sequence() const {
  const std::int32_t base = base_sequence();
  if (base < 0 || last_offset_delta() < 0) return base;
  return increment_sequence(base, last_offset_delta());
}

bool RecordBatchView::crc_is_valid() const { return crc32c(bytes_.subspan(batch_layout::kAttributes)) == crc(); }

void stamp_offset(MutableByteView batch, Offset base_offset, LeaderEpoch leader_epoch) {
  KURIER_CHECK_COMPARE(batch.size(), >=, kBatchHeaderBytes);
  store_big_endian(batch.data() + batch_layout::kBaseOffset, base_offset.value());
  store_big_endian(batch.data() + batch_layout::kLeaderEpoch, leader_epoch.value());
}

void stamp_log_append_time(MutableByteView batch, Timestamp now) {
  KURIER_CHECK_COMPARE(batch.size(), >=, kBatchHeaderBytes);
  std::byte* const attributes = batch.data() + batch_layout::kAttributes;
  store_big_endian(attributes, static_cast<std::int16_t>(load_big_endian<std::int16_t>(attributes) | kTimestampTypeMask));
  store_big_endian(batch.data() + batch_layout::kMaxTimestamp, now.value());
  stamp_crc(batch);
}

void stamp_max_timestamp(MutableByteView batch, Timestamp max_timestamp) {
  KURIER_CHECK_COMPARE(batch.size(), >=, kBatchHeaderBytes);
  std::byte* const field = batch.data() + batch_layout::kMaxTimestamp;
  if (load_big_endian<std::int64_t>(field) == max_timestamp.value()) return;
  store_big_endian(field, max_timestamp.value());
  stamp_crc(batch);
}

void stamp_crc(MutableByteView batch) {
  KURIER_CHECK_COMPARE(batch.size(), >=, kBatchHeaderBytes);
  // The length in the header decides where the batch ends, as it does for the reader.
  const auto length = static_cast<std::size_t>(load_big_endian<std::uint32_t>(batch.data() + batch_layout::kLength));
  KURIER_CHECK_COMPARE(kLogOverheadBytes + length, <=, batch.size());
  const ByteView covered = ByteView(batch).subspan(batch_layout::kAttributes,
                                                   kLogOverheadBytes + length - batch_layout::kAttributes);
  store_big_endian(batch.data() + batch_layout::kCrc, crc32c(covered));
}

}  // namespace kurier::protocol
