// Outcome: what an operation of a coordinator asks its caller to do, in this order: replay and append the records, send
// the answers. Values only. The contract is in docs/coordinator.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/ids.h"
#include "coordinator/runtime/append.h"
#include "protocol/messages/delete_groups_response.h"
#include "protocol/messages/join_group_response.h"
#include "protocol/messages/leave_group_response.h"
#include "protocol/messages/offset_commit_response.h"
#include "protocol/messages/offset_delete_response.h"
#include "protocol/messages/sync_group_response.h"
#include "protocol/messages/txn_offset_commit_response.h"

namespace kurier::coordinator {

using Response = std::variant<protocol::JoinGroupResponse, protocol::SyncGroupResponse, protocol::LeaveGroupResponse,
                              protocol::OffsetCommitResponse, protocol::TxnOffsetCommitResponse,
                              protocol::OffsetDeleteResponse, protocol::DeleteGroupsResponse>;

struct Answer {
  RequestToken token = 0;
  Response response;
};

struct Outcome {
  std::vector<Append> appends;  // at most one, except after tick()
  std::vector<Answer> answers;

  template <class Message>
  void answer(RequestToken token, Message message) {
    answers.push_back({token, Response(std::move(message))});
  }
};

// Who asks.
struct RequestContext {
  std::int16_t api_version = 0;
  std::string client_id;
  std::string client_host;  // as Java prints an address: "/127.0.0.1"
};

}  // namespace kurier::coordinator
