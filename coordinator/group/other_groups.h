// Groups of the newer types (consumer, share, streams), as their records tell. This coordinator does not serve them
// yet: their records are kept as they are, and these functions say what the classic requests need to know. Pure
// functions.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "coordinator/group/outcome.h"
#include "coordinator/group/state.h"

namespace kurier::coordinator {

enum class GroupType { kClassic, kConsumer, kShare, kStreams };
[[nodiscard]] const char* to_string(GroupType type);  // Kafka's: "consumer"

struct OtherGroup {
  GroupType type = GroupType::kConsumer;
  std::string state;                           // Kafka's: "Empty", "Stable", "Assigning", "Reconciling", "NotReady"
  std::map<std::string, std::int32_t, std::less<>> member_epochs;
  std::set<std::string> subscribed_topics;     // of consumer groups
  [[nodiscard]] bool is_empty() const { return member_epochs.empty(); }
  void lose_members() {
    member_epochs.clear();
    subscribed_topics.clear();
    state = "Empty";
  }
};

// None if no record makes the group one of these types.
[[nodiscard]] std::optional<OtherGroup> other_group(const GroupStateReader& state, std::string_view group);

// Ends the group: a tombstone for each of its records, in the order in which Apache Kafka writes them.
[[nodiscard]] std::vector<CoordinatorRecord> other_group_tombstones(const GroupStateReader& state,
                                                                    std::string_view group);

}  // namespace kurier::coordinator
