// Replay: the only thing that changes the durable state of a group coordinator's partition. The runtime calls it for
// every record, in log order: while loading, on followers, and on the leader at once with what an operation returned.
// Pure functions.
#pragma once

#include "base/result.h"
#include "coordinator/group/outcome.h"
#include "coordinator/group/state.h"

namespace kurier::coordinator {

// A record at `record_offset`; `producer` is -1 outside a transaction. kUnsupported (a type or version of a newer
// Kafka) and kCorrupt stop the load.
[[nodiscard]] Result<void> replay(GroupState& state, ByteView key, std::optional<ByteView> value, Offset record_offset,
                                  ProducerId producer = ProducerId(-1));

// The marker of a transaction: what the producer has pending is committed, except where something that comes later in
// the log is committed already, or is dropped.
void replay_end_transaction(GroupState& state, ProducerId producer, bool commit);

}  // namespace kurier::coordinator
