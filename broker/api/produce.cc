// Produce: stage 1 checks and appends in the order of the connection; stage 2 waits for what acks asks for.
#include "broker/api/handlers.h"
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

struct Waiting {
  std::shared_ptr<Partition> partition;
  Offset required;
  std::size_t topic = 0;  // where its answer stands in the response
  std::size_t index = 0;
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

void append_to(Partition& partition, const PartitionRequest& request, Call& call, bool acks_all, const Clock& clock,
               PartitionResponse& response, Offset* required) {
  if (request.records.view.empty()) return answer_error(response, ErrorCode::kInvalidRecord, "there is no batch");
  const MutableByteView batch = bytes_of(call.frame, request.records.view);
  const Timestamp now = clock.wall();
  BatchVerdict verdict = check_batch(batch, partition.config(), call.request.version, now);
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

}  // namespace

Task<net::Reply> produce(Broker& broker, Call call) {
  auto request = parse_body<ProduceRequest>(call.request);
  if (!request) co_return refuse(call, request.error());
  const bool acks_all = request->acks == -1;
  ErrorCode refused = ErrorCode::kNone;
  if (request->acks < -1 || request->acks > 1) refused = ErrorCode::kInvalidRequiredAcks;
  if (request->transactional_id) refused = ErrorCode::kInvalidRequest;  // there are no transactions yet
  const MonotonicTime deadline = broker.ports().clock.monotonic() + std::chrono::milliseconds(std::max(0, request->timeout_ms));
  ProduceResponse response;
  std::vector<Waiting> waiting;
  bool any_error = false;
  for (const auto& topic_data : request->topic_data) {
    auto& topic_response = response.responses.emplace_back();
    topic_response.name = topic_data.name;
    topic_response.topic_id = topic_data.topic_id;
    const bool by_id = call.request.version >= 13;
    const LocalTopic* topic = by_id ? broker.partitions().find(topic_data.topic_id) : broker.partitions().find(topic_data.name);
    for (const auto& data : topic_data.partition_data) {
      auto& answer = topic_response.partition_responses.emplace_back();
      answer.index = data.index;
      const auto partition = topic == nullptr ? nullptr : topic->find(data.index);
      Offset required{0};
      if (refused != ErrorCode::kNone) {
        answer_error(answer, refused);
      } else if (partition == nullptr) {
        answer_error(answer, topic == nullptr && by_id ? ErrorCode::kUnknownTopicId : ErrorCode::kUnknownTopicOrPartition);
      } else {
        append_to(*partition, data, call, acks_all, broker.ports().clock, answer, &required);
        if (answer.error_code == ErrorCode::kNone && request->acks != 0 && partition->must_wait(acks_all)) {
          waiting.push_back({partition, required, response.responses.size() - 1, topic_response.partition_responses.size() - 1});
        }
      }
      any_error = any_error || answer.error_code != ErrorCode::kNone;
    }
  }
  // What waits holds offsets only.
  const bool answers = request->acks != 0;
  *request = ProduceRequest{};
  call.frame = net::FrameBuffer{};
  // acks=0 expects no response; that something failed can only be said by closing the connection.
  if (!answers) co_return net::Reply{.close = any_error};
  for (const Waiting& wait : waiting) {
    const ErrorCode error = co_await wait.partition->replicated(wait.required, deadline);
    if (error != ErrorCode::kNone) answer_error(response.responses[wait.topic].partition_responses[wait.index], error);
  }
  co_return respond(call, response);
}

}  // namespace kurier::broker::api
