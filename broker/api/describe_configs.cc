#include <algorithm>
#include <array>
#include <charconv>

#include "broker/api/handlers.h"
#include "config/topic_config.h"
#include "protocol/messages/describe_configs_request.h"
#include "protocol/messages/describe_configs_response.h"

namespace kurier::broker::api {
namespace {

using protocol::DescribeConfigsRequest;
using protocol::DescribeConfigsResponse;
using protocol::ErrorCode;
using replication::ConfigResourceType;
constexpr std::size_t kResourcesInline = 50;  // each has some forty entries
using Outcome = DescribeConfigsResponse::DescribeConfigsResult;

void list(const std::vector<config::ConfigEntry>& entries, const DescribeConfigsRequest& request,
          const DescribeConfigsRequest::DescribeConfigsResource& resource, Outcome& result) {
  for (const config::ConfigEntry& entry : entries) {
    // No list of keys, or an empty one, means all of them.
    const auto& keys = resource.configuration_keys;
    if (keys && !keys->empty() && std::ranges::find(*keys, entry.name) == keys->end()) continue;
    auto& out = result.configs.emplace_back();
    out.name = entry.name;
    out.value = entry.value;
    out.read_only = entry.read_only;
    out.config_source = static_cast<std::int8_t>(entry.source);
    out.is_sensitive = entry.is_sensitive;
    out.config_type = static_cast<std::int8_t>(entry.type);
    out.documentation = request.include_documentation ? std::optional<std::string>(entry.documentation) : std::nullopt;
    if (!request.include_synonyms) continue;
    for (const config::ConfigSynonym& synonym : entry.synonyms) {
      out.synonyms.push_back({.name = synonym.name, .value = synonym.value, .source = static_cast<std::int8_t>(synonym.source)});
    }
  }
}

config::DynamicBrokerConfigs dynamic_configs(const Broker& broker, const replication::MetadataImage& image) {
  return {image.configs(ConfigResourceType::kBroker, std::to_string(broker.config().node_id.value())),
          image.configs(ConfigResourceType::kBroker, "")};
}

bool is_integer(const std::string& text) {
  std::int32_t number = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data() + (text.starts_with('+') ? 1 : 0), end, number);
  return error == std::errc{} && stop == end;
}

// Types that Kafka does not have: not even the rest of the request is looked at then.
bool is_known(std::int8_t resource_type) {
  constexpr std::array<std::int8_t, 5> kTypes = {2, 4, 8, 16, 32};  // topics, brokers, loggers, client metrics, groups
  return std::ranges::find(kTypes, resource_type) != kTypes.end();
}

void fail_with(Outcome& result, ErrorCode error, std::string message) {
  result.error_code = error;
  result.error_message = std::move(message);
}

void fail_as_unknown(Outcome& result) {
  fail_with(result, ErrorCode::kInvalidRequest,
            "This most likely occurs because of a request being malformed by the client library or the message was "
            "sent to an "
            "incompatible broker. See the broker logs for more details.");
}

void describe(const Broker& broker, const replication::MetadataImage& image, const DescribeConfigsRequest& request,
              const DescribeConfigsRequest::DescribeConfigsResource& resource, Outcome& result) {
  switch (static_cast<ConfigResourceType>(resource.resource_type)) {
    case ConfigResourceType::kTopic: {
      if (auto why = replication::invalid_topic_name(resource.resource_name)) {
        return fail_with(result, ErrorCode::kInvalidTopicException, std::move(*why));
      }
      if (image.topic(resource.resource_name) == nullptr) return fail_with(result, ErrorCode::kUnknownTopicOrPartition, "");
      const auto& overrides = image.configs(ConfigResourceType::kTopic, resource.resource_name);
      return list(config::describe_topic(broker.config(), dynamic_configs(broker, image), overrides), request, resource,
                  result);
    }
    case ConfigResourceType::kBroker: {
      if (resource.resource_name.empty()) {
        return list(config::describe_cluster_default(broker.config(), dynamic_configs(broker, image)), request,
                    resource, result);
      }
      if (!is_integer(resource.resource_name)) {
        return fail_with(result, ErrorCode::kInvalidRequest, "Broker id must be an integer, but it is: " + resource.resource_name);
      }
      if (resource.resource_name != std::to_string(broker.config().node_id.value())) {
        return fail_with(result, ErrorCode::kInvalidRequest,
                         "Unexpected broker id, expected " + std::to_string(broker.config().node_id.value()) +
                             " or empty string, but received " + resource.resource_name);
      }
      return list(config::describe_broker(broker.config(), dynamic_configs(broker, image)), request, resource, result);
    }
    default: return fail_as_unknown(result);
  }
}

}  // namespace

Task<net::Reply> describe_configs(Broker& broker, Call call) {
  auto request = parse_inline<DescribeConfigsRequest>(call);
  if (call.is_large) request = co_await parse_large<DescribeConfigsRequest>(broker, call);
  if (!request) co_return refuse(call, request.error());
  if (request->resources.size() > kResourcesInline) call.is_large = true;
  DescribeConfigsResponse response;
  const auto image = broker.image();
  const bool is_complete = co_await aside(broker, call.is_large, [&] {
    const bool all_are_known = std::ranges::all_of(request->resources, is_known,
                                                   &DescribeConfigsRequest::DescribeConfigsResource::resource_type);
    std::size_t entries = 0;
    for (const auto& resource : request->resources) {
      Outcome& result = response.results.emplace_back();
      result.resource_type = resource.resource_type;
      result.resource_name = resource.resource_name;
      result.error_message = "";
      if (all_are_known) {
        describe(broker, *image, *request, resource, result);
      } else {
        fail_as_unknown(result);
      }
      entries += 1 + result.configs.size();
      if (entries > kAnswerElementsMax) return false;
    }
    return true;
  });
  if (!is_complete) co_return refuse(call, answer_too_large());
  co_return co_await answer_with(broker, call, response, *request);
}

}  // namespace kurier::broker::api
