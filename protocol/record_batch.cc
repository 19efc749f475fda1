#include "protocol/record_batch.h"

#include <fmt/core.h>

#include "base/crc32c.h"

namespace kurier::protocol {

Result<RecordBatchView> RecordBatchView::parse_header(ByteView header) {
  if (header.size() < kBatchPrefixBytes) return fail(Failure::kOutOfRange, "a batch of less than 12 bytes");
  const auto length = load_big_endian<std::int32_t>(header.data() + 8);
  if (header.size() > kBatchMagicPosition) {
    const auto magic = load_big_endian<std::int8_t>(header.data() + kBatchMagicPosition);
    if (magic != kCurrentMagic) return fail(Failure::kUnsupported, fmt::format("a batch of magic {}, not 2", magic));
  }
  if (length < static_cast<std::int32_t>(kBatchHeaderBytes - kBatchPrefixBytes)) {
    return fail(Failure::kMalformed, fmt::format("a batch of length {}, less than its header", length));
  }
  if (header.size() < kBatchHeaderBytes) return fail(Failure::kOutOfRange, "a batch header that is cut off");
  return RecordBatchView(header);
}

Result<RecordBatchView> RecordBatchView::parse(ByteView bytes) {
  TRY_ASSIGN(const RecordBatchView batch, parse_header(bytes));
  const std::size_t size_bytes = batch.size_bytes();
  if (size_bytes > bytes.size()) {
    return fail(Failure::kOutOfRange, fmt::format("a batch of {} bytes of which {} are there", size_bytes, bytes.size()));
  }
  return RecordBatchView(bytes.first(size_bytes));
}

bool RecordBatchView::crc_is_valid() const { return crc32c(bytes_.subspan(kBatchAttributesPosition)) == crc(); }

void stamp_offset(MutableByteView batch, Offset base_offset, LeaderEpoch leader_epoch) {
  store_big_endian(batch.data(), base_offset.value());
  store_big_endian(batch.data() + kBatchEpochPosition, leader_epoch.value());
}

void stamp_log_append_time(MutableByteView batch, Timestamp now) {
  const auto attributes = load_big_endian<std::int16_t>(batch.data() + kBatchAttributesPosition);
  store_big_endian(batch.data() + kBatchAttributesPosition, static_cast<std::int16_t>(attributes | kTimestampTypeMask));
  store_big_endian(batch.data() + kBatchMaxTimestampPosition, now.value());
  stamp_crc(batch);
}

void stamp_crc(MutableByteView batch) {
  store_big_endian(batch.data() + kBatchCrcPosition, crc32c(batch.subspan(kBatchAttributesPosition)));
}

}  // namespace kurier::protocol
