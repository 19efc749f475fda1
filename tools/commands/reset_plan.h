// Which offset does a reset give a partition? The rules of kafka-consumer-groups --reset-offsets, and its ways of writing
// times, durations and partitions. Pure functions.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/result.h"

namespace kurier::commands {

enum class ResetTo { kEarliest, kLatest, kCurrent, kOffset, kShift, kTime };

struct ResetSpec {
  ResetTo to = ResetTo::kEarliest;
  std::int64_t number = 0;  // the offset, or by how much (negative: back)
  Timestamp time;
};

// What is known of a partition.
struct PartitionOffsets {
  Offset log_start;
  Offset log_end;
  std::optional<Offset> committed;
  std::optional<Offset> at_time;  // of the first record at or after the time; none: there is no such record
};

struct PlannedReset {
  Offset offset;
  std::string note;  // empty, or why it is not what was asked for
};

// An offset outside the log becomes its nearest end. kInvalid: nothing is committed that could be shifted.
Result<PlannedReset> plan_reset(const ResetSpec& spec, const PartitionOffsets& offsets);

// "2026-11-25T17:00:00", ".123", "Z" or "+01:00" behind it; without a zone UTC.
Result<Timestamp> parse_datetime(std::string_view text);
// "P7D", "PT1H30M", "P1DT0.5S".
Result<std::chrono::milliseconds> parse_duration(std::string_view text);

// "topic", "topic:0", "topic:0,1,2"; no partitions: all of them.
Result<std::pair<std::string, std::vector<PartitionIndex>>> parse_topic_partitions(std::string_view text);

}  // namespace kurier::commands
