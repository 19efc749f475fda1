// What `kurier group` shows: a line of JSON or a table of a group that was described. Pure functions.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tools/client/groups.h"
#include "tools/client/json.h"

namespace kurier::commands {

// A partition that the group has committed or been assigned.
struct PartitionView {
  client::TopicPartition partition;
  std::optional<client::CommittedOffset> committed;
  std::optional<Offset> log_end;  // none: the partition is not there any more, or has no leader
  std::string member;             // its id; empty: nobody reads it
  // Records from the committed offset to the end.
  [[nodiscard]] std::optional<std::int64_t> lag() const;
};

// Sorted by topic and partition.
[[nodiscard]] std::vector<PartitionView> partition_views(const client::GroupDescription& group,
                                                         const client::CommittedOffsets& committed,
                                                         const std::map<client::TopicPartition, Offset>& log_ends);

[[nodiscard]] client::JsonObject to_json(const client::GroupDescription& group,
                                         const std::vector<PartitionView>& partitions);
[[nodiscard]] std::string to_text(const client::GroupDescription& group, const std::vector<PartitionView>& partitions);

[[nodiscard]] client::JsonObject to_json(const client::ListedGroup& group);
[[nodiscard]] std::string to_text(const std::vector<client::ListedGroup>& groups);

}  // namespace kurier::commands
