#include "storage/producer_state.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/crc32c.h"
#include "protocol/record.h"

namespace kurier::storage {
namespace {

constexpr std::int16_t kSnapshotVersion = 1;
constexpr std::size_t kSnapshotHeaderBytes = 10;  // version 2, crc 4, count 4
constexpr std::size_t kSnapshotEntryBytes = 46;

// A transaction marker's payload is one record whose key is {version int16, type int16} and whose value is
// {version int16, coordinator epoch int32}.
struct Marker {
  bool is_commit = false;
  std::int32_t coordinator_epoch = -1;
};

std::optional<Marker> parse_marker(const protocol::RecordBatchView& batch) {
  protocol::RecordReader reader(batch, batch.payload());
  const protocol::RecordView* record = reader.next();
  if (record == nullptr || !record->key || record->key->size() < 4) return std::nullopt;
  if (!record->value || record->value->size() < 6) return std::nullopt;
  const auto type = load_big_endian<std::int16_t>(record->key->data() + 2);
  if (type != 0 && type != 1) return std::nullopt;
  return Marker{type == 1, load_big_endian<std::int32_t>(record->value->data() + 2)};
}

bool follows(std::int32_t last_sequence, std::int32_t next_sequence) {
  return next_sequence == protocol::increment_sequence(last_sequence, 1);
}

}  // namespace

ProducerState::Check ProducerState::check(const protocol::RecordBatchView& batch) const {
  const auto found = producers_.find(batch.producer_id());
  if (found == producers_.end()) return {};  // any sequence: what was known may have gone with retention
  const ProducerEntry& entry = found->second;
  if (batch.producer_epoch() < entry.epoch) return {ProducerVerdict::kInvalidProducerEpoch, {}};
  if (batch.producer_epoch() > entry.epoch) {
    // A new incarnation begins at 0.
    const bool begins = batch.base_sequence() == 0 || entry.epoch.value() < 0;
    return {begins ? ProducerVerdict::kInSequence : ProducerVerdict::kOutOfOrderSequence, {}};
  }
  for (const ProducerBatch& known : entry.batches) {
    const bool same_end = known.last_sequence == batch.last_sequence();
    if (same_end && known.offset_delta == batch.last_offset_delta()) return {ProducerVerdict::kDuplicate, known};
  }
  const std::int32_t last_sequence = entry.batches.empty() ? -1 : entry.batches.back().last_sequence;
  const bool in_sequence = last_sequence < 0 ? batch.base_sequence() == 0 : follows(last_sequence, batch.base_sequence());
  return {in_sequence ? ProducerVerdict::kInSequence : ProducerVerdict::kOutOfOrderSequence, {}};
}

void ProducerState::begin_transaction(ProducerId producer_id, Offset first_offset) {
  ProducerEntry& entry = producers_[producer_id];
  if (entry.transaction_first_offset) return;
  entry.transaction_first_offset = first_offset;
  open_.emplace(first_offset, producer_id);
}

std::optional<CompletedTransaction> ProducerState::replay(const protocol::RecordBatchView& batch) {
  if (!batch.has_producer_id()) return std::nullopt;
  const ProducerId producer_id = batch.producer_id();
  if (batch.is_control()) {
    const auto marker = parse_marker(batch);
    if (!marker) return std::nullopt;  // a control record of another kind
    ProducerEntry& entry = producers_[producer_id];
    if (batch.producer_epoch() > entry.epoch) entry.batches.clear();
    entry.epoch = batch.producer_epoch();
    entry.coordinator_epoch = marker->coordinator_epoch;
    entry.last_timestamp = batch.max_timestamp();
    if (!entry.transaction_first_offset) return std::nullopt;
    const CompletedTransaction completed{producer_id, *entry.transaction_first_offset, batch.last_offset(),
                                         !marker->is_commit};
    open_.erase(completed.first_offset);
    entry.transaction_first_offset.reset();
    unreplicated_.emplace(completed.first_offset, completed.last_offset);
    return completed;
  }
  ProducerEntry& entry = producers_[producer_id];
  if (batch.producer_epoch() != entry.epoch) {
    entry.epoch = batch.producer_epoch();
    entry.batches.clear();
  }
  entry.last_timestamp = batch.max_timestamp();
  entry.batches.push_back({batch.last_sequence(), batch.last_offset(), batch.last_offset_delta(), batch.max_timestamp()});
  if (entry.batches.size() > kBatchesRemembered) entry.batches.pop_front();
  if (batch.is_transactional()) begin_transaction(producer_id, batch.base_offset());
  return std::nullopt;
}

Offset ProducerState::last_stable_offset_after(const CompletedTransaction& completed) const {
  return open_.empty() ? completed.last_offset + 1 : open_.begin()->first;
}

std::optional<Offset> ProducerState::first_unstable_offset() const {
  if (open_.empty() && unreplicated_.empty()) return std::nullopt;
  if (open_.empty()) return unreplicated_.begin()->first;
  if (unreplicated_.empty()) return open_.begin()->first;
  return std::min(open_.begin()->first, unreplicated_.begin()->first);
}

void ProducerState::high_watermark_is(Offset high_watermark) {
  std::erase_if(unreplicated_, [&](const auto& entry) { return entry.second < high_watermark; });
}

void ProducerState::expire(Timestamp now, std::int64_t expiration_ms) {
  std::erase_if(producers_, [&](const auto& item) {
    return !item.second.transaction_first_offset && now - item.second.last_timestamp >= expiration_ms;
  });
}

void ProducerState::truncate_from_start(Offset log_start_offset) {
  std::erase_if(unreplicated_, [&](const auto& entry) { return entry.second < log_start_offset; });
}

void ProducerState::clear() {
  producers_.clear();
  open_.clear();
  unreplicated_.clear();
}

Bytes ProducerState::to_snapshot() const {
  Bytes bytes(kSnapshotHeaderBytes + producers_.size() * kSnapshotEntryBytes);
  store_big_endian(bytes.data(), kSnapshotVersion);
  store_big_endian(bytes.data() + 6, static_cast<std::int32_t>(producers_.size()));
  std::byte* to = bytes.data() + kSnapshotHeaderBytes;
  for (const auto& [producer_id, entry] : producers_) {
    const ProducerBatch last = entry.batches.empty() ? ProducerBatch{} : entry.batches.back();
    store_big_endian(to, producer_id.value());
    store_big_endian(to + 8, entry.epoch.value());
    store_big_endian(to + 10, last.last_sequence);
    store_big_endian(to + 14, last.last_offset.value());
    store_big_endian(to + 22, last.offset_delta);
    store_big_endian(to + 26, entry.last_timestamp.value());
    store_big_endian(to + 34, entry.coordinator_epoch);
    store_big_endian(to + 38, entry.transaction_first_offset.value_or(Offset(-1)).value());
    to += kSnapshotEntryBytes;
  }
  store_big_endian(bytes.data() + 2, crc32c(ByteView(bytes).subspan(6)));
  return bytes;
}

Result<ProducerState> ProducerState::from_snapshot(ByteView snapshot) {
  if (snapshot.size() < kSnapshotHeaderBytes) return fail(Failure::kCorrupt, "a producer snapshot without its header");
  const auto version = load_big_endian<std::int16_t>(snapshot.data());
  if (version != kSnapshotVersion) {
    return fail(Failure::kUnsupported, fmt::format("a producer snapshot of version {}, not {}", version, kSnapshotVersion));
  }
  if (load_big_endian<std::uint32_t>(snapshot.data() + 2) != crc32c(snapshot.subspan(6))) {
    return fail(Failure::kCorrupt, "a producer snapshot whose crc does not fit");
  }
  const auto count = load_big_endian<std::int32_t>(snapshot.data() + 6);
  if (count < 0 || snapshot.size() - kSnapshotHeaderBytes != static_cast<std::size_t>(count) * kSnapshotEntryBytes) {
    return fail(Failure::kCorrupt, fmt::format("a producer snapshot of {} entries in {} bytes", count, snapshot.size()));
  }
  ProducerState state;
  const std::byte* from = snapshot.data() + kSnapshotHeaderBytes;
  for (std::int32_t i = 0; i < count; ++i, from += kSnapshotEntryBytes) {
    const ProducerId producer_id(load_big_endian<std::int64_t>(from));
    ProducerEntry& entry = state.producers_[producer_id];
    entry.epoch = ProducerEpoch(load_big_endian<std::int16_t>(from + 8));
    entry.last_timestamp = Timestamp(load_big_endian<std::int64_t>(from + 26));
    entry.coordinator_epoch = load_big_endian<std::int32_t>(from + 34);
    const Offset last_offset(load_big_endian<std::int64_t>(from + 14));
    if (last_offset.value() >= 0) {
      entry.batches.push_back({load_big_endian<std::int32_t>(from + 10), last_offset,
                               load_big_endian<std::int32_t>(from + 22), entry.last_timestamp});
    }
    const Offset first_offset(load_big_endian<std::int64_t>(from + 38));
    if (first_offset.value() >= 0) state.begin_transaction(producer_id, first_offset);
  }
  return state;
}

}  // namespace kurier::storage
