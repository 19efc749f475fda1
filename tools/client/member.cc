#include "tools/client/member.h"

#include <fmt/core.h>

#include <algorithm>

#include "protocol/messages/heartbeat_request.h"
#include "protocol/messages/heartbeat_response.h"
#include "protocol/messages/join_group_request.h"
#include "protocol/messages/leave_group_request.h"
#include "protocol/messages/leave_group_response.h"
#include "protocol/messages/offset_commit_request.h"
#include "protocol/messages/offset_commit_response.h"
#include "protocol/messages/sync_group_request.h"
#include "protocol/messages/sync_group_response.h"

namespace kurier::client {
namespace {

using protocol::ErrorCode;
constexpr std::int16_t kCommitNewest = 9;  // beyond it topics are named by id
constexpr std::int16_t kLeaveOfSeveral = 3;
constexpr auto kPause = std::chrono::milliseconds(100);
constexpr auto kBeyondRebalance = std::chrono::seconds(10);  // the coordinator answers within the rebalance timeout

const char* advice_for(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInconsistentGroupProtocol:
      return ": its members use none of the assignors that this program knows (range), or it is no group of consumers";
    case ErrorCode::kFencedInstanceId: return ": another member has taken this instance id";
    case ErrorCode::kInvalidSessionTimeout:
      return ": the session timeout is not within group.min.session.timeout.ms and group.max.session.timeout.ms";
    case ErrorCode::kGroupMaxSizeReached: return ": the group has group.max.size members";
    default: return "";
  }
}

}  // namespace

Member::Member(Cluster& cluster, MemberOptions options)
    : cluster_(cluster), options_(std::move(options)), last_answer_(cluster.loop().now()) {}

Task<void> Member::pause() { co_await sleep_until(cluster_.loop().reactor, cluster_.loop().now() + kPause); }

void Member::cancel() {
  is_cancelled_ = true;
  if (is_joining_ && channel_) channel_->close();
}

bool Member::gives_up(const Error& error) {
  channel_.reset();
  return error.failure == Failure::kUnsupported || error.failure == Failure::kMalformed ||
         cluster_.loop().now() - last_answer_ > options_.rebalance_timeout + cluster_.patience();
}

Task<Result<void>> Member::connect() {
  if (channel_) co_return Result<void>{};
  const Result<BrokerId> coordinator = co_await cluster_.coordinator_of(options_.group);
  if (!coordinator) co_return std::unexpected(coordinator.error());
  auto channel = co_await cluster_.open_channel(*coordinator);
  if (!channel) co_return std::unexpected(channel.error());
  channel_ = std::move(*channel);
  co_return Result<void>{};
}

// What an error of the group's protocol asks of a member.
Result<Member::Next> Member::next_after(std::string_view what, ErrorCode code) {
  last_answer_ = cluster_.loop().now();
  switch (code) {
    case ErrorCode::kNone: return Next::kDone;
    case ErrorCode::kUnknownMemberId:
      member_id_.clear();
      generation_ = -1;
      return Next::kAgain;
    case ErrorCode::kIllegalGeneration: generation_ = -1; return Next::kAgain;
    case ErrorCode::kRebalanceInProgress:
    case ErrorCode::kMemberIdRequired: return Next::kAgain;
    default: break;
  }
  if (is_passing(code)) {
    channel_.reset();
    return Next::kAgain;
  }
  return fail(Failure::kInvalid,
              fmt::format("{} group '{}': {}{}", what, options_.group, protocol::to_string(code), advice_for(code)));
}

Task<Result<Assignment>> Member::join() {
  while (!is_cancelled_) {
    is_joining_ = true;
    Result<Next> next = co_await join_once();
    if (next && *next == Next::kDone) next = co_await sync_once();
    is_joining_ = false;
    if (next && *next == Next::kDone) co_return assignment_;
    if (is_cancelled_) break;
    if (!next && (next.error().failure == Failure::kInvalid || gives_up(next.error()))) {
      co_return std::unexpected(next.error());
    }
    if (!next || !channel_) co_await pause();
  }
  co_return fail(Failure::kCancelled, "joining was cancelled");
}

