#include "broker/api/handlers.h"
#include "broker/api/topic_views.h"
#include "protocol/messages/offset_for_leader_epoch_request.h"
#include "protocol/messages/offset_for_leader_epoch_response.h"

namespace kurier::broker::api {
namespace {

using protocol::ErrorCode;
using protocol::OffsetForLeaderEpochRequest;
using protocol::OffsetForLeaderEpochResponse;

struct Part {
  TopicId topic;
  const OffsetForLeaderEpochRequest::OffsetForLeaderPartition* request = nullptr;
  OffsetForLeaderEpochResponse::EpochEndOffset* response = nullptr;
};

Task<void> answer_parts(Broker& broker, ByOwner<Part>& parts) {
  for (const Part& part : parts.of(broker.shard())) {
    const auto partition = broker.partition(part.topic, part.request->partition);
    part.response->error_code = partition ? check_leader_epoch(**partition, part.request->current_leader_epoch) : partition.error();
    if (part.response->error_code != ErrorCode::kNone) continue;
    const auto found = (*partition)->log().offset_for_leader_epoch(part.request->leader_epoch);
    part.response->leader_epoch = found.epoch;
    part.response->end_offset = found.end_offset;
  }
  co_return;
}

}  // namespace

Task<net::Reply> offset_for_leader_epoch(Broker& broker, Call call) {
  const auto request = parse_body<OffsetForLeaderEpochRequest>(call.request);
  if (!request) co_return refuse(call, request.error());
  OffsetForLeaderEpochResponse response;
  response.topics.reserve(request->topics.size());
  ByOwner<Part> parts(broker.shards());
  const auto image = broker.image();
  for (const auto& topic_request : request->topics) {
    auto& topic_response = response.topics.emplace_back();
    topic_response.topic = topic_request.topic;
    topic_response.partitions.reserve(topic_request.partitions.size());
    const auto topic = image->topic(topic_request.topic);
    for (const auto& partition_request : topic_request.partitions) {
      auto& end = topic_response.partitions.emplace_back();
      end.partition = partition_request.partition;
      const auto owner = owner_of(broker, topic.get(), partition_request.partition, false);
      if (owner) {
        parts.add(*owner, {topic->id, &partition_request, &end});
      } else {
        end.error_code = owner.error();
      }
    }
  }
  co_await on_shards(broker.shards(), broker.shard(), parts.owners(), answer_parts, parts);
  co_return respond(call, response);
}

}  // namespace kurier::broker::api
