// Produce: stage 1 checks and appends in the order of the connection; stage 2 waits for what acks asks for.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <list>
#include <optional>
#include <set>
#include <tuple>

#include "base/recycled_vector.h"
#include "broker/api/handlers.h"
#include "broker/api/merged_topics.h"
#include "broker/api/topic_views.h"
#include "broker/batch_rules.h"
#include "protocol/messages/produce_request.h"
#include "protocol/messages/produce_response.h"

namespace kurier::broker::api {
namespace {

using protocol::ErrorCode;
using protocol::ProduceRequest;
using protocol::ProduceResponse;
using PartitionRequest = ProduceRequest::PartitionProduceData;
using PartitionResponse = ProduceResponse::PartitionProduceResponse;

constexpr std::int16_t kLeadersSinceVersion = 10;
constexpr std::int16_t kByIdSinceVersion = 13;
constexpr std::size_t kElementsOfAppend = 16;  // what an append costs, in elements of a loop
// What one request may have read ahead: no more than a core keeps near, and no more than takes a few tenths of a millisecond.
constexpr std::size_t kReadAheadBytesMax = 1024 * 1024;
constexpr std::int32_t kReadAheadRecordsMax = 2'000;  // of each batch
constexpr std::size_t kReadAheadBatchesMax = 8;

struct Part {
  TopicId topic;
  const PartitionRequest* request = nullptr;
  PartitionResponse* response = nullptr;
  // Of what another shard appends: the bytes have just been received here, and would have to be fetched there.
  std::optional<protocol::BatchReading> reading;
};

// What the shards share of one request. Each has its own parts. What was received belongs to the connection's shard, which lets it go at
// the end; where the answer has to wait, the last shard that has appended its parts does, unless it is large.
struct Work {
  // The request has views of its frame.
  net::FrameBuffer frame;
  Result<ProduceRequest> request;
  ByOwner<Part> parts;
  std::list<PartitionResponse> unheard;  // of parts whose partition is answered otherwise
  std::int16_t version = 0;
  std::int16_t acks = 0;
  std::chrono::milliseconds timeout{0};  // of waiting
  bool takes_turns = false;  // the connection's next request is held until this one is done
  std::atomic<std::size_t> holders = 0;  // of what was received
  std::atomic<bool> is_awaited = false;  // what it leads to, by any of the shards

