// A coordinator that loads: a broker is started, given offsets of many groups, stopped and started again. How long until
// it answers the first OffsetFetch, and until it answers for every group?
#include <fmt/core.h>

#include "protocol/messages/offset_fetch_request.h"
#include "protocol/messages/offset_fetch_response.h"
#include "tools/bench/cluster.h"
#include "tools/bench/process.h"
#include "tools/bench/workloads.h"
#include "tools/client/groups.h"

namespace kurier::bench {
namespace {

using protocol::ErrorCode;
constexpr auto kPause = std::chrono::milliseconds(1);  // between two attempts; the resolution of the figures
constexpr auto kStopMax = std::chrono::milliseconds(120'000);
constexpr auto kPatience = std::chrono::seconds(60);
constexpr std::int16_t kNamesNewest = 9;
constexpr const char* kTopic = "kurier-bench-offsets";

class CoordinatorLoad {
 public:
  CoordinatorLoad(const Loop& loop, const Options& options) : loop_(loop), options_(options) {}
  Task<Result<void>> run(JsonObject& result);

 private:
  [[nodiscard]] static std::string group(std::size_t nth) { return fmt::format("kurier-bench-{}", nth); }
  Result<ChildProcess> start() const { return ChildProcess::start(options_.command, options_.output); }
  Task<Result<void>> wait_for_answer(ChildProcess& broker);
  Task<Result<void>> fill();
  Task<Result<void>> wait_for_offsets(Channel& channel, std::string group);
  Task<Result<void>> measure(ChildProcess& broker, MonotonicTime started, JsonObject& result);
  Result<void> stop(ChildProcess& broker);
  [[nodiscard]] double ms_since(MonotonicTime from) const {
    return std::chrono::duration<double, std::milli>(loop_.now() - from).count();
  }

  const Loop& loop_;
  const Options& options_;
  Endpoint address_ = *parse_address(options_.address);
};

Task<Result<void>> CoordinatorLoad::wait_for_answer(ChildProcess& broker) {
  while (!co_await answers(loop_, address_)) {
    if (broker.has_ended()) {
      co_return fail(Failure::kClosed,
                     fmt::format("the broker ended before it answered (its output: {})", options_.output));
    }
    if (loop_.now() > loop_.deadline) co_return fail(Failure::kTimeout, "the broker does not answer Metadata requests");
    co_await sleep_until(loop_.reactor, loop_.now() + kPause);
  }
  co_return Result<void>{};
}

Result<void> CoordinatorLoad::stop(ChildProcess& broker) {
  broker.terminate();
  const Result<int> status = broker.wait(kStopMax);
  if (!status) return std::unexpected(status.error());
  return {};
}

// Each group commits every partition of a topic.
Task<Result<void>> CoordinatorLoad::fill() {
  auto channel = co_await Channel::open(loop_, address_);
  if (!channel) co_return std::unexpected(channel.error());
  Result<void> done = co_await create_topic(**channel, {.name = kTopic, .partitions = options_.partitions});
  if (!done) co_return done;
  const auto layout =
      co_await wait_for_leaders(loop_, **channel, kTopic, static_cast<std::size_t>(options_.partitions));
  if (!layout) co_return std::unexpected(layout.error());
  client::Cluster cluster(loop_, {address_}, kPatience);
  done = co_await cluster.open();
  for (std::size_t nth = 0; done && nth < options_.groups; ++nth) {
    client::CommittedOffsets offsets;
    for (std::int32_t i = 0; i < options_.partitions; ++i) {
      offsets[{kTopic, PartitionIndex(i)}].offset = Offset(static_cast<std::int64_t>(nth));
    }
    done = co_await client::commit_offsets(cluster, group(nth), std::move(offsets));
  }
  co_return done;
}

Task<Result<void>> CoordinatorLoad::wait_for_offsets(Channel& channel, std::string group) {
  protocol::OffsetFetchRequest request;
  auto& asked = request.groups.emplace_back();
  asked.group_id = group;
  asked.topics.reset();  // all
  while (true) {
    const auto response = co_await channel.ask<protocol::OffsetFetchResponse>(request, kNamesNewest);
    if (!response) co_return std::unexpected(response.error());
    if (response->groups.size() != 1) co_return fail(Failure::kMalformed, "OffsetFetch: no answer for the group");
    const auto& answered = response->groups[0];
    if (answered.error_code == ErrorCode::kNone) {
      const std::size_t found = answered.topics.empty() ? 0 : answered.topics[0].partitions.size();
      if (found == static_cast<std::size_t>(options_.partitions)) co_return Result<void>{};
      co_return fail(Failure::kCorrupt, fmt::format("group '{}' has {} offsets after the restart, {} were committed",
                                                    group, found, options_.partitions));
    }
    if (!client::is_passing(answered.error_code)) {
      co_return fail(Failure::kInvalid, fmt::format("OffsetFetch: {}", protocol::to_string(answered.error_code)));
    }
    if (loop_.now() > loop_.deadline) co_return fail(Failure::kTimeout, "the coordinator does not become ready");
    co_await sleep_until(loop_.reactor, loop_.now() + kPause);
  }
}

Task<Result<void>> CoordinatorLoad::measure(ChildProcess& broker, MonotonicTime started, JsonObject& result) {
  Result<void> done = co_await wait_for_answer(broker);
  if (!done) co_return done;
  result.add("first_metadata_ms", ms_since(started));
  auto channel = co_await Channel::open(loop_, address_);
  if (!channel) co_return std::unexpected(channel.error());
  for (std::size_t nth = 0; done && nth < options_.groups; ++nth) {
    done = co_await wait_for_offsets(**channel, group(nth));
    if (nth == 0) result.add("first_offset_fetch_ms", ms_since(started));
  }
  if (!done) co_return done;
  result.add("all_offset_fetches_ms", ms_since(started));
  const auto usage = usage_of(broker.pid());
  if (!usage) co_return std::unexpected(usage.error());
  result.add("broker", to_json(*usage, 0, 0));
  co_return Result<void>{};
}

Task<Result<void>> CoordinatorLoad::run(JsonObject& result) {
  if (co_await answers(loop_, address_)) {
    co_return fail(Failure::kInUse, fmt::format("a broker answers on {} already", options_.address));
  }
  {
    Result<ChildProcess> broker = start();
    if (!broker) co_return std::unexpected(broker.error());
    Result<void> done = co_await wait_for_answer(*broker);
    const MonotonicTime filling = loop_.now();
    if (done) done = co_await fill();
    if (!done) co_return done;
    result.add("offsets", options_.groups * static_cast<std::size_t>(options_.partitions));
    result.add("fill_ms", ms_since(filling));
    done = stop(*broker);
    if (!done) co_return done;
  }
  const MonotonicTime started = loop_.now();
  Result<ChildProcess> broker = start();
  if (!broker) co_return std::unexpected(broker.error());
  const Result<void> done = co_await measure(*broker, started, result);
  if (!done) co_return done;
  co_return stop(*broker);
}

}  // namespace

Task<Result<void>> run_coordinator_load(const Loop& loop, const Options& options, JsonObject& result) {
  CoordinatorLoad load(loop, options);
  co_return co_await load.run(result);
}

}  // namespace kurier::bench
