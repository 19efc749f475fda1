// A client that is, or wants to be, a member of a classic group: its requests, and what it makes of the answers.
#pragma once

#include <fmt/core.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "protocol/messages/consumer_protocol_subscription.h"
#include "protocol/messages/heartbeat_request.h"
#include "protocol/messages/join_group_request.h"
#include "protocol/messages/join_group_response.h"
#include "protocol/messages/leave_group_request.h"
#include "protocol/messages/sync_group_request.h"
#include "protocol/messages/sync_group_response.h"

namespace kurier::test {

// What a leader assigns: which assignment it is, and whose part.
inline std::string assignment_text(std::int64_t serial, const std::string& member) {
  return fmt::format("{}:{}", serial, member);
}
inline std::string serial_of(const std::string& assignment) { return assignment.substr(0, assignment.find(':')); }

struct GroupMember {
  std::string name;
  std::string group;
  std::optional<std::string> instance;
  std::string id;
  std::int32_t generation = -1;
  bool leads = false;
  std::vector<std::string> members;  // to assign to
  std::size_t protocols = 0;         // what it reads, and with which protocols
  enum class Wish { kJoin, kWait, kSync, kWork } wish = Wish::kJoin;  // what a good client does next

  // Of two groups; every third is static.
  static std::vector<GroupMember> some(std::size_t in_g, std::size_t in_h) {
    std::vector<GroupMember> all;
    for (std::size_t i = 0; i < in_g + in_h; ++i) {
      GroupMember& member = all.emplace_back();
      member.name = fmt::format("c{}", i);
      member.group = i < in_g ? "g" : "h";
      if (i % 3 == 0) member.instance = fmt::format("i{}", i);
      member.protocols = i % 2;
    }
    return all;
  }

  [[nodiscard]] protocol::JoinGroupRequest join_request(Random& random, bool restarts) const {
    protocol::JoinGroupRequest request;
    request.group_id = group;
    request.group_instance_id = instance;
    request.protocol_type = "consumer";
    request.session_timeout_ms = 6'000 + static_cast<std::int32_t>(random.below(3)) * 4'000;
    request.rebalance_timeout_ms = 10'000 + static_cast<std::int32_t>(random.below(3)) * 10'000;
    protocol::ConsumerProtocolSubscription subscription;
    subscription.topics = {fmt::format("t{}", protocols)};
    protocol::Writer writer;
    writer.int16(0);
    subscription.encode(writer, 0);
    const Bytes metadata = writer.take_bytes();
    for (const char* protocol : {"range", "sticky"}) request.protocols.push_back({protocol, metadata, {}});
    if (protocols == 1) std::ranges::reverse(request.protocols);
    request.member_id = restarts ? "" : id;
    return request;
  }
  // A leader gives each member its part of the assignment `serial`, or forgets one.
  [[nodiscard]] protocol::SyncGroupRequest sync_request(Random& random, std::int64_t serial) const {
    protocol::SyncGroupRequest request;
    request.group_id = group;
    request.member_id = id;
    request.group_instance_id = instance;
    request.generation_id = generation;
    for (const std::string& member : members) {
      if (leads && random.below(10) != 0)
        request.assignments.push_back({member, to_bytes(assignment_text(serial, member)), {}});
    }
    return request;
  }
  [[nodiscard]] protocol::HeartbeatRequest heartbeat_request() const {
    protocol::HeartbeatRequest request;
    request.group_id = group;
    request.member_id = id;
    request.group_instance_id = instance;
    request.generation_id = generation;
    return request;
  }
  [[nodiscard]] protocol::LeaveGroupRequest leave_request(Random& random) const {
    protocol::LeaveGroupRequest request;
    request.group_id = group;
    auto& member = request.members.emplace_back();
    member.member_id = instance && random.below(2) == 0 ? "" : id;
    member.group_instance_id = instance;
    return request;
  }

  // False: an error.
  bool hear(const protocol::JoinGroupResponse& response) {
    using protocol::ErrorCode;
    const ErrorCode error = response.error_code;
    if (error == ErrorCode::kMemberIdRequired) id = response.member_id;
    if (error == ErrorCode::kUnknownMemberId || error == ErrorCode::kFencedInstanceId) id.clear();
    wish = error == ErrorCode::kNone ? Wish::kSync : Wish::kJoin;
    if (error != ErrorCode::kNone) return false;
    id = response.member_id;
    generation = response.generation_id;
    leads = response.leader == response.member_id && !response.skip_assignment;
    members.clear();
    for (const auto& member : response.members) members.push_back(member.member_id);
    return true;
  }
  bool hear(const protocol::SyncGroupResponse& response) {
    using protocol::ErrorCode;
    wish = response.error_code == ErrorCode::kNone ? Wish::kWork : Wish::kJoin;
    if (response.error_code == ErrorCode::kUnknownMemberId) id.clear();
    return response.error_code == ErrorCode::kNone;
  }
};

}  // namespace kurier::test
