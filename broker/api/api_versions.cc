#include <algorithm>
#include <array>
#include <cctype>

#include "broker/api/handlers.h"
#include "protocol/messages/api_versions_request.h"
#include "protocol/messages/api_versions_response.h"

namespace kurier::broker {

using net::Concurrency;
using protocol::ApiKey;

std::span<const ApiEntry> served_apis() {
  // Requests of one connection take effect in their order; only produce requests may be under way together.
  static constexpr auto kInOrder = Concurrency::kExclusive;
  static constexpr std::array<ApiEntry, 26> kServed{{
      {ApiKey::kProduce, 3, 13, true, false, Concurrency::kOverlapping, api::produce},
      {ApiKey::kFetch, 4, 18, true, false, kInOrder, api::fetch},
      {ApiKey::kFetch, 4, 18, false, true, kInOrder, api::fetch_metadata},
      {ApiKey::kListOffsets, 1, 11, true, false, kInOrder, api::list_offsets},
      {ApiKey::kMetadata, 0, 13, true, false, kInOrder, api::metadata},
      {ApiKey::kOffsetCommit, 2, 10, true, false, kInOrder, api::offset_commit},
      {ApiKey::kOffsetFetch, 1, 10, true, false, kInOrder, api::offset_fetch},
      {ApiKey::kFindCoordinator, 0, 6, true, false, kInOrder, api::find_coordinator},
      {ApiKey::kJoinGroup, 0, 9, true, false, kInOrder, api::join_group},
      {ApiKey::kHeartbeat, 0, 4, true, false, kInOrder, api::heartbeat},
      {ApiKey::kLeaveGroup, 0, 5, true, false, kInOrder, api::leave_group},
      {ApiKey::kSyncGroup, 0, 5, true, false, kInOrder, api::sync_group},
      {ApiKey::kDescribeGroups, 0, 6, true, false, kInOrder, api::describe_groups},
      {ApiKey::kListGroups, 0, 5, true, false, kInOrder, api::list_groups},
      {ApiKey::kApiVersions, 0, 5, true, true, kInOrder, api::api_versions},
      {ApiKey::kCreateTopics, 2, 7, true, true, kInOrder, api::create_topics},
      {ApiKey::kDeleteTopics, 1, 6, true, true, kInOrder, api::delete_topics},
      {ApiKey::kInitProducerId, 0, 5, true, false, kInOrder, api::init_producer_id},
      {ApiKey::kOffsetForLeaderEpoch, 2, 4, true, false, kInOrder, api::offset_for_leader_epoch},
      {ApiKey::kDescribeConfigs, 1, 4, true, true, kInOrder, api::describe_configs},
      {ApiKey::kCreatePartitions, 0, 3, true, true, kInOrder, api::create_partitions},
      {ApiKey::kDeleteGroups, 0, 3, true, false, kInOrder, api::delete_groups},
      {ApiKey::kOffsetDelete, 0, 0, true, false, kInOrder, api::offset_delete},
      {ApiKey::kDescribeQuorum, 0, 2, true, true, kInOrder, api::describe_quorum},
      {ApiKey::kDescribeCluster, 0, 2, true, true, kInOrder, api::describe_cluster},
      {ApiKey::kDescribeTopicPartitions, 0, 0, true, false, kInOrder, api::describe_topic_partitions},
  }};
  return kServed;
}

const ApiEntry* find_served(ApiKey key, bool on_controller_listener) {
  for (const ApiEntry& api : served_apis()) {
    if (api.key == key && (on_controller_listener ? api.on_controller : api.on_broker)) return &api;
  }
  return nullptr;
}

namespace api {
namespace {

using protocol::ApiVersionsResponse;
using protocol::ErrorCode;

void list_apis(ApiVersionsResponse& response, bool on_controller_listener) {
  for (const ApiEntry& api : served_apis()) {
    if (!(on_controller_listener ? api.on_controller : api.on_broker)) continue;
    auto& entry = response.api_keys.emplace_back();
    entry.api_key = static_cast<std::int16_t>(api.key);
    // KAFKA-18659: Produce 0 to 2 are listed, for clients that give up without them, and not answered.
    entry.min_version = api.key == ApiKey::kProduce ? std::int16_t{0} : api.min_version;
    entry.max_version = api.max_version;
  }
}

void list_features(ApiVersionsResponse& response, const replication::MetadataImage& image, std::int16_t kraft_version,
                   std::int16_t version) {
  for (const replication::FeatureRange& feature : replication::supported_features()) {
    // KIP-1022: a minimum of 0 is not shown to clients before version 4, which do not expect it.
    if (version < 4 && feature.min == 0) continue;
    auto& entry = response.supported_features.emplace_back();
    entry.name = feature.name;
    entry.min_version = feature.min;
    entry.max_version = feature.max;
  }
  response.finalized_features_epoch = image.last_offset.value();
  const auto add = [&](std::string_view name, std::int16_t level) {
    if (level == 0) return;
    auto& entry = response.finalized_features.emplace_back();
    entry.name = name;
    entry.max_version_level = level;
    entry.min_version_level = level;
  };
  for (const auto& [name, level] : image.features()) add(name, level);
  add("kraft.version", kraft_version);  // a control record of the log, no record of the image
}

// Of clients, by Apache Kafka's pattern: letters, digits, '.' and '-', neither of these first or last.
bool is_software_name(std::string_view text) {
  const auto is_plain = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; };
  return !text.empty() && is_plain(text.front()) && is_plain(text.back()) &&
         std::ranges::all_of(text, [&](char c) { return is_plain(c) || c == '.' || c == '-'; });
}

// A client may say whom it means to talk to: cluster and node, or neither. Only brokers look whether they are meant.
ErrorCode check_addressee(const Broker& broker, const Call& call, const protocol::ApiVersionsRequest& request) {
  if (request.cluster_id.has_value() != (request.node_id != BrokerId(-1))) return ErrorCode::kInvalidRequest;
  if (!request.cluster_id || call.on_controller_listener) return ErrorCode::kNone;
  const bool is_meant = request.cluster_id == broker.cluster_id() && request.node_id == broker.config().node_id;
  return is_meant ? ErrorCode::kNone : ErrorCode::kRebootstrapRequired;
}

}  // namespace

Task<net::Reply> api_versions(Broker& broker, Call call) {
  ApiVersionsResponse response;
  const bool known = call.request.version >= 0 && call.request.version <= 5;
  if (!known) {
    // KIP-511: answered in version 0, with the range of ApiVersions itself, so that the client can ask again.
    response.error_code = ErrorCode::kUnsupportedVersion;
    auto& own = response.api_keys.emplace_back();
    own.api_key = static_cast<std::int16_t>(ApiKey::kApiVersions);
    own.max_version = 5;
    co_return respond(call, response, 0);
  }
  const auto request = parse_body<protocol::ApiVersionsRequest>(call.request);
  if (!request) co_return refuse(call, request.error());
  if (call.request.version >= 3) {
    const bool is_named =
        is_software_name(request->client_software_name) && is_software_name(request->client_software_version);
    response.error_code = is_named ? check_addressee(broker, call, *request) : ErrorCode::kInvalidRequest;
    if (response.error_code != ErrorCode::kNone) co_return respond(call, response);
  }
  call.connection.client_software_name = request->client_software_name;
  call.connection.client_software_version = request->client_software_version;
  list_apis(response, call.on_controller_listener);
  if (call.request.version >= 3) list_features(response, *broker.image(), broker.kraft_version(), call.request.version);
  co_return respond(call, response);
}

}  // namespace api
}  // namespace kurier::broker
