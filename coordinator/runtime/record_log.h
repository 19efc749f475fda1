// Port: the log of one coordinator partition (of __consumer_offsets, __transaction_state, ...), as its coordinator sees it.
//
// The broker implements it over a partition, unit tests over memory. Everything on the partition's shard.
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/task.h"
#include "coordinator/runtime/append.h"
#include "protocol/error_code.h"

namespace kurier::coordinator {

class RecordLogObserver {
 public:
  virtual ~RecordLogObserver() = default;
  // Everything before `high_watermark` is committed. May be called from within append().
  virtual void committed_to(Offset high_watermark) = 0;
};

class RecordLog {
 public:
  struct Appended {
    Offset first_offset;
    Offset end_offset;  // the append is committed when the high watermark has reached it
    std::uint32_t crc = 0;  // of the batch
  };

  virtual ~RecordLog() = default;

  // Appends the records as one batch, as acks=all does. Nothing is appended where an error is returned: kNotLeaderOrFollower
  // (another leader epoch by now), kNotEnoughReplicas, kMessageTooLarge (beyond max.message.bytes), kKafkaStorageError, of a
  // transaction also kInvalidProducerEpoch and the like.
  virtual std::expected<Appended, protocol::ErrorCode> append(
      LeaderEpoch epoch, std::span<const CoordinatorRecord> records,
      const std::optional<TransactionOfAppend>& transaction) = 0;
  // Whole batches from the one that holds `from` on, about `bytes_max` bytes; empty where no batch follows, which may be
  // before the end of the log: compaction took the last ones. The disk is read elsewhere: other work of the shard goes on.
  virtual Task<Result<Bytes>> read(Offset from, std::size_t bytes_max) = 0;

  [[nodiscard]] virtual Offset log_start_offset() const = 0;
  [[nodiscard]] virtual Offset high_watermark() const = 0;
  [[nodiscard]] virtual Offset log_end_offset() const = 0;
  // Of the record at `offset`; none: it is not known.
  [[nodiscard]] virtual std::optional<LeaderEpoch> epoch_at(Offset offset) const = 0;
  // Compaction: what lies before it may lack records that others have overtaken. None: it was never cleaned.
  [[nodiscard]] virtual std::optional<Offset> cleaned_to() const = 0;
  // The view of the log will be brought up to date from `bound` on. None: it needs nothing of the log.
  virtual void never_clean_beyond(std::optional<Offset> bound) = 0;
  // Calls `done` when everything before `end` outlives a power cut (true), or when that will not be any more (false);
  // possibly at once.
  virtual void flush_to(Offset end, std::move_only_function<void(bool)> done) = 0;
  // Null: nobody.
  virtual void observe(RecordLogObserver* observer) = 0;
};

}  // namespace kurier::coordinator
