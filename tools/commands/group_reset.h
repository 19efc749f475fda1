// kurier group reset: moves what a group without members has committed. Like kafka-consumer-groups --reset-offsets it
// only says what it would do unless it is told to do it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tools/commands/command.h"
#include "tools/commands/reset_plan.h"

namespace kurier::commands {

struct ResetOptions {
  std::string group;
  std::vector<std::string> topics;
  bool all_topics = false;
  bool execute = false;
  bool dry_run = false;
  bool to_earliest = false;
  bool to_latest = false;
  bool to_current = false;
  std::optional<std::int64_t> to_offset;
  std::optional<std::int64_t> shift_by;
  std::optional<std::string> to_datetime;
  std::optional<std::string> by_duration;
};

void add_reset(CLI::App& app, ConnectOptions& connect, ResetOptions& options);

// kInvalid: the options do not say one kind of reset, or not which topics. A duration becomes a time when it is run:
// until then `number` is its milliseconds and the time is not set.
Result<ResetSpec> spec_of(const ResetOptions& options);

Task<Result<void>> reset(client::Cluster& cluster, const ConnectOptions& connect, const ResetOptions& options,
                         ResetSpec spec);

}  // namespace kurier::commands
