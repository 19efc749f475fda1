// Groups of a cluster from outside: which there are, who is in one, what it has committed, and changing that. Coroutines
// over a Cluster; an Error names the group and what the broker said.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "protocol/messages/offset_commit_request.h"
#include "tools/client/cluster.h"
#include "tools/client/consumer_protocol.h"

namespace kurier::client {

struct ListedGroup {
  std::string id;
  std::string type;  // classic, consumer, share, streams; empty: the broker does not say
  std::string protocol_type;  // consumer, connect, …; empty: offsets without members
  std::string state;
};

struct GroupMember {
  std::string id;
  std::optional<std::string> instance_id;
  std::string client_id;
  std::string host;
  Assignment assignment;
};

struct GroupDescription {
  std::string id;
  std::string type;
  std::string state;
  std::string protocol_type;
  std::string assignor;
  BrokerId coordinator;
  Endpoint coordinator_address;
  std::vector<GroupMember> members;
};

struct CommittedOffset {
  Offset offset;
  LeaderEpoch leader_epoch{-1};
  std::string metadata;
  bool operator==(const CommittedOffset&) const = default;
};
using CommittedOffsets = std::map<TopicPartition, CommittedOffset>;

// Of all brokers, by id. States and types as Kafka names them; empty: all.
Task<Result<std::vector<ListedGroup>>> list_groups(Cluster& cluster, std::vector<std::string> states,
                                                   std::vector<std::string> types);
// kNotFound: there is no such group. Groups of the classic and of the consumer protocol.
Task<Result<GroupDescription>> describe_group(Cluster& cluster, std::string group);

// All that the group has committed, or of these partitions; what has no offset is left out.
Task<Result<CommittedOffsets>> committed_offsets(Cluster& cluster, std::string group,
                                                 std::optional<std::vector<TopicPartition>> partitions);
// The topics of an OffsetCommit by name.
[[nodiscard]] std::vector<protocol::OffsetCommitRequest::OffsetCommitRequestTopic> topics_to_commit(
    const CommittedOffsets& offsets);
// As somebody who is no member: the group must have none. The error names the first partition that was refused.
Task<Result<void>> commit_offsets(Cluster& cluster, std::string group, CommittedOffsets offsets);
// The code of each partition.
Task<Result<std::map<TopicPartition, protocol::ErrorCode>>> delete_offsets(Cluster& cluster, std::string group,
                                                                           std::vector<TopicPartition> partitions);
Task<Result<void>> delete_group(Cluster& cluster, std::string group);

// What ListOffsets takes for a time.
inline constexpr Timestamp kLatest{-1};
inline constexpr Timestamp kEarliest{-2};
// The first offset at or after a time, of each partition; Offset(-1): there is none. Asks the leaders, each once, and
// again while one moves. kNotFound: a topic or partition that does not exist.
Task<Result<std::map<TopicPartition, Offset>>> list_offsets(Cluster& cluster, std::map<TopicPartition, Timestamp> times,
                                                            bool committed_only = false);

}  // namespace kurier::client
