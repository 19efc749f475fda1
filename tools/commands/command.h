// What the commands that talk to a cluster have in common: their options, one loop, tables for people.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tools/client/cluster.h"

namespace CLI {
class App;
}

namespace kurier::commands {

struct ConnectOptions {
  std::string bootstrap = "127.0.0.1:9092";
  std::int32_t request_timeout_ms = 30'000;
  bool json = false;
};

// --bootstrap, --request-timeout-ms, --json.
void add_connect_options(CLI::App& app, ConnectOptions& options);

// Connects, runs `body` to its end, says on standard error what failed. The exit status: 0, 1 if it failed, 2 for an
// option that cannot be. `body` is called once, with a cluster that is open and outlives its task.
int run(const std::string& command, const ConnectOptions& options,
        const std::function<Task<Result<void>>(client::Cluster&)>& body);

// Parses; what it returns is the exit status if there is nothing to do (help, a wrong option).
std::optional<int> parse(CLI::App& app, int argc, char** argv);

// kInvalid as a wrong option: "kurier group: …" on standard error.
int say_wrong(const std::string& command, const Error& error);

// Writes all of `text` to standard output. kClosed: nobody reads it any more.
Result<void> print(std::string_view text);

// Columns as wide as their longest cell; the last one is not padded. An empty cell is shown as "-".
[[nodiscard]] std::string format_table(const std::vector<std::vector<std::string>>& rows);

}  // namespace kurier::commands
