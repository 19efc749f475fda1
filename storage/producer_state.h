// ProducerState: what one log knows of its idempotent and transactional producers (KIP-98). A core without I/O.
//
// For every producer id: its epoch, its last five batches, its open transaction. `check` decides about a batch before it
// is appended; `replay` takes in what is in the log, live or at recovery. Snapshot files: docs/formats/log.md.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "protocol/record_batch.h"

namespace kurier::storage {

enum class ProducerVerdict {
  kInSequence,
  kDuplicate,             // answered with the original offsets, not appended again
  kOutOfOrderSequence,    // OUT_OF_ORDER_SEQUENCE_NUMBER
  kInvalidProducerEpoch,  // INVALID_PRODUCER_EPOCH
};

struct ProducerBatch {
  std::int32_t last_sequence = -1;
  Offset last_offset{-1};
  std::int32_t offset_delta = 0;  // last offset - first offset
  Timestamp timestamp{-1};

  [[nodiscard]] Offset first_offset() const { return last_offset - offset_delta; }
  friend bool operator==(const ProducerBatch&, const ProducerBatch&) = default;
};

struct ProducerEntry {
  ProducerEpoch epoch{-1};
  std::deque<ProducerBatch> batches;  // at most kBatchesRemembered, oldest first
  Timestamp last_timestamp{-1};
  std::int32_t coordinator_epoch = -1;
  std::optional<Offset> transaction_first_offset;
  friend bool operator==(const ProducerEntry&, const ProducerEntry&) = default;
};

struct CompletedTransaction {
  ProducerId producer_id;
  Offset first_offset;
  Offset last_offset;  // of the marker
  bool aborted = false;
};

// A .txnindex entry.
struct AbortedTransaction {
  ProducerId producer_id;
  Offset first_offset;
  Offset last_offset;
  Offset last_stable_offset;  // when the marker was appended
  friend bool operator==(const AbortedTransaction&, const AbortedTransaction&) = default;
};

class ProducerState {
 public:
  static constexpr std::size_t kBatchesRemembered = 5;

  struct Check {
    ProducerVerdict verdict = ProducerVerdict::kInSequence;
    ProducerBatch original;  // of a duplicate
  };
  // For a batch of a client that carries a producer id.
  [[nodiscard]] Check check(const protocol::RecordBatchView& batch) const;

  // A batch that is in the log, in the order of offsets. A marker that ends a transaction returns that; if it aborts,
  // `last_stable_offset_after` is what the transaction index wants to know.
  std::optional<CompletedTransaction> replay(const protocol::RecordBatchView& batch);
  [[nodiscard]] Offset last_stable_offset_after(const CompletedTransaction& completed) const;

  // The first offset of an open transaction, or of one whose marker lies at or above the high watermark.
  [[nodiscard]] std::optional<Offset> first_unstable_offset() const;
  void high_watermark_is(Offset high_watermark);

  // producer.id.expiration.ms: forgets those without an open transaction that were last heard of before then.
  void expire(Timestamp now, std::int64_t expiration_ms);
  // The log begins later now. An open transaction stays open: what is left of it is not decided.
  void truncate_from_start(Offset log_start_offset);
  void clear();

  [[nodiscard]] const std::map<ProducerId, ProducerEntry>& producers() const { return producers_; }
  [[nodiscard]] bool empty() const { return producers_.empty(); }

  // The .snapshot file. Only the last batch of each producer is in it, as in Kafka.
  [[nodiscard]] Bytes to_snapshot() const;
  static Result<ProducerState> from_snapshot(ByteView snapshot);

 private:
  void begin_transaction(ProducerId producer_id, Offset first_offset);

  std::map<ProducerId, ProducerEntry> producers_;
  std::map<Offset, ProducerId> open_;  // transactions by first offset
  std::map<Offset, Offset> unreplicated_;  // completed ones: first offset → offset of the marker
};

}  // namespace kurier::storage
