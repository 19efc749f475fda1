#include <algorithm>
#include <set>

#include "broker/api/handlers.h"
#include "broker/api/topic_views.h"
#include "broker/cluster_control.h"
#include "protocol/messages/metadata_request.h"
#include "protocol/messages/metadata_response.h"

namespace kurier::broker::api {
namespace {

using protocol::ErrorCode;
using protocol::MetadataRequest;
using protocol::MetadataResponse;
using Topic = MetadataResponse::MetadataResponseTopic;
using Wanted = MetadataRequest::MetadataRequestTopic;

void describe(const replication::MetadataImage& image, const replication::TopicImage& topic, bool with_operations, Topic& out) {
  out.name = topic.name;
  out.topic_id = topic.id;
  out.is_internal = is_internal_topic(topic.name);
  if (with_operations) out.topic_authorized_operations = kAllTopicOperations;
  for (const auto& [index, partition] : topic.partitions) {
    auto& entry = out.partitions.emplace_back();
    entry.partition_index = index;
    entry.leader_id = partition.leader;
    entry.leader_epoch = partition.leader_epoch;
    entry.replica_nodes = partition.replicas;
    entry.isr_nodes = partition.isr;
    entry.offline_replicas = offline_replicas(image, partition);
    if (partition.leader.value() < 0) entry.error_code = ErrorCode::kLeaderNotAvailable;
  }
}

void unknown(ErrorCode error, std::optional<std::string> name, TopicId id, bool with_operations, Topic& out) {
  out.error_code = error;
  out.name = std::move(name);
  out.topic_id = id;
  if (out.name) out.is_internal = is_internal_topic(*out.name);
  if (with_operations) out.topic_authorized_operations = kAllTopicOperations;
}

bool has_id(const Wanted& topic) { return !topic.topic_id.is_zero(); }

// Topics have ids from version 10 on, and are asked for by them from version 12 on.
ErrorCode check(const MetadataRequest& request, std::int16_t version) {
  if (!request.topics) return ErrorCode::kNone;
  const auto has_name = [](const Wanted& topic) { return topic.name.has_value(); };
  const bool all_have_names = std::ranges::all_of(*request.topics, has_name);
  const bool by_id = std::ranges::any_of(*request.topics, has_id);
  if (version < 12 && (by_id || !all_have_names)) return ErrorCode::kInvalidRequest;
  return by_id || all_have_names ? ErrorCode::kNone : ErrorCode::kUnknownServerError;
}

MetadataResponse refused(const MetadataRequest& request, std::int16_t version, ErrorCode error) {
  MetadataResponse response;
  if (version >= 13) response.error_code = error;
  for (const auto& topic : *request.topics) {
    Topic& out = response.topics.emplace_back();
    out.error_code = error;
    out.name = topic.name.value_or("");
    out.topic_id = topic.topic_id;
  }
  return response;
}

// Each topic once. If one is asked for by its id, those that are asked for by their names are not looked at.
std::vector<const Wanted*> wanted_of(const MetadataRequest& request) {
  const bool by_id = std::ranges::any_of(*request.topics, has_id);
  std::vector<const Wanted*> wanted;
  for (const Wanted& topic : *request.topics) {
    if (has_id(topic) == by_id) wanted.push_back(&topic);
  }
  // Equal ones side by side, the first one first; then in the order of the request again.
  const auto compare = [by_id](const Wanted* left, const Wanted* right) {
    return by_id ? left->topic_id <=> right->topic_id : *left->name <=> *right->name;
  };
  std::ranges::sort(wanted, [&](const Wanted* left, const Wanted* right) {
    const auto order = compare(left, right);
    return order < 0 || (order == 0 && left < right);
  });
  const auto twice =
      std::ranges::unique(wanted, [&](const Wanted* left, const Wanted* right) { return compare(left, right) == 0; });
  wanted.erase(twice.begin(), twice.end());
  std::ranges::sort(wanted);
  return wanted;
}

// What the controller says of the topics that it did not create.
struct NotCreated {
  ErrorCode of_all = ErrorCode::kNone;
  std::map<std::string, ErrorCode> of_topic;

