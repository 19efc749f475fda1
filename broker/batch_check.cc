#include "broker/batch_check.h"

#include <fmt/core.h>

namespace kurier::broker {

using protocol::ErrorCode;
using protocol::RecordBatchView;

BatchVerdict check_batch(MutableByteView records, const config::TopicConfig& config, std::int16_t produce_version, Timestamp now) {
  const std::size_t magic_at = protocol::batch_layout::kMagic;
  if (records.size() > magic_at && load_big_endian<std::int8_t>(records.data() + magic_at) != protocol::kCurrentMagic) {
    return {ErrorCode::kInvalidRecord, "Produce requests with version 3 or higher are only allowed to contain record batches with magic version 2"};
  }
  const auto parsed = RecordBatchView::parse(records);
  if (!parsed) return {ErrorCode::kCorruptMessage, parsed.error().context};
  const RecordBatchView& batch = *parsed;
  if (batch.codec() == protocol::Codec::kZstd && produce_version < 7) {
    return {ErrorCode::kUnsupportedCompressionType, "zstd needs Produce version 7"};
  }
  if (batch.size_bytes() != records.size()) {
    return {ErrorCode::kInvalidRecord, "Produce requests with version 3 or higher must contain exactly one record batch per partition"};
  }
  if (batch.size_bytes() > static_cast<std::size_t>(config.max_message_bytes)) {
    return {ErrorCode::kMessageTooLarge, fmt::format("a batch of {} bytes, more than max.message.bytes={}", batch.size_bytes(),
                                                     config.max_message_bytes)};
  }
  if (!batch.crc_is_valid()) return {ErrorCode::kCorruptMessage, "the checksum of the batch does not fit"};
  if (batch.is_control()) return {ErrorCode::kInvalidRecord, "clients may not write control batches"};
  if (batch.record_count() <= 0 || batch.last_offset_delta() != batch.record_count() - 1) {
    return {ErrorCode::kInvalidRecord, fmt::format("a batch of {} records whose last offset delta is {}", batch.record_count(),
                                                   batch.last_offset_delta())};
  }
  if (batch.has_producer_id() && (batch.base_sequence() < 0 || batch.producer_epoch().value() < 0)) {
    return {ErrorCode::kInvalidRecord, "a batch with a producer id but without epoch or sequence"};
  }
  if (config.timestamp_type == config::TimestampType::kLogAppendTime) {
    if (batch.timestamp_type() == protocol::TimestampType::kLogAppendTime) {
      return {ErrorCode::kInvalidTimestamp, "a producer may not say that its timestamps are the broker's"};
    }
    protocol::stamp_log_append_time(records, now);
    return {};
  }
  // message.timestamp.before.max.ms, message.timestamp.after.max.ms
  const std::int64_t ahead = batch.max_timestamp() - now;
  const bool too_late = batch.max_timestamp().value() >= 0 && ahead > config.timestamp_after_max.count();
  const bool too_early = batch.max_timestamp().value() >= 0 && -ahead > config.timestamp_before_max.count();
  if (too_late || too_early) {
    return {ErrorCode::kInvalidTimestamp,
            fmt::format("timestamp {} is not within -{} to +{} ms of the broker's time {}", batch.max_timestamp().value(),
                        config.timestamp_before_max.count(), config.timestamp_after_max.count(), now.value()),
            true};
  }
  return {};
}

}  // namespace kurier::broker
