// What remains of a batch when its log is cleaned? The cores of the log cleaner that look at transactions, batches and
// records. No I/O; batches are given in the order of the log, from its start.
//
// A record stays if it is the latest of its key in the map, or lies behind what the map knows. A tombstone stays until
// its batch's delete horizon (KIP-534: the cleaning that first saw it, plus delete.retention.ms, is kept as the batch's
// base timestamp). Aborted data goes; a marker stays until none of its transaction's data is left, and then as long as a
// tombstone would. What stays keeps offset, timestamp, producer, sequence and epoch.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <vector>

#include "storage/cleaner_key_map.h"
#include "storage/producer_state.h"

namespace kurier::storage {

// Follows the transactions along the log and says what of them can go.
class CleanedTransactions {
 public:
  // Aborted transactions whose data or marker will come. The same one may be given again.
  void expect(const std::vector<AbortedTransaction>& aborted);

  struct Verdict {
    bool can_be_discarded = false;
    std::optional<AbortedTransaction> still_aborted;  // belongs into the transaction index of what is written
  };
  [[nodiscard]] Verdict see(const protocol::RecordBatchView& batch);

 private:
  struct Ongoing {
    AbortedTransaction transaction;
    bool has_data = false;  // a batch of it was seen
  };
  void begin_up_to(Offset offset);
  Verdict see_marker(const protocol::RecordBatchView& batch);

  std::multimap<Offset, AbortedTransaction> expected_;  // by first offset
  std::map<ProducerId, Ongoing> aborted_;
  std::set<ProducerId> committed_;  // transactional, as far as known, and not aborted
};

// Of a producer that is still known to the log: what must stay so that it can go on.
struct LastOfProducer {
  std::optional<Offset> last_data_offset;
  ProducerEpoch epoch;
};
using LastOfProducers = std::map<ProducerId, LastOfProducer>;

struct CleaningCounts {
  std::uint64_t records_read = 0;
  std::uint64_t records_kept = 0;
  std::uint64_t records_without_key = 0;
};

class BatchFilter {
 public:
  struct Rules {
    Timestamp now;
    std::int64_t delete_retention_ms = 0;
    Offset high_watermark;  // the batch that ends here stays, if only as a header: where the log is known to end
  };
  // Both outlive it.
  BatchFilter(Rules rules, const CleanerKeyMap& keys, const LastOfProducers& producers)
      : rules_(rules), keys_(keys), producers_(producers) {}

  // Appends what remains of a whole batch to `to`, maybe nothing. kCorrupt, kMalformed: the batch is damaged.
  Result<void> filter(const protocol::RecordBatchView& batch, bool can_be_discarded, Bytes& to);
  [[nodiscard]] const CleaningCounts& counts() const { return counts_; }

 private:
  [[nodiscard]] bool must_stay_known(const protocol::RecordBatchView& batch) const;
  [[nodiscard]] bool stays(const protocol::RecordBatchView& batch, std::optional<ByteView> key, bool has_value,
                           Offset offset);

  const Rules rules_;
  const CleanerKeyMap& keys_;
  const LastOfProducers& producers_;
  CleaningCounts counts_;
};

// The uncompressed records of a batch: a view of it, or of `buffer`.
Result<ByteView> uncompressed_records(const protocol::RecordBatchView& batch, Bytes& buffer);

// Puts the keys of a batch into the map as far as they fit, from `first_dirty_offset` on, and moves its last offset. False:
// the map is full. Aborted data and markers count as seen.
Result<bool> map_keys(const protocol::RecordBatchView& batch, bool is_aborted, Offset first_dirty_offset,
                      CleanerKeyMap& keys);

}  // namespace kurier::storage
