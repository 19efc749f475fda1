// A coordinator's records as one batch: uncompressed, create time, without a sequence (a coordinator does not retry).
// Pure; any thread. The broker stamps offset and leader epoch when it appends.
#pragma once

#include <optional>
#include <span>

#include "base/bytes.h"
#include "coordinator/runtime/append.h"

namespace kurier::coordinator {

[[nodiscard]] Bytes build_batch(std::span<const CoordinatorRecord> records,
                                const std::optional<TransactionOfAppend>& transaction, Timestamp now);

}  // namespace kurier::coordinator
