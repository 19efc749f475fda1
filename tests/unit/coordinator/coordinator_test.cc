// What the scenarios cannot say: group ids that are empty, several groups, other group types, answers by version.
#include "coordinator/group/group_coordinator.h"

#include <catch2/catch.hpp>

#include "coordinator/group/records.h"
#include "coordinator/group/response_versions.h"
#include "protocol/messages/consumer_group_current_member_assignment_value.h"
#include "protocol/messages/consumer_group_member_metadata_value.h"
#include "protocol/messages/consumer_group_metadata_value.h"
#include "tests/unit/coordinator/bench.h"

using namespace kurier;
using namespace kurier::coordinator;
using protocol::ErrorCode;

namespace {

const RequestContext kNewest{9, "client", "/127.0.0.1"};

Bytes key(std::int16_t type, const std::string& group, const std::string& member = {}) {
  protocol::Writer writer;
  writer.int16(type);
  writer.string(group);
  if (!member.empty()) writer.string(member);
  return writer.take_bytes();
}

template <class Value>
Bytes value(const Value& message) {
  protocol::Writer writer;
  writer.int16(0);
  message.encode(writer, 0);
  return writer.take_bytes();
}

void put_consumer_group(MemoryGroupState& state, bool with_member) {
  protocol::ConsumerGroupMetadataValue epoch;
  epoch.epoch = 3;
  REQUIRE(replay(state, key(3, "modern"), ByteView(value(epoch)), Offset(0)));
  if (!with_member) return;
  protocol::ConsumerGroupMemberMetadataValue member;
  member.subscribed_topic_names = {"t"};
  REQUIRE(replay(state, key(5, "modern", "m"), ByteView(value(member)), Offset(1)));
  protocol::ConsumerGroupCurrentMemberAssignmentValue current;
  current.member_epoch = 3;
  REQUIRE(replay(state, key(8, "modern", "m"), ByteView(value(current)), Offset(2)));
}

protocol::JoinGroupRequest join_of(const std::string& group) {
  protocol::JoinGroupRequest request;
  request.group_id = group;
  request.session_timeout_ms = 10'000;
  request.rebalance_timeout_ms = 10'000;
  request.protocol_type = "consumer";
  request.protocols.push_back({"range", {}, {}});
  return request;
}

template <class Message>
const Message& only(const Outcome& outcome) {
  REQUIRE(outcome.answers.size() == 1);
  return std::get<Message>(outcome.answers.front().response);
}

struct Fixture {
  explicit Fixture(bool with_member) : random(1), core({}, state, random) {
    put_consumer_group(state, with_member);
    static_cast<void>(core.load(now));
  }
  MemoryGroupState state;
  SeededRandom random;
  Now now{MonotonicTime(std::chrono::hours(1)), Timestamp(1'000)};
  GroupCoordinator core;
};

}  // namespace

TEST_CASE("an empty group id is refused where Apache Kafka refuses it") {
  Bench bench;
  GroupCoordinator& core = bench.core();
  CHECK(only<protocol::JoinGroupResponse>(core.join_group(1, kNewest, join_of(""), bench.now())).error_code ==
        ErrorCode::kInvalidGroupId);
  CHECK(only<protocol::SyncGroupResponse>(core.sync_group(2, {}, bench.now())).error_code ==
        ErrorCode::kInvalidGroupId);
  CHECK(core.heartbeat({}, bench.now()).error_code == ErrorCode::kInvalidGroupId);
  CHECK(only<protocol::LeaveGroupResponse>(core.leave_group(3, kNewest, {}, bench.now())).error_code ==
        ErrorCode::kInvalidGroupId);
  CHECK(only<protocol::OffsetDeleteResponse>(core.offset_delete(4, {}, bench.now())).error_code ==
        ErrorCode::kInvalidGroupId);
  // A consumer without a group may commit under the empty one.
  protocol::OffsetCommitRequest commit;
  commit.generation_id_or_member_epoch = -1;
  commit.topics.emplace_back().partitions.emplace_back();
  CHECK(core.offset_commit(5, kNewest, commit, bench.now()).appends.size() == 1);
  // Members are refused there nevertheless.
  CHECK(only<protocol::SyncGroupResponse>(core.sync_group(6, {}, bench.now())).error_code ==
        ErrorCode::kInvalidGroupId);
  CHECK(core.heartbeat({}, bench.now()).error_code == ErrorCode::kInvalidGroupId);
}

TEST_CASE("who would get a member id that is longer than a string can be does not become a member") {
  Bench bench;
  const auto joins = [&](const RequestContext& context, const std::optional<std::string>& instance) {
    auto request = join_of("g");
    request.group_instance_id = instance;
    auto outcome = bench.core().join_group(1, context, request, bench.now());
    for (const Append& append : outcome.appends)
      std::ranges::move(bench.core().committed(append.id, bench.now()).answers, std::back_inserter(outcome.answers));
    return only<protocol::JoinGroupResponse>(outcome);
  };
  constexpr std::size_t kLongestPrefix = 0x7fff - 37;  // a dash and a uuid come behind it
  const RequestContext too_long{9, std::string(kLongestPrefix + 1, 'c'), "/127.0.0.1"};
  const auto refused = joins(too_long, std::nullopt);
  CHECK(refused.error_code == ErrorCode::kUnknownServerError);
  CHECK(refused.member_id.empty());
  CHECK(joins(kNewest, std::string(kLongestPrefix + 1, 'i')).error_code == ErrorCode::kUnknownServerError);
  CHECK(bench.core().classic_group("g")->members().empty());
  const RequestContext just_fits{9, std::string(kLongestPrefix, 'c'), "/127.0.0.1"};
  CHECK(joins(just_fits, std::nullopt).error_code == ErrorCode::kMemberIdRequired);
}

TEST_CASE("answers fit the version that was asked") {
  protocol::JoinGroupResponse join;
  join.protocol_name.reset();
  adapt(join, 6);
  CHECK(join.protocol_name == "");
  adapt(join, 7);
  CHECK_FALSE(join.protocol_name);
  protocol::LeaveGroupResponse leave;
  leave.members.emplace_back().error_code = ErrorCode::kUnknownMemberId;
  auto old = leave;
  adapt(leave, 3);
  CHECK(leave.members.size() == 1);
  adapt(old, 2);
  CHECK(old.members.empty());
  CHECK(old.error_code == ErrorCode::kUnknownMemberId);
}

TEST_CASE("a consumer group with members is not for classic members") {
  Fixture f(true);
  CHECK(only<protocol::JoinGroupResponse>(f.core.join_group(1, kNewest, join_of("modern"), f.now)).error_code ==
        ErrorCode::kInconsistentGroupProtocol);
  protocol::HeartbeatRequest heartbeat;
  heartbeat.group_id = "modern";
  heartbeat.member_id = "m";
  CHECK(f.core.heartbeat(heartbeat, f.now).error_code == ErrorCode::kUnknownMemberId);
  const auto listed = f.core.list_groups({});
  REQUIRE(listed.size() == 1);
  CHECK(listed[0].group_state == "Assigning");  // the assignment of epoch 3 has not been made
  CHECK(listed[0].group_type == "consumer");
  CHECK(listed[0].protocol_type == "consumer");
  CHECK(f.core.describe_groups({6, "", ""}, {"modern"})[0].error_message == "Group modern is not a classic group.");
  CHECK(
      only<protocol::DeleteGroupsResponse>(f.core.delete_groups(2, {"modern", "none"}, f.now)).results[0].error_code ==
      ErrorCode::kNonEmptyGroup);

  protocol::OffsetCommitRequest commit;
  commit.group_id = "modern";
  commit.member_id = "m";
  commit.generation_id_or_member_epoch = 3;
  commit.topics.emplace_back().partitions.emplace_back();
  CHECK(f.core.offset_commit(3, kNewest, commit, f.now).appends.size() == 1);
  CHECK(only<protocol::OffsetCommitResponse>(f.core.offset_commit(4, {8, "", ""}, commit, f.now))
            .topics[0]
            .partitions[0]
            .error_code == ErrorCode::kUnsupportedVersion);
  commit.generation_id_or_member_epoch = 2;
  CHECK(only<protocol::OffsetCommitResponse>(f.core.offset_commit(5, kNewest, commit, f.now))
            .topics[0]
            .partitions[0]
            .error_code == ErrorCode::kStaleMemberEpoch);
  commit.member_id = "other";
  CHECK(only<protocol::OffsetCommitResponse>(f.core.offset_commit(6, kNewest, commit, f.now))
            .topics[0]
            .partitions[0]
            .error_code == ErrorCode::kUnknownMemberId);
  protocol::OffsetDeleteRequest erase;
  erase.group_id = "modern";
  auto& topic = erase.topics.emplace_back();
  topic.name = "t";
  topic.partitions.emplace_back();
  CHECK(
      only<protocol::OffsetDeleteResponse>(f.core.offset_delete(7, erase, f.now)).topics[0].partitions[0].error_code ==
      ErrorCode::kGroupSubscribedToTopic);
}

TEST_CASE(
    "members of a consumer group count no longer a session timeout after the load, since they cannot send heartbeats") {
  Fixture f(true);
  const auto join = [&](RequestToken token) { return f.core.join_group(token, kNewest, join_of("modern"), f.now); };
  REQUIRE(f.core.next_deadline() == f.now.monotonic + std::chrono::seconds(45));
  f.now.monotonic += std::chrono::seconds(44);
  static_cast<void>(f.core.tick(f.now));
  CHECK(only<protocol::JoinGroupResponse>(join(1)).error_code == ErrorCode::kInconsistentGroupProtocol);
  f.now.monotonic += std::chrono::seconds(1);
  static_cast<void>(f.core.tick(f.now));
  CHECK_FALSE(f.core.next_deadline());
  CHECK(f.core.list_groups({})[0].group_state == "Empty");
  SECTION("a classic member joins") {
    const Outcome outcome = join(2);
    REQUIRE(outcome.appends.size() == 1);
    const auto& records = outcome.appends[0].records;
    // Nothing of the members stays behind.
    for (std::size_t i = 0; i + 1 < records.size(); ++i) CHECK_FALSE(records[i].value);
    CHECK(records.size() > 2);
    CHECK(
        std::get<GroupRecord>(*decode_record(records.back().key, ByteView(*records.back().value))).value->generation ==
        0);
  }
  SECTION("it is deleted") {
    const Outcome outcome = f.core.delete_groups(2, {"modern"}, f.now);
    REQUIRE(outcome.appends.size() == 1);
    CHECK(only<protocol::DeleteGroupsResponse>(f.core.committed(outcome.appends[0].id, f.now)).results[0].error_code ==
          ErrorCode::kNone);
  }
  SECTION("its members are known no longer") {
    protocol::OffsetCommitRequest commit;
    commit.group_id = "modern";
    commit.member_id = "m";
    commit.generation_id_or_member_epoch = 3;
    commit.topics.emplace_back().partitions.emplace_back();
    CHECK(only<protocol::OffsetCommitResponse>(f.core.offset_commit(3, kNewest, commit, f.now))
              .topics[0]
              .partitions[0]
              .error_code == ErrorCode::kUnknownMemberId);
  }
}

TEST_CASE("an empty consumer group becomes a classic one when a classic member joins") {
  Fixture f(false);
  auto known = join_of("modern");
  known.member_id = "m";
  CHECK(only<protocol::JoinGroupResponse>(f.core.join_group(1, kNewest, known, f.now)).error_code ==
        ErrorCode::kUnknownMemberId);
  const Outcome outcome = f.core.join_group(2, kNewest, join_of("modern"), f.now);
  REQUIRE(outcome.appends.size() == 1);
  const auto& records = outcome.appends[0].records;
  REQUIRE(records.size() == 2);
  CHECK(records[0] == CoordinatorRecord{key(3, "modern"), std::nullopt});
  CHECK(std::get<GroupRecord>(*decode_record(records[1].key, ByteView(*records[1].value))).value->generation == 0);
  CHECK(outcome.answers.empty());  // until the group is stored
  SECTION("stored") {
    CHECK(only<protocol::JoinGroupResponse>(f.core.committed(outcome.appends[0].id, f.now)).error_code ==
          ErrorCode::kMemberIdRequired);
    CHECK(f.core.list_groups({})[0].group_type == "classic");
  }
  SECTION("not stored") {
    const auto failed = f.core.append_failed(outcome.appends[0].id, ErrorCode::kNotLeaderOrFollower, f.now);
    CHECK(only<protocol::JoinGroupResponse>(failed).error_code == ErrorCode::kNotCoordinator);
    CHECK(f.core.list_groups({})[0].group_type == "consumer");
  }
}

TEST_CASE("an empty consumer group can be deleted, and goes when it has no offsets") {
  Fixture f(false);
  SECTION("deleted") {
    const Outcome outcome = f.core.delete_groups(1, {"modern"}, f.now);
    REQUIRE(outcome.appends.size() == 1);
    CHECK(outcome.appends[0].records == std::vector{CoordinatorRecord{key(3, "modern"), std::nullopt}});
  }
  SECTION("expired") {
    OffsetSweep sweep;
    const Outcome outcome = f.core.sweep(sweep, f.now);
    REQUIRE(outcome.appends.size() == 1);
    CHECK_FALSE(outcome.appends[0].atomic);
    CHECK(outcome.appends[0].records == std::vector{CoordinatorRecord{key(3, "modern"), std::nullopt}});
  }
}

TEST_CASE("offsets of a deleted topic go, unless they belong to another topic of that name") {
  Bench bench;
  protocol::OffsetCommitRequest commit;
  commit.group_id = "g";
  commit.generation_id_or_member_epoch = -1;
  const TopicId first{1, 1};
  const TopicId second{2, 2};
  for (const auto& [name, id] : {std::pair{"t", first}, std::pair{"u", kZeroUuid}, std::pair{"v", second}}) {
    auto& topic = commit.topics.emplace_back();
    topic.name = name;
    topic.topic_id = id;
    topic.partitions.emplace_back().committed_offset = Offset(4);
  }
  bench.take(bench.core().offset_commit(bench.token(), {10, "", ""}, commit, bench.now()));
  OffsetSweep sweep{.topics = {.deleted = {{"t", first}, {"u", first}, {"v", first}}}};
  bench.take(bench.core().sweep(sweep, bench.now()));
  CHECK(sweep.is_over);
  CHECK_FALSE(bench.state().offset("g", "t", 0));
  CHECK_FALSE(bench.state().offset("g", "u", 0));
  REQUIRE(bench.state().offset("g", "v", 0));
  // Asked for by another id, there is none.
  protocol::OffsetFetchRequest::OffsetFetchRequestGroup fetch;
  fetch.group_id = "g";
  auto& topic = fetch.topics->emplace_back();
  topic.name = "v";
  topic.partition_indexes = {PartitionIndex(0)};
  topic.topic_id = second;
  CHECK(bench.core().offset_fetch(fetch, bench.state(), false).topics[0].partitions[0].committed_offset == Offset(4));
  fetch.topics->front().topic_id = first;
  CHECK(bench.core().offset_fetch(fetch, bench.state(), false).topics[0].partitions[0].committed_offset == Offset(-1));
}

TEST_CASE("all offsets of a group can be read, and most of them deleted, in parts") {
  Bench bench;
  protocol::OffsetCommitRequest commit;
  commit.group_id = "g";
  commit.generation_id_or_member_epoch = -1;
  for (const char* name : {"t", "u"}) {
    auto& topic = commit.topics.emplace_back();
    topic.name = name;
    for (std::int32_t i = 0; i < 5; ++i) topic.partitions.emplace_back().partition_index = PartitionIndex(i);
  }
  bench.take(bench.core().offset_commit(bench.token(), {10, "", ""}, commit, bench.now()));
  protocol::OffsetFetchRequest::OffsetFetchRequestGroup fetch;
  fetch.group_id = "g";
  fetch.topics.reset();
  std::vector<std::string> parts;
  OffsetsPage page{.count = 4, .after = std::nullopt};
  do {
    auto& part = parts.emplace_back();
    for (const auto& topic : bench.core().offset_fetch(fetch, bench.state(), false, page).topics) {
      part += topic.name;
      for (const auto& partition : topic.partitions) part += std::to_string(partition.partition_index.value());
    }
  } while (page.after);
  CHECK(parts == std::vector<std::string>{"t0123", "t4u012", "u34"});

  bool more = false;
  const auto count = [&] {
    std::size_t offsets = 0;
    bench.state().for_each_offset("g", [&](const TopicPartition&, const CommittedOffset&) { ++offsets; });
    return offsets;
  };
  static_cast<void>(bench.answers());
  bench.take(bench.core().delete_some_offsets(bench.token(), "g", 4, more));
  CHECK(more);
  CHECK(count() == 6);
  CHECK(bench.answers().size() == 1);
  bench.hold_appends(true);
  bench.take(bench.core().delete_some_offsets(bench.token(), "g", 4, more));
  bench.fail_next(ErrorCode::kNotEnoughReplicas);
  const auto answers = bench.answers();
  REQUIRE(answers.size() == 1);
  CHECK(std::get<protocol::DeleteGroupsResponse>(answers[0].response).results[0].error_code ==
        ErrorCode::kCoordinatorNotAvailable);
  CHECK(count() == 6);
  bench.hold_appends(false);
  bench.take(bench.core().delete_some_offsets(bench.token(), "g", 6, more));
  CHECK_FALSE(more);
  CHECK(count() == 6);
  CHECK(bench.answers().empty());
  bench.take(bench.core().delete_some_offsets(bench.token(), "nobody", 0, more));
  CHECK_FALSE(more);
}

TEST_CASE("a heartbeat does not move the next deadline forward in the queue") {
  Bench bench;
  GroupCoordinator& core = bench.core();
  bench.take(core.join_group(bench.token(), {3, "client", "/h"}, join_of("g"), bench.now()));
  bench.pass(std::chrono::seconds(3));
  auto answers = bench.answers();
  REQUIRE(answers.size() == 1);
  const auto joined = std::get<protocol::JoinGroupResponse>(answers[0].response);
  protocol::SyncGroupRequest sync;
  sync.group_id = "g";
  sync.member_id = joined.member_id;
  sync.generation_id = joined.generation_id;
  bench.take(core.sync_group(bench.token(), sync, bench.now()));
  protocol::HeartbeatRequest heartbeat;
  heartbeat.group_id = "g";
  heartbeat.member_id = joined.member_id;
  heartbeat.generation_id = joined.generation_id;
  for (int i = 0; i < 100; ++i) {
    bench.pass(std::chrono::seconds(5));
    REQUIRE(core.heartbeat(heartbeat, bench.now()).error_code == ErrorCode::kNone);
  }
  bench.pass(std::chrono::milliseconds(9'999));
  REQUIRE(core.classic_group("g")->members().size() == 1);
  bench.pass(std::chrono::milliseconds(1));
  CHECK(core.classic_group("g")->members().empty());
}