Task<Result<Member::Next>> Member::join_once() {
  const Result<void> connected = co_await connect();
  if (!connected) co_return std::unexpected(connected.error());
  protocol::JoinGroupRequest request;
  request.group_id = options_.group;
  request.session_timeout_ms = static_cast<std::int32_t>(options_.session_timeout.count());
  request.rebalance_timeout_ms = static_cast<std::int32_t>(options_.rebalance_timeout.count());
  request.member_id = member_id_;
  request.group_instance_id = options_.instance_id;
  request.protocol_type = kConsumerProtocolType;
  auto& range = request.protocols.emplace_back();
  range.name = kRangeAssignor;
  range.metadata = encode_subscription(options_.topics);
  channel_->set_patience(options_.rebalance_timeout + kBeyondRebalance);
  const auto joined = co_await channel_->ask<protocol::JoinGroupResponse>(std::move(request));
  if (!joined) co_return std::unexpected(joined.error());
  channel_->set_patience(cluster_.patience());
  const Result<Next> next = next_after("joining", joined->error_code);
  if (joined->error_code == ErrorCode::kMemberIdRequired) member_id_ = joined->member_id;
  if (!next || *next != Next::kDone) co_return next;
  member_id_ = joined->member_id;
  generation_ = joined->generation_id;
  protocol_ = joined->protocol_name;
  assignments_.clear();
  assigned_counts_.clear();
  if (joined->leader == member_id_ && !joined->skip_assignment) {
    const Result<void> assigned = co_await assign(*joined);
    if (!assigned) co_return std::unexpected(assigned.error());
  }
  co_return Next::kDone;
}

Task<Result<std::map<std::string, std::int32_t>>> Member::partition_counts() {
  const auto topics = co_await cluster_.all_topics();
  if (!topics) co_return std::unexpected(topics.error());
  std::map<std::string, std::int32_t> counts;
  for (const TopicInfo& topic : *topics) counts[topic.name] = static_cast<std::int32_t>(topic.partitions.size());
  co_return counts;
}

Task<Result<bool>> Member::is_outdated() {
  if (assigned_counts_.empty()) co_return false;
  const auto counts = co_await partition_counts();
  if (!counts) co_return false;  // it is seen the next time
  co_return std::ranges::any_of(assigned_counts_, [&](const auto& assigned) {
    const auto now = counts->find(assigned.first);
    return (now != counts->end() ? now->second : 0) != assigned.second;
  });
}

// As the group's leader: what each member gets.
Task<Result<void>> Member::assign(const protocol::JoinGroupResponse& joined) {
  std::vector<Subscriber> subscribers;
  for (const auto& member : joined.members) {
    auto topics = parse_subscription(member.metadata);
    if (!topics) co_return std::unexpected(topics.error().within(fmt::format("member {}", member.member_id)));
    subscribers.push_back({member.member_id, member.group_instance_id, std::move(*topics)});
  }
  const auto counts = co_await partition_counts();
  if (!counts) co_return std::unexpected(counts.error());
  for (const Subscriber& subscriber : subscribers) {
    for (const std::string& topic : subscriber.topics) {
      const auto count = counts->find(topic);
      assigned_counts_[topic] = count != counts->end() ? count->second : 0;
    }
  }
  for (const auto& [member, assignment] : assign_ranges(subscribers, *counts)) {
    assignments_.emplace_back(member, encode_assignment(assignment));
  }
  co_return Result<void>{};
}

