// Starting a broker: from just before exec to its first answer to a Metadata request, until it serves a topic that it
// has, and how long it takes to stop.
#include <fmt/core.h>

#include "broker/net/connect.h"
#include "protocol/messages/metadata_request.h"
#include "protocol/messages/metadata_response.h"
#include "tools/bench/cluster.h"
#include "tools/bench/process.h"
#include "tools/bench/workloads.h"

namespace kurier::bench {
namespace {

constexpr auto kPause = std::chrono::microseconds(200);  // between two attempts; the resolution of the figure
constexpr auto kStopMax = std::chrono::milliseconds(60'000);

Task<Result<void>> wait_for_topic(const Loop& loop, const Endpoint& address, const Options& options) {
  auto channel = co_await Channel::open(loop, address);
  if (!channel) co_return std::unexpected(channel.error());
  const auto layout =
      co_await wait_for_leaders(loop, **channel, options.topic, static_cast<std::size_t>(options.partitions));
  if (!layout) co_return std::unexpected(layout.error());
  co_return co_await wait_until_served(loop, *layout);
}

}  // namespace

Task<bool> answers(const Loop& loop, const Endpoint& address) {
  const Loop attempt{loop.reactor, loop.lookup, std::min(loop.deadline, loop.now() + std::chrono::seconds(5))};
  auto channel = co_await Channel::open(attempt, address);
  if (!channel) co_return false;
  protocol::MetadataRequest request;
  request.topics.emplace();
  request.allow_auto_topic_creation = false;
  const auto metadata = co_await (*channel)->ask<protocol::MetadataResponse>(std::move(request));
  co_return metadata && !metadata->brokers.empty();
}

Task<Result<void>> run_start(const Loop& loop, const Options& options, JsonObject& result) {
  const Endpoint address = *parse_address(options.address);
  if (co_await answers(loop, address)) {
    co_return fail(Failure::kInUse, fmt::format("a broker answers on {} already", options.address));
  }
  const MonotonicTime start = loop.now();
  const auto since = [&](MonotonicTime from) {
    return std::chrono::duration<double, std::milli>(loop.now() - from).count();
  };
  Result<ChildProcess> broker = ChildProcess::start(options.command, options.output);
  if (!broker) co_return std::unexpected(broker.error());
  while (!co_await answers(loop, address)) {
    if (broker->has_ended()) {
      co_return fail(Failure::kClosed,
                     fmt::format("the broker ended before it answered (its output: {})", options.output));
    }
    if (loop.now() > loop.deadline) co_return fail(Failure::kTimeout, "the broker does not answer Metadata requests");
    co_await sleep_until(loop.reactor, loop.now() + kPause);
  }
  result.add("first_metadata_ms", since(start));
  if (!options.topic.empty()) {
    const Result<void> served = co_await wait_for_topic(loop, address, options);
    if (!served) co_return served;
    result.add("served_ms", since(start));
  }
  co_await sleep_until(loop.reactor,
                       loop.now() + std::chrono::nanoseconds(static_cast<std::int64_t>(options.hold_seconds * 1e9)));
  const auto usage = usage_of(broker->pid());
  if (!usage) co_return std::unexpected(usage.error());
  const MonotonicTime stopping = loop.now();
  broker->terminate();
  const Result<int> status = broker->wait(kStopMax);
  if (!status) co_return std::unexpected(status.error());
  result.add("stop_ms", since(stopping));
  result.add("exit_status", *status);
  result.add("broker", to_json(*usage, 0, 0));
  co_return Result<void>{};
}

}  // namespace kurier::bench
