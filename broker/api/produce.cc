// Produce: stage 1 checks and appends in the order of the connection; stage 2 waits for what acks asks for.
#include <algorithm>

#include "broker/api/handlers.h"
#include "broker/api/topic_views.h"
#include "broker/batch_check.h"
#include "protocol/messages/produce_request.h"
#include "protocol/messages/produce_response.h"

namespace kurier::broker::api {
namespace {

using protocol::ErrorCode;
using protocol::ProduceRequest;
using protocol::ProduceResponse;
using PartitionRequest = ProduceRequest::PartitionProduceData;
using PartitionResponse = ProduceResponse::PartitionProduceResponse;

// Views of the request's fields are views of the frame, and both go when the last shard has appended its batches.
struct Received {
  net::FrameBuffer frame;
  ProduceRequest request;
};

struct Part {
  TopicId topic;
  const PartitionRequest* request = nullptr;
  PartitionResponse* response = nullptr;
};

// What the shards share of one request. Each has its own parts, and its own hold on what was received.
struct Work {
  std::vector<std::shared_ptr<Received>> received;  // by shard
  ByOwner<Part> parts;
  std::int16_t version = 0;
  std::int16_t acks = 0;
  MonotonicTime deadline;
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

void append_to(Partition& partition, const PartitionRequest& request, net::FrameBuffer& frame, std::int16_t version, bool acks_all,
               const Clock& clock, PartitionResponse& response, Offset* required) {
  if (request.records.view.empty()) return answer_error(response, ErrorCode::kInvalidRecord, "there is no batch");
  const MutableByteView batch = bytes_of(frame, request.records.view);
  const Timestamp now = clock.wall();
  BatchVerdict verdict = check_batch(batch, partition.config(), version, now);
  if (verdict.error != ErrorCode::kNone) {
    if (verdict.of_a_record) {
      response.record_errors.emplace_back().batch_index_error_message = verdict.message;
    }
    return answer_error(response, verdict.error, std::move(verdict.message));
  }
  Partition::Appended appended = partition.append(batch, acks_all);
  if (appended.error != ErrorCode::kNone) return answer_error(response, appended.error, std::move(appended.message));
  response.base_offset = appended.result.first_offset;
  response.log_start_offset = partition.log().log_start_offset();
  if (partition.config().timestamp_type == config::TimestampType::kLogAppendTime) response.log_append_time_ms = now;
  *required = appended.result.last_offset + 1;
}

// Stage 1 before the first suspension, stage 2 behind it. On the shard that owns the parts.
Task<void> append_and_wait(Broker& broker, Work& work) {
  const bool acks_all = work.acks == -1;
  std::vector<Waiting> waiting;
  auto received = std::move(work.received[broker.shard()]);
  for (const Part& part : work.parts.of(broker.shard())) {
    const auto partition = broker.partition(part.topic, part.request->index);
    if (!partition) {
      answer_error(*part.response, partition.error());
      continue;
    }
    Offset required{0};
    append_to(**partition, *part.request, received->frame, work.version, acks_all, broker.ports().clock, *part.response, &required);
    if (part.response->error_code == ErrorCode::kNone && work.acks != 0 && (*partition)->must_wait(acks_all)) {
      waiting.push_back({*partition, required, part.response});
    }
  }
  received.reset();  // what waits holds offsets only
  for (const Waiting& wait : waiting) {
    const ErrorCode error = co_await wait.partition->replicated(wait.required, work.deadline);
    if (error != ErrorCode::kNone) answer_error(*wait.response, error);
  }
}

ErrorCode refusal_of(const ProduceRequest& request) {
  if (request.acks < -1 || request.acks > 1) return ErrorCode::kInvalidRequiredAcks;
  if (request.transactional_id) return ErrorCode::kInvalidRequest;  // there are no transactions yet
  return ErrorCode::kNone;
}

// An answer for every partition, in the order of the request, and each of them at its owner.
void distribute(const Broker& broker, const ProduceRequest& request, bool by_id, ProduceResponse& response, ByOwner<Part>& parts) {
  const ErrorCode refused = refusal_of(request);
  const auto image = broker.image();
  response.responses.reserve(request.topic_data.size());
  for (const auto& topic_data : request.topic_data) {
    auto& topic_response = response.responses.emplace_back();
    topic_response.name = topic_data.name;
    topic_response.topic_id = topic_data.topic_id;
    const auto topic = by_id ? image->topic(topic_data.topic_id) : image->topic(topic_data.name);
    topic_response.partition_responses.reserve(topic_data.partition_data.size());
    for (const auto& data : topic_data.partition_data) {
      auto& answer = topic_response.partition_responses.emplace_back();
      answer.index = data.index;
      const auto owner = owner_of(broker, topic.get(), data.index, by_id);
      if (refused != ErrorCode::kNone) {
        answer_error(answer, refused);
      } else if (!owner) {
        answer_error(answer, owner.error());
      } else {
        parts.add(*owner, {topic->id, &data, &answer});
      }
    }
  }
}

bool has_error(const ProduceResponse& response) {
  return std::ranges::any_of(response.responses, [](const auto& topic) {
    return std::ranges::any_of(topic.partition_responses, [](const auto& answer) { return answer.error_code != ErrorCode::kNone; });
  });
}

}  // namespace

Task<net::Reply> produce(Broker& broker, Call call) {
  auto request = parse_body<ProduceRequest>(call.request);
  if (!request) co_return refuse(call, request.error());
  const MonotonicTime deadline = broker.ports().clock.monotonic() + std::chrono::milliseconds(std::max(0, request->timeout_ms));
  auto received = std::make_shared<Received>(std::move(call.frame), std::move(*request));
  const std::int16_t acks = received->request.acks;
  ProduceResponse response;
  Work work{std::vector<std::shared_ptr<Received>>(broker.shards().count()), ByOwner<Part>(broker.shards()), call.request.version, acks,
            deadline};
  distribute(broker, received->request, call.request.version >= 13, response, work.parts);
  for (const ShardIndex owner : work.parts.owners()) work.received[owner] = received;
  received.reset();
  co_await on_shards(broker.shards(), broker.shard(), work.parts.owners(), append_and_wait, work);
  // acks=0 expects no response; that something failed can only be said by closing the connection.
  if (acks == 0) co_return net::Reply{.close = has_error(response)};
  co_return respond(call, response);
}

}  // namespace kurier::broker::api
