#include "broker/metadata_fetches.h"

#include <utility>
#include <vector>

namespace kurier::broker {

using protocol::ErrorCode;
using protocol::FetchRequest;
using protocol::FetchResponse;
using replication::LeaderFetches;

void MetadataFetches::fetch(FetchRequest request, std::int16_t version, std::string listener, Answer answer) {
  control_.post([this, request = std::move(request), version, listener = std::move(listener),
                 answer = std::move(answer)]() mutable {
    begin(std::move(request), version, std::move(listener), std::move(answer));
  });
}

void MetadataFetches::begin(FetchRequest request, std::int16_t version, std::string listener, Answer answer) {
  FetchResponse response;
  response.error_code = LeaderFetches::check(request, cluster_id_);
  if (response.error_code != ErrorCode::kNone) return answer(std::move(response));
  response = attempt(request, version, listener);
  if (!LeaderFetches::may_wait(request, response)) return answer(std::move(response));
  const MonotonicTime deadline = clock_.monotonic() + std::chrono::milliseconds(request.max_wait_ms);
  const WaiterId id = ++last_waiter_;
  const TimerId timer = timers_.start(deadline, [this, id] { complete(id, true); });
  waiting_.emplace(
      id, Waiting{std::move(request), version, std::move(listener), std::move(response), std::move(answer), timer});
}

FetchResponse MetadataFetches::attempt(const FetchRequest& request, std::int16_t version, const std::string& listener) {
  return controller_.fetch(request, version, listener, is_shutting_down_);
}

void MetadataFetches::complete(WaiterId id, bool is_late) {
  auto found = waiting_.extract(id);
  if (!found) return;
  Waiting& waiting = found.mapped();
  if (!is_late) timers_.cancel(waiting.timer);
  waiting.answer(is_late ? std::move(waiting.if_late) : attempt(waiting.request, waiting.version, waiting.listener));
}

void MetadataFetches::log_changed(bool high_watermark_advanced) {
  const Offset end = controller_.quorum().log_end_offset;
  std::vector<WaiterId> due;
  for (const auto& [id, waiting] : waiting_) {
    const Offset from = waiting.request.topics.front().partitions.front().fetch_offset;
    if (high_watermark_advanced || from < end) due.push_back(id);
  }
  for (const WaiterId id : due) complete(id, false);
}

void MetadataFetches::shut_down() {
  control_.post([this] {
    is_shutting_down_ = true;
    while (!waiting_.empty()) complete(waiting_.begin()->first, false);
  });
}

}  // namespace kurier::broker
