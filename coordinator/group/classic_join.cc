// JoinGroup: who becomes a member, and which JoinGroup makes the others join again.
#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "coordinator/group/classic_rebalancer.h"
#include "coordinator/group/records.h"
#include "protocol/primitives.h"

namespace kurier::coordinator {

using protocol::ErrorCode;
using protocol::JoinGroupResponse;
using enum ClassicGroupState;

namespace {

// A new member that is told nothing for so long, because the join phase does not end, is given up.
constexpr Milliseconds kNewMemberJoinTimeout = std::chrono::minutes(5);
constexpr std::int16_t kFirstVersionWithRequiredMemberId = 4;  // KIP-394
constexpr std::int16_t kFirstVersionWithSkippedAssignment = 9;  // KIP-814

std::string generate_member_id(const std::string& prefix, Random& random) {
  const Uuid id = Uuid::generate(random);
  return fmt::format("{}-{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", prefix, id.high >> 32, (id.high >> 16) & 0xffff,
                     id.high & 0xffff, id.low >> 48, id.low & 0xffff'ffff'ffffULL);
}

std::string client_reason(const protocol::JoinGroupRequest& request) {
  return request.reason && !request.reason->empty() ? *request.reason : "not provided";
}

// A protocol counts once, however often a client names it.
void drop_repeated(std::vector<GroupProtocol>& protocols) {
  std::set<std::string> seen;
  std::erase_if(protocols, [&](const GroupProtocol& protocol) { return !seen.insert(protocol.name).second; });
}

bool same(const std::vector<GroupProtocol>& left, const std::vector<GroupProtocol>& right) {
  return std::ranges::equal(left, right, [](const GroupProtocol& a, const GroupProtocol& b) {
    return a.name == b.name && a.metadata == b.metadata;
  });
}

}  // namespace

void ClassicRebalancer::join(Step step, RequestToken token, const RequestContext& context, JoinRequest request) {
  drop_repeated(request.protocols);
  ClassicGroup& group = *step.group;
  if (!accepts(group, request.member_id)) {
    if (ClassicMember* member = group.member(request.member_id)) {
      answer_join(step, *member, ErrorCode::kGroupMaxSizeReached, "");
      answer_sync(step, *member, ErrorCode::kUnknownMemberId);
    }
    group.remove(request.member_id);
    step.outcome.answer(token, join_error(ErrorCode::kGroupMaxSizeReached, ""));
  } else if (request.member_id.empty()) {
    join_new_member(step, token, context, request);
  } else {
    join_known_member(step, token, context, request);
  }
}

// group.max.size: while members join anew, those that came first are in.
bool ClassicRebalancer::accepts(ClassicGroup& group, const std::string& member_id) const {
  const ClassicMember* member = group.member(member_id);
  switch (group.state()) {
    case kEmpty:
    case kDead: return true;
    case kPreparingRebalance:
      return (member != nullptr && member->awaiting_join) || group.awaiting_join() < options_.max_size;
    case kCompletingRebalance:
    case kStable: return member != nullptr || group.members().size() < options_.max_size;
  }
  return true;
}

void ClassicRebalancer::join_new_member(Step step, RequestToken token, const RequestContext& context,
                                        JoinRequest& request) {
  ClassicGroup& group = *step.group;
  if (!group.supports(request.protocol_type, request.protocols)) {
    return step.outcome.answer(token, join_error(ErrorCode::kInconsistentGroupProtocol, ""));
  }
  std::string member_id = generate_member_id(request.group_instance_id.value_or(context.client_id), random_);
  // No answer and no record could carry it.
  if (member_id.size() > protocol::kStringBytesMax) {
    return step.outcome.answer(token, join_error(ErrorCode::kUnknownServerError, ""));
  }
  if (request.group_instance_id) {
    if (const std::string* old_member_id = group.static_member(*request.group_instance_id)) {
      return replace_static_member(step, token, context, request, *old_member_id, std::move(member_id));
    }
    return add_member(step, token, context, request, std::move(member_id));
  }
  if (context.api_version < kFirstVersionWithRequiredMemberId) {
    return add_member(step, token, context, request, std::move(member_id));
  }
  // KIP-394: only a client that comes back with its id becomes a member, so that retries leave no ghosts.
  Timer& timer = group.pending_joins()[member_id];
  timers_.arm(timer, step.now.monotonic + Milliseconds(request.session_timeout_ms),
              [&] { return TimerName{TimerName::Kind::kSession, group.group_id(), member_id}; });
  step.outcome.answer(token, join_error(ErrorCode::kMemberIdRequired, std::move(member_id)));
}

void ClassicRebalancer::join_known_member(Step step, RequestToken token, const RequestContext& context,
                                          JoinRequest& request) {
  ClassicGroup& group = *step.group;
  const std::string& member_id = request.member_id;
  const auto refuse = [&](ErrorCode error) { step.outcome.answer(token, join_error(error, member_id)); };
  if (!group.supports(request.protocol_type, request.protocols)) return refuse(ErrorCode::kInconsistentGroupProtocol);
  if (group.pending_joins().contains(member_id)) {
    // An id that was given to a dynamic member cannot become a static one's.
    if (request.group_instance_id) return step.outcome.answer(token, join_error(ErrorCode::kUnknownServerError, ""));
    return add_member(step, token, context, request, member_id);
  }
  if (const ErrorCode error = group.check_member(member_id, request.group_instance_id); error != ErrorCode::kNone)
    return refuse(error);

  ClassicMember& member = *group.member(member_id);
  const auto because = [&](std::string_view what) {
    return fmt::format("{} during {}; client reason: {}", what, to_string(group.state()), client_reason(request));
  };
  switch (group.state()) {
    case kPreparingRebalance:
      return update_member(step, token, request, member, because(fmt::format("Member {} is joining group", member_id)));
    case kCompletingRebalance:
      // It may not have got the answer to its last JoinGroup; with the same protocols it gets it again.
      if (same(member.protocols, request.protocols)) {
        return step.outcome.answer(token, current_generation(group, member_id, group.is_leader(member_id)));
      }
      return update_member(step, token, request, member,
                           because(fmt::format("Updating metadata for member {}", member_id)));
    case kStable:
      // The leader's way to ask for a new assignment. A follower with nothing new just gets the current generation.
      if (group.is_leader(member_id)) {
        return update_member(step, token, request, member,
                             because(fmt::format("Leader {} re-joining group", member_id)));
      }
      if (!same(member.protocols, request.protocols)) {
        return update_member(step, token, request, member,
                             because(fmt::format("Updating metadata for member {}", member_id)));
      }
      return step.outcome.answer(token, current_generation(group, member_id, false));
    case kEmpty:
    case kDead: return refuse(ErrorCode::kUnknownMemberId);
  }
}

void ClassicRebalancer::add_member(Step step, RequestToken token, const RequestContext& context, JoinRequest& request,
                                   std::string member_id) {
  ClassicGroup& group = *step.group;
  if (group.initial_delay) group.initial_delay->member_came = true;
  ClassicMember member;
  member.member_id = member_id;
  member.group_instance_id = request.group_instance_id;
  member.client_id = context.client_id;
  member.client_host = context.client_host;
  member.rebalance_timeout = Milliseconds(request.rebalance_timeout_ms);
  member.session_timeout = Milliseconds(request.session_timeout_ms);
  member.protocols = std::move(request.protocols);
  member.is_new = true;
  member.awaiting_join = token;
  group.add(std::move(member), request.protocol_type);
  arm_session(step, *group.member(member_id), kNewMemberJoinTimeout);
  rebalance_or_complete_join(step,
                             fmt::format("Adding new member {} with group instance id {}; client reason: {}", member_id,
                                         request.group_instance_id.value_or("null"), client_reason(request)));
}

void ClassicRebalancer::update_member(Step step, RequestToken token, JoinRequest& request, ClassicMember& member,
                                      std::string reason) {
  ClassicGroup& group = *step.group;
  group.set_protocols(member, std::move(request.protocols));
  member.rebalance_timeout = Milliseconds(request.rebalance_timeout_ms);
  member.session_timeout = Milliseconds(request.session_timeout_ms);
  answer_join(step, member, ErrorCode::kRebalanceInProgress, member.member_id);  // an earlier request that still waits
  group.await_join(member, token);
  rebalance_or_complete_join(step, std::move(reason));
}

// KIP-345: a static member that comes back without its id gets a new one; whoever had the old one is fenced.
void ClassicRebalancer::replace_static_member(Step step, RequestToken token, const RequestContext& context,
                                              JoinRequest& request, std::string old_member_id,
                                              std::string new_member_id) {
  ClassicGroup& group = *step.group;
  ClassicMember& old_member = *group.member(old_member_id);
  answer_join(step, old_member, ErrorCode::kFencedInstanceId, old_member_id);
  answer_sync(step, old_member, ErrorCode::kFencedInstanceId);
  const ClassicMember before = old_member;
  std::string leader_before = group.leader_id().value_or("");

  ClassicMember& member = group.replace_static(old_member_id, new_member_id);
  arm_session(step, member, member.session_timeout);
  group.set_protocols(member, std::move(request.protocols));
  member.rebalance_timeout = Milliseconds(request.rebalance_timeout_ms);
  member.session_timeout = Milliseconds(request.session_timeout_ms);
  group.await_join(member, token);

  if (group.is(kStable) && group.protocol_name() == group.select_protocol()) {
    return store_replaced_member(step, context, before, std::move(leader_before), member);
  }
  if (group.is(kStable)) {
    return rebalance_or_complete_join(
        step,
        fmt::format(
            "Group's selectedProtocol will change because static member {} with instance id {} joined with change of "
            "protocol; client reason: {}",
            member.member_id, *member.group_instance_id, client_reason(request)));
  }
  if (group.is(kCompletingRebalance)) {
    return prepare_rebalance(
        step, fmt::format("Updating metadata for static member {} with instance id {}; client reason: {}",
                          member.member_id, *member.group_instance_id, client_reason(request)));
  }
  complete_join_if_everyone_joined(step);
}

// A restart that changes nothing for the others: no rebalance, only the new id is stored.
void ClassicRebalancer::store_replaced_member(Step step, const RequestContext& context, ClassicMember before,
                                              std::string leader_before, ClassicMember& replaced) {
  const bool may_skip = context.api_version >= kFirstVersionWithSkippedAssignment;
  auto then = [this, shared = step.group, before = std::move(before), leader_before = std::move(leader_before),
               may_skip, id = replaced.member_id,
               token = *replaced.awaiting_join](ErrorCode error, Now now, Outcome& outcome) {
    ClassicGroup& group = *shared;
    const Step then_step{shared, now, outcome};
    ClassicMember* member = group.member(id);
    if (member == nullptr || member->awaiting_join != token || group.is(kDead)) return;
    // A rebalance has begun meanwhile: it is answered with the others, and stored with them. What it had before may fit the
    // others no longer.
    if (!group.is(kStable)) return;
    if (error != ErrorCode::kNone) {
      group.take_join(*member);
      answer_sync(then_step, *member, error);
      group.set_protocols(*member, before.protocols);
      member->rebalance_timeout = before.rebalance_timeout;
      member->session_timeout = before.session_timeout;
      JoinGroupResponse response = current_generation(group, "", false);
      response.error_code = error;
      response.leader = leader_before;
      outcome.answer(token, std::move(response));
      ClassicMember& old_member = group.replace_static(id, before.member_id);
      return arm_session(then_step, old_member, old_member.session_timeout);
    }
    group.take_join(*member);
    const bool leads = group.is_leader(id);
    // KIP-814: the leader learns that it leads, and that there is nothing to assign. Older leaders must not know, or
    // they would.
    JoinGroupResponse response = current_generation(group, id, may_skip && leads);
    response.skip_assignment = may_skip && leads;
    if (!may_skip) response.leader = leader_before;
    outcome.answer(token, std::move(response));
  };
  const auto value = step.group->record(step.group->assignments());
  appends_.add(step.outcome, {group_record(step.group->group_id(), value)}, std::move(then));
}

}  // namespace kurier::coordinator
