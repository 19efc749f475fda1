#include "coordinator/group/offset_sweep.h"

#include <algorithm>
#include <iterator>

#include "coordinator/group/group_coordinator.h"

namespace kurier::coordinator {

using protocol::ErrorCode;

std::vector<std::string> GroupCoordinator::groups_behind(const std::optional<std::string>& after,
                                                         std::size_t count) const {
  std::vector<std::string> ids;
  state_.visit_groups(after, [&](const std::string& id) {
    ids.push_back(id);
    return ids.size() < count;
  });
  // Those that are alive and of which there is no record (yet).
  auto alive = after ? groups_.upper_bound(*after) : groups_.begin();
  for (std::size_t i = 0; i < count && alive != groups_.end(); ++i, ++alive) ids.push_back(alive->first);
  std::ranges::sort(ids);
  ids.erase(std::ranges::unique(ids).begin(), ids.end());
  if (ids.size() > count) ids.resize(count);
  return ids;
}

Outcome GroupCoordinator::sweep(OffsetSweep& sweep, Now now) {
  Outcome outcome;
  std::vector<CoordinatorRecord> records;
  std::vector<Shared> ended;
  std::size_t room = sweep.part;
  while (room > 0 && !sweep.is_over) {
    if (sweep.groups.empty()) {
      auto ids = groups_behind(sweep.last_group, 1 + sweep.part / kSweepGroupOffsets);
      if (ids.empty()) {
        sweep.is_over = true;
        break;
      }
      sweep.last_group = ids.back();
      sweep.groups.assign(std::make_move_iterator(ids.begin()), std::make_move_iterator(ids.end()));
    }
    const std::size_t looked_at =
        sweep.topics.any() ? forget_part(sweep, room, records) : expire_part(sweep, room, now, records, ended);
    room -= std::min(room, looked_at + kSweepGroupOffsets);
  }
  if (records.empty()) return outcome;
  auto then = [this, ended = std::move(ended)](ErrorCode error, Now, Outcome&) {
    if (error == ErrorCode::kNone) return;
    for (const Shared& gone : ended) take_back(gone);
  };
  appends_.add(outcome, std::move(records), std::move(then)).atomic = false;
  return outcome;
}

std::size_t GroupCoordinator::expire_part(OffsetSweep& sweep, std::size_t room, Now now,
                                          std::vector<CoordinatorRecord>& records, std::vector<Shared>& ended) {
  const std::string& id = sweep.groups.front();
  const Shared group = look(id);
  const auto other = group == nullptr ? find_other(id) : std::nullopt;
  if (group == nullptr && !other) {
    sweep.next_group();
    return 0;
  }
  const ExpiryRule rule = group != nullptr ? expiry_rule(*group) : expiry_rule(*other);
  OffsetsPart part = expired_offsets(id, rule, state_, options_, now.wall, sweep.after, room);
  std::ranges::move(part.records, std::back_inserter(records));
  const bool is_first = !sweep.after;
  const bool something_stays = part.something_stays || sweep.something_stays;
  if (part.last) {
    sweep.after = std::move(part.last);
    sweep.something_stays = something_stays || sweep.again;
    return part.looked_at;
  }
  if (!something_stays && !is_first) {  // whether nothing is left is seen when these records have been replayed
    sweep.after.reset();
    sweep.again = true;
    return room;
  }
  const bool is_empty =
      group != nullptr ? group->is(ClassicGroupState::kEmpty) : other->is_empty() && other->type != GroupType::kShare;
  if (!something_stays && is_empty) end_group(id, records, ended);
  sweep.next_group();
  return part.looked_at;
}

std::size_t GroupCoordinator::forget_part(OffsetSweep& sweep, std::size_t room,
                                          std::vector<CoordinatorRecord>& records) {
  const std::string& id = sweep.groups.front();
  OffsetsPart part = sweep.among_pending ? pending_offsets_of_topics(id, sweep.topics, state_, sweep.after, room)
                                         : offsets_of_topics(id, sweep.topics, state_, sweep.after, room);
  std::ranges::move(part.records, std::back_inserter(records));
  sweep.after = std::move(part.last);
  if (sweep.after) return part.looked_at;
  if (!sweep.among_pending && state_.has_any_pending(id)) {
    sweep.among_pending = true;
  } else {
    sweep.next_group();
  }
  return part.looked_at;
}

}  // namespace kurier::coordinator
