// Records as bytes, the hash of a group id, and what Java says about strings.
#include "coordinator/group/records.h"

#include <catch2/catch.hpp>

#include "coordinator/group/java_strings.h"
#include "coordinator/group/memory_state.h"
#include "coordinator/group/replay.h"

using namespace kurier;
using namespace kurier::coordinator;

namespace {

std::string hex(ByteView bytes) {
  static const char* digits = "0123456789abcdef";
  std::string text;
  for (const std::byte byte : bytes) {
    text += digits[static_cast<unsigned>(byte) >> 4];
    text += digits[static_cast<unsigned>(byte) & 15];
  }
  return text;
}

}  // namespace

TEST_CASE("an offset is written in version 4, with an expiry of its own in version 1") {
  CommittedOffset offset;
  offset.offset = Offset(5);
  offset.leader_epoch = LeaderEpoch(2);
  offset.metadata = "m";
  offset.commit_timestamp = Timestamp(7);
  const auto plain = offset_record("g", {"t", 3}, offset);
  CHECK(hex(plain.key) ==
        "0001"
        "000167"
        "000174"
        "00000003");
  CHECK(hex(*plain.value) ==
        "0004"
        "0000000000000005"
        "00000002"
        "026d"
        "0000000000000007"
        "00");
  offset.topic_id = TopicId{1, 2};
  CHECK(hex(*offset_record("g", {"t", 3}, offset).value) ==
        "0004"
        "0000000000000005"
        "00000002"
        "026d"
        "0000000000000007"
        "01"
        "0010"
        "00000000000000010000000000000002");
  offset.expire_timestamp = Timestamp(9);
  CHECK(hex(*offset_record("g", {"t", 3}, offset).value) ==
        "0001"
        "0000000000000005"
        "00016d"
        "0000000000000007"
        "0000000000000009");
  const auto tombstone = offset_tombstone("g", {"t", 3});
  CHECK(tombstone.key == plain.key);
  CHECK_FALSE(tombstone.value);
}

TEST_CASE("a group is written in version 3") {
  protocol::GroupMetadataValue value;
  value.protocol_type = "consumer";
  value.generation = 4;
  value.protocol = "range";
  value.leader = "A";
  value.current_state_timestamp = Timestamp(6);
  auto& member = value.members.emplace_back();
  member.member_id = "A";
  member.client_id = "c";
  member.client_host = "/h";
  member.rebalance_timeout = 1;
  member.session_timeout = 2;
  member.subscription = to_bytes("s");
  member.assignment = to_bytes("a");
  const auto record = group_record("g", value);
  CHECK(hex(record.key) ==
        "0002"
        "000167");
  CHECK(hex(*record.value) ==
        "0003"
        "0008636f6e73756d6572"
        "00000004"
        "000572616e6765"
        "000141"
        "0000000000000006"
        "00000001"
        "000141"
        "ffff"
        "000163"
        "00022f68"
        "00000001"
        "00000002"
        "0000000173"
        "0000000161");
  const auto decoded = decode_record(record.key, *record.value);
  REQUIRE(decoded);
  CHECK(*std::get<GroupRecord>(*decoded).value == value);
}

TEST_CASE("old offsets are read, unknown types and versions are named") {
  // Type 0: LegacyOffsetCommitKey and value.
  const Bytes key{std::byte{0}, std::byte{0},   std::byte{0}, std::byte{1}, std::byte{'g'}, std::byte{0},
                  std::byte{1}, std::byte{'t'}, std::byte{0}, std::byte{0}, std::byte{0},   std::byte{3}};
  protocol::Writer value;
  value.int16(0);
  value.int64(11);
  value.string("m");
  value.int64(12);
  const Bytes bytes = value.take_bytes();
  const auto decoded = decode_record(key, ByteView(bytes));
  REQUIRE(decoded);
  CHECK(std::get<OffsetRecord>(*decoded).offset->offset == Offset(11));

  Bytes unknown = key;
  unknown[1] = std::byte{99};
  CHECK(std::get<UnknownRecord>(*decode_record(unknown, std::nullopt)).type == 99);
  Bytes future = *group_record("g", {}).value;
  future[1] = std::byte{9};
  CHECK(decode_record(group_tombstone("g").key, ByteView(future)).error().failure == Failure::kUnsupported);
  CHECK(decode_record(ByteView(key).first(5), std::nullopt).error().failure == Failure::kCorrupt);
}

TEST_CASE("records of other group types are kept as they are, until their tombstone") {
  MemoryGroupState state;
  const Bytes key{std::byte{0}, std::byte{3}, std::byte{0}, std::byte{1}, std::byte{'g'}};
  const Bytes value{std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0}, std::byte{1}, std::byte{0}};
  REQUIRE(replay(state, key, ByteView(value), Offset(0)));
  int seen = 0;
  state.for_each_other_record("g", [&](const Bytes& k, const Bytes& v) {
    ++seen;
    CHECK(k == key);
    CHECK(v == value);
  });
  CHECK(seen == 1);
  REQUIRE(replay(state, key, std::nullopt, Offset(1)));
  CHECK(state == MemoryGroupState());
}

TEST_CASE("a group's partition is Java's hash of its id") {
  CHECK(java_hash("") == 0);
  CHECK(java_hash("my-group") == -1'906'497'762);
  CHECK(java_hash("group-1") == 293'427'299);
  CHECK(java_hash("\xc3\xbc") == 0xfc);                 // ü
  CHECK(java_hash("\xf0\x9f\x98\x80") == 1'772'899);     // a pair of surrogates
  CHECK(java_length("\xf0\x9f\x98\x80") == 2);
  CHECK(java_hash("polygenelubricants") == std::numeric_limits<std::int32_t>::min());
  CHECK(group_partition("polygenelubricants", 50) == 0);
  CHECK(group_partition("my-group", 50) == 12);
  // What is no UTF-8 counts as U+FFFD.
  CHECK(java_hash("\xff") == 0xfffd);
  CHECK(java_length("\xe2\x82") == 1);
  CHECK(java_length("\xed\xa0\x80") == 1);
}
