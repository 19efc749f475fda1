// What a coordinator wants to have in its log. Values only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/ids.h"

namespace kurier::coordinator {

struct Now {
  MonotonicTime monotonic;  // timers
  Timestamp wall;           // what records carry
};

// A request that is not answered yet; chosen by the caller, unique in one coordinator.
using RequestToken = std::uint64_t;
// Given by the coordinator to the records of one operation, counting up from 1.
using AppendId = std::uint64_t;

// Key and value as they stand in the record; a record without a value is a tombstone.
struct CoordinatorRecord {
  Bytes key;
  std::optional<Bytes> value;
  bool operator==(const CoordinatorRecord&) const = default;
};

// Whose transaction the records of an append belong to.
struct TransactionOfAppend {
  std::string transactional_id;
  ProducerId producer_id{-1};
  ProducerEpoch producer_epoch{-1};
  bool operator==(const TransactionOfAppend&) const = default;
};

struct Append {
  AppendId id = 0;
  std::vector<CoordinatorRecord> records;          // in this order, at least one
  std::optional<TransactionOfAppend> transaction;  // none: not transactional
  bool atomic = true;                              // one batch; otherwise it may be split
};

}  // namespace kurier::coordinator
