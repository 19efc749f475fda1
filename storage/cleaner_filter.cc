#include "storage/cleaner_filter.h"

#include <fmt/core.h>

#include <algorithm>

#include "protocol/compression.h"
#include "protocol/record.h"

namespace kurier::storage {
namespace {

using protocol::Codec;
using protocol::RecordBatchView;
using protocol::RecordReader;
using protocol::RecordView;
using protocol::TimestampType;
namespace layout = protocol::batch_layout;

constexpr std::int16_t kMarkerAbort = 0;
constexpr std::int16_t kMarkerCommit = 1;

std::int64_t wrapping_difference(Timestamp left, Timestamp right) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(left.value()) -
                                   static_cast<std::uint64_t>(right.value()));
}

// The type of a control batch's record; none of an empty one.
std::optional<std::int16_t> control_type(const RecordBatchView& batch) {
  RecordReader reader(batch, batch.payload());
  const RecordView* record = reader.next();
  if (record == nullptr || !record->key || record->key->size() < 4) return std::nullopt;
  return load_big_endian<std::int16_t>(record->key->data() + 2);
}

bool horizon_has_passed(const RecordBatchView& batch, Timestamp now) {
  return batch.has_delete_horizon() && batch.base_timestamp() <= now;
}

std::unexpected<Error> damaged(Failure failure, const RecordBatchView& batch, std::string_view why) {
  return fail(failure, fmt::format("the batch at offset {}: {}", batch.base_offset().value(), why));
}

// The header of `batch` with other records: their number, the timestamps and the codec are the caller's.
Bytes with_header_of(const RecordBatchView& batch, ByteView payload, std::int32_t count, std::int16_t attributes,
                     Timestamp base_timestamp, Timestamp max_timestamp) {
  Bytes bytes(protocol::kBatchHeaderBytes + payload.size());
  std::ranges::copy(batch.bytes().first(protocol::kBatchHeaderBytes), bytes.begin());
  std::ranges::copy(payload, bytes.begin() + static_cast<std::ptrdiff_t>(protocol::kBatchHeaderBytes));
  std::byte* to = bytes.data();
  store_big_endian(to + layout::kLength, static_cast<std::int32_t>(bytes.size() - protocol::kLogOverheadBytes));
  store_big_endian(to + layout::kAttributes, attributes);
  store_big_endian(to + layout::kBaseTimestamp, base_timestamp.value());
  store_big_endian(to + layout::kMaxTimestamp, max_timestamp.value());
  store_big_endian(to + layout::kRecordCount, count);
  protocol::stamp_crc(bytes);
  return bytes;
}

// Only who wrote it, with which sequence, and where it ended.
Bytes emptied(const RecordBatchView& batch) {
  const auto attributes =
      static_cast<std::int16_t>(batch.attributes() & ~(protocol::kCodecMask | protocol::kDeleteHorizonMask));
  return with_header_of(batch, {}, 0, attributes, Timestamp(-1), batch.max_timestamp());
}

void append(Bytes& to, ByteView bytes) { to.insert(to.end(), bytes.begin(), bytes.end()); }

}  // namespace

void CleanedTransactions::expect(const std::vector<AbortedTransaction>& aborted) {
  for (const AbortedTransaction& transaction : aborted) expected_.emplace(transaction.first_offset, transaction);
}

void CleanedTransactions::begin_up_to(Offset offset) {
  while (!expected_.empty() && expected_.begin()->first <= offset) {
    const AbortedTransaction& transaction = expected_.begin()->second;
    aborted_.try_emplace(transaction.producer_id, Ongoing{transaction});
    expected_.erase(expected_.begin());
  }
}

CleanedTransactions::Verdict CleanedTransactions::see(const RecordBatchView& batch) {
  begin_up_to(batch.last_offset());
  if (batch.is_control()) return see_marker(batch);
  if (!batch.is_transactional()) return {};
  const auto aborted = aborted_.find(batch.producer_id());
  if (aborted == aborted_.end()) {
    committed_.insert(batch.producer_id());
    return {};
  }
  aborted->second.has_data = true;
  return {.can_be_discarded = true};
}

CleanedTransactions::Verdict CleanedTransactions::see_marker(const RecordBatchView& batch) {
  if (batch.record_count() == 0) return {.can_be_discarded = true};  // was emptied by an earlier cleaning
  const auto type = control_type(batch);
  if (type == kMarkerCommit) return {.can_be_discarded = committed_.erase(batch.producer_id()) == 0};
  if (type != kMarkerAbort) return {};  // of another kind: not ours
  const auto ended = aborted_.extract(batch.producer_id());
  if (!ended || !ended.mapped().has_data) return {.can_be_discarded = true};
  return {.still_aborted = ended.mapped().transaction};
}