  [[nodiscard]] ErrorCode of(const std::string& name) const {
    if (of_all != ErrorCode::kNone) return of_all;
    const auto why = of_topic.find(name);
    return why != of_topic.end() ? why->second : ErrorCode::kUnknownTopicOrPartition;
  }
};

std::set<std::string> missing_of(const replication::MetadataImage& image, const std::vector<const Wanted*>& wanted) {
  std::set<std::string> missing;
  for (const Wanted* topic : wanted) {
    if (topic->name && topic->topic_id.is_zero() && image.topic(*topic->name) == nullptr) missing.insert(*topic->name);
  }
  return missing;
}

Task<NotCreated> create(Broker& broker, const std::set<std::string>& missing) {
  NotCreated not_created;
  if (missing.empty()) co_return not_created;
  // The controller would refuse each of them.
  if (missing.size() > static_cast<std::size_t>(replication::kPartitionsPerRequestMax)) {
    not_created.of_all = ErrorCode::kPolicyViolation;
    co_return not_created;
  }
  const auto created = co_await broker.control().create_topics(creation_of(missing, broker.config()));
  for (const auto& result : created.topics) {
    const bool there = result.error_code == ErrorCode::kNone || result.error_code == ErrorCode::kTopicAlreadyExists;
    if (!there) not_created.of_topic[result.name] = result.error_code;
  }
  co_return not_created;
}

// All topics if none is named.
void describe_topics(const replication::MetadataImage& image, const std::optional<std::vector<const Wanted*>>& wanted,
                     const NotCreated& not_created, std::int16_t version, bool with_operations,
                     MetadataResponse& response) {
  if (!wanted) {
    for (const auto& [name, id] : image.topic_ids())
      describe(image, *image.topic(id), with_operations, response.topics.emplace_back());
    return;
  }
  response.topics.reserve(wanted->size());
  for (const Wanted* one : *wanted) {
    Topic& out = response.topics.emplace_back();
    const bool by_id = !one->topic_id.is_zero();
    const auto topic = by_id ? image.topic(one->topic_id) : one->name ? image.topic(*one->name) : nullptr;
    if (topic) {
      describe(image, *topic, with_operations, out);
    } else if (by_id) {
      unknown(ErrorCode::kUnknownTopicId, version >= 12 ? std::nullopt : std::optional<std::string>(""), one->topic_id,
              false, out);
    } else {
      const std::string name = one->name.value_or("");
      ErrorCode error = not_created.of(name);
      if (name == "__cluster_metadata") error = ErrorCode::kUnknownTopicOrPartition;  // nobody creates it
      if (replication::invalid_topic_name(name)) error = ErrorCode::kInvalidTopicException;
      unknown(error, name, kZeroUuid, with_operations, out);
    }
  }
}

void describe_cluster(const Broker& broker, const Call& call, const replication::MetadataImage& image,
                      bool with_operations, MetadataResponse& response) {
  for (const auto& [id, node] : image.brokers()) {
    const auto address = address_of(node, call.connection.listener_name);
    if (node.fenced || !address) continue;
    auto& entry = response.brokers.emplace_back();
    entry.node_id = id;
    entry.host = address->host;
    entry.port = address->port;
    entry.rack = node.rack;
  }
  response.cluster_id = broker.cluster_id();
  // KIP-590: any broker, since requests for the controller go through brokers.
  response.controller_id = response.brokers.empty() ? BrokerId(-1) : response.brokers.front().node_id;
  if (with_operations) response.cluster_authorized_operations = kAllClusterOperations;
}

}  // namespace

protocol::CreateTopicsRequest creation_of(const std::set<std::string>& names, const config::NodeConfig& config) {
  protocol::CreateTopicsRequest request;
  for (const std::string& name : names) {
    auto& topic = request.topics.emplace_back();
    topic.name = name;
    topic.num_partitions = -1;
    topic.replication_factor = -1;
    const config::InternalTopic* internal = name == "__consumer_offsets"    ? &config.offsets.topic
                                            : name == "__transaction_state" ? &config.transaction.topic
                                            : name == "__share_group_state" ? &config.share_state_topic
                                                                            : nullptr;
    if (internal == nullptr) continue;
    topic.num_partitions = internal->partitions;
    topic.replication_factor = internal->replication_factor;
    const auto set = [&](const char* key, std::string value) { topic.configs.push_back({.name = key, .value = std::move(value)}); };
    set("cleanup.policy", name == "__share_group_state" ? "delete" : "compact");
    set("compression.type", name == "__consumer_offsets" ? "producer" : "uncompressed");
    set("segment.bytes", std::to_string(internal->segment_bytes));
    if (name == "__share_group_state") set("retention.ms", "-1");
    if (internal->min_insync_replicas > 0) set("min.insync.replicas", std::to_string(internal->min_insync_replicas));
    if (name == "__transaction_state") set("unclean.leader.election.enable", "false");
  }
  return request;
}

Task<net::Reply> metadata(Broker& broker, Call call) {
  auto request = parse_inline<MetadataRequest>(call);
  if (call.is_large) request = co_await parse_large<MetadataRequest>(broker, call);
  if (!request) co_return refuse(call, request.error());
  const std::int16_t version = call.request.version;
  const bool all = !request->topics || (version == 0 && request->topics->empty());
  if (all && broker.image()->topic_ids().size() > kElementsInline) call.is_large = true;
  MetadataResponse response;
  std::optional<std::vector<const Wanted*>> wanted;
  std::set<std::string> missing;
  const bool may_create = !all && request->allow_auto_topic_creation && broker.config().auto_create_topics_enable;
  const auto before = broker.image();
  const bool is_refused = co_await aside(broker, call.is_large, [&] {
    const ErrorCode error = check(*request, version);
    if (error != ErrorCode::kNone) {
      response = refused(*request, version, error);
      return true;
    }
    if (!all) wanted = wanted_of(*request);
    if (may_create) missing = missing_of(*before, *wanted);
    return false;
  });
  if (is_refused) co_return co_await answer_with(broker, call, response, *request);
  const NotCreated not_created = co_await create(broker, missing);
  const auto image = broker.image();
  describe_cluster(broker, call, *image,
                   version >= 8 && version <= 10 && request->include_cluster_authorized_operations, response);
  const bool with_operations = version >= 8 && request->include_topic_authorized_operations;
  co_await aside(broker, call.is_large, [&] {
    describe_topics(*image, wanted, not_created, version, with_operations, response);
    return true;
  });
  co_return co_await answer_with(broker, call, response, *request, wanted, missing);
}

}  // namespace kurier::broker::api
