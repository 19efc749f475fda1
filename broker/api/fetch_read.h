// What a Fetch asks for, read over all shards as slices of files, and the wait until there is more.
//
// Called on the connection's shard; each partition is read on its owner, one message for each shard. No record bytes are
// copied, so a shard may read up to the whole limit without regard to the others; what is too much is cut off here.
#pragma once

#include <string>
#include <vector>

#include "broker/broker.h"
#include "protocol/messages/fetch_request.h"
#include "protocol/messages/fetch_response.h"

namespace kurier::broker::api {

// One partition that a fetch asks for. Its answer lies beside it.
struct FetchItem {
  const std::string* topic = nullptr;  // the context's; empty where the request names an id that is not known
  const protocol::FetchRequest::FetchPartition* wanted = nullptr;  // the context's
  TopicId topic_id;  // from version 13 on

  protocol::FetchResponse::PartitionData data;
  std::uint64_t first_batch_bytes = 0;  // of data.records
  // What counts for fetch.min.bytes, as in Apache Kafka: what is readable up to the partition's own limit, also where the limit of
  // all together leaves it out.
  std::uint64_t available_bytes = 0;
  Offset bound{-1};                     // up to where it was readable
  bool is_known = false;                // there is such a partition; the others are answered at the end, and not waited for
  bool limit_is_negative = false;
  bool is_complete = false;             // nothing that could be waited for would make the answer longer
};

struct FetchScope {
  bool by_id = false;
  bool committed_only = false;    // isolation level READ_COMMITTED
  BrokerId replica{-1};           // who fetches, if it says that it is a replica
  std::uint64_t bytes_max = 0;    // of all partitions together; the first batch is returned however long it is (KIP-74)
  bool limit_is_negative = false;  // which the first partition is refused for, as in Apache Kafka
  bool is_large = false;  // broker/large_requests.h
};

struct FetchGoal {
  std::uint64_t min_bytes = 0;  // of all partitions together
  MonotonicTime deadline;
  bool may_wait = true;
};

// Where read_until_enough is best called: where all partitions are on one shard, there, so that neither reading nor the wait
// costs a message; otherwise here.
[[nodiscard]] ShardIndex shard_to_read_on(const Broker& broker, const replication::MetadataImage& image,
                                          const std::vector<FetchItem>& items);

// Fills in the answers: when there is enough, or something that no wait would change, or at the deadline or shutdown. The ticket
// of a large request is given up before it waits.
Task<void> read_until_enough(Broker& broker, const FetchScope& scope, const FetchGoal& goal,
                             std::vector<FetchItem>& items, LargeRequests::Ticket& ticket);

}  // namespace kurier::broker::api
