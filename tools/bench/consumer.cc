#include "tools/bench/consumer.h"

#include <fmt/core.h>

#include <algorithm>

#include "protocol/messages/fetch_request.h"
#include "protocol/messages/fetch_response.h"
#include "protocol/record_batch.h"

namespace kurier::bench {

using protocol::ErrorCode;

Consumer::Consumer(const Loop& loop, const Options& options, const TopicLayout& layout, BrokerId broker,
                   std::vector<ConsumedPartition> partitions, std::int32_t records_per_batch, const SendTimes* times)
    : loop_(loop),
      options_(options),
      layout_(layout),
      broker_(broker),
      partitions_(std::move(partitions)),
      records_per_batch_(records_per_batch),
      times_(times) {}

Task<Result<void>> Consumer::prepare() {
  auto channel = co_await Channel::open(loop_, layout_.brokers.at(broker_));
  if (!channel) co_return std::unexpected(channel.error());
  channel_ = std::move(*channel);
  const Result<std::int16_t> version = channel_->version_of(protocol::FetchRequest::kApiKey);
  if (!version) co_return std::unexpected(version.error());
  version_ = *version;
  co_return Result<void>{};
}

bool Consumer::is_done() const {
  return std::ranges::all_of(partitions_,
                             [](const ConsumedPartition& partition) { return partition.next >= partition.end; });
}

// Without a session: every request names its partitions.
Result<Bytes> Consumer::make_request(std::int32_t correlation_id) const {
  protocol::FetchRequest request;
  request.replica_id = BrokerId(-1);
  request.max_wait_ms = options_.fetch_max_wait_ms;
  request.min_bytes = 1;
  request.max_bytes = options_.fetch_max_bytes;
  request.session_id = 0;
  request.session_epoch = -1;
  auto& topic = request.topics.emplace_back();
  topic.topic = layout_.name;
  topic.topic_id = layout_.id;
  // A response that is full has no room for the last partitions, so each is first in turn.
  const std::size_t first = counts_.requests % partitions_.size();
  for (std::size_t i = 0; i < partitions_.size(); ++i) {
    const ConsumedPartition& partition = partitions_[(first + i) % partitions_.size()];
    if (partition.next >= partition.end) continue;
    auto& asked = topic.partitions.emplace_back();
    asked.partition = PartitionIndex(partition.index);
    asked.current_leader_epoch = LeaderEpoch(-1);
    asked.last_fetched_epoch = LeaderEpoch(-1);
    asked.fetch_offset = partition.next;
    asked.partition_max_bytes = options_.partition_max_bytes;
  }
  return frame_request(request, version_, correlation_id);
}

void Consumer::walk(ConsumedPartition& partition, ByteView records) {
  const MonotonicTime now = times_ != nullptr ? loop_.now() : MonotonicTime{};
  while (records.size() >= protocol::kBatchHeaderBytes) {
    const auto batch = protocol::RecordBatchView::parse(records);
    if (!batch) return;  // the response ends within it
    records = records.subspan(batch->size_bytes());
    if (batch->next_offset() <= partition.next) continue;
    partition.next = batch->next_offset();
    ++counts_.batches;
    counts_.records += static_cast<std::uint64_t>(batch->record_count());
    counts_.batch_bytes += batch->size_bytes();
    if (times_ == nullptr) continue;
    const auto& sent = (*times_)[static_cast<std::size_t>(partition.index)];
    const auto nth = static_cast<std::size_t>(batch->base_offset().value() / records_per_batch_);
    if (nth < sent.size() && sent[nth] >= measured_from_) latency_.record(now - sent[nth]);
  }
}

Result<void> Consumer::take(ByteView frame, std::int32_t correlation_id) {
  TRY_ASSIGN(const auto response, parse_response<protocol::FetchResponse>(frame, version_, correlation_id));
  if (response.error_code != ErrorCode::kNone) {
    return fail(Failure::kInvalid, fmt::format("Fetch: {}", to_string(response.error_code)));
  }
  const std::uint64_t before = counts_.batches;
  for (const auto& topic : response.responses) {
    for (const auto& answered : topic.partitions) {
      if (answered.error_code != ErrorCode::kNone) {
        return fail(Failure::kInvalid, fmt::format("Fetch of {}-{}: {}", layout_.name, answered.partition_index.value(),
                                                   to_string(answered.error_code)));
      }
      const auto at =
          std::ranges::lower_bound(partitions_, answered.partition_index.value(), {}, &ConsumedPartition::index);
      if (at == partitions_.end() || at->index != answered.partition_index.value()) {
        return fail(Failure::kMalformed, fmt::format("Fetch: an answer for partition {} that was not asked for",
                                                     answered.partition_index.value()));
      }
      walk(*at, answered.records.view);
    }
  }
  if (counts_.batches == before) ++counts_.empty_responses;
  return {};
}

Task<Result<void>> Consumer::consume_all(std::uint32_t passes, MonotonicTime measured_from) {
  measured_from_ = measured_from;
  for (std::uint32_t pass = 0; pass < passes; ++pass) {
    for (ConsumedPartition& partition : partitions_) partition.next = Offset(0);
    while (!is_done()) {
      const auto correlation_id = static_cast<std::int32_t>(counts_.requests);
      const Result<Bytes> request = make_request(correlation_id);
      if (!request) co_return std::unexpected(request.error());
      const ByteView piece(*request);
      const Result<void> sent = co_await channel_->send({&piece, 1});
      if (!sent) co_return sent;
      const Result<ByteView> frame = co_await channel_->receive();
      if (!frame) co_return std::unexpected(frame.error());
      ++counts_.requests;
      counts_.received_bytes += frame->size() + 4;
      const Result<void> taken = take(*frame, correlation_id);
      if (!taken) co_return taken;
    }
  }
  co_return Result<void>{};
}

void Consumer::close() {
  if (channel_) channel_->close();
}

}  // namespace kurier::bench
