// Many partitions. A topic is created; it counts as served when every leader answers ListOffsets for all of its
// partitions.
#include <fmt/core.h>
#include <unistd.h>

#include "tools/bench/cluster.h"
#include "tools/bench/process.h"
#include "tools/bench/workloads.h"

namespace kurier::bench {
namespace {

Task<Result<void>> measure(const Loop& loop, const Options& options, Channel& control, const std::string& topic,
                           JsonObject& result) {
  ProcessUsage before;
  if (options.pid > 0) {
    auto usage = usage_of(options.pid);
    if (!usage) co_return std::unexpected(usage.error());
    before = *usage;
  }
  const MonotonicTime start = loop.now();
  const auto since_start = [&] { return std::chrono::duration<double>(loop.now() - start).count(); };
  TopicSpec spec{.name = topic, .partitions = options.partitions, .replication_factor = options.replication_factor};
  for (const std::string& config : options.topic_configs) {
    const std::size_t equals = config.find('=');
    spec.configs.emplace_back(config.substr(0, equals), config.substr(equals + 1));
  }
  const Result<void> created = co_await create_topic(control, std::move(spec));
  if (!created) co_return created;
  result.add("created_seconds", since_start());
  const auto layout = co_await wait_for_leaders(loop, control, topic, static_cast<std::size_t>(options.partitions));
  if (!layout) co_return std::unexpected(layout.error());
  result.add("led_seconds", since_start());
  const Result<void> served = co_await wait_until_served(loop, *layout);
  if (!served) co_return served;
  result.add("served_seconds", since_start());
  if (options.pid == 0) co_return Result<void>{};
  const auto after = usage_of(options.pid);
  if (!after) co_return std::unexpected(after.error());
  result.add("pss_bytes_per_partition",
             (static_cast<double>(after->pss_bytes) - static_cast<double>(before.pss_bytes)) /
                 static_cast<double>(options.partitions));
  result.add("broker", to_json(difference(before, *after), 0, 0));
  co_return Result<void>{};
}

}  // namespace

Task<Result<void>> run_partitions(const Loop& loop, const Options& options, JsonObject& result) {
  auto control = co_await Channel::open(loop, *parse_address(options.address));
  if (!control) co_return std::unexpected(control.error());
  std::string topic = options.topic;
  if (topic.empty()) topic = fmt::format("kurier-bench-{}-{}", ::getpid(), loop.reactor.clock().wall().value());
  const Result<void> measured = co_await measure(loop, options, **control, topic, result);
  if (options.keep_topic) co_return measured;
  auto channel = co_await Channel::open(loop, *parse_address(options.address));
  if (!channel) co_return measured ? std::unexpected(channel.error()) : measured;
  const MonotonicTime start = loop.now();
  const Result<void> deleted = co_await delete_topic(**channel, topic);
  if (!measured) co_return measured;  // the topic may never have been there
  result.add("deleted_seconds", std::chrono::duration<double>(loop.now() - start).count());
  co_return deleted;
}

}  // namespace kurier::bench
