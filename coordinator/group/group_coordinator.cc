#include "coordinator/group/group_coordinator.h"

#include <algorithm>

#include "coordinator/group/records.h"

namespace kurier::coordinator {

using protocol::ErrorCode;

namespace {

constexpr std::int16_t kFirstCommitVersionWithGroupIdNotFound = 9;
constexpr std::int16_t kFirstTxnCommitVersionWithGroupIdNotFound = 6;
constexpr std::int16_t kFirstLeaveVersionWithMembers = 3;
constexpr std::chrono::seconds kOthersSessionTimeout(
    45);  // Apache Kafka's default for consumer, share and streams groups

protocol::JoinGroupResponse join_refused(ErrorCode error, std::string member_id = {}) {
  protocol::JoinGroupResponse response;
  response.error_code = error;
  response.member_id = std::move(member_id);
  return response;
}

protocol::LeaveGroupResponse nobody_left(const protocol::LeaveGroupRequest& request) {
  protocol::LeaveGroupResponse response;
  for (const auto& member : request.members) {
    auto& answer = response.members.emplace_back();
    answer.member_id = member.member_id;
    answer.group_instance_id = member.group_instance_id;
    answer.error_code = ErrorCode::kUnknownMemberId;
  }
  return response;
}

}  // namespace

GroupCoordinator::GroupCoordinator(const GroupOptions& options, const GroupStateReader& state, Random& random)
    : options_(options), state_(state), rebalancer_(options_, timers_, appends_, random) {}

// ---- becoming and ceasing to lead

Outcome GroupCoordinator::load_part(Now now) {
  constexpr std::size_t kGroups = 64;
  Outcome outcome;
  if (!last_loaded_) loaded_at_ = now.wall;
  std::vector<std::string> ids;
  state_.visit_groups_with_members(last_loaded_, [&](const std::string& id) {
    ids.push_back(id);
    return ids.size() < kGroups;
  });
  for (const std::string& id : ids) {
    const auto record = state_.classic_group(id);
    if (!record) continue;
    const Shared& group = groups_.emplace(id, std::make_shared<ClassicGroup>(id, *record)).first->second;
    rebalancer_.loaded({group, now, outcome});
  }
  is_loaded_ = ids.size() < kGroups;
  if (is_loaded_) others_expire_at_ = now.monotonic + kOthersSessionTimeout;
  if (!ids.empty()) last_loaded_ = std::move(ids.back());
  return outcome;
}

Outcome GroupCoordinator::load(Now now) {
  Outcome all;
  while (!is_loaded_) {
    Outcome part = load_part(now);
    std::ranges::move(part.appends, std::back_inserter(all.appends));
    std::ranges::move(part.answers, std::back_inserter(all.answers));
  }
  return all;
}

Outcome GroupCoordinator::resign(Now now) {
  Outcome outcome;
  for (auto& [id, group] : groups_) rebalancer_.unload({group, now, outcome}, ErrorCode::kNotCoordinator);
  groups_.clear();
  timers_.clear();
  appends_.fail_all(ErrorCode::kNotCoordinator, now, outcome);
  outcome.appends.clear();
  return outcome;
}

// ---- members

Outcome GroupCoordinator::join_group(RequestToken token, const RequestContext& context,
                                     protocol::JoinGroupRequest request, Now now) {
  Outcome outcome;
  const auto refuse = [&](ErrorCode error, std::string member_id) {
    outcome.answer(token, join_refused(error, std::move(member_id)));
    return std::move(outcome);
  };
  const Milliseconds session_timeout(request.session_timeout_ms);
  if (request.group_id.empty()) return refuse(ErrorCode::kInvalidGroupId, request.member_id);
  if (session_timeout < options_.min_session_timeout || session_timeout > options_.max_session_timeout) {
    return refuse(ErrorCode::kInvalidSessionTimeout, request.member_id);
  }
  if (context.api_version == 0)
    request.rebalance_timeout_ms = request.session_timeout_ms;  // version 0 knows one timeout

