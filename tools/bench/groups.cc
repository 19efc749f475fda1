// Many groups: what a join, a heartbeat and a commit cost the broker. Each member has a connection of its own, as clients
// have. Between two phases all members wait for one another, so that a phase holds requests of one kind only.
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "protocol/messages/heartbeat_request.h"
#include "protocol/messages/heartbeat_response.h"
#include "protocol/messages/join_group_request.h"
#include "protocol/messages/join_group_response.h"
#include "protocol/messages/leave_group_request.h"
#include "protocol/messages/leave_group_response.h"
#include "protocol/messages/offset_commit_request.h"
#include "protocol/messages/offset_commit_response.h"
#include "protocol/messages/sync_group_request.h"
#include "protocol/messages/sync_group_response.h"
#include "tools/bench/cluster.h"
#include "tools/bench/process.h"
#include "tools/bench/workloads.h"
#include "tools/client/consumer_protocol.h"
#include "tools/client/groups.h"

namespace kurier::bench {
namespace {

using protocol::ErrorCode;
constexpr std::int16_t kCommitNewest = 9;  // beyond it topics are named by id
constexpr std::size_t kReceiveBytes = 4096;  // of each connection: there are thousands
constexpr auto kPatience = std::chrono::seconds(30);

Result<void> expect_none(std::string_view what, ErrorCode code) {
  if (code == ErrorCode::kNone) return {};
  return fail(Failure::kInvalid, fmt::format("{}: {}", what, protocol::to_string(code)));
}

// One member of one group; `index` is also the partition that it commits.
class Member {
 public:
  Member(const Options& options, std::string topic, std::string group, std::int32_t index,
         std::unique_ptr<Channel> channel)
      : options_(options),
        topic_(std::move(topic)),
        group_(std::move(group)),
        index_(index),
        channel_(std::move(channel)) {}

  Task<Result<void>> join(std::uint32_t round);
  Task<Result<void>> heartbeat();
  Task<Result<void>> commit();
  Task<Result<void>> leave();
  void close() { channel_->close(); }

 private:
  Task<Result<void>> sync(protocol::JoinGroupResponse joined);