  void let_go(bool waits) {
    if (waits) is_awaited = true;  // before: the last one sees it
    if (holders.fetch_sub(1) == 1 && is_awaited) end_received();
  }
  void end_received() {
    request = {};
    frame = {};
  }
};

struct Waiting {
  std::shared_ptr<Partition> partition;
  Offset required;
  PartitionResponse* response = nullptr;
};

// The frame's own bytes, which may be changed, where a field of the request is a view of them.
MutableByteView bytes_of(net::FrameBuffer& frame, ByteView view) {
  const auto position = static_cast<std::size_t>(view.data() - frame.view().data());
  return frame.mutable_view().subspan(position, view.size());
}

void answer_error(PartitionResponse& response, ErrorCode error, std::string message = {}) {
  response.error_code = error;
  response.base_offset = Offset(-1);
  if (!message.empty()) response.error_message = std::move(message);
}

void answer_refusal(const Partition& partition, protocol::BatchVerdict verdict, Offset log_start_offset, PartitionResponse& response) {
  LOG_DEBUG("a batch for {}-{} is refused with {}: {}", partition.topic(), partition.index().value(), to_string(verdict.error),
            verdict.reason);
  for (auto& record_error : verdict.record_errors) {
    auto& listed = response.record_errors.emplace_back();
    listed.batch_index = record_error.index;
    listed.batch_index_error_message = std::move(record_error.message);
  }
  if (verdict.tells_log_start) response.log_start_offset = log_start_offset;
  answer_error(response, verdict.error, std::move(verdict.message));
}

// Whether an answer with the error of an append has the log start offset, as Apache Kafka's has.
bool tells_log_start(ErrorCode error) {
  return error != ErrorCode::kNotLeaderOrFollower && error != ErrorCode::kKafkaStorageError;
}

void append_to(Partition& partition, const Part& part, net::FrameBuffer& frame, std::int16_t version, bool acks_all,
               const Clock& clock, Offset* required) {
  PartitionResponse& response = *part.response;
  const Timestamp now = clock.wall();
  const Offset log_start_offset = partition.log().log_start_offset();
  const ByteView view = part.request->records.view;
  const MutableByteView records = view.empty() ? MutableByteView{} : bytes_of(frame, view);
  const protocol::BatchRules rules = batch_rules(partition.config(), partition.topic(), partition.index(), version);
  protocol::BatchVerdict verdict = protocol::validate_batch(records, rules, now, part.reading);
  if (!verdict.accepted()) return answer_refusal(partition, std::move(verdict), log_start_offset, response);
  Partition::Appended appended = partition.append(verdict.batch, acks_all, now);
  if (appended.error != ErrorCode::kNone) {
    if (tells_log_start(appended.error)) response.log_start_offset = log_start_offset;
    return answer_error(response, appended.error, std::move(appended.message));
  }
  response.base_offset = appended.result.first_offset;
  response.log_start_offset = log_start_offset;
  // Of a duplicate it is the original's time, whatever the type of the topic's timestamps: so Apache Kafka has it.
  if (!appended.result.appended()) {
    response.log_append_time_ms = appended.result.duplicate_timestamp;
  } else if (partition.config().timestamp_type == config::TimestampType::kLogAppendTime) {
    response.log_append_time_ms = now;
  }
  *required = appended.result.last_offset + 1;
}

// Stage 1 before the first suspension, if it takes no turns, stage 2 behind it. On the shard that owns the parts.
Task<void> append_and_wait(Broker& broker, Work& work) {
  const bool acks_all = work.acks == -1;
  RecycledVector<Waiting> waiting;
  Turns turns = turns_of(broker);
  for (const Part& part : work.parts.of(broker.shard())) {
    if (work.takes_turns) co_await turns.next(kElementsOfAppend);
    const auto partition = broker.partition(part.topic, part.request->index);
    if (!partition) {
      answer_error(*part.response, partition.error());
      continue;
    }
    Offset required{0};
    append_to(**partition, part, work.frame, work.version, acks_all, broker.ports().clock, &required);
    if (part.response->error_code == ErrorCode::kNone && work.acks != 0 && (*partition)->must_wait(acks_all)) {
      waiting.push_back({*partition, required, part.response});
    }
  }
  work.let_go(!waiting.empty());  // what waits holds offsets only
  if (waiting.empty()) co_return;
  const MonotonicTime deadline = broker.ports().clock.monotonic() + work.timeout;
  for (const Waiting& wait : waiting) {
    co_await turns.next();
    const ErrorCode error = co_await wait.partition->replicated(wait.required, deadline);
    if (error != ErrorCode::kNone) answer_error(*wait.response, error);
  }
}

ErrorCode refusal_of(const ProduceRequest& request) {
  if (request.acks < -1 || request.acks > 1) return ErrorCode::kInvalidRequiredAcks;
  if (request.transactional_id) return ErrorCode::kInvalidRequest;  // there are no transactions yet
  return ErrorCode::kNone;
}

protocol::BatchRules framing_rules(const ProduceRequest& request, std::int16_t version) {
  return {.produce_version = version, .has_transactional_id = request.transactional_id.has_value()};
}

// What a refused batch is answered: first of all there has to be one, as in Apache Kafka.
void answer_refused(const PartitionRequest& data, const protocol::BatchRules& framing, ErrorCode error,
                    PartitionResponse& answer) {
  protocol::BatchVerdict verdict = protocol::validate_framing(data.records.view, framing);
  if (verdict.accepted()) return answer_error(answer, error);
  answer_error(answer, verdict.error, std::move(verdict.message));
}

// What a request says of one partition, mostly once. Apache Kafka takes the last batch that is well framed, and answers for
// the last one that is not, if there is one.
struct Wanted {
  const PartitionRequest* data = nullptr;
  const PartitionRequest* misframed = nullptr;

