#include "coordinator/group/replay.h"

#include "base/log.h"
#include "coordinator/group/records.h"

namespace kurier::coordinator {
namespace {

void replay_group(GroupState& state, GroupRecord record) {
  if (record.value) {
    state.put_classic_group(record.group, *std::move(record.value));
  } else {
    state.erase_classic_group(record.group);
  }
}

void replay_offset(GroupState& state, OffsetRecord record, Offset record_offset, ProducerId producer) {
  if (!record.offset) {  // a tombstone also ends what transactions have pending for the partition
    state.erase_offset(record.group, record.partition);
    state.erase_pending(record.group, record.partition);
    return;
  }
  record.offset->record_offset = record_offset;
  if (producer == ProducerId(-1)) {
    state.put_offset(record.group, record.partition, *std::move(record.offset));
  } else {
    state.put_pending(producer, record.group, record.partition, *std::move(record.offset));
  }
}

}  // namespace

Result<void> replay(GroupState& state, ByteView key, std::optional<ByteView> value, Offset record_offset,
                    ProducerId producer) {
  TRY_ASSIGN(DecodedRecord record, decode_record(key, value));
  if (auto* group = std::get_if<GroupRecord>(&record)) {
    replay_group(state, std::move(*group));
  } else if (auto* offset = std::get_if<OffsetRecord>(&record)) {
    replay_offset(state, std::move(*offset), record_offset, producer);
  } else if (const auto* unknown = std::get_if<UnknownRecord>(&record)) {
    LOG_WARN("a record of the unknown type {} at offset {} of __consumer_offsets is passed over", unknown->type,
             record_offset.value());
  } else {
    const auto& other = std::get<OtherRecord>(record);
    if (value) {
      state.put_other_record(other.group, to_bytes(key), to_bytes(*value));
    } else {
      state.erase_other_record(other.group, to_bytes(key));
    }
  }
  return {};
}

void replay_end_transaction(GroupState& state, ProducerId producer, bool commit) {
  for (auto& [where, offset] : state.take_pending(producer)) {
    if (!commit) continue;
    const auto existing = state.offset(where.group, where.partition.topic, where.partition.partition);
    // Committed outside the transaction, but later in the log: the later one stays.
    if (existing && existing->record_offset >= offset.record_offset) continue;
    state.put_offset(where.group, where.partition, std::move(offset));
  }
}

}  // namespace kurier::coordinator
