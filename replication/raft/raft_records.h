// The records of the metadata log as raft sees them: batches of opaque values, and raft's own control records.
//
// Pure functions on bytes. A batch here is a record batch of format 2, uncompressed, without keys (metadata) or with a
// control key; every record has the timestamp of its batch, as Apache Kafka writes it (docs/formats/metadata-log.md).
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/uuid.h"

namespace kurier::replication {

enum class ControlType : std::int16_t {
  kLeaderChange = 2,
  kSnapshotHeader = 3,
  kSnapshotFooter = 4,
  kKRaftVersion = 5,
  kVoters = 6,
};

struct VoterEndpoint {
  std::string name;
  std::string host;
  std::uint16_t port = 0;
  friend bool operator==(const VoterEndpoint&, const VoterEndpoint&) = default;
};

struct Voter {
  BrokerId id;
  Uuid directory_id;
  std::vector<VoterEndpoint> endpoints;
  std::int16_t kraft_version_min = 0;
  std::int16_t kraft_version_max = 1;
  friend bool operator==(const Voter&, const Voter&) = default;
};

struct ControlRecord {
  ControlType type;
  Bytes value;
};

[[nodiscard]] ControlRecord leader_change_record(BrokerId leader, std::span<const BrokerId> voters);
[[nodiscard]] ControlRecord kraft_version_record(std::int16_t kraft_version);
[[nodiscard]] ControlRecord voters_record(std::span<const Voter> voters);
[[nodiscard]] ControlRecord snapshot_header_record(Timestamp last_contained);
[[nodiscard]] ControlRecord snapshot_footer_record();

[[nodiscard]] Result<std::int16_t> parse_kraft_version(ByteView value);
[[nodiscard]] Result<std::vector<Voter>> parse_voters(ByteView value);
[[nodiscard]] Result<Timestamp> parse_snapshot_header(ByteView value);

// One batch; base offset and epoch are stamped.
[[nodiscard]] Bytes build_batch(std::span<const Bytes> values, Offset base_offset, LeaderEpoch epoch, Timestamp now);
[[nodiscard]] Bytes build_control_batch(std::span<const ControlRecord> records, Offset base_offset, LeaderEpoch epoch,
                                        Timestamp now);

struct RaftRecord {
  Offset offset;
  LeaderEpoch epoch;
  Timestamp timestamp;
  std::optional<ControlType> control;  // none: a metadata record
  ByteView value;
};

// Calls `visit` for each record of the batches in `bytes`, whose checksums are checked. Returns the bytes of the whole,
// valid batches; what follows them is torn. An error of `visit` ends the walk and is returned.
Result<std::size_t> walk_batches(ByteView bytes, const std::function<Result<void>(const RaftRecord&)>& visit);

}  // namespace kurier::replication
