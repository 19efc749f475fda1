// ClassicGroup: one group of the classic protocol while its coordinator leads: members, votes, state, and who waits for
// an answer. It knows what is consistent in itself; when what happens is decided by ClassicRebalancer. Not durable: a
// coordinator that loads makes it from the last group record. One thread.
//
// Always: awaiting_join() counts the members that wait for a JoinGroup answer; votes_ counts each protocol of each
// member; the leader, if there is one, is a member; an empty group (Empty) has no members.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "coordinator/group/outcome.h"
#include "coordinator/group/timers.h"
#include "protocol/messages/group_metadata_value.h"
#include "protocol/messages/join_group_request.h"

namespace kurier::coordinator {

using Milliseconds = std::chrono::milliseconds;
using GroupProtocol = protocol::JoinGroupRequest::JoinGroupRequestProtocol;

enum class ClassicGroupState { kEmpty, kPreparingRebalance, kCompletingRebalance, kStable, kDead };
[[nodiscard]] const char* to_string(ClassicGroupState state);  // Kafka's: "PreparingRebalance"

struct ClassicMember {
  std::string member_id;
  std::optional<std::string> group_instance_id;  // KIP-345: a static member
  std::string client_id;
  std::string client_host;
  Milliseconds rebalance_timeout{};
  Milliseconds session_timeout{};
  std::vector<GroupProtocol> protocols;  // in the order of the member's preference
  Bytes assignment;
  bool is_new = false;  // since it joined, until the join phase is complete
  std::optional<RequestToken> awaiting_join;
  std::optional<RequestToken> awaiting_sync;
  Timer session;

  [[nodiscard]] bool is_static() const { return group_instance_id.has_value(); }
  [[nodiscard]] const GroupProtocol* protocol(std::string_view name) const;
  // Waiting for the coordinator counts as being alive, except for a member that has never been told anything.
  [[nodiscard]] bool is_excused() const { return !is_new && (awaiting_join || awaiting_sync); }
};

class ClassicGroup {
 public:
  using Members = std::map<std::string, ClassicMember, std::less<>>;

  // A new group, or one that is known by its offsets only.
  ClassicGroup(std::string group_id, Timestamp now);
  // As the last record has it; its members have no session timers yet.
  ClassicGroup(std::string group_id, const protocol::GroupMetadataValue& record);

  [[nodiscard]] const std::string& group_id() const { return group_id_; }
  [[nodiscard]] ClassicGroupState state() const { return state_; }
  [[nodiscard]] bool is(ClassicGroupState state) const { return state_ == state; }
  [[nodiscard]] ClassicGroupState previous_state() const { return previous_state_; }
  [[nodiscard]] std::int32_t generation_id() const { return generation_id_; }
  [[nodiscard]] const std::optional<std::string>& protocol_type() const { return protocol_type_; }
  [[nodiscard]] const std::optional<std::string>& protocol_name() const { return protocol_name_; }
  [[nodiscard]] const std::optional<std::string>& leader_id() const { return leader_id_; }
  [[nodiscard]] std::optional<Timestamp> state_since() const { return state_since_; }
  // Why the group last began to rebalance, for people.
  [[nodiscard]] const std::string& rebalance_reason() const { return rebalance_reason_; }

  [[nodiscard]] const Members& members() const { return members_; }
  [[nodiscard]] Members& members() { return members_; }
  [[nodiscard]] ClassicMember* member(std::string_view member_id);
  [[nodiscard]] bool has_member(std::string_view member_id) const { return members_.find(member_id) != members_.end(); }
  [[nodiscard]] bool is_leader(std::string_view member_id) const { return leader_id_ && *leader_id_ == member_id; }
  [[nodiscard]] const std::string* static_member(std::string_view group_instance_id) const;
  // FENCED_INSTANCE_ID, UNKNOWN_MEMBER_ID, or none.
  [[nodiscard]] protocol::ErrorCode check_member(std::string_view member_id,
                                                 const std::optional<std::string>& instance_id) const;

