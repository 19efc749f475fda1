// Record batches as a client or a disk may hold them. Input: flags (1 byte), the batches. With flag 1 the checksums are
// made right first, so that what lies behind them is reached.
#include <vector>

#include "base/check.h"
#include "protocol/batch_validation.h"
#include "protocol/metadata_record.h"
#include "protocol/record_batch.h"
#include "replication/raft/raft_records.h"
#include "storage/producer_state.h"

using namespace kurier;

namespace {

// The batches at the beginning of `bytes`; their checksums are right afterwards if `correct`.
std::vector<protocol::RecordBatchView> batches_of(MutableByteView bytes, bool correct) {
  std::vector<protocol::RecordBatchView> batches;
  while (!bytes.empty()) {
    auto batch = protocol::RecordBatchView::parse(bytes);
    if (!batch) break;
    const std::size_t size = batch->size_bytes();
    KURIER_CHECK(size <= bytes.size());
    if (correct) protocol::stamp_crc(bytes.first(size));
    batches.push_back(*batch);
    bytes = bytes.subspan(size);
  }
  return batches;
}

void read_metadata(ByteView value) {
  const auto record = protocol::decode_metadata_record(value);
  if (!record) return;
  static_cast<void>(protocol::to_string(record->record));
  const auto bytes = protocol::encode_metadata_record(record->record, record->version);
  // As in message_round_trip.h: unknown tagged fields out of order are read, not written.
  if (!bytes && bytes.error().context.find("in the order of their tags") != std::string::npos) return;
  KURIER_CHECK(bytes.has_value());
  const auto again = protocol::decode_metadata_record(*bytes);
  KURIER_CHECK(again.has_value());
  KURIER_CHECK(protocol::encode_metadata_record(again->record, again->version).value() == *bytes);
}

void read_raft_records(ByteView bytes) {
  const auto whole = replication::walk_batches(bytes, [](const replication::RaftRecord& record) -> Result<void> {
    if (!record.control) read_metadata(record.value);
    static_cast<void>(replication::parse_kraft_version(record.value));
    static_cast<void>(replication::parse_voters(record.value));
    static_cast<void>(replication::parse_snapshot_header(record.value));
    return {};
  });
  if (whole) KURIER_CHECK(*whole <= bytes.size());
}

void replay(const std::vector<protocol::RecordBatchView>& batches) {
  storage::ProducerState state;
  for (const protocol::RecordBatchView& batch : batches) {
    if (!batch.has_producer_id() || batch.base_offset() < Offset(0) || batch.last_offset_delta() < 0)
      continue;  // never appended
    if (batch.base_offset() > Offset(std::int64_t{1} << 62)) continue;
    if (!batch.is_control() && state.check(batch).verdict != storage::ProducerVerdict::kInSequence) continue;
    if (const auto completed = state.replay(batch)) static_cast<void>(state.last_stable_offset_after(*completed));
    static_cast<void>(state.first_unstable_offset());
  }
  const auto copy = storage::ProducerState::from_snapshot(state.to_snapshot());
  KURIER_CHECK(copy.has_value());
  KURIER_CHECK(copy->to_snapshot() == state.to_snapshot());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  Bytes bytes = to_bytes(std::as_bytes(std::span(data, size)).subspan(1));
  const auto batches = batches_of(bytes, (data[0] & 1) != 0);
  for (const protocol::RecordBatchView& batch : batches) static_cast<void>(batch.crc_is_valid());
  read_raft_records(bytes);
  replay(batches);
  protocol::BatchRules rules;
  rules.produce_version = static_cast<std::int16_t>(data[0] >> 4);
  rules.decompressed_bytes_max = 1 << 20;
  if ((data[0] & 2) != 0) rules.timestamp_type = protocol::TimestampType::kLogAppendTime;
  rules.compact = (data[0] & 4) != 0;
  if ((data[0] & 8) != 0) rules.codec = protocol::Codec::kLz4;
  static_cast<void>(protocol::validate_framing(bytes, rules));
  // Whether they have been read before makes no difference.
  Bytes read_before = bytes;
  const auto reading = protocol::read_batch(read_before, 1'000);
  const auto expected = protocol::validate_batch(read_before, rules, Timestamp(1'700'000'000'000), reading);
  const auto verdict = protocol::validate_batch(bytes, rules, Timestamp(1'700'000'000'000));
  KURIER_CHECK(expected.error == verdict.error && read_before == bytes);
  // What is accepted is one batch that the log can take.
  if (verdict.accepted()) {
    const ByteView accepted = verdict.rebuilt.empty() ? ByteView(verdict.batch) : ByteView(verdict.rebuilt);
    const auto batch = protocol::RecordBatchView::parse(accepted);
    KURIER_CHECK(batch.has_value());
    KURIER_CHECK(batch->size_bytes() == accepted.size());
    KURIER_CHECK(batch->crc_is_valid());
  }
  return 0;
}
