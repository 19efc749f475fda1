#include "tools/client/fetcher.h"

#include <fmt/core.h>

#include <algorithm>

#include "protocol/compression.h"
#include "tools/client/groups.h"

namespace kurier::client {
namespace {

using protocol::ErrorCode;
constexpr std::int16_t kNamesNewest = 12;  // beyond it topics are named by id only
constexpr auto kPause = std::chrono::milliseconds(100);

// Whoever leads may have changed: ask again.
bool wants_leaders(ErrorCode code) {
  return is_passing(code) || code == ErrorCode::kUnknownTopicOrPartition || code == ErrorCode::kFencedLeaderEpoch ||
         code == ErrorCode::kUnknownLeaderEpoch || code == ErrorCode::kReplicaNotAvailable ||
         code == ErrorCode::kKafkaStorageError || code == ErrorCode::kUnknownTopicId ||
         code == ErrorCode::kInconsistentTopicId;
}

}  // namespace

void Fetcher::assign(std::map<TopicPartition, Offset> positions) {
  positions_ = std::move(positions);
  leaders_.clear();
  to_reset_.clear();
}

Task<Result<void>> Fetcher::find_leaders() {
  std::vector<std::string> names;
  for (const auto& [partition, position] : positions_) {
    if (names.empty() || names.back() != partition.first) names.push_back(partition.first);
  }
  const auto topics = co_await cluster_.topics(names, false);
  if (!topics) co_return std::unexpected(topics.error());
  for (const auto& [partition, position] : positions_) {
    const auto topic = std::ranges::find(*topics, partition.first, &TopicInfo::name);
    const PartitionInfo* info = topic != topics->end() ? topic->find(partition.second) : nullptr;
    if (info == nullptr) {
      leaders_.clear();
      co_return fail(Failure::kNotFound,
                     fmt::format("topic '{}' has no partition {}", partition.first, partition.second.value()));
    }
    leaders_[partition] = info->leader;
  }
  co_return Result<void>{};
}

// Without a session: every request names its partitions. They begin with another one each time, because a response that
// is full has no room for the last.
protocol::FetchRequest Fetcher::request_for(BrokerId leader) const {
  std::vector<std::pair<TopicPartition, Offset>> wanted;
  for (const auto& [partition, position] : positions_) {
    if (leaders_.at(partition) == leader) wanted.emplace_back(partition, position);
  }
  std::ranges::rotate(wanted, wanted.begin() + next_correlation_id_ % static_cast<std::ptrdiff_t>(wanted.size()));
  protocol::FetchRequest request;
  request.replica_id = BrokerId(-1);
  request.max_wait_ms = static_cast<std::int32_t>(options_.max_wait.count());
  request.min_bytes = 1;
  request.max_bytes = options_.max_bytes;
  for (const auto& [partition, position] : wanted) {
    if (request.topics.empty() || request.topics.back().topic != partition.first) {
      request.topics.emplace_back().topic = partition.first;
    }
    auto& asked = request.topics.back().partitions.emplace_back();
    asked.partition = partition.second;
    asked.fetch_offset = position;
    asked.partition_max_bytes = options_.partition_max_bytes;
    asked.last_fetched_epoch = LeaderEpoch(-1);
  }
  return request;
}

// A broker that is not there: others may lead soon. An error once that has lasted too long.
Result<void> Fetcher::not_reached(BrokerId broker, const Error& error) {
  cluster_.forget(broker);
  leaders_.clear();
  const MonotonicTime now = cluster_.loop().now();
  if (!failing_since_) failing_since_ = now;
  if (error.failure == Failure::kUnsupported || error.failure == Failure::kMalformed ||
      now - *failing_since_ > cluster_.patience()) {
    return std::unexpected(error);
  }
  return {};
}

Task<Result<void>> Fetcher::send_all(std::map<BrokerId, Channel*>& sent) {
  std::vector<BrokerId> brokers;
  for (const auto& [partition, leader] : leaders_) brokers.push_back(leader);
  std::ranges::sort(brokers);
  brokers.erase(std::ranges::unique(brokers).begin(), brokers.end());
  for (const BrokerId broker : brokers) {
    const Result<Channel*> channel = co_await cluster_.channel_to(broker);
    Result<void> done;
    if (!channel) {
      done = not_reached(broker, channel.error());
    } else {
      const auto version = (*channel)->version_of(protocol::FetchRequest::kApiKey, kNamesNewest);
      if (!version) co_return std::unexpected(version.error());
      const auto frame = frame_request(request_for(broker), *version, next_correlation_id_, cluster_.loop().client_id);
      if (!frame) co_return std::unexpected(frame.error());
      const ByteView piece(*frame);
      done = co_await (*channel)->send({&piece, 1});
      if (done) {
        sent[broker] = *channel;
        continue;
      }
      done = not_reached(broker, done.error());
    }
    if (!done) co_return done;
    break;  // the leaders are asked for again
  }
  co_return Result<void>{};
}

Task<Result<void>> Fetcher::poll(Sink sink) {
  is_ended_ = false;
  if (positions_.empty()) {
    co_await sleep_until(cluster_.loop().reactor, cluster_.loop().now() + options_.max_wait);
    co_return Result<void>{};
  }
  if (leaders_.empty()) {
    const Result<void> found = co_await find_leaders();
    if (!found) {
      const Failure failure = found.error().failure;
      if (failure == Failure::kNotFound || failure == Failure::kInvalid) co_return found;
      const Result<void> outcome = not_reached(BrokerId(-1), found.error());
      co_await sleep_until(cluster_.loop().reactor, cluster_.loop().now() + kPause);
      co_return outcome;
    }
  }
  std::map<BrokerId, Channel*> sent;
  Result<void> outcome = co_await send_all(sent);
  for (const auto& [broker, channel] : sent) {  // each is received, whatever became of the others
    const Result<ByteView> frame = co_await channel->receive_in_time();
    if (!frame) {
      const Result<void> gone = not_reached(broker, frame.error());
      if (outcome) outcome = gone;
      continue;
    }
    const std::int16_t version = *channel->version_of(protocol::FetchRequest::kApiKey, kNamesNewest);
    const auto response = parse_response<protocol::FetchResponse>(*frame, version, next_correlation_id_);
    const Result<void> taken = response ? take(*response, sink) : std::unexpected(response.error());
    if (outcome) outcome = taken;
    failing_since_.reset();
  }
  ++next_correlation_id_;
  if (!outcome) co_return outcome;
  if (!to_reset_.empty()) co_return co_await reset_positions();
  if (leaders_.empty()) co_await sleep_until(cluster_.loop().reactor, cluster_.loop().now() + kPause);
  co_return Result<void>{};
}

Task<Result<void>> Fetcher::reset_positions() {
  const auto offsets = co_await list_offsets(cluster_, to_reset_);
  if (!offsets) co_return std::unexpected(offsets.error());
  for (const auto& [partition, offset] : *offsets) positions_[partition] = offset;
  to_reset_.clear();
  co_return Result<void>{};
}

Result<void> Fetcher::take_error(const TopicPartition& partition, ErrorCode code) {
  if (wants_leaders(code)) {
    leaders_.clear();
    return {};
  }
  if (code == ErrorCode::kOffsetOutOfRange && options_.reset) {
    to_reset_[partition] = *options_.reset;
    return {};
  }
  return fail(Failure::kInvalid, fmt::format("fetching {} from offset {}: {}", to_string(partition),
                                             positions_.at(partition).value(), protocol::to_string(code)));
}

Result<void> Fetcher::take(const protocol::FetchResponse& response, const Sink& sink) {
  if (response.error_code != ErrorCode::kNone) {
    return fail(Failure::kInvalid, fmt::format("Fetch: {}", protocol::to_string(response.error_code)));
  }
  for (const auto& topic : response.responses) {
    for (const auto& answered : topic.partitions) {
      const TopicPartition partition{topic.topic, answered.partition_index};
      if (!positions_.contains(partition)) {
        return fail(Failure::kMalformed, fmt::format("Fetch: {} was not asked for", to_string(partition)));
      }
      if (answered.error_code != ErrorCode::kNone) {
        TRY(take_error(partition, answered.error_code));
      } else {
        TRY(take_records(partition, answered.records.view, sink));
      }
    }
  }
  return {};
}

Result<void> Fetcher::take_records(const TopicPartition& partition, ByteView records, const Sink& sink) {
  while (!records.empty() && !is_ended_) {
    const auto batch = protocol::RecordBatchView::parse(records);
    if (!batch && batch.error().failure == Failure::kOutOfRange) return {};  // the response ends within it
    if (!batch) return std::unexpected(batch.error().within(to_string(partition)));
    TRY(take_batch(partition, *batch, sink));
    records = records.subspan(batch->size_bytes());
  }
  return {};
}

Result<void> Fetcher::take_batch(const TopicPartition& partition, const protocol::RecordBatchView& batch,
                                 const Sink& sink) {
  Offset& position = positions_.at(partition);
  if (batch.next_offset() <= position) return {};
  const auto corrupt = [&](std::string_view why) {
    return fail(Failure::kCorrupt,
                fmt::format("{}: the batch at offset {}: {}", to_string(partition), batch.base_offset().value(), why));
  };
  if (!batch.crc_is_valid()) return corrupt("the checksum does not fit");
  if (!batch.is_control()) {
    Bytes plain;
    ByteView payload = batch.payload();
    if (batch.codec() != protocol::Codec::kNone) {
      auto decompressed = protocol::decompress(batch.codec(), payload, protocol::kDecompressedBytesMax);
      if (!decompressed) return corrupt(decompressed.error().context);
      plain = std::move(*decompressed);
      payload = plain;
    }
    protocol::RecordReader reader(batch, payload);
    while (const protocol::RecordView* record = reader.next()) {
      if (record->offset < position) continue;
      position = record->offset + 1;
      if (sink({partition, *record, batch.timestamp_type()})) continue;
      is_ended_ = true;
      return {};
    }
    if (!reader.ok()) return corrupt(reader.error());
  }
  position = batch.next_offset();
  return {};
}

}  // namespace kurier::client
