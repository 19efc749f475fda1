#include <algorithm>
#include <string_view>

#include "broker/api/handlers.h"
#include "broker/api/topic_views.h"
#include "protocol/messages/describe_topic_partitions_request.h"
#include "protocol/messages/describe_topic_partitions_response.h"

namespace kurier::broker::api {
namespace {

using protocol::DescribeTopicPartitionsRequest;
using protocol::DescribeTopicPartitionsResponse;
using protocol::ErrorCode;
using Topic = DescribeTopicPartitionsResponse::DescribeTopicPartitionsResponseTopic;

// Partitions from `first` on, at most `room`; the first one that did not fit.
std::optional<PartitionIndex> describe(const replication::MetadataImage& image, const replication::TopicImage& topic,
                                       PartitionIndex first, std::size_t room, Topic& out) {
  out.topic_id = topic.id;
  for (auto at = topic.partitions.lower_bound(first); at != topic.partitions.end(); ++at) {
    if (room-- == 0) return at->first;
    const auto& partition = at->second;
    auto& entry = out.partitions.emplace_back();
    entry.partition_index = at->first;
    entry.error_code = partition.leader.value() < 0 ? ErrorCode::kLeaderNotAvailable : ErrorCode::kNone;
    entry.leader_id = partition.leader;
    entry.leader_epoch = partition.leader_epoch;
    entry.replica_nodes = partition.replicas;
    entry.isr_nodes = partition.isr;
    entry.eligible_leader_replicas = partition.eligible_leader_replicas.value_or(std::vector<BrokerId>{});
    entry.last_known_elr = partition.last_known_elr.value_or(std::vector<BrokerId>{});
    entry.offline_replicas = offline_replicas(image, partition);
  }
  return std::nullopt;
}

// A cursor stands for a partition of a topic that is asked for. Nothing can be said of a topic without a name.
ErrorCode check(const DescribeTopicPartitionsRequest& request) {
  if (!request.cursor) {
    const bool is_nameless = std::ranges::any_of(request.topics, [](const auto& topic) { return topic.name.empty(); });
    return is_nameless ? ErrorCode::kUnknownServerError : ErrorCode::kNone;
  }
  const auto is_its_topic = [&](const auto& topic) { return topic.name == request.cursor->topic_name; };
  const bool is_asked_for = request.topics.empty() || std::ranges::any_of(request.topics, is_its_topic);
  return is_asked_for && request.cursor->partition_index.value() >= 0 ? ErrorCode::kNone : ErrorCode::kInvalidRequest;
}

DescribeTopicPartitionsResponse refused(const DescribeTopicPartitionsRequest& request, ErrorCode error) {
  DescribeTopicPartitionsResponse response;
  for (const auto& topic : request.topics) {
    Topic& out = response.topics.emplace_back();
    out.name = topic.name;
    out.error_code = error;
  }
  return response;
}

// In their order, each once.
std::vector<std::string_view> names_of(const DescribeTopicPartitionsRequest& request,
                                       const replication::MetadataImage& image) {
  std::vector<std::string_view> names;
  for (const auto& topic : request.topics) names.emplace_back(topic.name);
  if (names.empty()) {
    for (const auto& [name, id] : image.topic_ids()) names.emplace_back(name);
  }
  std::ranges::sort(names);
  const auto twice = std::ranges::unique(names);
  names.erase(twice.begin(), twice.end());
  return names;
}

DescribeTopicPartitionsResponse describe_all(const DescribeTopicPartitionsRequest& request,
                                             const replication::MetadataImage& image, std::int32_t partitions_max) {
  if (const ErrorCode error = check(request); error != ErrorCode::kNone) return refused(request, error);
  std::vector<std::string_view> names = names_of(request, image);
  PartitionIndex first(0);
  if (request.cursor) {
    // Topics are described by name; those before the cursor were in earlier answers.
    names.erase(names.begin(), std::ranges::lower_bound(names, std::string_view(request.cursor->topic_name)));
    if (!names.empty() && names.front() == request.cursor->topic_name) first = request.cursor->partition_index;
  }
  // max.request.partition.size.limit bounds what a client may ask for.
  auto room = static_cast<std::size_t>(std::max(1, std::min(request.response_partition_limit, partitions_max)));
  DescribeTopicPartitionsResponse response;
  for (const std::string_view view : names) {
    const std::string name(view);
    if (room == 0) {
      response.next_cursor = DescribeTopicPartitionsResponse::Cursor{};
      response.next_cursor->topic_name = name;
      break;
    }
    Topic& out = response.topics.emplace_back();
    out.name = name;
    out.is_internal = is_internal_topic(name);
    out.topic_authorized_operations = kAllTopicOperations;
    const auto topic = image.topic(name);
    if (topic == nullptr) {
      out.error_code = replication::invalid_topic_name(name) ? ErrorCode::kInvalidTopicException
                                                             : ErrorCode::kUnknownTopicOrPartition;
      first = PartitionIndex(0);  // the cursor's partition was one of this topic
      continue;
    }
    const auto next = describe(image, *topic, first, room, out);
    first = PartitionIndex(0);
    room -= out.partitions.size();
    if (next) {
      response.next_cursor = DescribeTopicPartitionsResponse::Cursor{};
      response.next_cursor->topic_name = name;
      response.next_cursor->partition_index = *next;
      break;
    }
  }
  return response;
}

}  // namespace

Task<net::Reply> describe_topic_partitions(Broker& broker, Call call) {
  auto request = parse_inline<DescribeTopicPartitionsRequest>(call);
  if (call.is_large) request = co_await parse_large<DescribeTopicPartitionsRequest>(broker, call);
  if (!request) co_return refuse(call, request.error());
  const auto image = broker.image();
  auto response =
      co_await aside(broker, call.is_large, [&, partitions_max = broker.config().max_request_partition_size_limit] {
        return describe_all(*request, *image, partitions_max);
      });
  co_return co_await answer_with(broker, call, response, *request);
}

}  // namespace kurier::broker::api
