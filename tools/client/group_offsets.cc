// Offsets: what a group has committed, and what the leaders have. Declared in groups.h.
#include <fmt/core.h>

#include <algorithm>

#include "protocol/messages/list_offsets_request.h"
#include "protocol/messages/list_offsets_response.h"
#include "protocol/messages/offset_commit_request.h"
#include "protocol/messages/offset_commit_response.h"
#include "protocol/messages/offset_delete_request.h"
#include "protocol/messages/offset_delete_response.h"
#include "protocol/messages/offset_fetch_request.h"
#include "protocol/messages/offset_fetch_response.h"
#include "tools/client/groups.h"

namespace kurier::client {
namespace {

using protocol::ErrorCode;
// Beyond it topics are named by id only (KIP-848); every broker that speaks it speaks the earlier ones, too.
constexpr std::int16_t kNamesNewest = 9;
constexpr std::int16_t kFetchOfSeveralGroups = 8;
constexpr auto kPause = std::chrono::milliseconds(50);

template <class Partitions>
std::map<std::string, std::vector<PartitionIndex>> by_topic(const Partitions& partitions) {
  std::map<std::string, std::vector<PartitionIndex>> topics;
  for (const auto& [topic, partition] : partitions) topics[topic].push_back(partition);
  return topics;
}

protocol::OffsetFetchRequest fetch_request(const std::string& group,
                                           const std::optional<std::vector<TopicPartition>>& partitions,
                                           std::int16_t version) {
  protocol::OffsetFetchRequest request;
  request.require_stable = version >= 7;
  if (version >= kFetchOfSeveralGroups) {
    auto& asked = request.groups.emplace_back();
    asked.group_id = group;
    if (!partitions) {
      asked.topics.reset();  // null: all of them
      return request;
    }
    for (const auto& [topic, indexes] : by_topic(*partitions)) {
      auto& one = asked.topics->emplace_back();
      one.name = topic;
      one.partition_indexes = indexes;
    }
    return request;
  }
  request.group_id = group;
  if (!partitions) {
    request.topics.reset();
    return request;
  }
  for (const auto& [topic, indexes] : by_topic(*partitions)) {
    auto& one = request.topics->emplace_back();
    one.name = topic;
    one.partition_indexes = indexes;
  }
  return request;
}

// The group's error, or the first of its partitions'.
ErrorCode error_of_fetch(const protocol::OffsetFetchResponse& response) {
  const auto first_of = [](const auto& topics) {
    for (const auto& topic : topics) {
      for (const auto& partition : topic.partitions) {
        if (partition.error_code != ErrorCode::kNone) return partition.error_code;
      }
    }
    return ErrorCode::kNone;
  };
  if (response.error_code != ErrorCode::kNone) return response.error_code;
  for (const auto& group : response.groups) {
    if (group.error_code != ErrorCode::kNone) return group.error_code;
    if (const ErrorCode code = first_of(group.topics); code != ErrorCode::kNone) return code;
  }
  return first_of(response.topics);
}

template <class Topics>
void add_committed(CommittedOffsets& committed, const Topics& topics) {
  for (const auto& topic : topics) {
    for (const auto& partition : topic.partitions) {
      if (partition.committed_offset < Offset(0)) continue;
      committed[{topic.name, partition.partition_index}] = {
          partition.committed_offset, partition.committed_leader_epoch, partition.metadata.value_or("")};
    }
  }
}

ErrorCode error_of_commit(const protocol::OffsetCommitResponse& response) {
  for (const auto& topic : response.topics) {
    for (const auto& partition : topic.partitions) {
      if (partition.error_code != ErrorCode::kNone) return partition.error_code;
    }
  }
  return ErrorCode::kNone;
}

ErrorCode error_of_delete(const protocol::OffsetDeleteResponse& response) { return response.error_code; }

// The leader of each of these partitions, with what is asked of it.
using Asked = std::map<BrokerId, std::map<TopicPartition, Timestamp>>;
Result<Asked> at_leaders(const std::vector<TopicInfo>& topics, const std::map<TopicPartition, Timestamp>& times) {
  Asked asked;
  for (const auto& [partition, time] : times) {
    const auto topic = std::ranges::find(topics, partition.first, &TopicInfo::name);
    const PartitionInfo* info = topic != topics.end() ? topic->find(partition.second) : nullptr;
    if (info == nullptr) {
      const std::size_t count = topic != topics.end() ? topic->partitions.size() : 0;
      return fail(Failure::kNotFound, fmt::format("topic '{}' has no partition {}, it has {}", partition.first,
                                                  partition.second.value(), count));
    }
    asked[info->leader][partition] = time;
  }
  return asked;
}

protocol::ListOffsetsRequest list_request(const std::map<TopicPartition, Timestamp>& times, bool committed_only) {
  protocol::ListOffsetsRequest request;
  request.replica_id = BrokerId(-1);
  request.isolation_level = committed_only ? 1 : 0;
  request.timeout_ms = 30'000;
  for (const auto& [partition, time] : times) {
    if (request.topics.empty() || request.topics.back().name != partition.first) {
      request.topics.emplace_back().name = partition.first;
    }
    auto& one = request.topics.back().partitions.emplace_back();
    one.partition_index = partition.second;
    one.timestamp = time;
  }
  return request;
}

// Takes what was answered out of `open`. An error that does not pass ends it.
Result<void> take_offsets(const protocol::ListOffsetsResponse& response, std::map<TopicPartition, Timestamp>& open,
                          std::map<TopicPartition, Offset>& found) {
  for (const auto& topic : response.topics) {
    for (const auto& partition : topic.partitions) {
      const TopicPartition key{topic.name, partition.partition_index};
      if (partition.error_code == ErrorCode::kNone) {
        found[key] = partition.offset;
        open.erase(key);
      } else if (!is_passing(partition.error_code)) {
        return fail(Failure::kInvalid,
                    fmt::format("the offsets of {}: {}", to_string(key), protocol::to_string(partition.error_code)));
      }
    }
  }
  return {};
}

}  // namespace

Task<Result<CommittedOffsets>> committed_offsets(Cluster& cluster, std::string group,
                                                 std::optional<std::vector<TopicPartition>> partitions) {
  const Result<BrokerId> coordinator = co_await cluster.coordinator_of(group);
  if (!coordinator) co_return std::unexpected(coordinator.error());
  const Result<Channel*> channel = co_await cluster.channel_to(*coordinator);
  if (!channel) co_return std::unexpected(channel.error());
  const auto version = (*channel)->version_of(protocol::OffsetFetchRequest::kApiKey, kNamesNewest);
  if (!version) co_return std::unexpected(version.error());
  const auto response = co_await cluster.ask_coordinator<protocol::OffsetFetchResponse>(
      group, fetch_request(group, partitions, *version), error_of_fetch, kNamesNewest);
  if (!response) co_return std::unexpected(response.error());
  if (const ErrorCode code = error_of_fetch(*response); code != ErrorCode::kNone) {
    co_return fail(Failure::kInvalid, fmt::format("offsets of group '{}': {}", group, protocol::to_string(code)));
  }
  CommittedOffsets committed;
  add_committed(committed, response->topics);
  for (const auto& answered : response->groups) add_committed(committed, answered.topics);
  co_return committed;
}

std::vector<protocol::OffsetCommitRequest::OffsetCommitRequestTopic> topics_to_commit(const CommittedOffsets& offsets) {
  std::vector<protocol::OffsetCommitRequest::OffsetCommitRequestTopic> topics;
  for (const auto& [partition, committed] : offsets) {
    if (topics.empty() || topics.back().name != partition.first) topics.emplace_back().name = partition.first;
    auto& one = topics.back().partitions.emplace_back();
    one.partition_index = partition.second;
    one.committed_offset = committed.offset;
    one.committed_leader_epoch = committed.leader_epoch;
    one.committed_metadata = committed.metadata;
  }
  return topics;
}

Task<Result<void>> commit_offsets(Cluster& cluster, std::string group, CommittedOffsets offsets) {
  protocol::OffsetCommitRequest request;
  request.group_id = group;
  request.topics = topics_to_commit(offsets);
  const auto response = co_await cluster.ask_coordinator<protocol::OffsetCommitResponse>(group, std::move(request),
                                                                                         error_of_commit, kNamesNewest);
  if (!response) co_return std::unexpected(response.error());
  for (const auto& topic : response->topics) {
    for (const auto& partition : topic.partitions) {
      if (partition.error_code == ErrorCode::kNone) continue;
      const bool has_members = partition.error_code == ErrorCode::kUnknownMemberId;
      co_return fail(Failure::kInvalid,
                     fmt::format("committing {} for group '{}': {}{}",
                                 to_string(TopicPartition{topic.name, partition.partition_index}), group,
                                 protocol::to_string(partition.error_code), has_members ? " (it has members)" : ""));
    }
  }
  co_return Result<void>{};
}

Task<Result<std::map<TopicPartition, ErrorCode>>> delete_offsets(Cluster& cluster, std::string group,
                                                                 std::vector<TopicPartition> partitions) {
  protocol::OffsetDeleteRequest request;
  request.group_id = group;
  for (const auto& [topic, indexes] : by_topic(partitions)) {
    auto& one = request.topics.emplace_back();
    one.name = topic;
    for (const PartitionIndex index : indexes) one.partitions.emplace_back().partition_index = index;
  }
  const auto response =
      co_await cluster.ask_coordinator<protocol::OffsetDeleteResponse>(group, std::move(request), error_of_delete);
  if (!response) co_return std::unexpected(response.error());
  if (response->error_code != ErrorCode::kNone) {
    const Failure failure =
        response->error_code == ErrorCode::kGroupIdNotFound ? Failure::kNotFound : Failure::kInvalid;
    co_return fail(failure,
                   fmt::format("deleting offsets of group '{}': {}", group, protocol::to_string(response->error_code)));
  }
  std::map<TopicPartition, ErrorCode> codes;
  for (const auto& topic : response->topics) {
    for (const auto& partition : topic.partitions) {
      codes[{topic.name, partition.partition_index}] = partition.error_code;
    }
  }
  co_return codes;
}

Task<Result<std::map<TopicPartition, Offset>>> list_offsets(Cluster& cluster, std::map<TopicPartition, Timestamp> times,
                                                            bool committed_only) {
  std::map<TopicPartition, Offset> found;
  std::vector<std::string> names;
  for (const auto& [partition, time] : times) {
    if (names.empty() || names.back() != partition.first) names.push_back(partition.first);
  }
  const MonotonicTime give_up = cluster.loop().now() + cluster.patience();
  while (!times.empty()) {
    const auto topics = co_await cluster.topics(names, false);
    if (!topics) co_return std::unexpected(topics.error());
    const auto asked = at_leaders(*topics, times);
    if (!asked) co_return std::unexpected(asked.error());
    for (const auto& [leader, partitions] : *asked) {
      const auto response =
          co_await cluster.ask<protocol::ListOffsetsResponse>(leader, list_request(partitions, committed_only));
      if (!response) co_return std::unexpected(response.error());
      const Result<void> taken = take_offsets(*response, times, found);
      if (!taken) co_return std::unexpected(taken.error());
    }
    if (times.empty()) break;
    if (cluster.loop().now() >= give_up) {
      co_return fail(Failure::kTimeout,
                     fmt::format("no leader says the offsets of {}", to_string(times.begin()->first)));
    }
    co_await sleep_until(cluster.loop().reactor, cluster.loop().now() + kPause);
  }
  co_return found;
}

}  // namespace kurier::client
