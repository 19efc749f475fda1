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
  Turns turns = turns_of(broker);
  for (const Part& part : parts.of(broker.shard())) {
    co_await turns.next();
    const auto partition = broker.partition(part.topic, part.request->partition);
    part.response->error_code = partition ? check_leader_epoch(**partition, part.request->current_leader_epoch) : partition.error();
    if (part.response->error_code != ErrorCode::kNone) continue;
    const auto found = (*partition)->log().offset_for_leader_epoch(part.request->leader_epoch);
    part.response->leader_epoch = found.epoch;
    part.response->end_offset = found.end_offset;
  }
}

// An answer for every partition, or where its owner is to write one.
void distribute(const Broker& broker, const replication::MetadataImage& image,
                const OffsetForLeaderEpochRequest& request, OffsetForLeaderEpochResponse& response,
                ByOwner<Part>& parts) {
  response.topics.reserve(request.topics.size());
  for (const auto& topic_request : request.topics) {
    auto& topic_response = response.topics.emplace_back();
    topic_response.topic = topic_request.topic;
    topic_response.partitions.reserve(topic_request.partitions.size());
    const auto topic = image.topic(topic_request.topic);
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
}

}  // namespace

Task<net::Reply> offset_for_leader_epoch(Broker& broker, Call call) {
  auto request = parse_inline<OffsetForLeaderEpochRequest>(call);
  if (call.is_large) request = co_await parse_large<OffsetForLeaderEpochRequest>(broker, call);
  if (!request) co_return refuse(call, request.error());
  OffsetForLeaderEpochResponse response;
  ByOwner<Part> parts(broker.shards());
  const auto image = broker.image();
  co_await aside(broker, call.is_large, [&] {
    distribute(broker, *image, *request, response, parts);
    return true;
  });
  co_await on_shards(broker.shards(), broker.shard(), parts.owners(), answer_parts, parts);
  co_return co_await answer_with(broker, call, response, *request, parts);
}

}  // namespace kurier::broker::api
