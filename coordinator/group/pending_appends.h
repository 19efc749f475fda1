// PendingAppends: what happens when the records of an operation are committed, or are not. One thread.
#pragma once

#include <functional>
#include <map>
#include <vector>

#include "coordinator/group/outcome.h"
#include "protocol/error_code.h"

namespace kurier::coordinator {

// Called once: kNone when the records are committed, else why they are not (already one of the errors that clients are
// told).
using AfterAppend = std::move_only_function<void(protocol::ErrorCode error, Now now, Outcome& outcome)>;

// What clients are told when an append failed with `error`.
[[nodiscard]] protocol::ErrorCode answer_for_append_error(protocol::ErrorCode error);

class PendingAppends {
 public:
  Append& add(Outcome& outcome, std::vector<CoordinatorRecord> records, AfterAppend then) {
    const AppendId id = ++last_id_;
    pending_[id].push_back(std::move(then));
    return outcome.appends.emplace_back(Append{id, std::move(records), std::nullopt, true});
  }
  // Something else that happens then, after what was said before.
  void also(AppendId id, AfterAppend then) { pending_.at(id).push_back(std::move(then)); }
  // An append that is not pending (any more) is nobody's business.
  void finish(AppendId id, protocol::ErrorCode error, Now now, Outcome& outcome) {
    auto node = pending_.extract(id);
    if (node.empty()) return;
    for (AfterAppend& then : node.mapped()) then(error, now, outcome);
  }
  void fail_all(protocol::ErrorCode error, Now now, Outcome& outcome) {
    while (!pending_.empty()) finish(pending_.begin()->first, error, now, outcome);
  }
  [[nodiscard]] bool empty() const { return pending_.empty(); }

 private:
  AppendId last_id_ = 0;
  std::map<AppendId, std::vector<AfterAppend>> pending_;
};

}  // namespace kurier::coordinator
