// Fetch: what is readable of each partition, as slices of its files; waits for fetch.min.bytes without polling.
//
// Sessions (KIP-227) are not kept yet: every full request is answered with session id 0, as Apache Kafka does when its
// session cache is full, and clients then go on with full requests.
#include "broker/api/fetch_read.h"
#include "broker/api/handlers.h"

namespace kurier::broker::api {
namespace {

using protocol::ErrorCode;
using protocol::FetchRequest;
using protocol::FetchResponse;

constexpr std::int8_t kReadCommitted = 1;

std::vector<FetchItem> items_of(const FetchRequest& request) {
  std::vector<FetchItem> items;
  for (const auto& topic : request.topics) {
    for (const auto& partition : topic.partitions) {
      items.push_back({.topic = topic.topic, .topic_id = topic.topic_id, .wanted = partition, .data = {}});
    }
  }
  return items;
}

FetchResponse response_of(std::vector<FetchItem>& items, bool by_id) {
  FetchResponse response;
  for (FetchItem& item : items) {
    auto& topics = response.responses;
    const bool goes_on = !topics.empty() && (by_id ? topics.back().topic_id == item.topic_id : topics.back().topic == item.topic);
    if (!goes_on) {
      auto& topic = topics.emplace_back();
      topic.topic = item.topic;
      topic.topic_id = item.topic_id;
    }
    topics.back().partitions.push_back(std::move(item.data));
  }
  return response;
}

bool is_complete(const std::vector<FetchItem>& items, std::int32_t min_bytes) {
  std::uint64_t bytes = 0;
  for (const FetchItem& item : items) {
    if (item.data.error_code != ErrorCode::kNone) return true;
    bytes += item.data.records.size_bytes();
  }
  return bytes >= static_cast<std::uint64_t>(std::max(0, min_bytes));
}

}  // namespace

ErrorCode check_leader_epoch(const Partition& partition, LeaderEpoch current) {
  if (current.value() < 0 || current == partition.leader().leader_epoch()) return ErrorCode::kNone;
  return current < partition.leader().leader_epoch() ? ErrorCode::kFencedLeaderEpoch : ErrorCode::kUnknownLeaderEpoch;
}

Task<net::Reply> fetch(Broker& broker, Call call) {
  auto request = parse_body<FetchRequest>(call.request);
  if (!request) co_return refuse(call, request.error());
  if (request->session_id != 0) {
    FetchResponse unknown;
    unknown.error_code = ErrorCode::kFetchSessionIdNotFound;
    co_return respond(call, unknown);
  }
  const MonotonicTime deadline = broker.ports().clock.monotonic() + std::chrono::milliseconds(std::max(0, request->max_wait_ms));
  const FetchScope scope{.by_id = call.request.version >= 13,
                         .committed_only = request->isolation_level == kReadCommitted,
                         .bytes_max = static_cast<std::uint64_t>(std::max(0, std::min(request->max_bytes, broker.config().fetch_max_bytes)))};
  std::vector<FetchItem> items = items_of(*request);
  while (true) {
    co_await read_all(broker, scope, items);
    const bool late = broker.ports().clock.monotonic() >= deadline;
    if (is_complete(items, request->min_bytes) || late || items.empty() || broker.is_shutting_down()) break;
    co_await wait_for_more(broker, scope, items, deadline);
  }
  co_return respond(call, response_of(items, scope.by_id));
}

}  // namespace kurier::broker::api