Task<Result<Member::Next>> Member::sync_once() {
  protocol::SyncGroupRequest request;
  request.group_id = options_.group;
  request.generation_id = generation_;
  request.member_id = member_id_;
  request.group_instance_id = options_.instance_id;
  request.protocol_type = kConsumerProtocolType;
  request.protocol_name = protocol_;
  for (const auto& [member, bytes] : assignments_) {
    auto& one = request.assignments.emplace_back();
    one.member_id = member;
    one.assignment = bytes;
  }
  channel_->set_patience(options_.rebalance_timeout + kBeyondRebalance);
  const auto synced = co_await channel_->ask<protocol::SyncGroupResponse>(std::move(request));
  if (!synced) co_return std::unexpected(synced.error());
  channel_->set_patience(cluster_.patience());
  const Result<Next> next = next_after("syncing with", synced->error_code);
  if (!next || *next != Next::kDone) co_return next;
  auto assignment = parse_assignment(synced->assignment);
  if (!assignment) co_return std::unexpected(assignment.error());
  assignment_ = std::move(*assignment);
  co_return Next::kDone;
}

Task<Result<bool>> Member::heartbeat() {
  const Result<void> connected = co_await connect();
  if (!connected) {
    if (gives_up(connected.error())) co_return std::unexpected(connected.error());
    co_return true;  // the session may outlive this: fetch on, and try again
  }
  protocol::HeartbeatRequest request;
  request.group_id = options_.group;
  request.generation_id = generation_;
  request.member_id = member_id_;
  request.group_instance_id = options_.instance_id;
  const auto response = co_await channel_->ask<protocol::HeartbeatResponse>(std::move(request));
  if (!response) {
    if (gives_up(response.error())) co_return std::unexpected(response.error());
    co_return true;
  }
  const Result<Next> next = next_after("heartbeat to", response->error_code);
  if (!next) co_return std::unexpected(next.error());
  co_return *next == Next::kDone || is_passing(response->error_code);
}

Task<Result<bool>> Member::commit(CommittedOffsets offsets) {
  if (offsets.empty()) co_return true;
  protocol::OffsetCommitRequest request;
  request.group_id = options_.group;
  request.generation_id_or_member_epoch = generation_;
  request.member_id = member_id_;
  request.group_instance_id = options_.instance_id;
  request.topics = topics_to_commit(offsets);
  const MonotonicTime give_up = cluster_.loop().now() + cluster_.patience();
  while (true) {
    const Result<void> connected = co_await connect();
    if (!connected) co_return std::unexpected(connected.error());
    const auto response = co_await channel_->ask<protocol::OffsetCommitResponse>(request, kCommitNewest);
    ErrorCode code = ErrorCode::kNone;
    if (response) {
      for (const auto& topic : response->topics) {
        for (const auto& partition : topic.partitions) {
          if (partition.error_code != ErrorCode::kNone) code = partition.error_code;
        }
      }
      // Its partitions are not this member's any more, or the topic is gone: there is nothing to commit.
      if (code == ErrorCode::kUnknownTopicOrPartition) co_return true;
      const Result<Next> next = next_after("committing for", code);
      if (!next) co_return std::unexpected(next.error());
      if (*next == Next::kDone) co_return true;
      if (!is_passing(code)) co_return false;
    } else {
      channel_.reset();
    }
    if (cluster_.loop().now() >= give_up) {
      co_return fail(Failure::kTimeout, fmt::format("committing for group '{}': {}", options_.group,
                                                    response ? protocol::to_string(code) : response.error().context));
    }
    co_await pause();
  }
}

Task<Result<void>> Member::leave() {
  if (member_id_.empty() || options_.instance_id) co_return Result<void>{};
  if (is_cancelled_) channel_.reset();  // a join may have been pending on it
  const Result<void> connected = co_await connect();
  if (!connected) co_return connected;
  const auto version = channel_->version_of(protocol::LeaveGroupRequest::kApiKey);
  if (!version) co_return std::unexpected(version.error());
  protocol::LeaveGroupRequest request;
  request.group_id = options_.group;
  if (*version >= kLeaveOfSeveral) {
    auto& self = request.members.emplace_back();
    self.member_id = member_id_;
    self.reason = "the consumer is being closed";
  } else {
    request.member_id = member_id_;
  }
  const auto response = co_await channel_->ask<protocol::LeaveGroupResponse>(std::move(request));
  if (!response) co_return std::unexpected(response.error());
  member_id_.clear();
  generation_ = -1;
  co_return Result<void>{};
}

}  // namespace kurier::client
