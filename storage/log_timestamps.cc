// ListOffsets by time: the exact record, compressed or not. Only the batch that may hold it is read and walked.
#include "protocol/compression.h"
#include "protocol/record.h"
#include "storage/log.h"

namespace kurier::storage {
namespace {

using protocol::RecordBatchView;

// The first record of the batch at or after `timestamp` and `from`; none if there is no such record. A batch that
// cannot be walked answers with its first offset: a consumer that seeks there sees a few records too many and none too
// few.
std::optional<Log::TimestampOffset> first_in_batch(const RecordBatchView& batch, Timestamp timestamp, Offset from) {
  const Log::TimestampOffset whole{batch.max_timestamp(), std::max(batch.base_offset(), from), batch.leader_epoch()};
  Bytes decompressed;
  if (batch.codec() != protocol::Codec::kNone) {
    auto result = protocol::decompress(batch.codec(), batch.payload(), protocol::kDecompressedBytesMax);
    if (!result) return whole;
    decompressed = std::move(*result);
  }
  protocol::RecordReader reader(batch,
                                batch.codec() == protocol::Codec::kNone ? batch.payload() : ByteView(decompressed));
  while (const protocol::RecordView* record = reader.next()) {
    if (record->timestamp >= timestamp && record->offset >= from)
      return {{record->timestamp, record->offset, batch.leader_epoch()}};
  }
  return reader.ok() ? std::nullopt : std::optional(whole);
}

}  // namespace

Result<std::optional<Log::TimestampOffset>> Log::first_record_at(Segment& segment, Timestamp timestamp, Offset from) {
  TRY_ASSIGN(const TimeIndex::Entry entry, segment.time_index().lookup(timestamp));
  TRY_ASSIGN(const OffsetIndex::Entry start, segment.offset_index().lookup(std::max(entry.offset, from)));
  TRY_ASSIGN(const auto file, segment.file());
  std::optional<TimestampOffset> found;
  TRY(segment.scan(start.position, false, [&](const RecordBatchView& header, std::uint64_t position) -> Result<bool> {
    if (header.max_timestamp() < timestamp || header.last_offset() < from) return true;
    Bytes bytes(header.size_bytes());
    TRY_ASSIGN(const std::size_t read, file->read_at(position, bytes));
    TRY_ASSIGN(const RecordBatchView batch, RecordBatchView::parse(ByteView(bytes).first(read)));
    found = first_in_batch(batch, timestamp, from);
    return !found.has_value();
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
    if (segment->size_bytes() > 0 && (holder == nullptr || entry.timestamp > latest)) {
      latest = entry.timestamp;
      holder = segment.get();
    }
  }
  if (holder == nullptr) return std::nullopt;
  return first_record_at(*holder, latest, log_start_offset_);
}

}  // namespace kurier::storage
