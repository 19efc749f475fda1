// Idle connections. Each has asked for the versions once, so that the broker has served it, and then stays silent.
#include <fmt/core.h>
#include <sys/resource.h>

#include <vector>

#include "tools/bench/process.h"
#include "tools/bench/workloads.h"

namespace kurier::bench {

Result<void> allow_descriptors(std::size_t count) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  const rlim_t wanted = count + 64;
  if (limit.rlim_cur >= wanted) return {};
  if (limit.rlim_max < wanted) {
    return fail(Failure::kExhausted,
                fmt::format("{} connections need {} descriptors, this process may have {} (ulimit -Hn)", count, wanted,
                            limit.rlim_max));
  }
  limit.rlim_cur = wanted;
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) return std::unexpected(error_from_errno(errno, "setrlimit"));
  return {};
}

Task<Result<void>> run_connections(const Loop& loop, const Options& options, JsonObject& result) {
  const Result<void> allowed = allow_descriptors(options.connections);
  if (!allowed) co_return allowed;
  const Endpoint address = *parse_address(options.address);
  // The first one is not counted: it pays for what all share.
  auto first = co_await Channel::open(loop, address);
  if (!first) co_return std::unexpected(first.error());
  ProcessUsage before;
  if (options.pid > 0) {
    auto usage = usage_of(options.pid);
    if (!usage) co_return std::unexpected(usage.error());
    before = *usage;
  }
  const MonotonicTime start = loop.now();
  std::vector<std::unique_ptr<Channel>> channels;
  while (channels.size() < options.connections) {
    auto channel = co_await Channel::open(loop, address);
    if (!channel) {
      co_return std::unexpected(
          channel.error().within(fmt::format("connection {} of {}", channels.size() + 1, options.connections)));
    }
    channels.push_back(std::move(*channel));
  }
  result.add("seconds", std::chrono::duration<double>(loop.now() - start).count());
  if (options.pid == 0) co_return Result<void>{};
  const auto after = usage_of(options.pid);
  if (!after) co_return std::unexpected(after.error());
  const auto each = [&](std::uint64_t from, std::uint64_t to) {
    return (static_cast<double>(to) - static_cast<double>(from)) / static_cast<double>(options.connections);
  };
  result.add("rss_bytes_per_connection", each(before.rss_bytes, after->rss_bytes));
  result.add("pss_bytes_per_connection", each(before.pss_bytes, after->pss_bytes));
  result.add("broker", to_json(difference(before, *after), 0, static_cast<double>(options.connections)));
  co_return Result<void>{};
}

}  // namespace kurier::bench
