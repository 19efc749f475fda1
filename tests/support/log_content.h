// What is in a log, decoded: read as a fetch reads it. What cannot be decoded is a std::runtime_error.
#pragma once

#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "protocol/compression.h"
#include "protocol/record.h"
#include "storage/log.h"

namespace kurier::test {

struct DecodedRecord {
  Offset offset;
  std::optional<std::string> key;
  std::optional<std::string> value;
  Timestamp timestamp;
  friend bool operator==(const DecodedRecord&, const DecodedRecord&) = default;
};

struct DecodedBatch {
  Offset base;
  Offset last;
  ProducerId producer{-1};
  ProducerEpoch epoch{-1};
  std::int32_t base_sequence = -1;
  LeaderEpoch leader_epoch;
  bool transactional = false;
  bool control = false;
  protocol::Codec codec = protocol::Codec::kNone;
  std::optional<std::int64_t> delete_horizon;
  std::int64_t max_timestamp = -1;
  std::vector<DecodedRecord> records;
  friend bool operator==(const DecodedBatch&, const DecodedBatch&) = default;
};

inline void must(bool condition, const char* what) {
  if (!condition) throw std::runtime_error(what);
}

inline DecodedBatch decode(const protocol::RecordBatchView& batch) {
  must(batch.crc_is_valid(), "a batch whose checksum does not fit");
  DecodedBatch decoded{.base = batch.base_offset(),
                       .last = batch.last_offset(),
                       .producer = batch.producer_id(),
                       .epoch = batch.producer_epoch(),
                       .base_sequence = batch.base_sequence(),
                       .leader_epoch = batch.leader_epoch(),
                       .transactional = batch.is_transactional(),
                       .control = batch.is_control(),
                       .codec = batch.codec(),
                       .max_timestamp = batch.max_timestamp().value()};
  if (batch.has_delete_horizon()) decoded.delete_horizon = batch.base_timestamp().value();
  const auto payload = protocol::decompress(batch.record_count() == 0 ? protocol::Codec::kNone : batch.codec(),
                                            batch.payload(), 1 << 24);
  must(payload.has_value(), "records that cannot be decompressed");
  const auto text = [](const std::optional<ByteView>& view) {
    return view ? std::optional(std::string(as_text(*view))) : std::nullopt;
  };
  protocol::RecordReader reader(batch, *payload);
  while (const auto* record = reader.next()) {
    decoded.records.push_back({record->offset, text(record->key), text(record->value), record->timestamp});
  }
  must(reader.ok() && reader.records_read() == batch.record_count(), "records that do not fit their batch");
  return decoded;
}

// Every batch from the one that holds `at` on.
inline std::vector<DecodedBatch> content_from(storage::Log& log, Offset at) {
  std::vector<DecodedBatch> all;
  while (at < log.log_end_offset()) {
    const auto read = log.read(at, 4096, log.log_end_offset(), true);
    must(read.has_value(), "a read that fails");
    if (read->slice.size_bytes == 0) break;
    Bytes bytes(read->slice.size_bytes);
    must(read->slice.file->read_at(read->slice.position, bytes) == bytes.size(), "a file that is too short");
    std::size_t whole = 0;
    while (whole < bytes.size()) {
      const auto batch = protocol::RecordBatchView::parse(ByteView(bytes).subspan(whole));
      if (!batch) break;
      whole += batch->size_bytes();
      if (batch->last_offset() < at) continue;
      all.push_back(decode(*batch));
      at = batch->next_offset();
    }
    must(whole > 0, "a batch that cannot be parsed");
  }
  return all;
}
inline std::vector<DecodedBatch> content_of(storage::Log& log) { return content_from(log, log.log_start_offset()); }

}  // namespace kurier::test
