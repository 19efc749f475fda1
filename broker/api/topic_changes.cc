// CreateTopics, DeleteTopics, CreatePartitions: the controller decides; the answer comes when the metadata has.
#include "broker/api/handlers.h"
#include "broker/cluster_control.h"
#include "protocol/messages/create_partitions_request.h"
#include "protocol/messages/create_topics_request.h"
#include "protocol/messages/delete_topics_request.h"

namespace kurier::broker::api {

using protocol::ErrorCode;

namespace {

// A request of a thousand topics is small; the configurations that its answer lists make it large.
[[nodiscard]] bool is_large(const protocol::CreateTopicsResponse& response) {
  std::size_t elements = response.topics.size();
  for (const auto& topic : response.topics) elements += topic.configs ? topic.configs->size() : 0;
  return elements > kElementsInline;
}

}  // namespace

Task<net::Reply> create_topics(Broker& broker, Call call) {
  auto request = parse_inline<protocol::CreateTopicsRequest>(call);
  if (call.is_large) request = co_await parse_large<protocol::CreateTopicsRequest>(broker, call);
  if (!request) co_return refuse(call, request.error());
  auto response = co_await broker.control().create_topics(std::move(*request));
  call.is_large = call.is_large || is_large(response);
  co_return co_await answer_with(broker, call, response);
}

Task<net::Reply> delete_topics(Broker& broker, Call call) {
  auto request = parse_inline<protocol::DeleteTopicsRequest>(call);
  if (call.is_large) request = co_await parse_large<protocol::DeleteTopicsRequest>(broker, call);
  if (!request) co_return refuse(call, request.error());
  // Before version 6 there are only names.
  co_await aside(broker, call.is_large, [&] {
    for (std::string& name : request->topic_names) request->topics.emplace_back().name = std::move(name);
    request->topic_names.clear();
    return true;
  });
  protocol::DeleteTopicsResponse response;
  if (broker.config().delete_topic_enable) {
    response = co_await broker.control().delete_topics(std::move(*request));
  } else {
    const ErrorCode disabled = call.request.version < 3 ? ErrorCode::kInvalidRequest : ErrorCode::kTopicDeletionDisabled;
    co_await aside(broker, call.is_large, [&] {
      for (auto& topic : request->topics) {
        auto& result = response.responses.emplace_back();
        result.name = topic.name;
        result.topic_id = topic.topic_id;
        result.error_code = disabled;
      }
      return true;
    });
  }
  // A name that is not known can only be null from version 6 on.
  if (call.request.version < 6) {
    for (auto& result : response.responses) {
      if (!result.name) result.name = "";
    }
  }
  co_return co_await answer_with(broker, call, response);
}

Task<net::Reply> create_partitions(Broker& broker, Call call) {
  auto request = parse_inline<protocol::CreatePartitionsRequest>(call);
  if (call.is_large) request = co_await parse_large<protocol::CreatePartitionsRequest>(broker, call);
  if (!request) co_return refuse(call, request.error());
  auto response = co_await broker.control().create_partitions(std::move(*request));
  co_return co_await answer_with(broker, call, response);
}

}  // namespace kurier::broker::api