Result<ByteView> uncompressed_records(const RecordBatchView& batch, Bytes& buffer) {
  if (batch.codec() == Codec::kNone || batch.record_count() == 0) return batch.payload();
  auto decompressed = protocol::decompress(batch.codec(), batch.payload(), protocol::kDecompressedBytesMax);
  if (!decompressed) {
    // Too large once is too large always; what is exhausted otherwise may pass.
    const Failure failure = decompressed.error().failure;
    return damaged(failure == Failure::kExhausted ? Failure::kUnsupported : failure, batch,
                   decompressed.error().context);
  }
  buffer = std::move(*decompressed);
  return ByteView(buffer);
}

Result<bool> map_keys(const RecordBatchView& batch, bool is_aborted, Offset first_dirty_offset, CleanerKeyMap& keys) {
  if (batch.last_offset() < first_dirty_offset) return true;
  if (!is_aborted && !batch.is_control()) {
    Bytes buffer;
    TRY_ASSIGN(const ByteView payload, uncompressed_records(batch, buffer));
    RecordReader reader(batch, payload);
    while (const RecordView* record = reader.next()) {
      if (!record->key || record->offset < first_dirty_offset) continue;
      if (!keys.put(*record->key, record->offset)) return false;
    }
    if (!reader.ok()) return damaged(Failure::kCorrupt, batch, reader.error());
  }
  keys.last_offset_is(batch.last_offset());
  return true;
}

// Idempotence survives: the batch with the producer's last sequence stays, if only as a header; of a producer that has
// written nothing since its last marker, that marker, which has its epoch.
bool BatchFilter::must_stay_known(const RecordBatchView& batch) const {
  if (batch.next_offset() == rules_.high_watermark) return true;
  if (!batch.has_producer_id()) return false;
  const auto producer = producers_.find(batch.producer_id());
  if (producer == producers_.end()) return false;
  const LastOfProducer& last = producer->second;
  if (last.last_data_offset) return batch.last_offset() == *last.last_data_offset;
  return batch.is_control() && batch.producer_epoch() == last.epoch;
}

bool BatchFilter::stays(const RecordBatchView& batch, std::optional<ByteView> key, bool has_value, Offset offset) {
  if (batch.is_control() || offset > keys_.last_offset()) return true;
  if (!key) {
    ++counts_.records_without_key;
    return false;
  }
  const auto latest = keys_.get(*key);
  if (latest && offset < *latest) return false;
  return has_value || !horizon_has_passed(batch, rules_.now);
}

Result<void> BatchFilter::filter(const RecordBatchView& batch, bool can_be_discarded, Bytes& to) {
  // New checksums must not hide old damage.
  if (!batch.crc_is_valid()) return damaged(Failure::kCorrupt, batch, "its checksum does not fit");
  const bool discard = can_be_discarded && (!batch.is_control() || horizon_has_passed(batch, rules_.now));
  const bool known = must_stay_known(batch);
  counts_.records_read += static_cast<std::uint64_t>(std::max(0, batch.record_count()));
  if (discard && !known) return {};

  std::vector<RecordView> records;
  bool has_tombstone = false;
  Timestamp max_timestamp(-1);
  Bytes buffer;
  if (!discard) {
    TRY_ASSIGN(const ByteView payload, uncompressed_records(batch, buffer));
    RecordReader reader(batch, payload);
    while (const RecordView* record = reader.next()) {
      if (!stays(batch, record->key, record->value.has_value(), record->offset)) continue;
      records.push_back(*record);
      has_tombstone = has_tombstone || !record->value;
      max_timestamp = std::max(max_timestamp, record->timestamp);
    }
    if (!reader.ok()) return damaged(Failure::kCorrupt, batch, reader.error());
  }
  if (records.empty()) {
    if (known) append(to, emptied(batch));
    return {};
  }
  counts_.records_kept += records.size();
  // KIP-534: from now on it is known when its tombstones, or its marker, may go.
  const bool may_go = has_tombstone || (batch.is_control() && can_be_discarded);
  const bool sets_horizon = may_go && !batch.has_delete_horizon();
  if (records.size() == static_cast<std::size_t>(batch.record_count()) && !sets_horizon) {
    append(to, batch.bytes());
    return {};
  }
  Timestamp base = records.front().timestamp;
  if (batch.has_delete_horizon()) base = batch.base_timestamp();
  if (sets_horizon) {
    const bool fits = rules_.delete_retention_ms <= INT64_MAX - rules_.now.value();
    base = fits ? rules_.now + rules_.delete_retention_ms : Timestamp(INT64_MAX);
  }
  Bytes rewritten;
  for (const RecordView& record : records) {
    protocol::append_record(rewritten, record, record.offset_delta, wrapping_difference(record.timestamp, base));
  }
  const bool has_append_time = batch.timestamp_type() == TimestampType::kLogAppendTime;
  const auto attributes =
      static_cast<std::int16_t>(batch.attributes() | (sets_horizon ? protocol::kDeleteHorizonMask : 0));
  const Bytes payload = protocol::compress(batch.codec(), rewritten, protocol::default_level(batch.codec()));
  append(to, with_header_of(batch, payload, static_cast<std::int32_t>(records.size()), attributes, base,
                            has_append_time ? batch.max_timestamp() : max_timestamp));
  return {};
}

}  // namespace kurier::storage
