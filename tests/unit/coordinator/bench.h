// Bench: a GroupCoordinator with the shortest runtime that can be: a log in memory that replays, appends and commits at
// once, or when told to, or fails. Virtual time, one seed.
#pragma once

#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include "coordinator/group/group_coordinator.h"
#include "coordinator/group/memory_state.h"
#include "coordinator/group/replay.h"

namespace kurier::coordinator {

// What a marker or a record of the log says.
struct LogEntry {
  AppendId append = 0;
  CoordinatorRecord record;
  ProducerId producer{-1};
  std::optional<bool> marker;  // a transaction's end: committed or aborted
};

class Bench {
 public:
  explicit Bench(GroupOptions options = {}, std::uint64_t seed = 1) : options_(options), random_(seed) { start(); }

  GroupCoordinator& core() { return *core_; }
  [[nodiscard]] const MemoryGroupState& state() const { return state_; }
  [[nodiscard]] const std::vector<LogEntry>& log() const { return log_; }
  [[nodiscard]] std::uint64_t log_changes() const { return log_changes_; }
  [[nodiscard]] Now now() const { return now_; }
  RequestToken token() { return ++last_token_; }

  // Does what the outcome asks.
  void take(Outcome outcome);
  [[nodiscard]] std::vector<Answer> answers() { return std::exchange(answers_, {}); }

  // Appends are committed at once, unless they wait.
  void hold_appends(bool hold);
  [[nodiscard]] const std::deque<AppendId>& pending() const { return pending_; }
  void commit_next();
  void fail_next(protocol::ErrorCode error);

  void pass(std::chrono::milliseconds time);
  void end_transaction(ProducerId producer, bool commit);
  void expire_offsets();
  void resign();  // the core is gone
  void restart();  // resigns, loads what the log has; appends that waited are lost
  void set_options(GroupOptions options) { options_ = options; }  // of the next coordinator
  // The state that the log describes.
  [[nodiscard]] MemoryGroupState replayed() const;

  // A bug, for the tests of the checkers: the next record is neither in the log nor in the state.
  void lose_next_record() { lose_next_record_ = true; }
  // Another: what was said last is gone.
  void forget_last_entry();

 private:
  void start();
  void finish(AppendId append, protocol::ErrorCode error);

  GroupOptions options_;
  SeededRandom random_;
  MemoryGroupState state_;
  std::unique_ptr<GroupCoordinator> core_;
  Now now_{MonotonicTime(std::chrono::hours(1)), Timestamp(1'700'000'000'000)};
  std::vector<LogEntry> log_;
  std::deque<AppendId> pending_;
  std::vector<Answer> answers_;
  std::uint64_t log_changes_ = 1;
  bool hold_ = false;
  bool lose_next_record_ = false;
  RequestToken last_token_ = 0;
};

}  // namespace kurier::coordinator
