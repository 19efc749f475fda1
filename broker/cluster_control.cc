#include "broker/cluster_control.h"

#include <memory>

namespace kurier::broker {
namespace {

// `submit` is given the callback that brings the answer to the shard.
template <class Response, class Submit>
Task<Response> ask(Executor& shard, Submit submit) {
  const auto event = std::make_shared<Event<Response>>();
  submit([&shard, event](Response response) mutable {
    shard.post([event, response = std::move(response)]() mutable { event->set(std::move(response)); });
  });
  co_return co_await *event;
}

}  // namespace

Task<protocol::CreateTopicsResponse> ClusterControl::create_topics(protocol::CreateTopicsRequest request) {
  co_return co_await ask<protocol::CreateTopicsResponse>(
      shard_, [this, &request](auto answer) { controller_.create_topics(std::move(request), std::move(answer)); });
}

Task<protocol::DeleteTopicsResponse> ClusterControl::delete_topics(protocol::DeleteTopicsRequest request) {
  co_return co_await ask<protocol::DeleteTopicsResponse>(
      shard_, [this, &request](auto answer) { controller_.delete_topics(std::move(request), std::move(answer)); });
}

Task<protocol::CreatePartitionsResponse> ClusterControl::create_partitions(protocol::CreatePartitionsRequest request) {
  co_return co_await ask<protocol::CreatePartitionsResponse>(
      shard_, [this, &request](auto answer) { controller_.create_partitions(std::move(request), std::move(answer)); });
}

Task<replication::LocalController::Quorum> ClusterControl::quorum() {
  co_return co_await ask<replication::LocalController::Quorum>(shard_, [this](auto answer) {
    control_.post([this, answer = std::move(answer)]() mutable { answer(controller_.quorum()); });
  });
}

Task<protocol::FetchResponse> ClusterControl::fetch_metadata(protocol::FetchRequest request, std::int16_t version, std::string listener) {
  co_return co_await ask<protocol::FetchResponse>(shard_, [&](auto answer) {
    fetches_.fetch(std::move(request), version, std::move(listener), std::move(answer));
  });
}

Task<Result<void>> ClusterControl::fetch_producer_ids() {
  protocol::AllocateProducerIdsRequest request;
  request.broker_id = self_;
  request.broker_epoch = broker_epoch_;
  const auto response = co_await ask<protocol::AllocateProducerIdsResponse>(
      shard_, [this, &request](auto answer) { controller_.allocate_producer_ids(std::move(request), std::move(answer)); });
  if (response.error_code != protocol::ErrorCode::kNone) {
    co_return fail(Failure::kClosed, std::string("allocating producer ids: ") + protocol::to_string(response.error_code));
  }
  next_ = response.producer_id_start;
  end_ = response.producer_id_start + response.producer_id_len;
  co_return Result<void>{};
}

Task<Result<ProducerId>> ClusterControl::next_producer_id() {
  if (next_ == end_) {
    const Result<void> fetched = co_await fetch_producer_ids();
    if (!fetched) co_return std::unexpected(fetched.error());
  }
  const ProducerId id = next_;
  ++next_;
  co_return id;
}

}  // namespace kurier::broker
