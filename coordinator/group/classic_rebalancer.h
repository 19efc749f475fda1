// ClassicRebalancer: the rules of the classic group protocol. What does a request or a timeout do to one group, who is
// answered, which record is written?
//
// Called by GroupCoordinator, one thread. A JoinGroup that is not answered waits in its member until the join phase is
// complete; a SyncGroup until the leader's assignment is committed. The rules are Apache Kafka 4.4's;
// docs/coordinator.md lists where they are not. classic_join.cc has JoinGroup, classic_rebalancer.cc what follows.
#pragma once

#include <memory>

#include "base/random.h"
#include "coordinator/group/classic_group.h"
#include "coordinator/group/options.h"
#include "coordinator/group/outcome.h"
#include "coordinator/group/pending_appends.h"
#include "coordinator/group/timers.h"
#include "protocol/messages/heartbeat_request.h"
#include "protocol/messages/join_group_request.h"
#include "protocol/messages/leave_group_request.h"
#include "protocol/messages/sync_group_request.h"

namespace kurier::coordinator {

class ClassicRebalancer {
 public:
  ClassicRebalancer(const GroupOptions& options, TimerQueue& timers, PendingAppends& appends, Random& random)
      : options_(options), timers_(timers), appends_(appends), random_(random) {}

  // The group that something happens to, when, and where its consequences go.
  struct Step {
    const std::shared_ptr<ClassicGroup>& group;
    Now now;
    Outcome& outcome;
  };

  void join(Step step, RequestToken token, const RequestContext& context, protocol::JoinGroupRequest request);
  void sync(Step step, RequestToken token, protocol::SyncGroupRequest request);
  [[nodiscard]] protocol::ErrorCode heartbeat(Step step, const protocol::HeartbeatRequest& request);
  // The answers for the members that leave; a record is appended if that empties the group.
  [[nodiscard]] protocol::LeaveGroupResponse leave(Step step, const protocol::LeaveGroupRequest& request);
  // A member has shown that it is alive.
  void renew_session(Step step, ClassicMember& member);

  // An entry of the timer queue that names a timer of this group.
  void timer_came_up(Step step, const TimerQueue::Entry& entry);

  // The coordinator has loaded the group: sessions begin anew; a group that is over group.max.size rebalances.
  void loaded(Step step);
  // Everyone who waits is told, and the group is dead.
  void unload(Step step, protocol::ErrorCode error);

 private:
  using JoinRequest = protocol::JoinGroupRequest;

  [[nodiscard]] bool accepts(ClassicGroup& group, const std::string& member_id) const;
  void join_new_member(Step step, RequestToken token, const RequestContext& context, JoinRequest& request);
  void join_known_member(Step step, RequestToken token, const RequestContext& context, JoinRequest& request);
  void add_member(Step step, RequestToken token, const RequestContext& context, JoinRequest& request,
                  std::string member_id);
  void update_member(Step step, RequestToken token, JoinRequest& request, ClassicMember& member, std::string reason);
  void replace_static_member(Step step, RequestToken token, const RequestContext& context, JoinRequest& request,
                             std::string old_member_id, std::string new_member_id);
  void store_replaced_member(Step step, const RequestContext& context, ClassicMember before, std::string leader_before,
                             ClassicMember& member);

  void rebalance_or_complete_join(Step step, std::string reason);
  void prepare_rebalance(Step step, std::string reason);
  void complete_join_if_everyone_joined(Step step);
  void complete_join(Step step);
  void initial_delay_over(Step step);
  void sync_timed_out(Step step);
  void session_timed_out(Step step, const std::string& member_id);
  void remove_member(Step step, const std::string& member_id);

  void store_assignment(Step step, protocol::SyncGroupRequest& request);
  void give_assignments(Step step, protocol::ErrorCode error);
  void answer_join(Step step, ClassicMember& member, protocol::ErrorCode error, std::string member_id);
  void answer_sync(Step step, ClassicMember& member, protocol::ErrorCode error);
  [[nodiscard]] static protocol::JoinGroupResponse join_error(protocol::ErrorCode error, std::string member_id);
  [[nodiscard]] static protocol::JoinGroupResponse current_generation(const ClassicGroup& group,
                                                                      const std::string& member_id, bool with_members);

  void arm_session(Step step, ClassicMember& member, Milliseconds timeout);
  void arm_join(Step step, Milliseconds delay);

  const GroupOptions& options_;
  TimerQueue& timers_;
  PendingAppends& appends_;
  Random& random_;
};

}  // namespace kurier::coordinator
