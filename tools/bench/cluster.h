// What a benchmark does to a cluster around a run: creates its topic, finds the leaders, deletes the topic, asks how
// far the logs go. Over a Channel with nothing else in flight.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tools/bench/client.h"

namespace kurier::bench {

struct TopicSpec {
  std::string name;
  std::int32_t partitions = 1;
  std::int16_t replication_factor = -1;                      // -1: the broker's default
  std::vector<std::pair<std::string, std::string>> configs;  // none: the broker's
};

struct TopicLayout {
  std::string name;
  Uuid id;
  std::vector<BrokerId> leaders;  // of each partition
  std::map<BrokerId, Endpoint> brokers;
};

Task<Result<void>> create_topic(Channel& channel, TopicSpec spec);
Task<Result<void>> delete_topic(Channel& channel, std::string name);
// Asks until every partition has a leader; kTimeout at the loop's deadline.
Task<Result<TopicLayout>> wait_for_leaders(const Loop& loop, Channel& channel, std::string name,
                                           std::size_t partitions);
// The log end offsets of `partitions`, all led by this channel's broker. kNotFound: one of them is not served (yet).
Task<Result<std::vector<Offset>>> end_offsets(Channel& channel, std::string topic,
                                              std::vector<PartitionIndex> partitions);

// Asks the leaders until all serve their partitions: they may hear of a new topic later than whoever answers Metadata.
Task<Result<void>> wait_until_served(const Loop& loop, const TopicLayout& layout);

}  // namespace kurier::bench
