#include "coordinator/group/classic_rebalancer.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/check.h"
#include "coordinator/group/records.h"

namespace kurier::coordinator {

using protocol::ErrorCode;
using protocol::JoinGroupResponse;
using protocol::SyncGroupResponse;
using enum ClassicGroupState;

namespace {

bool inconsistent(const std::optional<std::string>& asked, const std::optional<std::string>& group) {
  return asked && group && *asked != *group;
}

}  // namespace

// ---- the join phase

void ClassicRebalancer::rebalance_or_complete_join(Step step, std::string reason) {
  if (step.group->can_rebalance()) {
    prepare_rebalance(step, std::move(reason));
  } else {
    complete_join_if_everyone_joined(step);
  }
}

void ClassicRebalancer::prepare_rebalance(Step step, std::string reason) {
  ClassicGroup& group = *step.group;
  if (group.is(kCompletingRebalance)) {
    for (auto& [id, member] : group.members()) member.assignment.clear();
    give_assignments(step, ErrorCode::kRebalanceInProgress);
  }
  group.pending_syncs().clear();
  group.sync_timer.cancel();
  group.set_rebalance_reason(std::move(reason));
  const bool initial = group.is(kEmpty);
  group.move_to(kPreparingRebalance, step.now.wall);
  if (initial) {
    const Milliseconds delay = options_.initial_rebalance_delay;
    group.initial_delay = {delay, std::max(group.rebalance_timeout() - delay, Milliseconds(0)), false};
    return arm_join(step, delay);
  }
  if (group.everyone_joined()) return complete_join(step);
  arm_join(step, group.rebalance_timeout());
}

void ClassicRebalancer::complete_join_if_everyone_joined(Step step) {
  const ClassicGroup& group = *step.group;
  // The first rebalance takes its time, so that a group that starts does not rebalance with every member.
  if (group.is(kPreparingRebalance) && group.previous_state() != kEmpty && group.everyone_joined()) complete_join(step);
}

// group.initial.rebalance.delay.ms: as long as members keep coming, up to the rebalance timeout.
void ClassicRebalancer::initial_delay_over(Step step) {
  ClassicGroup::InitialDelay& wait = *step.group->initial_delay;
  if (!wait.member_came || wait.remaining == Milliseconds(0)) return complete_join(step);
  const Milliseconds next = std::min(options_.initial_rebalance_delay, wait.remaining);
  wait = {next, std::max(wait.remaining - wait.delay, Milliseconds(0)), false};
  arm_join(step, next);
}

void ClassicRebalancer::complete_join(Step step) {
  ClassicGroup& group = *step.group;
  group.join_timer.cancel();
  std::vector<std::string> absent;
  for (const auto& [id, member] : group.members()) {
    if (!member.awaiting_join && !member.is_static()) absent.push_back(id);
  }
  for (const std::string& id : absent) group.remove(id);

  // Only static members are left and none has come back: they have until their sessions end.
  if (!group.elect_joined_leader() && !group.members().empty()) return arm_join(step, group.rebalance_timeout());

  group.initial_delay.reset();
  group.next_generation(step.now.wall);
  if (group.is(kEmpty)) {
    appends_.add(step.outcome, {group_record(group.group_id(), group.record({}))}, [](ErrorCode, Now, Outcome&) {
      // Not stored: the group stays empty in memory; a coordinator that loads sees the members until their sessions
      // end.
    });
    return;
  }
  for (auto& [id, member] : group.members()) {
    if (const auto token = group.take_join(member)) {
      step.outcome.answer(*token, current_generation(group, id, group.is_leader(id)));
    }
    renew_session(step, member);
    member.is_new = false;
    group.pending_syncs().insert(id);
  }
  timers_.arm(group.sync_timer, step.now.monotonic + group.rebalance_timeout(),
              [&] { return TimerName{TimerName::Kind::kSync, group.group_id(), ""}; });
}

// ---- SyncGroup

void ClassicRebalancer::sync(Step step, RequestToken token, protocol::SyncGroupRequest request) {
  ClassicGroup& group = *step.group;
  const auto refuse = [&](ErrorCode error) {
    SyncGroupResponse response;
    response.error_code = error;
    step.outcome.answer(token, std::move(response));
  };
  if (const ErrorCode error = group.check_member(request.member_id, request.group_instance_id);
      error != ErrorCode::kNone) {
    return refuse(error);
  }
  if (request.generation_id != group.generation_id()) return refuse(ErrorCode::kIllegalGeneration);
  if (inconsistent(request.protocol_type, group.protocol_type()) ||
      inconsistent(request.protocol_name, group.protocol_name())) {
    return refuse(ErrorCode::kInconsistentGroupProtocol);
  }
  if (group.is(kPreparingRebalance)) return refuse(ErrorCode::kRebalanceInProgress);
  KURIER_CHECK(group.is(kCompletingRebalance) || group.is(kStable));

  ClassicMember& member = *group.member(request.member_id);
  group.pending_syncs().erase(request.member_id);
  if (group.pending_syncs().empty()) group.sync_timer.cancel();
  answer_sync(step, member, ErrorCode::kRebalanceInProgress);  // an earlier request that still waits
  member.awaiting_sync = token;
  if (group.is(kStable)) return answer_sync(step, member, ErrorCode::kNone);
  if (group.is_leader(request.member_id) && group.storing_generation != group.generation_id())
    store_assignment(step, request);
}

void ClassicRebalancer::store_assignment(Step step, protocol::SyncGroupRequest& request) {
  ClassicGroup& group = *step.group;
  group.storing_generation = group.generation_id();
  std::map<std::string, Bytes> assignments;
  for (auto& assigned : request.assignments) {
    if (group.has_member(assigned.member_id)) assignments[assigned.member_id] = std::move(assigned.assignment);
  }
  const auto value = group.record(assignments);
  auto then = [this, shared = step.group, assignments = std::move(assignments), generation = group.generation_id(),
               member_id = request.member_id](ErrorCode error, Now now, Outcome& outcome) {
    ClassicGroup& stored = *shared;
    if (stored.storing_generation == generation) stored.storing_generation.reset();
    // Another rebalance may have overtaken it.
    if (!stored.is(kCompletingRebalance) || stored.generation_id() != generation) return;
    const Step then_step{shared, now, outcome};
    for (auto& [id, member] : stored.members()) {
      const auto assigned = assignments.find(id);
      member.assignment = error == ErrorCode::kNone && assigned != assignments.end() ? assigned->second : Bytes{};
    }
    give_assignments(then_step, error);
    if (error == ErrorCode::kNone) return stored.move_to(kStable, now.wall);
    rebalance_or_complete_join(then_step,
                               fmt::format("Error {} when storing group assignment during SyncGroup (member: {}).",
                                           protocol::to_string(error), member_id));
  };
  appends_.add(step.outcome, {group_record(group.group_id(), value)}, std::move(then));
}

void ClassicRebalancer::give_assignments(Step step, ErrorCode error) {
  for (auto& [id, member] : step.group->members()) {
    if (!member.awaiting_sync) continue;
    answer_sync(step, member, error);
    renew_session(step, member);
  }
}

// Members that have their JoinGroup answer but do not ask for their assignment hold the others up for one rebalance
// timeout.
void ClassicRebalancer::sync_timed_out(Step step) {
  ClassicGroup& group = *step.group;
  if (!(group.is(kCompletingRebalance) || group.is(kStable)) || group.pending_syncs().empty()) return;
  const std::set<std::string, std::less<>> late = group.pending_syncs();
  std::string names;
  for (const std::string& id : late) {
    names += (names.empty() ? "" : ", ") + id;
    remove_member(step, id);
  }
  prepare_rebalance(step, fmt::format("Removing [{}] on pending sync request expiration", names));
}

// ---- Heartbeat, LeaveGroup, timeouts

ErrorCode ClassicRebalancer::heartbeat(Step step, const protocol::HeartbeatRequest& request) {
  ClassicGroup& group = *step.group;
  if (const ErrorCode error = group.check_member(request.member_id, request.group_instance_id);
      error != ErrorCode::kNone)
    return error;
  if (request.generation_id != group.generation_id()) return ErrorCode::kIllegalGeneration;
  renew_session(step, *group.member(request.member_id));
  return group.is(kPreparingRebalance) ? ErrorCode::kRebalanceInProgress : ErrorCode::kNone;
}

protocol::LeaveGroupResponse ClassicRebalancer::leave(Step step, const protocol::LeaveGroupRequest& request) {
  ClassicGroup& group = *step.group;
  protocol::LeaveGroupResponse response;
  std::string left;
  bool anyone = false;
  for (const auto& identity : request.members) {
    auto& answer = response.members.emplace_back();
    answer.member_id = identity.member_id;
    answer.group_instance_id = identity.group_instance_id;
    if (identity.member_id.empty()) {  // KIP-345: an administrator names the instance only
      const std::string* known =
          identity.group_instance_id ? group.static_member(*identity.group_instance_id) : nullptr;
      if (known == nullptr) {
        answer.error_code = ErrorCode::kUnknownMemberId;
        continue;
      }
      remove_member(step, std::string(*known));
    } else if (group.pending_joins().contains(identity.member_id)) {
      group.remove(identity.member_id);
    } else {
      answer.error_code = group.check_member(identity.member_id, identity.group_instance_id);
      if (answer.error_code != ErrorCode::kNone) continue;
      remove_member(step, identity.member_id);
    }
    left += (anyone ? ", " : "") + identity.member_id;
    anyone = true;
  }
  if (!anyone) return response;
  if (group.is(kPreparingRebalance)) {
    complete_join_if_everyone_joined(step);
  } else if (!group.is(kEmpty)) {
    rebalance_or_complete_join(step, fmt::format("explicit `LeaveGroup` request for ({}) members.", left));
  }
  return response;
}

void ClassicRebalancer::remove_member(Step step, const std::string& member_id) {
  ClassicMember& member = *step.group->member(member_id);
  answer_join(step, member, ErrorCode::kUnknownMemberId, "");
  answer_sync(step, member, ErrorCode::kUnknownMemberId);
  step.group->remove(member_id);
}

void ClassicRebalancer::session_timed_out(Step step, const std::string& member_id) {
  ClassicGroup& group = *step.group;
  if (group.pending_joins().contains(member_id)) {
    group.remove(member_id);
  } else {
    if (group.member(member_id)->is_excused()) return;
    remove_member(step, member_id);
    if (group.is(kStable) || group.is(kCompletingRebalance)) {
      return rebalance_or_complete_join(step, fmt::format("removing member {} on heartbeat expiration.", member_id));
    }
  }
  if (group.is(kPreparingRebalance) && group.everyone_joined()) complete_join(step);
}

void ClassicRebalancer::timer_came_up(Step step, const TimerQueue::Entry& entry) {
  ClassicGroup& group = *step.group;
  const TimerName& name = entry.second;
  const MonotonicTime now = step.now.monotonic;
  switch (name.kind) {
    case TimerName::Kind::kJoin:
      if (!timers_.fire(group.join_timer, entry, now) || !group.is(kPreparingRebalance)) return;
      return group.initial_delay ? initial_delay_over(step) : complete_join(step);
    case TimerName::Kind::kSync:
      if (timers_.fire(group.sync_timer, entry, now)) sync_timed_out(step);
      return;
    case TimerName::Kind::kSession: {
      const auto pending = group.pending_joins().find(name.member);
      ClassicMember* member = group.member(name.member);
      Timer* timer = pending != group.pending_joins().end() ? &pending->second
                     : member != nullptr                    ? &member->session
                                                            : nullptr;
      if (timer != nullptr && timers_.fire(*timer, entry, now)) session_timed_out(step, name.member);
      return;
    }
  }
}

// ---- Loading and unloading

void ClassicRebalancer::loaded(Step step) {
  ClassicGroup& group = *step.group;
  for (auto& [id, member] : group.members()) renew_session(step, member);
  if (group.members().size() > options_.max_size) {
    prepare_rebalance(
        step,
        fmt::format("Freshly-loaded group {} (size {}) is over capacity {}. Rebalancing in order to give a chance "
                    "for consumers to commit offsets",
                    group.group_id(), group.members().size(), options_.max_size));
  }
}

void ClassicRebalancer::unload(Step step, ErrorCode error) {
  ClassicGroup& group = *step.group;
  for (auto& [id, member] : group.members()) {
    answer_join(step, member, error, id);
    answer_sync(step, member, error);
  }
  group.move_to(kDead, step.now.wall);
}

// ---- Answers and timers

JoinGroupResponse ClassicRebalancer::join_error(ErrorCode error, std::string member_id) {
  JoinGroupResponse response;
  response.error_code = error;
  response.member_id = std::move(member_id);
  return response;
}

void ClassicRebalancer::answer_join(Step step, ClassicMember& member, ErrorCode error, std::string member_id) {
  if (const auto token = step.group->take_join(member))
    step.outcome.answer(*token, join_error(error, std::move(member_id)));
}

void ClassicRebalancer::answer_sync(Step step, ClassicMember& member, ErrorCode error) {
  if (!member.awaiting_sync) return;
  SyncGroupResponse response;
  response.error_code = error;
  if (error == ErrorCode::kNone) {
    response.protocol_type = step.group->protocol_type();
    response.protocol_name = step.group->protocol_name();
    response.assignment = member.assignment;
  }
  step.outcome.answer(*std::exchange(member.awaiting_sync, std::nullopt), std::move(response));
}

JoinGroupResponse ClassicRebalancer::current_generation(const ClassicGroup& group, const std::string& member_id,
                                                        bool with_members) {
  JoinGroupResponse response;
  response.generation_id = group.generation_id();
  response.protocol_type = group.protocol_type();
  response.protocol_name = group.protocol_name();
  response.leader = group.leader_id().value_or("");
  response.member_id = member_id;
  if (!with_members) return response;
  for (const auto& [id, member] : group.members()) {
    const GroupProtocol* protocol = member.protocol(group.protocol_name().value_or(""));
    KURIER_CHECK_MESSAGE(protocol != nullptr, group.group_id());
    auto& listed = response.members.emplace_back();
    listed.member_id = id;
    listed.group_instance_id = member.group_instance_id;
    listed.metadata = protocol->metadata;
  }
  return response;
}

void ClassicRebalancer::renew_session(Step step, ClassicMember& member) {
  arm_session(step, member, member.session_timeout);
}

void ClassicRebalancer::arm_session(Step step, ClassicMember& member, Milliseconds timeout) {
  timers_.arm(member.session, step.now.monotonic + timeout,
              [&] { return TimerName{TimerName::Kind::kSession, step.group->group_id(), member.member_id}; });
}

void ClassicRebalancer::arm_join(Step step, Milliseconds delay) {
  timers_.arm(step.group->join_timer, step.now.monotonic + delay,
              [&] { return TimerName{TimerName::Kind::kJoin, step.group->group_id(), ""}; });
}

}  // namespace kurier::coordinator
