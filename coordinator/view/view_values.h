// What the view stores beside its keys, as Protocol Buffers messages (view.proto). The only place that knows of them.
// Pure functions.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/uuid.h"
#include "coordinator/group/state.h"

namespace kurier::coordinator {

// Every record of the partition's log before `offset`; the last one is of `leader_epoch`, the batch that it ends has `crc`.
struct ViewPosition {
  Offset offset;
  LeaderEpoch leader_epoch{-1};
  std::optional<std::uint32_t> crc = {};  // none: compaction had taken the batch, or an older kurier wrote this
  bool operator==(const ViewPosition&) const = default;
};

struct StoredPosition {
  ViewPosition position;
  Uuid log_directory_id;
};

[[nodiscard]] Bytes encode_position(const StoredPosition& position);
// kUnsupported: another version's view.
[[nodiscard]] Result<StoredPosition> decode_position(ByteView bytes);

[[nodiscard]] Bytes encode_offset(const CommittedOffset& offset);
[[nodiscard]] Result<CommittedOffset> decode_offset(ByteView bytes);
[[nodiscard]] Bytes encode_classic_group(const protocol::GroupMetadataValue& group);
[[nodiscard]] Result<protocol::GroupMetadataValue> decode_classic_group(ByteView bytes);
[[nodiscard]] Bytes encode_other_record(ByteView value);
[[nodiscard]] Result<Bytes> decode_other_record(ByteView bytes);

}  // namespace kurier::coordinator