  // The group can work with a member that has these.
  [[nodiscard]] bool supports(std::string_view protocol_type, const std::vector<GroupProtocol>& protocols) const;
  void add(ClassicMember member, std::string_view protocol_type);
  // A member or a pending member; what it waited for has been answered.
  void remove(std::string member_id);
  // The new member takes the place of the old one, with all but its id and what it waits for.
  ClassicMember& replace_static(std::string old_member_id, std::string new_member_id);
  void set_protocols(ClassicMember& member, std::vector<GroupProtocol> protocols);

  // Who waits: the count is kept here, the answers are the rebalancer's.
  void await_join(ClassicMember& member, RequestToken token);
  std::optional<RequestToken> take_join(ClassicMember& member);
  [[nodiscard]] std::size_t awaiting_join() const { return awaiting_join_; }
  [[nodiscard]] bool everyone_joined() const { return members_.size() == awaiting_join_ && pending_joins_.empty(); }

  // KIP-394: members that were given an id and have not come back with it.
  [[nodiscard]] std::map<std::string, Timer, std::less<>>& pending_joins() { return pending_joins_; }
  [[nodiscard]] const std::map<std::string, Timer, std::less<>>& pending_joins() const { return pending_joins_; }
  // Members that have the answer to JoinGroup and have not sent SyncGroup.
  [[nodiscard]] std::set<std::string, std::less<>>& pending_syncs() { return pending_syncs_; }

  [[nodiscard]] bool can_rebalance() const;
  void move_to(ClassicGroupState state, Timestamp now);
  void set_rebalance_reason(std::string reason) { rebalance_reason_ = std::move(reason); }
  // If the leader did not join, another that did leads. False if nobody joined.
  bool elect_joined_leader();
  // The protocol with the most votes among those that every member has. There are members.
  [[nodiscard]] std::string select_protocol() const;
  // The join phase is over: to CompletingRebalance, or Empty.
  void next_generation(Timestamp now);
  [[nodiscard]] Milliseconds rebalance_timeout() const;  // the longest of the members'

  // Of groups with the protocol type "consumer"; none if it is not known.
  [[nodiscard]] const std::optional<std::set<std::string>>& subscribed_topics() const { return subscribed_topics_; }
  [[nodiscard]] bool is_subscribed_to(const std::string& topic) const;
  [[nodiscard]] bool uses_consumer_protocol() const { return protocol_type_ == "consumer"; }
  // Known by its offsets only.
  [[nodiscard]] bool is_simple() const {
    return !protocol_type_ && is(ClassicGroupState::kEmpty) && pending_joins_.empty();
  }

  // The record of the group as it is, with these assignments (missing ones are empty).
  [[nodiscard]] protocol::GroupMetadataValue record(const std::map<std::string, Bytes>& assignments) const;
  [[nodiscard]] std::map<std::string, Bytes> assignments() const;

  Timer join_timer;
  Timer sync_timer;
  // group.initial.rebalance.delay.ms: the join phase of a group that was empty waits for more members.
  struct InitialDelay {
    Milliseconds delay{};
    Milliseconds remaining{};
    bool member_came = false;  // since the last wait began
  };
  std::optional<InitialDelay> initial_delay;
  // The generation whose assignment is being appended; a second one of the same leader waits for it.
  std::optional<std::int32_t> storing_generation;

 private:
  void count_votes(const ClassicMember& member, int sign);
  [[nodiscard]] std::optional<std::set<std::string>> compute_subscribed_topics() const;

  std::string group_id_;
  ClassicGroupState state_ = ClassicGroupState::kEmpty;
  ClassicGroupState previous_state_ = ClassicGroupState::kDead;
  std::optional<Timestamp> state_since_;
  std::int32_t generation_id_ = 0;
  std::optional<std::string> protocol_type_;
  std::optional<std::string> protocol_name_;
  std::optional<std::string> leader_id_;
  Members members_;
  std::map<std::string, std::string, std::less<>> static_members_;  // instance id → member id
  std::map<std::string, Timer, std::less<>> pending_joins_;
  std::set<std::string, std::less<>> pending_syncs_;
  std::size_t awaiting_join_ = 0;
  std::map<std::string, std::size_t, std::less<>> votes_;  // protocol → members that have it
  std::optional<std::set<std::string>> subscribed_topics_;
  std::string rebalance_reason_;
};

}  // namespace kurier::coordinator
