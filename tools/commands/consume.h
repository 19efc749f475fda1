// What kurier consume is told, and the reading itself.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tools/client/groups.h"
#include "tools/commands/command.h"
#include "tools/commands/lines.h"
#include "tools/commands/reset_plan.h"

namespace kurier::commands {

struct ConsumeOptions {
  ConnectOptions connect;
  std::vector<std::string> topics;
  std::optional<std::string> group;
  std::optional<std::string> instance_id;
  std::vector<std::int32_t> partitions;
  bool from_beginning = false;
  std::optional<std::string> from;
  std::optional<std::string> offset;
  std::optional<std::uint64_t> max_messages;
  std::optional<std::int32_t> timeout_ms;
  bool until_end = false;
  std::vector<std::string> properties;
  std::optional<std::string> key_separator;
  std::int32_t session_timeout_ms = 45'000;
  std::int32_t commit_interval_ms = 5'000;
};

// Where reading begins: at an offset (negative: so many before the end), else at a time.
struct StartAt {
  Timestamp time = client::kLatest;
  std::optional<std::int64_t> number;
};

struct ConsumeSettings {
  StartAt start;
  OutputFormat format;
};

// Until what the options say, a stop signal, or an output that nobody reads.
Task<Result<void>> consume(client::Cluster& cluster, const ConsumeOptions& options, const ConsumeSettings& settings);

}  // namespace kurier::commands
