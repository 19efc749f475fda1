// GroupMachine: what CoordinatorRuntime drives for a partition of __consumer_offsets: the durable state and the core over it.
#pragma once

#include <memory>

#include "coordinator/group/group_coordinator.h"
#include "coordinator/group/memory_state.h"
#include "coordinator/group/replay.h"

namespace kurier::coordinator {

class GroupMachine {
 public:
  using Outcome = coordinator::Outcome;
  using Response = coordinator::Response;

  GroupMachine(const GroupOptions& options, Random& random,
               std::unique_ptr<GroupState> state = std::make_unique<MemoryGroupState>())
      : state_(std::move(state)), coordinator_(options, *state_, random) {}
  GroupMachine(const GroupMachine&) = delete;
  GroupMachine& operator=(const GroupMachine&) = delete;

  Result<void> replay(ByteView key, std::optional<ByteView> value, Offset offset, ProducerId producer) {
    return coordinator::replay(*state_, key, value, offset, producer);
  }
  void replay_end_transaction(ProducerId producer, bool commit) {
    coordinator::replay_end_transaction(*state_, producer, commit);
  }
  Outcome load(Now now) { return coordinator_.load_part(now); }
  [[nodiscard]] bool is_loaded() const { return coordinator_.is_loaded(); }
  Outcome resign(Now now) { return coordinator_.resign(now); }
  Outcome committed(AppendId append, Now now) { return coordinator_.committed(append, now); }
  Outcome append_failed(AppendId append, protocol::ErrorCode error, Now now) {
    return coordinator_.append_failed(append, error, now);
  }
  Outcome tick(Now now) { return coordinator_.tick(now); }
  [[nodiscard]] std::optional<MonotonicTime> next_deadline() const { return coordinator_.next_deadline(); }

  [[nodiscard]] GroupCoordinator& groups() { return coordinator_; }
  [[nodiscard]] const GroupStateReader& state() const { return *state_; }

 private:
  const std::unique_ptr<GroupState> state_;
  GroupCoordinator coordinator_;
};

}  // namespace kurier::coordinator
