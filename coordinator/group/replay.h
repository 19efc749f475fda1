// Replay: the only thing that changes the durable state of a group coordinator's partition. The runtime calls it for every record,
// in log order: while loading, on followers, and on the leader at once with what an operation returned. Pure functions.
#pragma once

#include "base/result.h"
#include "coordinator/group/outcome.h"
#include "coordinator/group/state.h"

namespace kurier::coordinator {

// A record at `record_offset`; `producer` is -1 outside a transaction. An unknown type (kUnsupported) may be skipped, as Apache
// Kafka does; kCorrupt stops the load.
[[nodiscard]] Result<void> replay(GroupState& state, ByteView key, std::optional<ByteView> value, Offset record_offset,
                                  ProducerId producer = ProducerId(-1));

// The marker of a transaction: what the producer has pending becomes committed, unless a later commit came before it, or is dropped.
void replay_end_transaction(GroupState& state, ProducerId producer, bool commit);

}  // namespace kurier::coordinator
