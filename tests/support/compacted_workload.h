// A seeded stream of batches for a compacted topic, with what is to be known of each: keys that come again, tombstones,
// records without key, every codec, idempotent producers, transactions that commit, abort and stay open.
#pragma once

#include <map>

#include "base/random.h"
#include "tests/support/log_content.h"
#include "tests/support/record_batch.h"

namespace kurier::test {

enum class Fate { kPlain, kOpen, kCommitted, kAborted };

struct WorkloadBatch {
  DecodedBatch content;  // as appended
  int transaction = -1;  // its number; -1: none
};

class CompactedWorkload {
 public:
  explicit CompactedWorkload(std::uint64_t seed) : random_(seed) {}

  // Made, not yet counted as appended.
  struct Next {
    Bytes bytes;
    int transaction = -1;
    bool ends_commit = false;
    bool ends_abort = false;
    ProducerId producer{-1};
  };
  Next next(Timestamp now) {
    Next made;
    const std::uint64_t kind = random_.below(10);
    if (kind < 4) {
      made.bytes = data(now, ProducerId(-1), -1, false);
    } else if (kind < 6) {
      made.producer = ProducerId(static_cast<std::int64_t>(random_.below(3)));
      made.bytes = data(now, made.producer, sequences_[made.producer], false);
    } else {
      made.producer = ProducerId(static_cast<std::int64_t>(10 + random_.below(3)));
      const auto open = open_.find(made.producer);
      if (open != open_.end() && random_.below(3) == 0) {
        made.transaction = open->second;
        made.ends_commit = random_.below(2) == 0;
        made.ends_abort = !made.ends_commit;
        made.bytes = marker_batch(made.producer, ProducerEpoch(0), made.ends_commit, now);
      } else {
        made.transaction = open != open_.end() ? open->second : static_cast<int>(fates_.size());
        made.bytes = data(now, made.producer, sequences_[made.producer], true);
      }
    }
    return made;
  }

  // `made.bytes` are in the log, stamped.
  void appended(const Next& made) {
    const auto batch = protocol::RecordBatchView::parse(made.bytes);
    const DecodedBatch decoded = decode(*batch);
    if (made.producer.value() >= 0 && !decoded.control) sequences_[made.producer] = batch->last_sequence() + 1;
    if (made.transaction >= 0) {
      if (made.transaction == static_cast<int>(fates_.size())) fates_.push_back(Fate::kOpen);
      Fate& fate = fates_[static_cast<std::size_t>(made.transaction)];
      if (made.ends_commit || made.ends_abort) {
        fate = made.ends_commit ? Fate::kCommitted : Fate::kAborted;
        open_.erase(made.producer);
      } else {
        open_[made.producer] = made.transaction;
      }
    }
    batches_.push_back({decoded, made.transaction});
  }

  [[nodiscard]] Fate fate(const WorkloadBatch& batch) const {
    return batch.transaction < 0 ? Fate::kPlain : fates_[static_cast<std::size_t>(batch.transaction)];
  }
  [[nodiscard]] const std::vector<WorkloadBatch>& batches() const { return batches_; }
  // After a crash: what was not kept. Fates and sequences are those of what is left.
  template <class Predicate>
  void forget(Predicate is_lost) {
    std::erase_if(batches_, [&](const WorkloadBatch& batch) { return is_lost(batch.content); });
    open_.clear();
    sequences_.clear();
    for (Fate& fate : fates_) fate = Fate::kOpen;
    for (const WorkloadBatch& batch : batches_) {
      const DecodedBatch& content = batch.content;
      if (content.control) {
        fates_[static_cast<std::size_t>(batch.transaction)] =
            content.records[0].key->at(3) == 1 ? Fate::kCommitted : Fate::kAborted;
        open_.erase(content.producer);
        continue;
      }
      if (content.producer.value() >= 0)
        sequences_[content.producer] =
            content.base_sequence + static_cast<std::int32_t>(content.last - content.base) + 1;
      if (batch.transaction >= 0) open_[content.producer] = batch.transaction;
    }
  }

 private:
  Bytes data(Timestamp now, ProducerId producer, std::int32_t sequence, bool transactional) {
    std::vector<TestRecord> records;
    const std::uint64_t count = 1 + random_.below(5);
    for (std::uint64_t i = 0; i < count; ++i) {
      TestRecord& record = records.emplace_back();
      record.key = "key-" + std::to_string(random_.below(12));
      if (random_.below(20) == 0) record.key.reset();
      record.value = std::to_string(random_.below(1000)) + std::string(random_.below(60), 'v');
      if (random_.below(5) == 0) record.value.reset();
      record.timestamp_delta = static_cast<std::int64_t>(random_.below(50)) - 20;
    }
    std::int16_t attributes = transactional ? protocol::kTransactionalMask : std::int16_t{0};
    if (random_.below(6) == 0) attributes = static_cast<std::int16_t>(attributes | protocol::kTimestampTypeMask);
    return batch_of(records,
                    {.producer_id = producer,
                     .producer_epoch = ProducerEpoch(static_cast<std::int16_t>(producer.value() < 0 ? -1 : 0)),
                     .base_sequence = sequence,
                     .timestamp = now,
                     .attributes = attributes},
                    static_cast<protocol::Codec>(random_.below(5)));
  }

  SeededRandom random_;
  std::map<ProducerId, std::int32_t> sequences_;
  std::map<ProducerId, int> open_;
  std::vector<Fate> fates_;
  std::vector<WorkloadBatch> batches_;
};

}  // namespace kurier::test