  if (const Shared group = find(request.group_id)) {
    rebalancer_.join({group, now, outcome}, token, context, std::move(request));
    return outcome;
  }
  std::vector<CoordinatorRecord> records;
  const auto other = find_other(request.group_id);
  if (other && !(other->is_empty() && other->type != GroupType::kShare))
    return refuse(ErrorCode::kInconsistentGroupProtocol, "");
  if (!request.member_id.empty()) return refuse(ErrorCode::kUnknownMemberId, request.member_id);
  if (other) {  // an empty group of another type that keeps its offsets becomes a classic one
    records = other_group_tombstones(state_, request.group_id);
  }
  const Shared group = create(request.group_id, now);
  rebalancer_.join({group, now, outcome}, token, context, std::move(request));
  store_new_group(group, token, std::move(records), outcome);
  return outcome;
}

// A group exists once there is a record of it; its first answers wait for that.
void GroupCoordinator::store_new_group(const Shared& group, RequestToken token, std::vector<CoordinatorRecord> records,
                                       Outcome& outcome) {
  protocol::GroupMetadataValue empty;
  empty.protocol.reset();
  empty.leader.reset();
  empty.current_state_timestamp = group->state_since().value_or(Timestamp(-1));
  records.push_back(group_record(group->group_id(), empty));
  auto then = [this, group, token, held = std::exchange(outcome.answers, {})](ErrorCode error, Now now,
                                                                              Outcome& later) mutable {
    if (error == ErrorCode::kNone) {
      std::ranges::move(held, std::back_inserter(later.answers));
      return;
    }
    for (const Answer& answer : held) later.answer(answer.token, join_refused(error));
    for (auto& [id, member] : group->members()) {
      if (member.awaiting_join != token) continue;
      later.answer(*group->take_join(member), join_refused(error));
    }
    forget_if_not_durable(group);
    if (look(group->group_id()) != group && !group->is(ClassicGroupState::kDead))
      rebalancer_.unload({group, now, later}, error);
  };
  appends_.add(outcome, std::move(records), std::move(then));
}

Outcome GroupCoordinator::sync_group(RequestToken token, protocol::SyncGroupRequest request, Now now) {
  Outcome outcome;
  // Under the empty id there may be offsets, but never members.
  const Shared group = request.group_id.empty() ? nullptr : find(request.group_id);
  if (group != nullptr) {
    rebalancer_.sync({group, now, outcome}, token, std::move(request));
    return outcome;
  }
  protocol::SyncGroupResponse response;
  response.error_code = request.group_id.empty() ? ErrorCode::kInvalidGroupId : ErrorCode::kUnknownMemberId;
  outcome.answer(token, std::move(response));
  return outcome;
}

protocol::HeartbeatResponse GroupCoordinator::heartbeat(const protocol::HeartbeatRequest& request, Now now) {
  protocol::HeartbeatResponse response;
  if (const Shared group = request.group_id.empty() ? nullptr : find(request.group_id)) {
    Outcome nothing;
    response.error_code = rebalancer_.heartbeat({group, now, nothing}, request);
  } else {
    response.error_code = request.group_id.empty() ? ErrorCode::kInvalidGroupId : ErrorCode::kUnknownMemberId;
  }
  return response;
}

Outcome GroupCoordinator::leave_group(RequestToken token, const RequestContext& context,
                                      protocol::LeaveGroupRequest request, Now now) {
  Outcome outcome;
  if (request.group_id.empty()) {
    protocol::LeaveGroupResponse response;
    response.error_code = ErrorCode::kInvalidGroupId;
    outcome.answer(token, std::move(response));
    return outcome;
  }
  if (context.api_version < kFirstLeaveVersionWithMembers && request.members.empty()) {
    request.members.emplace_back().member_id = request.member_id;
  }
  const Shared group = find(request.group_id);
  if (group == nullptr) {
    outcome.answer(token, nobody_left(request));
    return outcome;
  }
  protocol::LeaveGroupResponse response = rebalancer_.leave({group, now, outcome}, request);
  if (outcome.appends.empty()) {
    outcome.answer(token, std::move(response));
    return outcome;
  }
  appends_.also(outcome.appends.back().id,
                [token, response = std::move(response)](ErrorCode error, Now, Outcome& later) mutable {
                  if (error != ErrorCode::kNone) {
                    response = {};
                    response.error_code = error;
                  }
                  later.answer(token, std::move(response));
                });
  return outcome;
}

// ---- offsets

template <class Request>
ErrorCode GroupCoordinator::check_committer(const Request& request, const RequestContext& context, bool transactional,
                                            Now now, Shared& group) {
  const Committer committer{request.member_id, request.group_instance_id, request.generation_id_or_member_epoch,
                            transactional};
  group = find(request.group_id);
  if (group != nullptr) return check_commit(*group, committer);
  if (const auto other = find_other(request.group_id)) return check_commit(*other, committer, context.api_version);
  if (committer.generation_id >= 0) return ErrorCode::kGroupIdNotFound;
  group = create(request.group_id, now);  // a consumer that assigns itself, or an administrator
  return ErrorCode::kNone;
}

template <class Decision>
Append* GroupCoordinator::append_offsets(RequestToken token, Decision decision, const Shared& group, Outcome& outcome) {
  if (decision.records.empty()) {
    if (group != nullptr && group->is_simple()) forget_if_not_durable(group);
    outcome.answer(token, std::move(decision.response));
    return nullptr;
  }
  auto then = [this, token, group, response = std::move(decision.response)](ErrorCode error, Now,
                                                                            Outcome& later) mutable {
    if (error != ErrorCode::kNone) {
      for (auto& topic : response.topics) {
        for (auto& partition : topic.partitions) partition.error_code = error;
      }
      if (group != nullptr && group->is_simple()) forget_if_not_durable(group);
    }
    later.answer(token, std::move(response));
  };
  return &appends_.add(outcome, std::move(decision.records), std::move(then));
}

Outcome GroupCoordinator::offset_commit(RequestToken token, const RequestContext& context,
                                        const protocol::OffsetCommitRequest& request, Now now) {
  Outcome outcome;
  Shared group;
  ErrorCode error = check_committer(request, context, false, now, group);
  if (error == ErrorCode::kGroupIdNotFound && context.api_version < kFirstCommitVersionWithGroupIdNotFound) {
    error = ErrorCode::kIllegalGeneration;
  }
  if (error != ErrorCode::kNone) {
    outcome.answer(token, refuse_commit(request, error));
    return outcome;
  }
  // A member that commits is alive.
  if (group != nullptr &&
      (group->is(ClassicGroupState::kStable) || group->is(ClassicGroupState::kPreparingRebalance))) {
    if (ClassicMember* member = group->member(request.member_id))
      rebalancer_.renew_session({group, now, outcome}, *member);
  }
  append_offsets(token, commit_offsets(request, options_, now.wall), group, outcome);
  return outcome;
}

Outcome GroupCoordinator::txn_offset_commit(RequestToken token, const RequestContext& context,
                                            const protocol::TxnOffsetCommitRequest& request, Now now) {
  Outcome outcome;
  Shared group;
  ErrorCode error =
      request.group_id.empty() ? ErrorCode::kInvalidGroupId : check_committer(request, context, true, now, group);
  if ((error == ErrorCode::kGroupIdNotFound || error == ErrorCode::kStaleMemberEpoch) &&
      context.api_version < kFirstTxnCommitVersionWithGroupIdNotFound) {
    error = ErrorCode::kIllegalGeneration;
  }
  if (error != ErrorCode::kNone) {
    outcome.answer(token, refuse_commit(request, error));
    return outcome;
  }
  Append* append = append_offsets(token, commit_offsets(request, options_, now.wall), group, outcome);
  if (append != nullptr) append->transaction = {request.transactional_id, request.producer_id, request.producer_epoch};
  return outcome;
}

Outcome GroupCoordinator::offset_delete(RequestToken token, const protocol::OffsetDeleteRequest& request, Now) {
  Outcome outcome;
  const auto refuse = [&](ErrorCode error) {
    protocol::OffsetDeleteResponse response;
    response.error_code = error;
    outcome.answer(token, std::move(response));
    return std::move(outcome);
  };
  if (request.group_id.empty()) return refuse(ErrorCode::kInvalidGroupId);
  const Shared group = find(request.group_id);
  const auto other = group == nullptr ? find_other(request.group_id) : std::nullopt;
  if (group == nullptr && (!other || other->type == GroupType::kShare)) return refuse(ErrorCode::kGroupIdNotFound);
  // Nobody knows what a group of another protocol type reads.
  if (group != nullptr && !group->is(ClassicGroupState::kEmpty) && !group->uses_consumer_protocol()) {
    return refuse(ErrorCode::kNonEmptyGroup);
  }
  const auto is_subscribed = [&](const std::string& topic) {
    if (group != nullptr) return group->is_subscribed_to(topic);
    return other->type == GroupType::kStreams ? !other->is_empty() : other->subscribed_topics.contains(topic);
  };
  auto decision = delete_offsets(request, state_, is_subscribed);
  if (decision.records.empty()) {
    outcome.answer(token, std::move(decision.response));
    return outcome;
  }
  auto then = [token, response = std::move(decision.response)](ErrorCode error, Now, Outcome& later) mutable {
    if (error != ErrorCode::kNone) {
      response = {};
      response.error_code = error;
    }
    later.answer(token, std::move(response));
  };
  appends_.add(outcome, std::move(decision.records), std::move(then));
  return outcome;
}

protocol::OffsetFetchResponse::OffsetFetchResponseGroup GroupCoordinator::offset_fetch(
    const protocol::OffsetFetchRequest::OffsetFetchRequestGroup& request, const GroupStateReader& view,
    bool require_stable, OffsetsPage& page) const {
  const auto after = std::exchange(page.after, std::nullopt);
  if (look(request.group_id) != nullptr) return fetch_offsets(request, view, require_stable, after, page);
  const auto other = find_other(request.group_id);
  if (!other || other->type == GroupType::kShare) return fetch_no_offsets(request);
  if (request.member_id || request.member_epoch >= 0) {
    const auto member = other->member_epochs.find(request.member_id.value_or(""));
    const bool known = member != other->member_epochs.end();
    if (!known || member->second != request.member_epoch) {
      protocol::OffsetFetchResponse::OffsetFetchResponseGroup refused;
      refused.group_id = request.group_id;
      refused.error_code = known ? ErrorCode::kStaleMemberEpoch : ErrorCode::kUnknownMemberId;
      return refused;
    }
  }
  return fetch_offsets(request, view, require_stable, after, page);
}

// ---- groups as a whole

ErrorCode GroupCoordinator::check_delete(const std::string& group_id) const {
  if (const Shared group = look(group_id)) {
    return group->is(ClassicGroupState::kEmpty) ? ErrorCode::kNone : ErrorCode::kNonEmptyGroup;
  }
  const auto other = find_other(group_id);
  if (!other) return ErrorCode::kGroupIdNotFound;
  return other->is_empty() ? ErrorCode::kNone : ErrorCode::kNonEmptyGroup;
}

void GroupCoordinator::end_group(const std::string& group_id, std::vector<CoordinatorRecord>& records,
                                 std::vector<Shared>& ended) {
  if (Shared group = look(group_id)) {
    records.push_back(group_tombstone(group_id));
    ended.push_back(std::move(group));
    groups_.erase(group_id);
  } else {
    std::ranges::move(other_group_tombstones(state_, group_id), std::back_inserter(records));
  }
}

// The records that would have ended a group were not stored: it is there again, unless a new one has its name.
void GroupCoordinator::take_back(const Shared& group) {
  if (!find_other(group->group_id())) groups_.try_emplace(group->group_id(), group);
}

Outcome GroupCoordinator::delete_groups(RequestToken token, const std::vector<std::string>& group_ids, Now) {
  Outcome outcome;
  protocol::DeleteGroupsResponse response;
  std::vector<CoordinatorRecord> records;
  std::vector<Shared> ended;
  for (const std::string& id : group_ids) {
    auto& result = response.results.emplace_back();
    result.group_id = id;
    result.error_code = check_delete(id);
    if (result.error_code != ErrorCode::kNone) continue;
    std::ranges::move(delete_all_offsets(id, state_), std::back_inserter(records));
    end_group(id, records, ended);
  }
  if (records.empty()) {
    outcome.answer(token, std::move(response));
    return outcome;
  }
  auto then = [this, token, response = std::move(response), ended = std::move(ended)](ErrorCode error, Now,
                                                                                      Outcome& later) mutable {
    if (error != ErrorCode::kNone) {
      for (auto& result : response.results) result.error_code = error;
      for (const Shared& group : ended) take_back(group);
    }
    later.answer(token, std::move(response));
  };
  appends_.add(outcome, std::move(records), std::move(then));
  return outcome;
}

Outcome GroupCoordinator::delete_some_offsets(RequestToken token, const std::string& group_id, std::size_t count,
                                              bool& more) {
  Outcome outcome;
  more = false;
  if (check_delete(group_id) != ErrorCode::kNone) return outcome;
  std::vector<CoordinatorRecord> records;
  state_.visit_offsets(group_id, std::nullopt, [&](const TopicPartition& partition, const CommittedOffset&) {
    more = records.size() == count;
    if (!more) records.push_back(offset_tombstone(group_id, partition));
    return !more;
  });
  if (!more) return outcome;
  auto then = [token, group_id](ErrorCode error, Now, Outcome& later) {
    protocol::DeleteGroupsResponse response;
    auto& result = response.results.emplace_back();
    result.group_id = group_id;
    result.error_code = error;
    later.answer(token, std::move(response));
  };
  appends_.add(outcome, std::move(records), std::move(then)).atomic = false;
  return outcome;
}

// ---- appends and time

Outcome GroupCoordinator::committed(AppendId append, Now now) {
  Outcome outcome;
  appends_.finish(append, ErrorCode::kNone, now, outcome);
  return outcome;
}

Outcome GroupCoordinator::append_failed(AppendId append, ErrorCode error, Now now) {
  Outcome outcome;
  appends_.finish(append, answer_for_append_error(error), now, outcome);
  return outcome;
}

std::optional<MonotonicTime> GroupCoordinator::next_deadline() const {
  const auto next = timers_.next();
  return next && others_expire_at_ ? std::min(next, others_expire_at_) : next ? next : others_expire_at_;
}

Outcome GroupCoordinator::tick(Now now) {
  Outcome outcome;
  if (others_expire_at_ && *others_expire_at_ <= now.monotonic) {
    others_have_expired_ = true;
    others_expire_at_.reset();
  }
  while (const auto entry = timers_.pop(now.monotonic)) {
    if (const Shared group = find(entry->second.group)) rebalancer_.timer_came_up({group, now, outcome}, *entry);
  }
  return outcome;
}

// ---- looking up

GroupCoordinator::Shared GroupCoordinator::find(std::string_view group_id) {
  Shared group = look(group_id);
  if (group != nullptr) groups_.try_emplace(group->group_id(), group);
  return group;
}

GroupCoordinator::Shared GroupCoordinator::look(std::string_view group_id) const {
  if (const auto found = groups_.find(group_id); found != groups_.end()) return found->second;
  std::string id(group_id);
  if (const auto record = state_.classic_group(id)) return std::make_shared<ClassicGroup>(std::move(id), *record);
  const bool is_simple = (state_.has_offsets(id) || state_.has_any_pending(id)) && !find_other(id);
  return is_simple ? std::make_shared<ClassicGroup>(std::move(id), loaded_at_) : nullptr;
}

std::shared_ptr<const ClassicGroup> GroupCoordinator::classic_group(std::string_view group_id) const {
  return look(group_id);
}

// Of a group that is no classic one.
std::optional<OtherGroup> GroupCoordinator::find_other(const std::string& group_id) const {
  if (groups_.contains(group_id)) return std::nullopt;
  auto other = other_group(state_, group_id);
  if (other && others_have_expired_) other->lose_members();
  return other;
}

GroupCoordinator::Shared GroupCoordinator::create(const std::string& group_id, Now now) {
  return groups_.emplace(group_id, std::make_shared<ClassicGroup>(group_id, now.wall)).first->second;
}

bool GroupCoordinator::is_durable(const std::string& group_id) const {
  return state_.classic_group(group_id) || state_.has_offsets(group_id) || state_.has_any_pending(group_id);
}

void GroupCoordinator::forget_if_not_durable(const Shared& group) {
  if (look(group->group_id()) == group && !is_durable(group->group_id())) groups_.erase(group->group_id());
}

}  // namespace kurier::coordinator
