#include "coordinator/group/classic_group.h"

#include <algorithm>

#include "base/check.h"
#include "coordinator/group/java_strings.h"
#include "protocol/messages/consumer_protocol_subscription.h"

namespace kurier::coordinator {

using protocol::ErrorCode;
using protocol::GroupMetadataValue;

namespace {

// Where Java's HashMap keeps a string: it decides ties between protocols in Apache Kafka.
std::uint32_t java_bucket(std::string_view text, std::size_t entries) {
  std::size_t capacity = 16;
  while (entries > capacity / 4 * 3) capacity *= 2;
  const auto hash = static_cast<std::uint32_t>(java_hash(text));
  return (hash ^ (hash >> 16)) & static_cast<std::uint32_t>(capacity - 1);
}

// The topics of a subscription; none if it is malformed. Only what version 0 has is read, whatever the version.
std::optional<std::vector<std::string>> topics_of(const Bytes& subscription) {
  protocol::Reader reader(subscription);
  static_cast<void>(reader.int16());
  protocol::ConsumerProtocolSubscription decoded;
  decoded.decode(reader, 0);
  return reader.ok() ? std::optional(std::move(decoded.topics)) : std::nullopt;
}

bool may_follow(ClassicGroupState before, ClassicGroupState after) {
  using enum ClassicGroupState;
  switch (after) {
    case kEmpty: return before == kPreparingRebalance;
    case kPreparingRebalance: return before == kStable || before == kCompletingRebalance || before == kEmpty;
    case kCompletingRebalance: return before == kPreparingRebalance;
    case kStable: return before == kCompletingRebalance;
    case kDead: return true;
  }
  return false;
}

}  // namespace

const char* to_string(ClassicGroupState state) {
  switch (state) {
    case ClassicGroupState::kEmpty: return "Empty";
    case ClassicGroupState::kPreparingRebalance: return "PreparingRebalance";
    case ClassicGroupState::kCompletingRebalance: return "CompletingRebalance";
    case ClassicGroupState::kStable: return "Stable";
    case ClassicGroupState::kDead: return "Dead";
  }
  return "Unknown";
}

const GroupProtocol* ClassicMember::protocol(std::string_view name) const {
  const auto found = std::ranges::find(protocols, name, &GroupProtocol::name);
  return found == protocols.end() ? nullptr : &*found;
}

ClassicGroup::ClassicGroup(std::string group_id, Timestamp now) : group_id_(std::move(group_id)), state_since_(now) {}

ClassicGroup::ClassicGroup(std::string group_id, const GroupMetadataValue& record) : group_id_(std::move(group_id)) {
  generation_id_ = record.generation;
  if (!record.protocol_type.empty()) protocol_type_ = record.protocol_type;
  protocol_name_ = record.protocol;
  leader_id_ = record.leader;
  if (record.current_state_timestamp != Timestamp(-1)) state_since_ = record.current_state_timestamp;
  for (const auto& stored : record.members) {
    ClassicMember member;
    member.member_id = stored.member_id;
    member.group_instance_id = stored.group_instance_id;
    member.client_id = stored.client_id;
    member.client_host = stored.client_host;
    member.session_timeout = Milliseconds(stored.session_timeout);
    member.rebalance_timeout =
        Milliseconds(stored.rebalance_timeout == -1 ? stored.session_timeout : stored.rebalance_timeout);
    member.protocols.push_back({record.protocol.value_or(""), stored.subscription, {}});
    member.assignment = stored.assignment;
    if (!has_member(member.member_id)) add(std::move(member), record.protocol_type);
  }
  if (!members_.empty()) {
    state_ = ClassicGroupState::kStable;
    if (!protocol_name_) protocol_name_ = "";
  }
  if (leader_id_ && !has_member(*leader_id_))
    leader_id_ = members_.empty() ? std::nullopt : std::optional(members_.begin()->first);
  subscribed_topics_ = compute_subscribed_topics();
}

ClassicMember* ClassicGroup::member(std::string_view member_id) {
  const auto found = members_.find(member_id);
  return found == members_.end() ? nullptr : &found->second;
}

const std::string* ClassicGroup::static_member(std::string_view group_instance_id) const {
  const auto found = static_members_.find(group_instance_id);
  return found == static_members_.end() ? nullptr : &found->second;
}

ErrorCode ClassicGroup::check_member(std::string_view member_id, const std::optional<std::string>& instance_id) const {
  if (instance_id) {
    const std::string* known = static_member(*instance_id);
    if (known == nullptr) return ErrorCode::kUnknownMemberId;
    if (*known != member_id) return ErrorCode::kFencedInstanceId;
  }
  return has_member(member_id) ? ErrorCode::kNone : ErrorCode::kUnknownMemberId;
}

bool ClassicGroup::supports(std::string_view protocol_type, const std::vector<GroupProtocol>& protocols) const {
  if (is(ClassicGroupState::kEmpty)) return !protocol_type.empty() && !protocols.empty();
  if (protocol_type_ != protocol_type) return false;
  return std::ranges::any_of(protocols, [&](const GroupProtocol& protocol) {
    const auto votes = votes_.find(protocol.name);
    return (votes == votes_.end() ? 0 : votes->second) == members_.size();
  });
}

void ClassicGroup::add(ClassicMember member, std::string_view protocol_type) {
  if (member.group_instance_id) static_members_[*member.group_instance_id] = member.member_id;
  if (members_.empty()) protocol_type_ = std::string(protocol_type);
  if (!leader_id_) leader_id_ = member.member_id;
  pending_joins_.erase(member.member_id);
  count_votes(member, 1);
  if (member.awaiting_join) ++awaiting_join_;
  std::string id = member.member_id;
  const bool added = members_.emplace(std::move(id), std::move(member)).second;
  KURIER_CHECK(added);
}

void ClassicGroup::remove(std::string member_id) {
  if (const auto found = members_.find(member_id); found != members_.end()) {
    const ClassicMember& member = found->second;
    count_votes(member, -1);
    if (member.awaiting_join) --awaiting_join_;
    if (member.group_instance_id) static_members_.erase(*member.group_instance_id);
    members_.erase(found);
  }
  if (is_leader(member_id)) {
    leader_id_ = members_.empty() ? std::nullopt : std::optional(members_.begin()->first);
  }
  if (const auto found = pending_joins_.find(member_id); found != pending_joins_.end()) pending_joins_.erase(found);
  if (const auto found = pending_syncs_.find(member_id); found != pending_syncs_.end()) pending_syncs_.erase(found);
}

ClassicMember& ClassicGroup::replace_static(std::string old_member_id, std::string new_member_id) {
  auto node = members_.extract(old_member_id);
  KURIER_CHECK_MESSAGE(!node.empty(), old_member_id);
  ClassicMember& member = node.mapped();
  KURIER_CHECK(member.group_instance_id && !member.awaiting_join && !member.awaiting_sync);
  node.key() = new_member_id;
  member.member_id = new_member_id;
  member.is_new = false;
  member.session = Timer();
  static_members_[*member.group_instance_id] = new_member_id;
  if (is_leader(old_member_id)) leader_id_ = new_member_id;
  // Apache Kafka leaves the old id among those that have not synced, and rebalances when they time out.
  if (pending_syncs_.erase(old_member_id) > 0) pending_syncs_.insert(new_member_id);
  return members_.insert(std::move(node)).position->second;
}

void ClassicGroup::set_protocols(ClassicMember& member, std::vector<GroupProtocol> protocols) {
  count_votes(member, -1);
  member.protocols = std::move(protocols);
  count_votes(member, 1);
}

void ClassicGroup::await_join(ClassicMember& member, RequestToken token) {
  if (!member.awaiting_join) ++awaiting_join_;
  member.awaiting_join = token;
}

std::optional<RequestToken> ClassicGroup::take_join(ClassicMember& member) {
  if (member.awaiting_join) --awaiting_join_;
  return std::exchange(member.awaiting_join, std::nullopt);
}

bool ClassicGroup::can_rebalance() const { return may_follow(state_, ClassicGroupState::kPreparingRebalance); }

void ClassicGroup::move_to(ClassicGroupState state, Timestamp now) {
  KURIER_CHECK_MESSAGE(may_follow(state_, state), std::string(to_string(state_)) + " to " + to_string(state));
  previous_state_ = state_;
  state_ = state;
  state_since_ = now;
}

bool ClassicGroup::elect_joined_leader() {
  if (!leader_id_) return false;
  if (member(*leader_id_)->awaiting_join) return true;
  for (const auto& [id, member] : members_) {
    if (!member.awaiting_join) continue;
    leader_id_ = id;
    return true;
  }
  return false;
}

std::string ClassicGroup::select_protocol() const {
  KURIER_CHECK(!members_.empty());
  std::map<std::string_view, std::size_t> ballots;
  for (const auto& [id, member] : members_) {
    const auto choice = std::ranges::find_if(member.protocols, [&](const GroupProtocol& protocol) {
      const auto votes = votes_.find(protocol.name);
      return votes != votes_.end() && votes->second == members_.size();
    });
    if (choice != member.protocols.end()) ++ballots[choice->name];
  }
  KURIER_CHECK(!ballots.empty());
  const auto before = [&](const auto& left, const auto& right) {
    if (left.second != right.second) return left.second > right.second;
    return java_bucket(left.first, ballots.size()) < java_bucket(right.first, ballots.size());
  };
  return std::string(std::ranges::min_element(ballots, before)->first);
}

void ClassicGroup::next_generation(Timestamp now) {
  ++generation_id_;
  protocol_name_ = members_.empty() ? std::nullopt : std::optional(select_protocol());
  subscribed_topics_ = compute_subscribed_topics();
  move_to(members_.empty() ? ClassicGroupState::kEmpty : ClassicGroupState::kCompletingRebalance, now);
  pending_syncs_.clear();
}

Milliseconds ClassicGroup::rebalance_timeout() const {
  Milliseconds longest{0};
  for (const auto& [id, member] : members_) longest = std::max(longest, member.rebalance_timeout);
  return longest;
}

bool ClassicGroup::is_subscribed_to(const std::string& topic) const {
  return subscribed_topics_ ? subscribed_topics_->contains(topic) : uses_consumer_protocol();
}

GroupMetadataValue ClassicGroup::record(const std::map<std::string, Bytes>& assignments) const {
  GroupMetadataValue value;
  value.protocol_type = protocol_type_.value_or("");
  value.generation = generation_id_;
  value.protocol = protocol_name_;
  value.leader = leader_id_;
  value.current_state_timestamp = state_since_.value_or(Timestamp(-1));
  for (const auto& [id, member] : members_) {
    const GroupProtocol* protocol = protocol_name_ ? member.protocol(*protocol_name_) : nullptr;
    KURIER_CHECK_MESSAGE(protocol != nullptr, group_id_);
    GroupMetadataValue::MemberMetadata stored;
    stored.member_id = id;
    stored.group_instance_id = member.group_instance_id;
    stored.client_id = member.client_id;
    stored.client_host = member.client_host;
    stored.rebalance_timeout = static_cast<std::int32_t>(member.rebalance_timeout.count());
    stored.session_timeout = static_cast<std::int32_t>(member.session_timeout.count());
    stored.subscription = protocol->metadata;
    if (const auto assigned = assignments.find(id); assigned != assignments.end()) stored.assignment = assigned->second;
    value.members.push_back(std::move(stored));
  }
  return value;
}

std::map<std::string, Bytes> ClassicGroup::assignments() const {
  std::map<std::string, Bytes> all;
  for (const auto& [id, member] : members_) all.emplace(id, member.assignment);
  return all;
}

void ClassicGroup::count_votes(const ClassicMember& member, int sign) {
  for (const GroupProtocol& protocol : member.protocols) {
    const auto votes = votes_.try_emplace(protocol.name, 0).first;
    votes->second += sign > 0 ? std::size_t{1} : ~std::size_t{0};
    if (votes->second == 0) votes_.erase(votes);
  }
}

std::optional<std::set<std::string>> ClassicGroup::compute_subscribed_topics() const {
  if (!uses_consumer_protocol()) return std::nullopt;
  std::set<std::string> topics;
  if (members_.empty()) return topics;
  if (!protocol_name_) return std::nullopt;
  for (const auto& [id, member] : members_) {
    const GroupProtocol* protocol = member.protocol(*protocol_name_);
    auto of_member = protocol == nullptr ? std::nullopt : topics_of(protocol->metadata);
    if (!of_member) return std::nullopt;
    topics.insert(std::make_move_iterator(of_member->begin()), std::make_move_iterator(of_member->end()));
  }
  return topics;
}

}  // namespace kurier::coordinator
