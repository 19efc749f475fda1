// Member: one member of a classic group of consumers, with the range assignor, so that it can share a group with Java's
// and librdkafka's consumers. A shell over one channel to the coordinator; one call at a time, on the loop's thread.
//
// The caller fetches; between two polls it calls `heartbeat`, at least every `heartbeat_interval`. When that returns
// false, the caller commits what it has and joins again (the eager protocol: nothing is kept over a rebalance).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "protocol/messages/join_group_response.h"
#include "tools/client/cluster.h"
#include "tools/client/groups.h"

namespace kurier::client {

struct MemberOptions {
  std::string group;
  std::vector<std::string> topics;
  std::optional<std::string> instance_id;  // group.instance.id: a static member
  std::chrono::milliseconds session_timeout{45'000};  // session.timeout.ms
  std::chrono::milliseconds rebalance_timeout{300'000};  // max.poll.interval.ms
};

class Member {
 public:
  Member(Cluster& cluster, MemberOptions options);

  // Waits for the group's next generation: what this member gets in it. kCancelled after `cancel`.
  Task<Result<Assignment>> join();
  // False: this member has to join again.
  Task<Result<bool>> heartbeat();
  // True if this member leads the group and the partitions of what it subscribes to are not those that it assigned: it
  // has to join again. Java's leader looks as often as metadata.max.age.ms says.
  Task<Result<bool>> is_outdated();
  // False: this member is not in the generation any more, or it rebalances just now; nothing is committed.
  Task<Result<bool>> commit(CommittedOffsets offsets);
  // A dynamic member goes, so that its partitions are free at once. A static one is expected back and stays.
  Task<Result<void>> leave();
  // Ends a pending join, and refuses the next one. May be called at any time.
  void cancel();

  [[nodiscard]] const std::string& id() const { return member_id_; }
  [[nodiscard]] std::int32_t generation() const { return generation_; }

 private:
  enum class Next { kDone, kAgain };
  Task<Result<void>> connect();
  Task<Result<Next>> join_once();
  Task<Result<Next>> sync_once();
  Task<Result<std::map<std::string, std::int32_t>>> partition_counts();
  Task<Result<void>> assign(const protocol::JoinGroupResponse& joined);
  Result<Next> next_after(std::string_view what, protocol::ErrorCode code);
  // False if only this connection failed: another attempt makes sense until `patience` is over.
  [[nodiscard]] bool gives_up(const Error& error);
  Task<void> pause();

  Cluster& cluster_;
  MemberOptions options_;
  std::unique_ptr<Channel> channel_;
  std::string member_id_;
  std::int32_t generation_ = -1;
  std::optional<std::string> protocol_;  // the assignor of this generation
  std::vector<std::pair<std::string, Bytes>> assignments_;  // of all members, if this one leads
  std::map<std::string, std::int32_t> assigned_counts_;  // of the topics that this one assigned as the leader
  Assignment assignment_;
  MonotonicTime last_answer_;
  bool is_joining_ = false;
  bool is_cancelled_ = false;
};

}  // namespace kurier::client
