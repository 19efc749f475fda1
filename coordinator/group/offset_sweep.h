// OffsetSweep: where a walk over all groups of a coordinator stands that forgets offsets: those that have expired, with the empty
// groups that have none left (offsets.retention.minutes), or those of topics that are gone. GroupCoordinator::sweep does a bounded part
// of it; its caller has others to serve before the next one.
//
// Each part decides by the state at its time. A group of which several parts were taken may have got a commit where the walk had
// passed; it ends only when one part has seen that nothing is left of it. Groups are visited in the order of their ids; one that
// appears behind the walk is not visited, and has nothing to be forgotten. A walk belongs to one coordinator and ends with it.
#pragma once

#include <deque>
#include <optional>
#include <string>

#include "coordinator/group/offset_operations.h"

namespace kurier::coordinator {

// What a group counts for, in offsets.
inline constexpr std::size_t kSweepGroupOffsets = 16;

struct OffsetSweep {
  GoneTopics topics;  // none: what has expired
  std::size_t part = 256;  // offsets that are looked at in one
  bool is_over = false;

  // How far it is.
  std::deque<std::string> groups;  // the next ones; of the first, a part may be done
  std::optional<std::string> last_group;  // of those that have been looked up
  std::optional<TopicPartition> after;  // in groups.front()
  bool something_stays = false;  // of groups.front(), in the parts before
  bool again = false;  // groups.front() is looked at once more, to see that nothing is left
  bool among_pending = false;  // in groups.front(): the committed ones are done

  void next_group() {
    groups.pop_front();
    after.reset();
    something_stays = again = among_pending = false;
  }
};

}  // namespace kurier::coordinator
