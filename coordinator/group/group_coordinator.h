// GroupCoordinator: the classic groups and committed offsets of one partition of __consumer_offsets, while this broker
// leads it.
//
// A core: no I/O, no clock; one thread calls it. Requests that may need records or have to wait take a token and are
// answered in an Outcome, this one or a later one; the others answer at once. The caller replays and appends what an
// Outcome brings before it calls again, reports the end of each append, and calls tick() at next_deadline().
// docs/coordinator.md has the contract in full. The requests have been authorized, and topic ids have been resolved to
// names.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "coordinator/group/classic_group.h"
#include "coordinator/group/classic_rebalancer.h"
#include "coordinator/group/offset_operations.h"
#include "coordinator/group/offset_sweep.h"
#include "coordinator/group/options.h"
#include "coordinator/group/other_groups.h"
#include "coordinator/group/outcome.h"
#include "coordinator/group/pending_appends.h"
#include "coordinator/group/state.h"
#include "coordinator/group/timers.h"
#include "protocol/messages/describe_groups_response.h"
#include "protocol/messages/heartbeat_response.h"
#include "protocol/messages/list_groups_request.h"
#include "protocol/messages/list_groups_response.h"

namespace kurier::coordinator {

class GroupCoordinator {
 public:
  // `state` is the newest durable state, with what is appended and not committed yet; it outlives this.
  GroupCoordinator(const GroupOptions& options, const GroupStateReader& state, Random& random);
  GroupCoordinator(const GroupCoordinator&) = delete;
  GroupCoordinator& operator=(const GroupCoordinator&) = delete;

  // The state can be read: groups with members come alive, and every member has a full session timeout. The others lie in
  // the state until somebody asks for them. Some groups at a time, until it `is_loaded`; nothing else is called before.
  Outcome load_part(Now now);
  [[nodiscard]] bool is_loaded() const { return is_loaded_; }
  Outcome load(Now now);  // all parts
  // This broker leads the partition no longer: whoever waits is answered NOT_COORDINATOR. Nothing else is called
  // afterwards.
  Outcome resign(Now now);

  Outcome join_group(RequestToken token, const RequestContext& context, protocol::JoinGroupRequest request, Now now);
  Outcome sync_group(RequestToken token, protocol::SyncGroupRequest request, Now now);
  [[nodiscard]] protocol::HeartbeatResponse heartbeat(const protocol::HeartbeatRequest& request, Now now);
  Outcome leave_group(RequestToken token, const RequestContext& context, protocol::LeaveGroupRequest request, Now now);

  Outcome offset_commit(RequestToken token, const RequestContext& context, const protocol::OffsetCommitRequest& request,
                        Now now);
  // The caller has the append checked against the producer's open transaction.
  Outcome txn_offset_commit(RequestToken token, const RequestContext& context,
                            const protocol::TxnOffsetCommitRequest& request, Now now);
  Outcome offset_delete(RequestToken token, const protocol::OffsetDeleteRequest& request, Now now);
  // `view`: the newest state, whose caller waits until it is committed. An error_code in the answer stands for all partitions.
  // Of a group without topics in the request `page` says which part of all that it has.
  [[nodiscard]] protocol::OffsetFetchResponse::OffsetFetchResponseGroup offset_fetch(
      const protocol::OffsetFetchRequest::OffsetFetchRequestGroup& request, const GroupStateReader& view,
      bool require_stable, OffsetsPage& page) const;
  [[nodiscard]] protocol::OffsetFetchResponse::OffsetFetchResponseGroup offset_fetch(
      const protocol::OffsetFetchRequest::OffsetFetchRequestGroup& request, const GroupStateReader& view,
      bool require_stable) const {
    OffsetsPage all;
    return offset_fetch(request, view, require_stable, all);
  }

