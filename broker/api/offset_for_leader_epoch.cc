#include "broker/api/handlers.h"
#include "protocol/messages/offset_for_leader_epoch_request.h"
#include "protocol/messages/offset_for_leader_epoch_response.h"

namespace kurier::broker::api {

using protocol::ErrorCode;

Task<net::Reply> offset_for_leader_epoch(Broker& broker, Call call) {
  const auto request = parse_body<protocol::OffsetForLeaderEpochRequest>(call.request);
  if (!request) co_return refuse(call, request.error());
  protocol::OffsetForLeaderEpochResponse response;
  for (const auto& topic_request : request->topics) {
    auto& topic_response = response.topics.emplace_back();
    topic_response.topic = topic_request.topic;
    const LocalTopic* topic = broker.partitions().find(topic_request.topic);
    for (const auto& partition_request : topic_request.partitions) {
      auto& end = topic_response.partitions.emplace_back();
      end.partition = partition_request.partition;
      const auto partition = topic == nullptr ? nullptr : topic->find(partition_request.partition);
      end.error_code = partition == nullptr ? ErrorCode::kUnknownTopicOrPartition
                                            : check_leader_epoch(*partition, partition_request.current_leader_epoch);
      if (end.error_code != ErrorCode::kNone) continue;
      const auto found = partition->log().offset_for_leader_epoch(partition_request.leader_epoch);
      end.leader_epoch = found.epoch;
      end.end_offset = found.end_offset;
    }
  }
  co_return respond(call, response);
}

}  // namespace kurier::broker::api