  [[nodiscard]] PartitionIndex index() const { return (data != nullptr ? data : misframed)->index; }
};

// Each partition once; in the order of the request where that names each once.
RecycledVector<Wanted> wanted_of(const ProduceRequest::TopicProduceData& topic, const protocol::BatchRules& framing) {
  RecycledVector<Wanted> named;
  named.reserve(topic.partition_data.size());
  for (const auto& data : topic.partition_data) named.push_back({&data});
  if (named.size() < 2) return named;
  RecycledVector<Wanted> sorted = named;
  std::ranges::sort(sorted, std::ranges::less(), [](const Wanted& one) { return std::pair(one.index(), one.data); });
  if (std::ranges::adjacent_find(sorted, std::ranges::equal_to(), &Wanted::index) == sorted.end()) return named;
  RecycledVector<Wanted> merged;
  for (const Wanted& one : sorted) {
    if (merged.empty() || merged.back().index() != one.index()) merged.emplace_back();
    const auto& records = one.data->records;
    const bool is_framed = records.is_nothing() || protocol::validate_framing(records.view, framing).accepted();
    (is_framed ? merged.back().data : merged.back().misframed) = one.data;
  }
  return merged;
}

// The internal topics are the coordinators' own; Apache Kafka lets only its admin client in.
bool is_closed_to(const Call& call, const replication::TopicImage& topic) {
  return is_internal_topic(topic.name) && call.request.header.client_id != "__admin_client";
}

// An answer for every partition, and each of them at its owner. False where a partition that exists has null for records:
// Apache Kafka appends nothing of such a request and never answers it.
bool distribute(const Broker& broker, const replication::MetadataImage& image, const Call& call,
                ProduceRequest& request, ProduceResponse& response, Work& work) {
  const bool by_id = call.request.version >= kByIdSinceVersion;
  const ErrorCode refused = refusal_of(request);
  const protocol::BatchRules framing = framing_rules(request, call.request.version);
  merge_topics(request.topic_data, &ProduceRequest::TopicProduceData::partition_data,
               [](const auto& topic) { return std::tie(topic.name, topic.topic_id); });
  response.responses.reserve(request.topic_data.size());
  std::size_t readable_bytes = call.is_large ? 0 : kReadAheadBytesMax;  // what is large is not with this shard now
  std::size_t readable_batches = kReadAheadBatchesMax;
  for (const auto& topic_data : request.topic_data) {
    auto& topic_response = response.responses.emplace_back();
    topic_response.name = topic_data.name;
    topic_response.topic_id = topic_data.topic_id;
    const auto topic = by_id ? image.topic(topic_data.topic_id) : image.topic(topic_data.name);
    topic_response.partition_responses.reserve(topic_data.partition_data.size());
    for (const Wanted& wanted : wanted_of(topic_data, framing)) {
      auto& answer = topic_response.partition_responses.emplace_back();
      answer.index = wanted.index();
      const auto owner = owner_of(broker, topic.get(), wanted.index(), by_id);
      if (!owner) {
        answer_error(answer, owner.error());
        continue;
      }
      PartitionResponse* of_data = &answer;
      if (wanted.misframed != nullptr) {
        answer_refused(*wanted.misframed, framing, ErrorCode::kInvalidRecord, answer);
        of_data = &work.unheard.emplace_back();
      }
      if (wanted.data == nullptr) continue;
      if (wanted.data->records.is_nothing()) return false;
      if (refused != ErrorCode::kNone) {
        answer_refused(*wanted.data, framing, refused, *of_data);
      } else if (is_closed_to(call, *topic)) {
        answer_refused(*wanted.data, framing, ErrorCode::kInvalidTopicException, *of_data);
      } else {
        Part part{topic->id, wanted.data, of_data, {}};
        const std::size_t size_bytes = wanted.data->records.view.size();
        if (*owner != broker.shard() && size_bytes <= readable_bytes && readable_batches > 0) {
          readable_bytes -= size_bytes;
          --readable_batches;
          part.reading = protocol::read_batch(wanted.data->records.view, kReadAheadRecordsMax);
        }
        work.parts.add(*owner, part);
      }
    }
  }
  return true;
}

bool has_error(const ProduceResponse& response) {
  return std::ranges::any_of(response.responses, [](const auto& topic) {
    return std::ranges::any_of(topic.partition_responses,
                               [](const auto& answer) { return answer.error_code != ErrorCode::kNone; });
  });
}

// KIP-951: with NOT_LEADER_OR_FOLLOWER, who leads now, and where it is reached.
void tell_leaders(const replication::MetadataImage& image, const Call& call, ProduceResponse& response) {
  if (call.request.version < kLeadersSinceVersion || !has_error(response)) return;
  std::set<BrokerId> told;
  for (auto& topic_response : response.responses) {
    for (auto& answer : topic_response.partition_responses) {
      if (answer.error_code != ErrorCode::kNotLeaderOrFollower) continue;
      const bool by_id = call.request.version >= kByIdSinceVersion;
      const auto topic = by_id ? image.topic(topic_response.topic_id) : image.topic(topic_response.name);
      const auto* partition = topic ? image.partition(topic->id, answer.index) : nullptr;
      if (partition == nullptr) continue;
      answer.current_leader = {.leader_id = partition->leader, .leader_epoch = partition->leader_epoch};
      const auto* node = image.broker(partition->leader);
      const auto address = node != nullptr ? address_of(*node, call.connection.listener_name) : std::nullopt;
      if (!address || !told.insert(partition->leader).second) continue;
      auto& endpoint = response.node_endpoints.emplace_back();
      endpoint.node_id = partition->leader;
      endpoint.host = address->host;
      endpoint.port = address->port;
      endpoint.rack = node->rack;
    }
  }
}

}  // namespace

Task<net::Reply> produce(Broker& broker, Call call) {
  Work work{.frame = {},
            .request = parse_inline<ProduceRequest>(call),
            .parts = ByOwner<Part>(broker.shards()),
            .unheard = {},
            .version = call.request.version};
  if (call.is_large) {
    call.connection.hold_next();
    work.request = co_await parse_large<ProduceRequest, true>(broker, call);
  }
  if (!work.request) co_return refuse(call, work.request.error());
  work.frame = std::move(call.frame);
  work.acks = work.request->acks;
  work.timeout = std::chrono::milliseconds(std::max(0, work.request->timeout_ms));
  ProduceResponse response;
  const auto image = broker.image();
  const bool is_complete = co_await aside(
      broker, call.is_large, [&] { return distribute(broker, *image, call, *work.request, response, work); });
  if (!is_complete) {
    co_await end(broker, call, work.request, work.frame, response, work.parts, work.unheard);
    co_return refuse(call, {Failure::kMalformed, "Produce with null for the records of a partition"});
  }
  for (const ShardIndex owner : work.parts.owners()) {
    work.takes_turns = work.takes_turns || work.parts.of(owner).size() > kElementsPerTurn;
  }
  if (work.takes_turns) call.connection.hold_next();
  work.holders = work.parts.owners().size() + (call.is_large ? 1 : 0);  // so that what is large does not end on a shard
  co_await on_shards(broker.shards(), broker.shard(), work.parts.owners(), append_and_wait, work);
  // acks=0 expects no response; that something failed can only be said by closing the connection.
  if (work.acks == 0) {
    const bool close = has_error(response);
    co_await end(broker, call, work.request, work.frame, response, work.parts, work.unheard);
    call.connection.let_next();
    co_return net::Reply{.close = close};
  }
  if (!call.is_large) {
    tell_leaders(*broker.image(), call, response);
    call.connection.let_next();
    co_return respond(call, response);
  }
  const auto now = broker.image();
  net::Reply reply = co_await aside(broker, true, [&] {
    tell_leaders(*now, call, response);
    work.end_received();
    return respond(call, response);
  });
  co_await end(broker, call, response, work.parts, work.unheard);
  call.connection.let_next();
  co_return reply;
}

}  // namespace kurier::broker::api
