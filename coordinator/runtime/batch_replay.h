// Batches of a coordinator's log, replayed into its machine record by record.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "protocol/compression.h"
#include "protocol/record.h"
#include "protocol/record_batch.h"

namespace kurier::coordinator {

namespace detail {

// A control record's key is version and type, int16 each: type 0 is ABORT, 1 is COMMIT; others mean nothing here.
template <class Machine>
Result<void> replay_control(Machine& machine, const protocol::RecordBatchView& batch) {
  protocol::RecordReader records(batch, batch.payload());
  const protocol::RecordView* record = records.next();
  if (record == nullptr || !record->key || record->key->size() < 4)
    return fail(Failure::kCorrupt, "a control batch without a type");
  const auto type = load_big_endian<std::int16_t>(record->key->data() + 2);
  if (type == 0 || type == 1) machine.replay_end_transaction(batch.producer_id(), type == 1);
  return {};
}

template <class Machine>
Result<void> replay_batch(Machine& machine, const protocol::RecordBatchView& batch) {
  if (batch.is_control()) return replay_control(machine, batch);
  Bytes uncompressed;
  ByteView payload = batch.payload();
  if (batch.codec() != protocol::Codec::kNone) {
    TRY_ASSIGN(uncompressed, protocol::decompress(batch.codec(), payload, protocol::kDecompressedBytesMax));
    payload = uncompressed;
  }
  const ProducerId producer = batch.is_transactional() ? batch.producer_id() : ProducerId(-1);
  protocol::RecordReader records(batch, payload);
  while (const protocol::RecordView* record = records.next()) {
    if (!record->key) continue;  // no coordinator's record
    TRY(machine.replay(*record->key, record->value, record->offset, producer));
  }
  return records.ok() ? Result<void>{} : fail(Failure::kCorrupt, std::string(records.error()));
}

}  // namespace detail

struct Replayed {
  Offset next;           // behind the last whole batch; where it began if there is none
  bool is_whole = true;  // no offset is missing, as it would be where the log was cleaned
  std::optional<std::uint32_t> crc;  // of the last batch
};

// The whole batches in `bytes`; records before `from` have been replayed already. The machine's errors and damaged batches end
// it, with the offset in the context.
template <class Machine>
Result<Replayed> replay_batches(Machine& machine, ByteView bytes, Offset from) {
  bool is_whole = true;
  std::optional<std::uint32_t> crc;
  while (!bytes.empty()) {
    const auto batch = protocol::RecordBatchView::parse(bytes);
    if (!batch && batch.error().failure == Failure::kOutOfRange) break;  // the rest comes with the next read
    if (!batch) return std::unexpected(batch.error());
    if (!batch->crc_is_valid())
      return fail(Failure::kCorrupt,
                  "the checksum of the batch at offset " + std::to_string(batch->base_offset().value()));
    if (batch->last_offset() >= from) {
      is_whole = is_whole && batch->base_offset() <= from && batch->record_count() == batch->last_offset_delta() + 1;
      const Result<void> replayed = detail::replay_batch(machine, *batch);
      if (!replayed)
        return std::unexpected(replayed.error().within("offset " + std::to_string(batch->base_offset().value())));
      from = batch->next_offset();
      crc = batch->crc();
    }
    bytes = bytes.subspan(batch->size_bytes());
  }
  return Replayed{from, is_whole, crc};
}

}  // namespace kurier::coordinator
