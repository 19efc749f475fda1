#include "coordinator/runtime/batch_builder.h"

#include "protocol/record.h"

namespace kurier::coordinator {

namespace layout = protocol::batch_layout;

Bytes build_batch(std::span<const CoordinatorRecord> records, const std::optional<TransactionOfAppend>& transaction,
                  Timestamp now) {
  Bytes batch(protocol::kBatchHeaderBytes);
  std::int32_t delta = 0;
  for (const CoordinatorRecord& record : records) {
    protocol::RecordView view;
    view.key = record.key;
    if (record.value) view.value = *record.value;
    protocol::append_record(batch, view, delta++, 0);
  }
  const auto count = static_cast<std::int32_t>(records.size());
  std::byte* header = batch.data();
  store_big_endian(header + layout::kBaseOffset, std::int64_t{0});
  store_big_endian(header + layout::kLength, static_cast<std::int32_t>(batch.size() - protocol::kLogOverheadBytes));
  store_big_endian(header + layout::kLeaderEpoch, std::int32_t{-1});
  store_big_endian(header + layout::kMagic, protocol::kCurrentMagic);
  store_big_endian(header + layout::kAttributes, transaction ? protocol::kTransactionalMask : std::int16_t{0});
  store_big_endian(header + layout::kLastOffsetDelta, count - 1);
  store_big_endian(header + layout::kBaseTimestamp, now.value());
  store_big_endian(header + layout::kMaxTimestamp, now.value());
  store_big_endian(header + layout::kProducerId, transaction ? transaction->producer_id.value() : std::int64_t{-1});
  store_big_endian(header + layout::kProducerEpoch,
                   transaction ? transaction->producer_epoch.value() : std::int16_t{-1});
  store_big_endian(header + layout::kBaseSequence, std::int32_t{-1});
  store_big_endian(header + layout::kRecordCount, count);
  protocol::stamp_crc(batch);
  return batch;
}

}  // namespace kurier::coordinator