  [[nodiscard]] std::vector<protocol::DescribeGroupsResponse::DescribedGroup> describe_groups(
      const RequestContext& context, const std::vector<std::string>& group_ids) const;
  // Of `count` groups behind `after` those that the request asks for; `after` becomes the last one, or nothing at the end.
  [[nodiscard]] std::vector<protocol::ListGroupsResponse::ListedGroup> list_groups(
      const protocol::ListGroupsRequest& request, std::optional<std::string>& after, std::size_t count) const;
  [[nodiscard]] std::vector<protocol::ListGroupsResponse::ListedGroup> list_groups(
      const protocol::ListGroupsRequest& request) const {
    std::optional<std::string> all;
    return list_groups(request, all, SIZE_MAX);
  }
  // Groups of this partition, each at most once.
  Outcome delete_groups(RequestToken token, const std::vector<std::string>& group_ids, Now now);
  // Before a group is deleted that has more than `count` offsets: deletes so many of them, and answers. Not `more`: nothing is done
  // or answered. If the group then is not deleted after all, they are gone.
  Outcome delete_some_offsets(RequestToken token, const std::string& group_id, std::size_t count, bool& more);

  // A part of what is due every offsets.retention.check.interval.ms, or when topics have been deleted, until it is over.
  Outcome sweep(OffsetSweep& sweep, Now now);
  // The ids of `count` groups behind `after`, in order.
  [[nodiscard]] std::vector<std::string> groups_behind(const std::optional<std::string>& after,
                                                       std::size_t count) const;
  [[nodiscard]] std::vector<std::string> group_ids() const { return groups_behind(std::nullopt, SIZE_MAX); }

  Outcome committed(AppendId append, Now now);
  // The error as the log has it.
  Outcome append_failed(AppendId append, protocol::ErrorCode error, Now now);

  // Sessions, rebalances and delays that are over.
  Outcome tick(Now now);
  [[nodiscard]] std::optional<MonotonicTime> next_deadline() const;

  // For metrics and tests; null if there is no such classic group.
  [[nodiscard]] std::shared_ptr<const ClassicGroup> classic_group(std::string_view group_id) const;

 private:
  using Shared = std::shared_ptr<ClassicGroup>;
  // What is alive; otherwise what the state has, which comes alive (`find`) or is only looked at (`look`).
  [[nodiscard]] Shared find(std::string_view group_id);
  [[nodiscard]] Shared look(std::string_view group_id) const;
  [[nodiscard]] std::optional<OtherGroup> find_other(const std::string& group_id) const;
  Shared create(const std::string& group_id, Now now);
  [[nodiscard]] bool is_durable(const std::string& group_id) const;
  void forget_if_not_durable(const Shared& group);
  void take_back(const Shared& group);

  void store_new_group(const Shared& group, RequestToken token, std::vector<CoordinatorRecord> records,
                       Outcome& outcome);
  template <class Request>
  [[nodiscard]] protocol::ErrorCode check_committer(const Request& request, const RequestContext& context,
                                                    bool transactional, Now now, Shared& group);
  template <class Decision>
  Append* append_offsets(RequestToken token, Decision decision, const Shared& group, Outcome& outcome);
  [[nodiscard]] protocol::ErrorCode check_delete(const std::string& group_id) const;
  // Of sweep.groups.front(), about `room` offsets; how many were looked at.
  std::size_t expire_part(OffsetSweep& sweep, std::size_t room, Now now, std::vector<CoordinatorRecord>& records,
                          std::vector<Shared>& ended);
  std::size_t forget_part(OffsetSweep& sweep, std::size_t room, std::vector<CoordinatorRecord>& records);
  // The records that end the group; it is gone from memory.
  void end_group(const std::string& group_id, std::vector<CoordinatorRecord>& records, std::vector<Shared>& ended);

  GroupOptions options_;
  const GroupStateReader& state_;
  TimerQueue timers_;
  PendingAppends appends_;
  ClassicRebalancer rebalancer_;
  std::map<std::string, Shared, std::less<>> groups_;
  Timestamp loaded_at_;
  bool is_loaded_ = false;
  std::optional<std::string> last_loaded_;
  // Members of groups of other types cannot send heartbeats here: a session timeout after the load they count no longer, as
  // Apache Kafka would fence them. Their records stay until the group ends or becomes a classic one.
  std::optional<MonotonicTime> others_expire_at_;
  bool others_have_expired_ = false;
};

}  // namespace kurier::coordinator
