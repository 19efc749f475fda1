#include "broker/api/handlers.h"
#include "broker/cluster_control.h"
#include "protocol/messages/describe_quorum_request.h"
#include "protocol/messages/describe_quorum_response.h"

namespace kurier::broker::api {

using protocol::ErrorCode;

namespace {

using protocol::DescribeQuorumRequest;
using protocol::DescribeQuorumResponse;

DescribeQuorumResponse describe(const DescribeQuorumRequest& request,
                                const replication::LocalController::Quorum& quorum, std::int16_t version,
                                Timestamp now) {
  DescribeQuorumResponse response;
  // Exactly the one partition that there is, or none at all.
  const bool is_metadata = request.topics.size() == 1 && request.topics.front().topic_name == "__cluster_metadata" &&
                           request.topics.front().partitions.size() == 1 &&
                           request.topics.front().partitions.front().partition_index.value() == 0;
  response.error_message = "";
  for (const auto& topic_request : request.topics) {
    auto& topic = response.topics.emplace_back();
    topic.topic_name = topic_request.topic_name;
    for (const auto& partition_request : topic_request.partitions) {
      auto& partition = topic.partitions.emplace_back();
      partition.partition_index = partition_request.partition_index;
      partition.error_message = "";
      if (!is_metadata) {
        partition.error_code = ErrorCode::kUnknownTopicOrPartition;
        partition.error_message = "This server does not host this topic-partition.";
        continue;
      }
      partition.leader_id = quorum.leader;
      partition.leader_epoch = quorum.epoch;
      partition.high_watermark = quorum.high_watermark;
      for (const replication::Voter& voter : quorum.voters) {
        auto& state = partition.current_voters.emplace_back();
        state.replica_id = voter.id;
        if (version >= 2) state.replica_directory_id = voter.directory_id;
        state.log_end_offset = quorum.log_end_offset;
        state.last_fetch_timestamp = now;
        state.last_caught_up_timestamp = now;
      }
      for (const auto& observer : quorum.observers) {
        auto& state = partition.observers.emplace_back();
        state.replica_id = observer.id;
        if (version >= 2) state.replica_directory_id = observer.directory_id;
        state.log_end_offset = observer.log_end_offset;
        state.last_fetch_timestamp = observer.last_fetch;
        state.last_caught_up_timestamp = observer.last_caught_up;
      }
    }
  }
  for (const replication::Voter& voter : quorum.voters) {
    if (version < 2 || !is_metadata) break;
    auto& node = response.nodes.emplace_back();
    node.node_id = voter.id;
    for (const replication::VoterEndpoint& endpoint : voter.endpoints) {
      node.listeners.push_back({.name = endpoint.name, .host = endpoint.host, .port = endpoint.port});
    }
  }
  return response;
}

}  // namespace

Task<net::Reply> describe_quorum(Broker& broker, Call call) {
  auto request = parse_inline<DescribeQuorumRequest>(call);
  if (call.is_large) request = co_await parse_large<DescribeQuorumRequest>(broker, call);
  if (!request) co_return refuse(call, request.error());
  const auto quorum = co_await broker.control().quorum();
  auto response = co_await aside(broker, call.is_large, [&, now = broker.ports().clock.wall()] {
    return describe(*request, quorum, call.request.version, now);
  });
  co_return co_await answer_with(broker, call, response, *request);
}

}  // namespace kurier::broker::api