  const Options& options_;
  std::string topic_;
  std::string group_;
  std::int32_t index_;
  std::unique_ptr<Channel> channel_;
  std::string member_id_;
  std::int32_t generation_ = -1;
};

// A subscription that differs in each round, so that the first member to come makes all of them join.
Task<Result<void>> Member::join(std::uint32_t round) {
  protocol::JoinGroupRequest request;
  request.group_id = group_;
  request.session_timeout_ms = options_.session_timeout_ms;
  request.rebalance_timeout_ms = options_.session_timeout_ms;
  request.protocol_type = client::kConsumerProtocolType;
  auto& range = request.protocols.emplace_back();
  range.name = client::kRangeAssignor;
  range.metadata = client::encode_subscription({topic_}, as_bytes(std::to_string(round)));
  while (true) {
    request.member_id = member_id_;
    auto joined = co_await channel_->ask<protocol::JoinGroupResponse>(request);
    if (!joined) co_return std::unexpected(joined.error());
    member_id_ = joined->member_id;
    if (joined->error_code == ErrorCode::kMemberIdRequired) continue;
    const Result<void> fine = expect_none("JoinGroup", joined->error_code);
    if (!fine) co_return fine;
    generation_ = joined->generation_id;
    co_return co_await sync(std::move(*joined));
  }
}

Task<Result<void>> Member::sync(protocol::JoinGroupResponse joined) {
  protocol::SyncGroupRequest request;
  request.group_id = group_;
  request.generation_id = generation_;
  request.member_id = member_id_;
  request.protocol_type = client::kConsumerProtocolType;
  request.protocol_name = client::kRangeAssignor;
  if (joined.leader == member_id_) {
    if (joined.members.size() != options_.members) {
      co_return fail(Failure::kInvalid, fmt::format("group '{}' has {} members in generation {}, expected {}", group_,
                                                    joined.members.size(), generation_, options_.members));
    }
    std::vector<client::Subscriber> subscribers;
    for (const auto& member : joined.members) subscribers.push_back({member.member_id, std::nullopt, {topic_}});
    const auto partitions = static_cast<std::int32_t>(options_.members);
    for (const auto& [member, assignment] : client::assign_ranges(subscribers, {{topic_, partitions}})) {
      auto& one = request.assignments.emplace_back();
      one.member_id = member;
      one.assignment = client::encode_assignment(assignment);
    }
  }
  const auto synced = co_await channel_->ask<protocol::SyncGroupResponse>(std::move(request));
  if (!synced) co_return std::unexpected(synced.error());
  co_return expect_none("SyncGroup", synced->error_code);
}

Task<Result<void>> Member::heartbeat() {
  protocol::HeartbeatRequest request;
  request.group_id = group_;
  request.generation_id = generation_;
  request.member_id = member_id_;
  for (std::uint32_t i = 0; i < options_.heartbeats; ++i) {
    const auto response = co_await channel_->ask<protocol::HeartbeatResponse>(request);
    if (!response) co_return std::unexpected(response.error());
    const Result<void> fine = expect_none("Heartbeat", response->error_code);
    if (!fine) co_return fine;
  }
  co_return Result<void>{};
}

Task<Result<void>> Member::commit() {
  protocol::OffsetCommitRequest request;
  request.group_id = group_;
  request.generation_id_or_member_epoch = generation_;
  request.member_id = member_id_;
  auto& topic = request.topics.emplace_back();
  topic.name = topic_;
  auto& partition = topic.partitions.emplace_back();
  partition.partition_index = PartitionIndex(index_);
  partition.committed_metadata = "";
  for (std::uint32_t i = 1; i <= options_.commits; ++i) {
    request.topics[0].partitions[0].committed_offset = Offset(i);
    const auto response = co_await channel_->ask<protocol::OffsetCommitResponse>(request, kCommitNewest);
    if (!response) co_return std::unexpected(response.error());
    if (response->topics.size() != 1 || response->topics[0].partitions.size() != 1) {
      co_return fail(Failure::kMalformed, "OffsetCommit: no answer for the partition");
    }
    const Result<void> fine = expect_none("OffsetCommit", response->topics[0].partitions[0].error_code);
    if (!fine) co_return fine;
  }
  co_return Result<void>{};
}

Task<Result<void>> Member::leave() {
  protocol::LeaveGroupRequest request;
  request.group_id = group_;
  request.members.emplace_back().member_id = member_id_;
  const auto response = co_await channel_->ask<protocol::LeaveGroupResponse>(std::move(request));
  if (!response) co_return std::unexpected(response.error());
  co_return expect_none("LeaveGroup", response->error_code);
}

class Groups {
 public:
  Groups(const Loop& loop, const Options& options)
      : loop_{loop.reactor, loop.lookup, loop.deadline, "kurier-bench", kReceiveBytes},
        options_(options),
        topic_(fmt::format("kurier-bench-{}-{}", ::getpid(), loop.reactor.clock().wall().value())),
        cluster_(loop_, {*parse_address(options.address)}, kPatience) {}

  Task<Result<void>> run(JsonObject& result);

 private:
  using Step = Task<Result<void>> (Member::*)();
  [[nodiscard]] std::string group(std::size_t nth) const { return fmt::format("{}-{}", topic_, nth); }
  Task<Result<void>> measure(JsonObject& result);
  Task<Result<void>> connect();
  Task<Result<void>> all(std::string_view what, Step step, std::uint32_t round);
  Task<Result<void>> phase(JsonObject& result, const char* name, std::uint64_t each, Step step,
                           std::uint32_t rounds = 1);
  Task<Result<void>> verify();
  Task<Result<void>> clean_up();
  Result<ProcessUsage> usage() const { return options_.pid > 0 ? usage_of(options_.pid) : ProcessUsage{}; }

