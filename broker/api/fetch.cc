// Fetch: what is readable of each partition, as slices of its files; waits for fetch.min.bytes without polling.
//
// Sessions (KIP-227) are not kept yet: every full request is answered with session id 0, as Apache Kafka does when its
// session cache is full, and clients then go on with full requests.
#include "broker/api/handlers.h"
#include "protocol/messages/fetch_request.h"
#include "protocol/messages/fetch_response.h"

namespace kurier::broker::api {
namespace {

using protocol::ErrorCode;
using protocol::FetchRequest;
using protocol::FetchResponse;
using replication::FetchBound;
using PartitionRequest = FetchRequest::FetchPartition;
using PartitionData = FetchResponse::PartitionData;

constexpr std::int8_t kReadCommitted = 1;

struct Budget {
  std::uint64_t left_bytes;
  bool nothing_yet = true;  // the first batch is returned however long it is, so that a consumer gets on (KIP-74)
};

struct Collected {
  FetchResponse response;
  std::uint64_t bytes = 0;
  bool any_error = false;
};

void add_aborted(Partition& partition, Offset from, const storage::LogRead& read, Offset upper, PartitionData& data) {
  data.aborted_transactions.emplace();
  if (read.slice.size_bytes == 0) return;
  const auto aborted = partition.log().aborted_transactions(from, upper);
  if (!aborted) return;
  for (const storage::AbortedTransaction& transaction : *aborted) {
    auto& entry = data.aborted_transactions->emplace_back();
    entry.producer_id = transaction.producer_id;
    entry.first_offset = transaction.first_offset;
  }
}

void read_partition(Partition& partition, const PartitionRequest& request, std::int8_t isolation, Budget& budget,
                    PartitionData& data) {
  data.error_code = partition.is_offline() ? ErrorCode::kKafkaStorageError : check_leader_epoch(partition, request.current_leader_epoch);
  if (data.error_code != ErrorCode::kNone) return;
  const bool committed_only = isolation == kReadCommitted;
  const Offset upper = partition.leader().bound(committed_only ? FetchBound::kLastStableOffset : FetchBound::kHighWatermark);
  data.high_watermark = partition.leader().high_watermark();
  data.last_stable_offset = partition.leader().last_stable_offset();
  data.log_start_offset = partition.log().log_start_offset();
  const std::uint64_t bytes_max = std::min<std::uint64_t>(budget.left_bytes, static_cast<std::uint64_t>(std::max(0, request.partition_max_bytes)));
  auto read = partition.log().read(request.fetch_offset, bytes_max, upper, budget.nothing_yet);
  if (!read) {
    data.error_code = read.error().failure == Failure::kOutOfRange ? ErrorCode::kOffsetOutOfRange : ErrorCode::kKafkaStorageError;
    if (data.error_code == ErrorCode::kKafkaStorageError) LOG_ERROR("fetch: {}", read.error().context);
    data.high_watermark = data.last_stable_offset = data.log_start_offset = Offset(-1);
    return;
  }
  if (committed_only) add_aborted(partition, request.fetch_offset, *read, upper, data);
  if (read->slice.size_bytes == 0) return;
  budget.nothing_yet = false;
  budget.left_bytes -= std::min(budget.left_bytes, read->slice.size_bytes);
  data.records.slices.push_back(std::move(read->slice));
}

std::shared_ptr<Partition> find(Broker& broker, const FetchRequest::FetchTopic& topic, PartitionIndex index, bool by_id, ErrorCode* error) {
  const LocalTopic* local = by_id ? broker.partitions().find(topic.topic_id) : broker.partitions().find(topic.topic);
  auto partition = local == nullptr ? nullptr : local->find(index);
  if (partition == nullptr) *error = local == nullptr && by_id ? ErrorCode::kUnknownTopicId : ErrorCode::kUnknownTopicOrPartition;
  return partition;
}

Collected collect(Broker& broker, const Call& call, const FetchRequest& request) {
  Collected collected;
  const auto limit = static_cast<std::uint64_t>(std::max(0, std::min(request.max_bytes, broker.config().fetch_max_bytes)));
  Budget budget{limit};
  for (const auto& topic : request.topics) {
    auto& topic_response = collected.response.responses.emplace_back();
    topic_response.topic = topic.topic;
    topic_response.topic_id = topic.topic_id;
    for (const auto& partition_request : topic.partitions) {
      auto& data = topic_response.partitions.emplace_back();
      data.partition_index = partition_request.partition;
      data.high_watermark = Offset(-1);
      data.records.is_null = false;
      ErrorCode error = ErrorCode::kNone;
      const auto partition = find(broker, topic, partition_request.partition, call.request.version >= 13, &error);
      data.error_code = error;
      if (partition) read_partition(*partition, partition_request, request.isolation_level, budget, data);
      collected.any_error = collected.any_error || data.error_code != ErrorCode::kNone;
      collected.bytes += data.records.size_bytes();
    }
  }
  return collected;
}

struct Wait {
  Event<bool> done;
  void wake() {
    if (!done.is_set()) done.set(true);
  }
};

// Until one of the partitions has something new, the deadline, or shutdown.
Task<void> wait_for_data(Broker& broker, const Call& call, const FetchRequest& request, MonotonicTime deadline) {
  const auto wait = std::make_shared<Wait>();
  std::vector<std::pair<std::shared_ptr<Partition>, replication::WaiterId>> registered;
  const FetchBound bound = request.isolation_level == kReadCommitted ? FetchBound::kLastStableOffset : FetchBound::kHighWatermark;
  for (const auto& topic : request.topics) {
    for (const auto& partition_request : topic.partitions) {
      ErrorCode unused = ErrorCode::kNone;
      auto partition = find(broker, topic, partition_request.partition, call.request.version >= 13, &unused);
      if (!partition) continue;
      const auto waiter = partition->wake_when_beyond(bound, partition->leader().bound(bound), [wait] { wait->wake(); });
      registered.emplace_back(std::move(partition), waiter);
    }
  }
  const TimerId timer = broker.ports().timers.start(deadline, [wait] { wait->wake(); });
  const Broker::WakeId on_shutdown = broker.on_shutdown([wait] { wait->wake(); });
  co_await wait->done;
  broker.ports().timers.cancel(timer);
  broker.forget_shutdown(on_shutdown);
  for (const auto& [partition, waiter] : registered) partition->forget(waiter);
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
  while (true) {
    Collected collected = collect(broker, call, *request);
    const bool enough = collected.bytes >= static_cast<std::uint64_t>(std::max(0, request->min_bytes));
    const bool late = broker.ports().clock.monotonic() >= deadline;
    if (enough || late || collected.any_error || request->topics.empty() || broker.is_shutting_down()) {
      co_return respond(call, collected.response);
    }
    co_await wait_for_data(broker, call, *request, deadline);
  }
}

}  // namespace kurier::broker::api
