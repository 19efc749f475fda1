// TimerQueue: the deadlines of the groups of one coordinator, without a clock: whoever has `now` asks what is due.
//
// A Timer lies in its group or member and says when it fires; the queue only says when to look. Moving a deadline
// further away, which every heartbeat does, touches the Timer alone: the old entry comes up early and is put back.
// Entries are ordered by time, then by name, so that what is due at once fires in a fixed order. One thread.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <tuple>

#include "base/clock.h"

namespace kurier::coordinator {

struct TimerName {
  enum class Kind { kJoin, kSync, kSession } kind;
  std::string group;
  std::string member;  // of kSession
  auto operator<=>(const TimerName&) const = default;
};

class Timer {
 public:
  void cancel() { deadline_.reset(); }
  [[nodiscard]] bool is_armed() const { return deadline_.has_value(); }
  [[nodiscard]] bool is_due(MonotonicTime now) const { return deadline_ && *deadline_ <= now; }
  [[nodiscard]] std::optional<MonotonicTime> deadline() const { return deadline_; }

 private:
  friend class TimerQueue;
  std::optional<MonotonicTime> deadline_;
  std::optional<MonotonicTime> queued_;  // the earliest entry of the queue that may speak of this timer
};

class TimerQueue {
 public:
  template <class MakeName>
  void arm(Timer& timer, MonotonicTime deadline, MakeName&& name) {
    timer.deadline_ = deadline;
    if (timer.queued_ && *timer.queued_ <= deadline) return;
    timer.queued_ = deadline;
    entries_.emplace(deadline, name());
  }

  using Entry = std::pair<MonotonicTime, TimerName>;
  // The next entry that has come up; the caller finds its timer (if it is still there) and asks `fire`.
  [[nodiscard]] std::optional<Entry> pop(MonotonicTime now) {
    if (entries_.empty() || entries_.begin()->first > now) return std::nullopt;
    return std::move(entries_.extract(entries_.begin()).value());
  }
  // Whether the timer that the entry names fires now; otherwise it is put back where it needs to be.
  [[nodiscard]] bool fire(Timer& timer, const Entry& entry, MonotonicTime now) {
    if (timer.queued_ != entry.first) return false;  // an entry of an earlier timer of this name
    timer.queued_.reset();
    if (!timer.is_armed()) return false;
    if (!timer.is_due(now)) {
      timer.queued_ = timer.deadline_;
      entries_.emplace(*timer.deadline_, entry.second);
      return false;
    }
    timer.cancel();
    return true;
  }

  // When to call pop() next; it may be earlier than anything fires.
  [[nodiscard]] std::optional<MonotonicTime> next() const {
    return entries_.empty() ? std::nullopt : std::optional(entries_.begin()->first);
  }
  void clear() { entries_.clear(); }

 private:
  std::set<Entry> entries_;
};

}  // namespace kurier::coordinator
