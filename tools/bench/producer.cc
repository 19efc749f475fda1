#include "tools/bench/producer.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/next_round.h"
#include "protocol/messages/api_versions_request.h"
#include "protocol/messages/api_versions_response.h"
#include "protocol/messages/init_producer_id_request.h"
#include "protocol/messages/init_producer_id_response.h"
#include "protocol/messages/produce_request.h"
#include "protocol/messages/produce_response.h"

namespace kurier::bench {
namespace {
using protocol::ErrorCode;
constexpr std::size_t kCorrelationIdAt = 8;
// On a schedule: more than this is no latency any more, and what is remembered must not grow without end.
constexpr std::size_t kUnansweredMax = 200'000;

// Answers are received while it waits.
Task<void> wait_until_due(net::Reactor& reactor, MonotonicTime due, MonotonicClock::duration awake_before) {
  if (reactor.clock().monotonic() < due - awake_before) co_await sleep_until(reactor, due - awake_before);
  while (reactor.clock().monotonic() < due) co_await NextRound{reactor};
}
}  // namespace

Producer::Producer(const Loop& loop, const Options& options, const TopicLayout& layout, ConnectionPlan plan,
                   ByteView batch, std::int32_t records_per_batch, SendTimes* times)
    : loop_(loop),
      options_(options),
      layout_(layout),
      plan_(std::move(plan)),
      batch_(batch),
      records_per_batch_(records_per_batch),
      times_(times) {}

Task<Result<void>> Producer::prepare() {
  auto channel = co_await Channel::open(loop_, layout_.brokers.at(plan_.broker));
  if (!channel) co_return std::unexpected(channel.error());
  channel_ = std::move(*channel);
  const Result<std::int16_t> version = channel_->version_of(protocol::ProduceRequest::kApiKey);
  if (!version) co_return std::unexpected(version.error());
  version_ = *version;
  if (options_.idempotent) {
    const Result<void> given = co_await get_producer_id();
    if (!given) co_return given;
  }
  // The requests repeat after each partition has been first in one; no more are needed than are sent.
  for (std::size_t i = 0; i < std::min<std::uint64_t>(plan_.partitions.size(), plan_.requests); ++i) {
    Result<Template> made = make_template(i * options_.batches_per_request);
    if (!made) co_return std::unexpected(made.error());
    templates_.push_back(std::move(*made));
  }
  stamps_.assign(options_.batches_per_request, BatchStamp(batch_));
  next_sequence_.assign(plan_.partitions.size(), 0);
  latencies_.reserve(plan_.requests);
  co_return Result<void>{};
}

// Until the coordinator is there: a broker may have to make it first.
Task<Result<void>> Producer::get_producer_id() {
  while (true) {
    protocol::InitProducerIdRequest request;
    request.transactional_id = std::nullopt;
    request.transaction_timeout_ms = 60'000;
    const auto answer = co_await channel_->ask<protocol::InitProducerIdResponse>(std::move(request));
    if (!answer) co_return std::unexpected(answer.error());
    if (answer->error_code == ErrorCode::kNone) {
      producer_id_ = answer->producer_id;
      producer_epoch_ = answer->producer_epoch;
      co_return Result<void>{};
    }
    const bool comes = answer->error_code == ErrorCode::kCoordinatorLoadInProgress ||
                       answer->error_code == ErrorCode::kCoordinatorNotAvailable;
    if (!comes || loop_.now() > loop_.deadline) {
      co_return fail(Failure::kInvalid, fmt::format("InitProducerId: {}", to_string(answer->error_code)));
    }
    co_await sleep_until(loop_.reactor, loop_.now() + std::chrono::milliseconds(5));
  }
}

// Encodes the request as a whole and cuts the batches out of it.
Result<Producer::Template> Producer::make_template(std::size_t first) const {
  Template made;
  protocol::ProduceRequest request;
  request.acks = static_cast<std::int16_t>(options_.acks);
  request.timeout_ms = 30'000;
  auto& topic = request.topic_data.emplace_back();
  topic.name = layout_.name;
  topic.topic_id = layout_.id;
  for (std::size_t i = 0; i < options_.batches_per_request; ++i) {
    const std::size_t nth = (first + i) % plan_.partitions.size();
    made.partitions.push_back(nth);
    auto& partition = topic.partition_data.emplace_back();
    partition.index = PartitionIndex(plan_.partitions[nth]);
    partition.records = protocol::records_view(batch_);
  }
  TRY_ASSIGN(const Bytes frame, frame_request(request, version_, 0));
  std::ranges::copy(ByteView(frame).first(kFrameHeadBytes), made.head.begin());
  ByteView rest = ByteView(frame).subspan(kFrameHeadBytes);
  const ByteView batch_header = batch_.first(protocol::kBatchHeaderBytes);
  for (std::size_t i = 0; i < options_.batches_per_request; ++i) {
    const auto at = std::ranges::search(rest, batch_header).begin();
    const auto before = static_cast<std::size_t>(at - rest.begin());
    KURIER_CHECK(before < rest.size());
    made.glue.push_back(to_bytes(rest.first(before)));
    rest = rest.subspan(before + batch_.size());
  }
  made.glue.push_back(to_bytes(rest));
  return made;
}

void Producer::assemble(Template& request, std::int32_t correlation_id) {
  store_big_endian(request.head.data() + kCorrelationIdAt, correlation_id);
  pieces_.assign(1, ByteView(request.head));
  for (std::size_t i = 0; i < request.partitions.size(); ++i) {
    pieces_.emplace_back(request.glue[i]);
    if (producer_id_ == ProducerId(-1)) {
      pieces_.push_back(batch_);
      continue;
    }
    std::int32_t& sequence = next_sequence_[request.partitions[i]];
    pieces_.push_back(stamps_[i].header(producer_id_, producer_epoch_, sequence));
    pieces_.push_back(batch_.subspan(protocol::kBatchHeaderBytes));
    sequence = protocol::increment_sequence(sequence, records_per_batch_);
  }
  pieces_.emplace_back(request.glue.back());
}

Task<Result<void>> Producer::send_all(std::optional<Pace> pace) {
  if (pace) measured_from_ = pace->measured_from;
  for (std::uint64_t i = 0; i < plan_.requests; ++i) {
    MonotonicTime meant_for = loop_.now();
    if (pace) {
      meant_for = pace->schedule.time_of(i * pace->connections + pace->first_event);
      co_await wait_until_due(loop_.reactor, meant_for, pace->schedule.awake_before());
      if (in_flight_.size() > kUnansweredMax) {
        co_return fail(Failure::kExhausted,
                       fmt::format("{} requests are not answered: the rate is too high", in_flight_.size()));
      }
      if (meant_for >= measured_from_) sent_late_.record(loop_.now() - meant_for);
    } else if (options_.acks != 0) {
      while (in_flight_.size() >= options_.in_flight && !receiver_ended_) co_await room_;
      meant_for = loop_.now();
    }
    Template& request = templates_[i % templates_.size()];
    assemble(request, static_cast<std::int32_t>(i));
    if (times_ != nullptr) {
      for (const std::size_t nth : request.partitions) {
        (*times_)[static_cast<std::size_t>(plan_.partitions[nth])].push_back(meant_for);
      }
    }
    if (options_.acks != 0) in_flight_.push_back(meant_for);
    const Result<void> sent = co_await channel_->send(pieces_);
    if (!sent) co_return sent;
  }
  if (options_.acks != 0) co_return Result<void>{};
  // Nothing answers, so something that is answered goes last: requests of a connection are worked on in order.
  const auto barrier = co_await channel_->ask_at<protocol::ApiVersionsResponse>(protocol::ApiVersionsRequest{}, 0);
  if (!barrier) co_return std::unexpected(barrier.error());
  co_return Result<void>{};
}

Result<void> Producer::check(ByteView frame, std::int32_t correlation_id) const {
  TRY_ASSIGN(const auto response, parse_response<protocol::ProduceResponse>(frame, version_, correlation_id));
  std::size_t answered = 0;
  for (const auto& topic : response.responses) {
    for (const auto& partition : topic.partition_responses) {
      ++answered;
      if (partition.error_code != ErrorCode::kNone) {
        return fail(Failure::kInvalid,
                    fmt::format("Produce to {}-{}: {} {}", layout_.name, partition.index.value(),
                                to_string(partition.error_code), partition.error_message.value_or("")));
      }
    }
  }
  if (answered != options_.batches_per_request) {
    return fail(Failure::kMalformed,
                fmt::format("Produce: {} partitions answered of {}", answered, options_.batches_per_request));
  }
  return {};
}

Task<Result<void>> Producer::receive_all() {
  Result<void> outcome;
  for (std::uint64_t i = 0; i < plan_.requests && options_.acks != 0 && outcome; ++i) {
    const Result<ByteView> frame = co_await channel_->receive();
    outcome = frame ? check(*frame, static_cast<std::int32_t>(i)) : std::unexpected(frame.error());
    if (!outcome) break;
    if (in_flight_.front() >= measured_from_) latencies_.push_back(loop_.now() - in_flight_.front());
    in_flight_.pop_front();
    room_.notify();
  }
  receiver_ended_ = true;
  room_.notify();
  co_return outcome;
}

void Producer::close() {
  if (channel_) channel_->close();
}

}  // namespace kurier::bench
