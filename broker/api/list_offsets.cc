#include <algorithm>
#include <string_view>

#include "broker/api/handlers.h"
#include "broker/api/merged_topics.h"
#include "broker/api/topic_views.h"
#include "protocol/messages/list_offsets_request.h"
#include "protocol/messages/list_offsets_response.h"

namespace kurier::broker::api {
namespace {

using protocol::ErrorCode;
using protocol::ListOffsetsRequest;
using protocol::ListOffsetsResponse;
using PartitionRequest = ListOffsetsRequest::ListOffsetsPartition;
using PartitionResponse = ListOffsetsResponse::ListOffsetsPartitionResponse;

constexpr Timestamp kLatest{-1};
constexpr Timestamp kEarliest{-2};
constexpr Timestamp kMax{-3};                    // KIP-734
constexpr Timestamp kEarliestLocal{-4};          // KIP-405: without tiering the log start
constexpr Timestamp kLatestTiered{-5};           // KIP-1005: without tiering unknown
constexpr Timestamp kEarliestPendingUpload{-6};  // KIP-1023: the same
constexpr std::int8_t kReadCommitted = 1;

// The first version that knows a special timestamp.
std::int16_t version_of(Timestamp timestamp) {
  if (timestamp >= kEarliest) return 1;
  if (timestamp == kMax) return 7;
  if (timestamp == kEarliestLocal) return 8;
  if (timestamp == kLatestTiered) return 9;
  return timestamp == kEarliestPendingUpload ? 11 : INT16_MAX;
}

void set(PartitionResponse& response, Offset offset, std::optional<LeaderEpoch> epoch) {
  response.offset = offset;
  response.leader_epoch = epoch.value_or(LeaderEpoch(-1));
}

void answer(Partition& partition, const PartitionRequest& request, std::int8_t isolation, PartitionResponse& response) {
  storage::Log& log = partition.log();
  const Offset end = isolation == kReadCommitted ? partition.leader().last_stable_offset() : partition.leader().high_watermark();
  if (request.timestamp == kLatest) return set(response, end, partition.leader().leader_epoch());
  if (request.timestamp == kEarliest || request.timestamp == kEarliestLocal) {
    // Where nothing has been written yet, the leader's own epoch will begin.
    const bool is_empty = log.log_start_offset() == log.log_end_offset();
    return set(response, log.log_start_offset(),
               is_empty ? std::optional(partition.leader().leader_epoch()) : log.epoch_at(log.log_start_offset()));
  }
  if (request.timestamp.value() < 0 && request.timestamp != kMax) return;
  const auto found = request.timestamp == kMax ? log.offset_of_max_timestamp() : log.offset_for_timestamp(request.timestamp);
  if (!found) {
    LOG_ERROR("list offsets: {}", found.error().context);
    response.error_code = ErrorCode::kKafkaStorageError;
    return;
  }
  // What is not readable yet is not found.
  if (!*found || (*found)->offset >= end) return;
  response.timestamp = (*found)->timestamp;
  set(response, (*found)->offset, (*found)->epoch);
}

struct Part {
  TopicId topic;
  const PartitionRequest* request = nullptr;
  PartitionResponse* response = nullptr;
};

struct Work {
  ByOwner<Part> parts;
  std::int16_t version = 0;
  std::int8_t isolation = 0;
};

using Named = std::pair<std::string_view, PartitionIndex>;

// What is answered with INVALID_REQUEST, once, in order.
std::vector<Named> named_twice(const ListOffsetsRequest& request) {
  std::vector<Named> named;
  for (const auto& topic : request.topics) {
    for (const auto& partition : topic.partitions) named.emplace_back(topic.name, partition.partition_index);
  }
  std::ranges::sort(named);
  std::vector<Named> twice;
  for (std::size_t i = 1; i < named.size(); ++i) {
    if (named[i] == named[i - 1] && (twice.empty() || twice.back() != named[i])) twice.push_back(named[i]);
  }
  return twice;
}

// An isolation level that is none: every entry is answered alike, as it stands in the request.
void answer_unknown_isolation(const ListOffsetsRequest& request, ListOffsetsResponse& response) {
  for (const auto& topic : request.topics) {
    auto& topic_response = response.topics.emplace_back();
    topic_response.name = topic.name;
    for (const auto& partition : topic.partitions) {
      auto& partition_response = topic_response.partitions.emplace_back();
      partition_response.partition_index = partition.partition_index;
      partition_response.error_code = ErrorCode::kUnknownServerError;
    }
  }
}

// An answer for every partition, or where its owner is to write one.
void distribute(const Broker& broker, const replication::MetadataImage& image, ListOffsetsRequest& request,
                ListOffsetsResponse& response, Work& work) {
  if (request.isolation_level != 0 && request.isolation_level != kReadCommitted)
    return answer_unknown_isolation(request, response);
  merge_topics(request.topics, &ListOffsetsRequest::ListOffsetsTopic::partitions,
               [](const auto& topic) { return std::string_view(topic.name); });
  const std::vector<Named> duplicates = named_twice(request);
  std::vector<bool> answered(duplicates.size());
  response.topics.reserve(request.topics.size());
  for (const auto& topic_request : request.topics) {
    auto& topic_response = response.topics.emplace_back();
    topic_response.name = topic_request.name;
    topic_response.partitions.reserve(topic_request.partitions.size());
    const auto topic = image.topic(topic_request.name);
    for (const auto& partition_request : topic_request.partitions) {
      const Named key{topic_request.name, partition_request.partition_index};
      const auto duplicate = std::ranges::lower_bound(duplicates, key);
      const bool is_duplicate = duplicate != duplicates.end() && *duplicate == key;
      if (is_duplicate) {
        const auto at = static_cast<std::size_t>(duplicate - duplicates.begin());
        if (answered[at]) continue;
        answered[at] = true;
      }
      auto& partition_response = topic_response.partitions.emplace_back();
      partition_response.partition_index = partition_request.partition_index;
      const auto owner = owner_of(broker, topic.get(), partition_request.partition_index, false);
      if (is_duplicate) {
        partition_response.error_code = ErrorCode::kInvalidRequest;
      } else if (version_of(partition_request.timestamp) > work.version) {
        partition_response.error_code = ErrorCode::kUnsupportedVersion;
      } else if (!owner) {
        partition_response.error_code = owner.error();
      } else {
        work.parts.add(*owner, {topic->id, &partition_request, &partition_response});
      }
    }
  }
}

Task<void> answer_parts(Broker& broker, Work& work) {
  constexpr std::size_t kElementsOfOne = 16;  // an index and a part of a log are read
  Turns turns = turns_of(broker);
  for (const Part& part : work.parts.of(broker.shard())) {
    co_await turns.next(kElementsOfOne);
    const auto partition = broker.partition(part.topic, part.request->partition_index);
    part.response->error_code =
        partition ? check_leader_epoch(**partition, part.request->current_leader_epoch) : partition.error();
    if (part.response->error_code != ErrorCode::kNone) continue;
    answer(**partition, *part.request, work.isolation, *part.response);
    if (work.version < 4) part.response->leader_epoch = LeaderEpoch(-1);
  }
}

}  // namespace

Task<net::Reply> list_offsets(Broker& broker, Call call) {
  auto request = parse_inline<ListOffsetsRequest>(call);
  if (call.is_large) request = co_await parse_large<ListOffsetsRequest>(broker, call);
  if (!request) co_return refuse(call, request.error());
  ListOffsetsResponse response;
  Work work{ByOwner<Part>(broker.shards()), call.request.version, request->isolation_level};
  const auto image = broker.image();
  co_await aside(broker, call.is_large, [&] {
    distribute(broker, *image, *request, response, work);
    return true;
  });
  co_await on_shards(broker.shards(), broker.shard(), work.parts.owners(), answer_parts, work);
  co_return co_await answer_with(broker, call, response, *request, work);
}

}  // namespace kurier::broker::api
