#include "broker/broker.h"

#include <fmt/core.h>

#include <algorithm>

namespace kurier::broker {

namespace {

FetchSessionOptions session_options(const config::NodeConfig& config, ShardIndex shard, ShardIndex shards) {
  const auto slots = static_cast<std::size_t>(config.max_incremental_fetch_session_cache_slots);
  constexpr std::size_t kMemoryBytesMax = 64 << 20;  // of all shards
  return {.slots = slots / shards + (shard < slots % shards ? 1 : 0),
          .shard = static_cast<std::int32_t>(shard),
          .shards = static_cast<std::int32_t>(shards),
          .memory_bytes_max = kMemoryBytesMax / shards};
}

Task<net::Reply> answer(net::Reply reply) { co_return reply; }

Task<net::Reply> throttled(Task<net::Reply> handled, std::chrono::milliseconds throttle) {
  net::Reply reply = co_await std::move(handled);
  reply.throttle = std::max(reply.throttle, throttle);
  co_return reply;
}

}  // namespace

Broker::Broker(Ports ports, const config::NodeConfig& config, std::string cluster_id, std::int16_t kraft_version,
               ClusterControl& control, GroupCoordinators& groups, const Shards& shards, ShardIndex shard,
               ShardIndex shard_count)
    : ports_(ports),
      config_(config),
      cluster_id_(std::move(cluster_id)),
      kraft_version_(kraft_version),
      control_(control),
      groups_(groups),
      shards_(shards),
      shard_(shard),
      fetch_sessions_(ports.random, session_options(config, shard, shard_count)),
      image_(std::make_shared<const replication::MetadataImage>()) {}

std::expected<std::shared_ptr<Partition>, protocol::ErrorCode> Broker::partition(const TopicId& topic, PartitionIndex index) const {
  const LocalTopic* local = partitions_.find(topic);
  if (auto partition = local == nullptr ? nullptr : local->find(index)) {
    if (partition->is_offline()) return std::unexpected(protocol::ErrorCode::kKafkaStorageError);
    return partition;
  }
  const replication::PartitionImage* known = image_->partition(topic, index);
  if (known == nullptr) return std::unexpected(protocol::ErrorCode::kUnknownTopicOrPartition);
  return std::unexpected(partitions_.is_unopened(topic, index) ? protocol::ErrorCode::kKafkaStorageError
                                                               : protocol::ErrorCode::kNotLeaderOrFollower);
}

bool Broker::is_controller_listener(const net::ConnectionContext& connection) const {
  return std::ranges::find(config_.controller_listener_names, connection.listener_name) != config_.controller_listener_names.end();
}

Result<net::Concurrency> Broker::classify(const net::ConnectionContext& connection, ByteView frame) {
  TRY_ASSIGN(const RequestKind request, kind_of_request(frame));
  const ApiEntry* api = find_served(request.api->key, is_controller_listener(connection));
  if (api == nullptr) {
    return fail(Failure::kUnsupported, fmt::format("{} is not answered on listener {}", request.api->name, connection.listener_name));
  }
  const bool supported = request.version >= api->min_version && request.version <= api->max_version;
  // ApiVersions itself says which versions there are (KIP-511).
  if (!supported && api->key != protocol::ApiKey::kApiVersions) {
    return fail(Failure::kUnsupported, fmt::format("{} version {}; versions {} to {} are answered", request.api->name,
                                                   request.version, api->min_version, api->max_version));
  }
  return api->concurrency;
}

// The handler's own task, where nothing is to be done behind it.
Task<net::Reply> Broker::handle(net::ConnectionContext& connection, net::FrameBuffer frame) {
  Call call{connection, {}, std::move(frame), is_controller_listener(connection)};
  auto parsed = parse_request(call.frame.view(), call.request);
  if (!parsed) return answer({.close = true, .malformed = std::move(parsed.error())});
  const ApiEntry* api = find_served(call.request.api->key, call.on_controller_listener);
  const Admission admission = admit(call);
  if (admission.close) return answer({.close = true});
  Task<net::Reply> handled = api->handler(*this, std::move(call));
  return admission.throttle.count() == 0 ? std::move(handled) : throttled(std::move(handled), admission.throttle);
}

// Nobody has to say who he is, everybody may do everything, and nobody has a quota yet: listeners that would need the first,
// an authorizer and quotas are refused at the start.
Broker::Admission Broker::admit(const Call&) { return {}; }

void Broker::connection_closed(net::ConnectionContext&) {}

Broker::WakeId Broker::on_shutdown(std::move_only_function<void()> wake) {
  shutdown_wakes_.emplace(++last_wake_, std::move(wake));
  return last_wake_;
}

void Broker::begin_shutdown() {
  shutting_down_ = true;
  while (!shutdown_wakes_.empty()) {
    auto wake = shutdown_wakes_.extract(shutdown_wakes_.begin());
    wake.mapped()();
  }
}

}  // namespace kurier::broker
