// What do the records of a produced batch have in common? Enough to know that there is nothing to say about any of them.
//
// Pure function on bytes, any thread; batch_validation.cc asks once a batch. It is for the batches that are fine, and
// costs some eighty instructions a record, a third of a RecordReader (record.h), which knows what is wrong with the others.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"

namespace kurier::protocol {

struct RecordsSummary {
  std::int64_t timestamp_delta_min = 0;
  std::int64_t timestamp_delta_max = 0;
  bool all_have_keys = true;
};

// Of `count` records, the uncompressed payload of a batch. None if there are none, if something does not fit (then a
// RecordReader has an error), or if their offset deltas are not 0, 1, 2, ….
[[nodiscard]] std::optional<RecordsSummary> summarize_records(ByteView payload, std::int32_t count);

}  // namespace kurier::protocol
