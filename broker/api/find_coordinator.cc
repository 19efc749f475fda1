// FindCoordinator: which broker coordinates a group. The first one to ask makes __consumer_offsets.
#include "broker/api/group_calls.h"
#include "broker/api/handlers.h"
#include "broker/api/topic_views.h"
#include "broker/cluster_control.h"
#include "protocol/messages/find_coordinator_request.h"
#include "protocol/messages/find_coordinator_response.h"

namespace kurier::broker::api {
namespace {

using protocol::ErrorCode;
using protocol::FindCoordinatorResponse;
using Coordinator = FindCoordinatorResponse::Coordinator;

constexpr std::int8_t kGroup = 0;
constexpr std::int8_t kTransaction = 1;
constexpr std::int8_t kShare = 2;
constexpr const char* kInvalidRequest =
    "This most likely occurs because of a request being malformed by the client library or the message was sent to an "
    "incompatible broker. See the broker logs for more details.";

void no_coordinator(Coordinator& out, ErrorCode error, std::string message) {
  out.node_id = BrokerId(-1);
  out.host = "";
  out.port = -1;
  out.error_code = error;
  out.error_message = std::move(message);
}

void describe(const replication::MetadataImage& image, const Call& call, const std::string& key, PartitionIndex index,
              Coordinator& out) {
  out.key = key;
  const auto topic = image.topic(GroupCoordinators::kTopic);
  const replication::PartitionImage* partition = topic ? image.partition(topic->id, index) : nullptr;
  const replication::BrokerImage* leader = partition == nullptr ? nullptr : image.broker(partition->leader);
  const auto address =
      leader == nullptr || leader->fenced ? std::nullopt : address_of(*leader, call.connection.listener_name);
  if (!address) return no_coordinator(out, ErrorCode::kCoordinatorNotAvailable, "The coordinator is not available.");
  out.node_id = partition->leader;
  out.host = address->host;
  out.port = address->port;
}

Task<void> make_offsets_topic(Broker& broker) {
  constexpr const char* kTopic = GroupCoordinators::kTopic;
  if (broker.image()->topic(kTopic)) co_return;
  const auto created = co_await broker.control().create_topics(creation_of({kTopic}, broker.config()));
  for (const auto& result : created.topics) {
    if (result.error_code == ErrorCode::kNone || result.error_code == ErrorCode::kTopicAlreadyExists) continue;
    LOG_WARN("{} could not be created: {} {}", kTopic, protocol::to_string(result.error_code),
             result.error_message.value_or(""));
  }
}

}  // namespace

Task<net::Reply> find_coordinator(Broker& broker, Call call) {
  auto request = parse_inline<protocol::FindCoordinatorRequest>(call);
  if (call.is_large) request = co_await parse_large<protocol::FindCoordinatorRequest>(broker, call);
  if (!request) co_return refuse(call, request.error());
  const bool batched = call.request.version >= 4;
  if (!batched) request->coordinator_keys = {request->key};
  if (request->key_type == kGroup) co_await make_offsets_topic(broker);
  FindCoordinatorResponse response;
  const auto image = broker.image();
  co_await aside(broker, call.is_large, [&] {
    for (const std::string& key : request->coordinator_keys) {
      Coordinator& out = response.coordinators.emplace_back();
      if (request->key_type == kGroup) {
        describe(*image, call, key, broker.groups().partition_of(key), out);
      } else {
        out.key = key;
        const bool may_be_there = request->key_type == kTransaction || request->key_type == kShare;
        no_coordinator(out, ErrorCode::kInvalidRequest,
                       may_be_there ? "There are no transactions and no share groups here yet." : kInvalidRequest);
      }
    }
    return true;
  });
  if (!batched) {
    Coordinator& only = response.coordinators.front();
    response.error_code = only.error_code;
    response.error_message = only.error_code == ErrorCode::kNone ? "NONE" : only.error_message;
    response.node_id = only.node_id;
    response.host = only.host;
    response.port = only.port;
    response.coordinators.clear();
  }
  co_return co_await answer_with(broker, call, response, *request);
}

}  // namespace kurier::broker::api
