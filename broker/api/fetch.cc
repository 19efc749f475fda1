// Fetch: what is readable of each partition, as slices of its files; waits for fetch.min.bytes without polling.
//
// What a session knows (broker/fetch_session.h) is added before, what its client knows is left out after. A session is
// asked on the shard that its id names, which need not be the connection's.
#include "broker/api/fetch_read.h"
#include "broker/api/handlers.h"
#include "broker/api/topic_views.h"
#include "broker/fetch_session.h"

namespace kurier::broker::api {
namespace {

using protocol::ErrorCode;
using protocol::FetchRequest;
using protocol::FetchResponse;

constexpr std::int8_t kReadCommitted = 1;
constexpr std::int32_t kNoSession = 0;

// What the session's shard is lent while the connection's waits for it.
struct SessionStep {
  FetchRequest& request;
  std::int16_t version;
  bool names_once = false;  // FetchSessions::name_once has been called
  FetchContext context;
  FetchResponse response;
  std::shared_ptr<FetchSession> made;  // what a session would be that the response begins
};

FetchSessions::NameOfTopic name_of(std::shared_ptr<const replication::MetadataImage> image) {
  return [image = std::move(image)](TopicId id) -> std::optional<std::string> {
    const auto topic = image->topic(id);
    return topic ? std::optional(topic->name) : std::nullopt;
  };
}

Task<void> begin_session(Broker& broker, SessionStep& step) {
  step.context = broker.fetch_sessions().begin(step.request, step.version, name_of(broker.image()),
                                               broker.ports().clock.monotonic(), step.names_once);
  co_return;
}

Task<void> finish_session(Broker& broker, SessionStep& step) {
  broker.fetch_sessions().finish(step.context, step.response, std::move(step.made), broker.ports().clock.monotonic());
  co_return;
}

ShardIndex shard_of_session(const Broker& broker, std::int32_t id) {
  if (id == kNoSession) return broker.shard();
  return static_cast<ShardIndex>(FetchSessions::shard_of(id, static_cast<std::int32_t>(broker.shards().count())));
}

std::size_t partitions_of(const FetchContext& context) {
  std::size_t count = 0;
  for (const auto& topic : context.topics) count += topic.partitions.size();
  return count;
}

std::vector<FetchItem> items_of(const FetchContext& context) {
  std::vector<FetchItem> items;
  items.reserve(partitions_of(context));
  for (const auto& topic : context.topics) {
    for (const auto& partition : topic.partitions) {
      items.push_back({.topic = &topic.topic, .wanted = &partition, .topic_id = topic.topic_id, .data = {}});
    }
  }
  return items;
}

void add_if(FetchResponse& response, std::vector<FetchItem>& items, bool by_id, bool (*chosen)(const FetchItem&)) {
  auto& topics = response.responses;
  for (FetchItem& item : items) {
    if (!chosen(item)) continue;
    const bool goes_on =
        !topics.empty() && (by_id ? topics.back().topic_id == item.topic_id : topics.back().topic == *item.topic);
    if (!goes_on) {
      auto& topic = topics.emplace_back();
      topic.topic = *item.topic;
      topic.topic_id = item.topic_id;
    }
    topics.back().partitions.push_back(std::move(item.data));
  }
}

// What does not exist comes last, and for consumers unknown ids before unknown partitions, as in Apache Kafka.
void fill(FetchResponse& response, std::vector<FetchItem>& items, const FetchScope& scope) {
  const bool by_id = scope.by_id;
  add_if(response, items, by_id, [](const FetchItem& item) { return item.is_known; });
  if (scope.replica.value() >= 0)
    return add_if(response, items, by_id, [](const FetchItem& item) { return !item.is_known; });
  add_if(response, items, by_id, [](const FetchItem& item) { return !item.is_known && item.topic->empty(); });
  add_if(response, items, by_id, [](const FetchItem& item) { return !item.is_known && !item.topic->empty(); });
}

struct Gathering {
  const FetchScope& scope;
  const FetchGoal& goal;
  std::vector<FetchItem>& items;
  LargeRequests::Ticket& ticket;
};

Task<void> gather(Broker& broker, Gathering& gathering) {
  co_await read_until_enough(broker, gathering.scope, gathering.goal, gathering.items, gathering.ticket);
}

bool is_isolation_level(std::int8_t level) { return level == 0 || level == kReadCommitted; }

// The same error everywhere. From version 13 on, clients look at the first one.
FetchResponse refused(const FetchRequest& request, const std::vector<FetchRequest::FetchTopic>& named,
                      std::int16_t version, ErrorCode error) {
  FetchResponse response;
  response.error_code = error;
  response.session_id = request.session_id;
  for (const auto& topic : named) {
    if (version >= 13) break;
    auto& out = response.responses.emplace_back();
    out.topic = topic.topic;
    for (const auto& partition : topic.partitions) {
      auto& data = out.partitions.emplace_back();
      data.partition_index = partition.partition;
      data.error_code = error;
      data.high_watermark = Offset(-1);
      data.records.is_null = false;
    }
  }
  return response;
}

// KIP-951: whoever asked the wrong node, or knows an older epoch, is told who leads.
std::vector<FetchResponse::NodeEndpoint> name_leaders(const replication::MetadataImage& image,
                                                      const std::string& listener, std::vector<FetchItem>& items) {
  std::map<BrokerId, FetchResponse::NodeEndpoint> nodes;
  for (FetchItem& item : items) {
    const bool asks = item.data.error_code == ErrorCode::kNotLeaderOrFollower ||
                      item.data.error_code == ErrorCode::kFencedLeaderEpoch;
    const replication::PartitionImage* partition =
        asks ? image.partition(item.topic_id, item.wanted->partition) : nullptr;
    if (partition == nullptr) continue;
    item.data.current_leader.leader_id = partition->leader;
    item.data.current_leader.leader_epoch = partition->leader_epoch;
    const replication::BrokerImage* leader = image.broker(partition->leader);
    const auto address = leader == nullptr || leader->fenced ? std::nullopt : address_of(*leader, listener);
    if (!address) continue;
    FetchResponse::NodeEndpoint& node = nodes[partition->leader];
    node.node_id = partition->leader;
    node.host = address->host;
    node.port = address->port;
    node.rack = leader->rack;
  }
  std::vector<FetchResponse::NodeEndpoint> endpoints;
  for (auto& [id, node] : nodes) endpoints.push_back(std::move(node));
  return endpoints;
}

void suit_version(const replication::MetadataImage& image, const Call& call, bool is_from_replica,
                  std::vector<FetchItem>& items, FetchResponse& response) {
  if (call.request.version >= 16) {
    auto nodes = name_leaders(image, call.connection.listener_name, items);
    if (!is_from_replica) response.node_endpoints = std::move(nodes);
  }
  if (call.request.version > 5) return;
  // Clients of that time know no KAFKA_STORAGE_ERROR; this one makes them ask for metadata and try again.
  for (FetchItem& item : items) {
    if (item.data.error_code == ErrorCode::kKafkaStorageError) item.data.error_code = ErrorCode::kNotLeaderOrFollower;
  }
}

}  // namespace

ErrorCode check_leader_epoch(const Partition& partition, LeaderEpoch current) {
  if (current.value() < 0 || current == partition.leader().leader_epoch()) return ErrorCode::kNone;
  return current < partition.leader().leader_epoch() ? ErrorCode::kFencedLeaderEpoch : ErrorCode::kUnknownLeaderEpoch;
}

Task<net::Reply> fetch(Broker& broker, Call call) {
  const MonotonicTime began = broker.ports().clock.monotonic();
  auto request = parse_inline<FetchRequest>(call);
  if (call.is_large) request = co_await parse_large<FetchRequest>(broker, call);
  if (!request) co_return refuse(call, request.error());
  const std::int16_t version = call.request.version;
  const MonotonicTime deadline = began + std::chrono::milliseconds(std::max(0, request->max_wait_ms));
  std::vector<FetchRequest::FetchTopic> named;
  SessionStep session{
      .request = *request, .version = version, .names_once = call.is_large, .context = {}, .response = {}, .made = {}};
  co_await aside(broker, call.is_large, [&, image = broker.image()] {
    if (!is_isolation_level(request->isolation_level)) named = request->topics;
    if (session.names_once) FetchSessions::name_once(*request, version, name_of(image));
    return true;
  });
  const std::vector<ShardIndex> owner{shard_of_session(broker, request->session_id)};
  co_await on_shards(broker.shards(), broker.shard(), owner, begin_session, session);

  const FetchContext& context = session.context;
  if (partitions_of(context) > kElementsInline) call.is_large = true;  // it may be a small request of a large session
  const FetchScope scope{.by_id = context.uses_topic_ids,
                         .committed_only = request->isolation_level == kReadCommitted,
                         .replica = version >= 15 ? request->replica_state.replica_id : request->replica_id,
                         .bytes_max = static_cast<std::uint64_t>(
                             std::max(0, std::min(request->max_bytes, broker.config().fetch_max_bytes))),
                         .limit_is_negative = request->max_bytes < 0,
                         .is_large = call.is_large};
  const FetchGoal goal{
      .min_bytes = std::min(scope.bytes_max, static_cast<std::uint64_t>(std::max(0, request->min_bytes))),
      .deadline = deadline,
      .may_wait = is_isolation_level(request->isolation_level)};
  std::vector<FetchItem> items;
  const ShardIndex reader = co_await aside(broker, scope.is_large, [&, image = broker.image()] {
    items = items_of(context);
    return shard_to_read_on(broker, *image, items);
  });
  Gathering gathering{scope, goal, items, call.ticket};
  const std::vector<ShardIndex> readers{reader};
  if (!items.empty()) co_await on_shards(broker.shards(), broker.shard(), readers, gather, gathering);
  const bool is_refused = co_await aside(broker, scope.is_large, [&, image = broker.image()] {
    if (!goal.may_wait && std::ranges::any_of(items, &FetchItem::is_known)) return true;
    suit_version(*image, call, scope.replica.value() >= 0, items, session.response);
    fill(session.response, items, scope);
    session.made = FetchSessions::made_of(context, session.response, broker.ports().clock.monotonic());
    return false;
  });
  if (is_refused) {
    FetchResponse response = refused(*request, named, version, ErrorCode::kUnknownServerError);
    co_return co_await answer_with(broker, call, response, *request, items, named, session.context);
  }
  // A new session belongs to the connection's own shard.
  const std::vector<ShardIndex> keeper{context.session ? owner.front() : broker.shard()};
  co_await on_shards(broker.shards(), broker.shard(), keeper, finish_session, session);
  co_return co_await answer_with(broker, call, session.response, *request, items, named, session.context);
}

}  // namespace kurier::broker::api
