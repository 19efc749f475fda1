// ListOffsets by time. In an uncompressed batch the exact record; in a compressed one its first record, so that a consumer
// that seeks there sees a few records too many and none too few.
#include "storage/log.h"

namespace kurier::storage {
namespace {

std::optional<std::int64_t> read_varint(ByteView& bytes) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64 && !bytes.empty(); shift += 7) {
    const auto byte = static_cast<std::uint64_t>(bytes.front());
    bytes = bytes.subspan(1);
    value |= (byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) return static_cast<std::int64_t>(value >> 1) ^ -static_cast<std::int64_t>(value & 1);
  }
  return std::nullopt;
}

// The first record at or after `timestamp` and `from`; a batch that cannot be walked answers with its first offset.
Log::TimestampOffset first_in_batch(const protocol::RecordBatchView& batch, Timestamp timestamp, Offset from) {
  Log::TimestampOffset whole{batch.max_timestamp(), std::max(batch.base_offset(), from), batch.leader_epoch()};
  if (batch.codec() != protocol::Codec::kNone) return whole;
  if (batch.timestamp_type() == protocol::TimestampType::kLogAppendTime) return whole;
  ByteView rest = batch.payload();
  while (!rest.empty()) {
    const auto length = read_varint(rest);
    if (!length || *length < 1 || static_cast<std::size_t>(*length) > rest.size()) return whole;
    ByteView record = rest.subspan(1, static_cast<std::size_t>(*length) - 1);  // after the attributes
    rest = rest.subspan(static_cast<std::size_t>(*length));
    const auto timestamp_delta = read_varint(record);
    const auto offset_delta = read_varint(record);
    if (!timestamp_delta || !offset_delta) return whole;
    const Timestamp its_timestamp = batch.base_timestamp() + *timestamp_delta;
    const Offset its_offset = batch.base_offset() + *offset_delta;
    if (its_timestamp >= timestamp && its_offset >= from) return {its_timestamp, its_offset, batch.leader_epoch()};
  }
  return whole;
}

}  // namespace

Result<std::optional<Log::TimestampOffset>> Log::first_record_at(Segment& segment, Timestamp timestamp, Offset from) {
  TRY_ASSIGN(const TimeIndex::Entry entry, segment.time_index().lookup(timestamp));
  TRY_ASSIGN(const OffsetIndex::Entry start, segment.offset_index().lookup(std::max(entry.offset, from)));
  std::optional<TimestampOffset> found;
  TRY(segment.scan(start.position, true, [&](const protocol::RecordBatchView& batch, std::uint64_t) -> Result<bool> {
    if (batch.max_timestamp() < timestamp || batch.last_offset() < from) return true;
    found = first_in_batch(batch, timestamp, from);
    return false;
  }));
  return found;
}

Result<std::optional<Log::TimestampOffset>> Log::offset_for_timestamp(Timestamp timestamp) {
  for (const auto& segment : segments_) {
    TRY_ASSIGN(const TimeIndex::Entry latest, segment->max_timestamp());
    if (segment->size_bytes() == 0 || latest.timestamp < timestamp) continue;
    TRY_ASSIGN(auto found, first_record_at(*segment, timestamp, log_start_offset_));
    if (found) return found;
  }
  return std::nullopt;
}

Result<std::optional<Log::TimestampOffset>> Log::offset_of_max_timestamp() {
  Timestamp latest(-1);
  Segment* holder = nullptr;
  for (const auto& segment : segments_) {
    TRY_ASSIGN(const TimeIndex::Entry entry, segment->max_timestamp());
    if (segment->size_bytes() > 0 && entry.timestamp > latest) {
      latest = entry.timestamp;
      holder = segment.get();
    }
  }
  if (holder == nullptr) return std::nullopt;
  return first_record_at(*holder, latest, log_start_offset_);
}

}  // namespace kurier::storage