  const Loop loop_;
  const Options& options_;
  std::string topic_;
  client::Cluster cluster_;
  std::vector<std::unique_ptr<Member>> members_;
  std::uint32_t round_ = 0;
};

Task<Result<void>> Groups::connect() {
  const Result<void> allowed = allow_descriptors(options_.groups * options_.members);
  if (!allowed) co_return allowed;
  for (std::size_t nth = 0; nth < options_.groups; ++nth) {
    const Result<BrokerId> coordinator = co_await cluster_.coordinator_of(group(nth));
    if (!coordinator) co_return std::unexpected(coordinator.error());
    // Asks until it has loaded.
    const auto loaded = co_await client::committed_offsets(cluster_, group(nth), std::nullopt);
    if (!loaded) co_return std::unexpected(loaded.error());
    for (std::size_t i = 0; i < options_.members; ++i) {
      auto channel = co_await cluster_.open_channel(*coordinator);
      if (!channel) co_return std::unexpected(channel.error());
      (*channel)->set_patience(Channel::kNoLimit);  // the run's own limit counts
      members_.push_back(
          std::make_unique<Member>(options_, topic_, group(nth), static_cast<std::int32_t>(i), std::move(*channel)));
    }
  }
  co_return Result<void>{};
}

// All members at once, until the last is done. A null step is joining.
Task<Result<void>> Groups::all(std::string_view what, Step step, std::uint32_t round) {
  Join join(loop_.reactor, [this] {
    for (const auto& member : members_) member->close();
  });
  for (const auto& member : members_) {
    join.start(what, step == nullptr ? member->join(round) : ((*member).*step)());
  }
  co_return co_await join.wait();
}

Task<Result<void>> Groups::phase(JsonObject& result, const char* name, std::uint64_t each, Step step,
                                 std::uint32_t rounds) {
  const Result<ProcessUsage> before = usage();
  if (!before) co_return std::unexpected(before.error());
  const MonotonicTime start = loop_.now();
  for (std::uint32_t i = 0; i < rounds; ++i) {
    const Result<void> done = co_await all(name, step, round_++);
    if (!done) co_return done;
  }
  const double took_s = std::chrono::duration<double>(loop_.now() - start).count();
  const Result<ProcessUsage> after = usage();
  if (!after) co_return std::unexpected(after.error());
  const auto count = static_cast<double>(members_.size() * each * rounds);
  JsonObject json;
  json.add("count", members_.size() * each * rounds);
  json.add("seconds", took_s);
  json.add("per_s", count / took_s);
  if (options_.pid > 0) {
    const ProcessUsage used = difference(*before, *after);
    json.add("user_us_each", used.user_s * 1e6 / count);
    json.add("cpu_us_each", (used.user_s + used.system_s) * 1e6 / count);
  }
  result.add(name, json);
  co_return Result<void>{};
}

// What each group has committed is what its members committed last.
Task<Result<void>> Groups::verify() {
  for (std::size_t nth = 0; nth < options_.groups; ++nth) {
    const auto committed = co_await client::committed_offsets(cluster_, group(nth), std::nullopt);
    if (!committed) co_return std::unexpected(committed.error());
    const bool is_right =
        committed->size() == options_.members &&
        std::ranges::all_of(*committed, [&](const auto& one) { return one.second.offset == Offset(options_.commits); });
    if (!is_right) {
      co_return fail(Failure::kCorrupt, fmt::format("group '{}' has not committed what its members did", group(nth)));
    }
  }
  co_return Result<void>{};
}

Task<Result<void>> Groups::clean_up() {
  members_.clear();
  for (std::size_t nth = 0; nth < options_.groups; ++nth) {
    const Result<void> deleted = co_await client::delete_group(cluster_, group(nth));
    if (!deleted) co_return deleted;
  }
  auto channel = co_await Channel::open(loop_, *parse_address(options_.address));
  if (!channel) co_return std::unexpected(channel.error());
  co_return co_await delete_topic(**channel, topic_);
}

Task<Result<void>> Groups::measure(JsonObject& result) {
  Result<void> done = co_await connect();
  if (done) done = co_await phase(result, "first_joins", 1, nullptr);
  if (done) done = co_await phase(result, "joins", 1, nullptr, options_.rounds);
  if (done) done = co_await phase(result, "heartbeats", options_.heartbeats, &Member::heartbeat);
  if (done) done = co_await phase(result, "commits", options_.commits, &Member::commit);
  if (done) done = co_await verify();
  if (done && options_.pid > 0) {
    const auto after = usage();
    if (!after) co_return std::unexpected(after.error());
    result.add("broker_rss_bytes", after->rss_bytes);
  }
  if (done) done = co_await phase(result, "leaves", 1, &Member::leave);
  co_return done;
}

Task<Result<void>> Groups::run(JsonObject& result) {
  const Result<void> opened = co_await cluster_.open();
  if (!opened) co_return opened;
  auto channel = co_await Channel::open(loop_, *parse_address(options_.address));
  if (!channel) co_return std::unexpected(channel.error());
  const auto partitions = static_cast<std::int32_t>(options_.members);
  Result<void> done = co_await create_topic(
      **channel, {.name = topic_, .partitions = partitions, .replication_factor = options_.replication_factor});
  if (!done) co_return done;
  const auto layout = co_await wait_for_leaders(loop_, **channel, topic_, options_.members);
  if (!layout) co_return std::unexpected(layout.error());
  done = co_await measure(result);
  if (!done) co_return done;
  co_return co_await clean_up();
}

}  // namespace

Task<Result<void>> run_groups(const Loop& loop, const Options& options, JsonObject& result) {
  const auto groups = std::make_unique<Groups>(loop, options);
  co_return co_await groups->run(result);
}

}  // namespace kurier::bench
