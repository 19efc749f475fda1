#include "tools/commands/command.h"

#include <fmt/core.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <optional>

#include "broker/net/system_clock.h"
#include "broker/net/thread_pool.h"
#include "tools/client/address.h"

namespace kurier::commands {
namespace {

constexpr auto kForEver = std::chrono::hours(24 * 365);

Task<void> run_and_stop(client::Cluster& cluster, const std::function<Task<Result<void>>(client::Cluster&)>& body,
                        Result<void>& outcome) {
  outcome = co_await cluster.open();
  if (outcome) outcome = co_await body(cluster);
  net::Reactor& reactor = cluster.loop().reactor;
  reactor.post([&reactor] { reactor.stop(); });
}

}  // namespace

void add_connect_options(CLI::App& app, ConnectOptions& options) {
  app.add_option("-b,--bootstrap,--bootstrap-server", options.bootstrap, "brokers to begin with, with commas between")
      ->type_name("HOST:PORT")
      ->capture_default_str();
  app.add_option("--request-timeout-ms", options.request_timeout_ms, "after which an attempt is given up")
      ->check(CLI::Range(1, 3'600'000))
      ->capture_default_str();
  app.add_flag("--json", options.json, "one JSON object a line");
}

std::optional<int> parse(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return std::nullopt;
}

int say_wrong(const std::string& command, const Error& error) {
  std::fprintf(stderr, "%s: %s\n", command.c_str(), error.context.c_str());
  return 2;
}

int run(const std::string& command, const ConnectOptions& options,
        const std::function<Task<Result<void>>(client::Cluster&)>& body) {
  auto addresses = client::parse_endpoints(options.bootstrap, "--bootstrap");
  if (!addresses) return say_wrong(command, addresses.error());
  std::signal(SIGPIPE, SIG_IGN);
  const net::SystemClock clock;
  net::Reactor reactor(clock);
  net::ThreadPool lookup("lookup", 1);
  const client::Loop loop{reactor, lookup, clock.monotonic() + kForEver};
  client::Cluster cluster(loop, std::move(*addresses), std::chrono::milliseconds(options.request_timeout_ms));
  Result<void> outcome;
  reactor.spawn("command", run_and_stop(cluster, body, outcome));
  reactor.run();
  if (outcome) return 0;
  std::fprintf(stderr, "%s: %s\n", command.c_str(), outcome.error().context.c_str());
  return 1;
}

Result<void> print(std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::write(STDOUT_FILENO, text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EPIPE) return fail(Failure::kClosed, "nobody reads the output any more");
    if (count < 0) return std::unexpected(error_from_errno(errno, "writing to standard output"));
    text.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}

std::string format_table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()), 1);
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string& cell = row[i].empty() ? "-" : row[i];
      text += i + 1 < row.size() ? fmt::format("{:{}}  ", cell, widths[i]) : cell;
    }
    text += '\n';
  }
  return text;
}

}  // namespace kurier::commands
