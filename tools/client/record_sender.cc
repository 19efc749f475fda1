#include "tools/client/record_sender.h"

#include <fmt/core.h>

#include <algorithm>

#include "protocol/messages/init_producer_id_request.h"
#include "protocol/messages/init_producer_id_response.h"
#include "protocol/messages/produce_request.h"

namespace kurier::client {
namespace {

using protocol::ErrorCode;
constexpr std::int16_t kNamesNewest = 12;  // beyond it topics are named by id only
constexpr auto kPause = std::chrono::milliseconds(100);
constexpr auto kIdleMax = std::chrono::seconds(60);  // well below connections.max.idle.ms

bool may_be_sent_again(ErrorCode code) {
  return is_passing(code) || code == ErrorCode::kNotEnoughReplicas || code == ErrorCode::kUnknownTopicOrPartition ||
         code == ErrorCode::kKafkaStorageError;
}

// It may be stored, and another try would store it twice.
bool is_in_doubt(ErrorCode code) {
  return code == ErrorCode::kRequestTimedOut || code == ErrorCode::kNotEnoughReplicasAfterAppend;
}

}  // namespace

RecordSender::RecordSender(Cluster& cluster, std::string topic, SenderOptions options)
    : cluster_(cluster), name_(std::move(topic)), options_(options) {}

Task<Result<void>> RecordSender::open() {
  const Result<void> found = co_await find_topic();
  if (!found) co_return found;
  if (options_.idempotent) co_return co_await get_producer_id();
  co_return Result<void>{};
}

Task<Result<void>> RecordSender::find_topic() {
  std::vector<std::string> names{name_};
  auto topics = co_await cluster_.topics(std::move(names), true);
  if (!topics) co_return std::unexpected(topics.error());
  if (topics->size() != 1) co_return fail(Failure::kMalformed, fmt::format("Metadata: no answer for '{}'", name_));
  topic_ = std::move(topics->front());
  co_return Result<void>{};
}

Task<Result<void>> RecordSender::get_producer_id() {
  const MonotonicTime give_up = cluster_.loop().now() + cluster_.patience();
  while (true) {
    protocol::InitProducerIdRequest request;
    request.transaction_timeout_ms = 60'000;
    const auto response =
        co_await cluster_.ask<protocol::InitProducerIdResponse>(topic_.partitions[0].leader, std::move(request));
    if (!response) co_return std::unexpected(response.error());
    if (response->error_code == ErrorCode::kNone) {
      producer_id_ = response->producer_id;
      producer_epoch_ = response->producer_epoch;
      co_return Result<void>{};
    }
    if (!is_passing(response->error_code) || cluster_.loop().now() >= give_up) {
      co_return fail(Failure::kInvalid, fmt::format("InitProducerId: {}", protocol::to_string(response->error_code)));
    }
    co_await sleep_until(cluster_.loop().reactor, cluster_.loop().now() + kPause);
  }
}

Task<Result<void>> RecordSender::send(std::map<std::int32_t, std::vector<OutgoingRecord>> records) {
  if (last_use_ && cluster_.loop().now() - *last_use_ > kIdleMax) {
    for (const PartitionInfo& partition : topic_.partitions) cluster_.forget(partition.leader);
  }
  Batches open;
  const Timestamp now = cluster_.loop().reactor.clock().wall();
  for (const auto& [partition, some] : records) {
    std::optional<ProducerPlace> place;
    if (options_.idempotent) place = {producer_id_, producer_epoch_, next_sequence_[partition]};
    const auto count = static_cast<std::int32_t>(some.size());
    open[partition] = {encode_batch(some, now, options_.codec, place), count};
    next_sequence_[partition] = protocol::increment_sequence(next_sequence_[partition], count);
  }
  const MonotonicTime give_up = cluster_.loop().now() + cluster_.patience();
  for (int attempt = 0; !open.empty(); ++attempt) {
    if (attempt > 0) {
      if (cluster_.loop().now() >= give_up) {
        co_return fail(Failure::kTimeout, fmt::format("no leader takes records for {}",
                                                      to_string({name_, PartitionIndex(open.begin()->first)})));
      }
      co_await sleep_until(cluster_.loop().reactor, cluster_.loop().now() + kPause);
      const Result<void> found = co_await find_topic();
      if (!found) co_return found;
    }
    std::map<BrokerId, std::vector<std::int32_t>> by_leader;
    for (const auto& [partition, batch] : open) {
      const PartitionInfo* info = topic_.find(PartitionIndex(partition));
      if (info == nullptr) {
        co_return fail(Failure::kNotFound,
                       fmt::format("topic '{}' has no partition {}, it has {}", name_, partition, partitions()));
      }
      by_leader[info->leader].push_back(partition);
    }
    for (const auto& [leader, partitions] : by_leader) {
      const Result<void> done = co_await send_to(leader, partitions, open);
      if (!done) co_return done;
    }
  }
  last_use_ = cluster_.loop().now();
  co_return Result<void>{};
}

Task<Result<void>> RecordSender::send_to(BrokerId leader, std::vector<std::int32_t> partitions, Batches& open) {
  const Result<Channel*> channel = co_await cluster_.channel_to(leader);
  if (!channel) {
    if (channel.error().failure == Failure::kUnsupported) co_return std::unexpected(channel.error());
    co_return Result<void>{};  // nothing was sent: the next attempt may find another leader
  }
  const auto version = (*channel)->version_of(protocol::ProduceRequest::kApiKey, kNamesNewest);
  if (!version) co_return std::unexpected(version.error());
  protocol::ProduceRequest request;
  request.acks = options_.acks;
  request.timeout_ms = static_cast<std::int32_t>(cluster_.patience().count());
  auto& topic = request.topic_data.emplace_back();
  topic.name = name_;
  for (const std::int32_t partition : partitions) {
    auto& one = topic.partition_data.emplace_back();
    one.index = PartitionIndex(partition);
    one.records = protocol::records_view(open.at(partition).bytes);
  }
  if (options_.acks == 0) {
    const auto frame = frame_request(request, *version, 0, cluster_.loop().client_id);
    if (!frame) co_return std::unexpected(frame.error());
    const ByteView piece(*frame);
    const Result<void> sent = co_await (*channel)->send({&piece, 1});
    if (!sent) co_return sent;
    for (const std::int32_t partition : partitions) acknowledged(partition, Offset(-1), open);
    co_return Result<void>{};
  }
  const auto response = co_await (*channel)->ask_at<protocol::ProduceResponse>(std::move(request), *version);
  if (response) co_return take(*response, open);
  cluster_.forget(leader);
  if (options_.idempotent) co_return Result<void>{};
  co_return std::unexpected(response.error().within(
      fmt::format("records for '{}' were sent and not acknowledged; they may be there", name_)));
}

Result<void> RecordSender::take(const protocol::ProduceResponse& response, Batches& open) {
  for (const auto& topic : response.responses) {
    for (const auto& answered : topic.partition_responses) {
      const std::int32_t partition = answered.index.value();
      if (!open.contains(partition)) {
        return fail(Failure::kMalformed,
                    fmt::format("Produce: an answer for {}-{} that was not asked for", name_, partition));
      }
      const ErrorCode code = answered.error_code;
      if (code == ErrorCode::kNone || code == ErrorCode::kDuplicateSequenceNumber) {
        acknowledged(partition, answered.base_offset, open);
      } else if (!may_be_sent_again(code) && !(options_.idempotent && is_in_doubt(code))) {
        return fail(Failure::kInvalid,
                    fmt::format("{}: {}{}{}", to_string({name_, answered.index}), protocol::to_string(code),
                                answered.error_message ? ": " : "", answered.error_message.value_or("")));
      }
    }
  }
  return {};
}

void RecordSender::acknowledged(std::int32_t partition, Offset first_offset, Batches& open) {
  SentRange& range = sent_[partition];
  if (range.records == 0) range.first_offset = first_offset;
  range.records += static_cast<std::uint64_t>(open.at(partition).records);
  open.erase(partition);
}

}  // namespace kurier::client
