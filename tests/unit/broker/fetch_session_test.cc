#include "broker/fetch_session.h"

#include <algorithm>
#include <catch2/catch.hpp>

namespace kurier::broker {
namespace {

using namespace std::chrono_literals;
using protocol::ErrorCode;
using protocol::FetchRequest;
using protocol::FetchResponse;
using Kind = FetchContext::Kind;

constexpr TopicId kApples{0xA, 1};
constexpr TopicId kPears{0xB, 1};
const MonotonicTime kStart{std::chrono::hours(1)};

struct Part {
  TopicId id;
  std::string name;
  std::int32_t index;
  std::int64_t offset = 0;
};
struct Answer {
  Part part;
  std::int64_t high_watermark = 0;
  std::size_t records_bytes = 0;
  ErrorCode error = ErrorCode::kNone;
};

// A client, and a broker that answers what the test tells it to.
struct Fixture {
  SeededRandom random{7};
  FetchSessions sessions;
  std::map<TopicId, std::string> names{{kApples, "apples"}, {kPears, "pears"}};
  std::int16_t version = 13;
  MonotonicTime now = kStart;
  std::int32_t replica = -1;

  explicit Fixture(FetchSessionOptions options = {}) : sessions(random, options) {}

  FetchContext begin(std::int32_t id, std::int32_t epoch, const std::vector<Part>& parts,
                     const std::vector<Part>& forgotten = {}) {
    FetchRequest request;
    request.session_id = id;
    request.session_epoch = epoch;
    request.replica_id = BrokerId(version < 15 ? replica : -1);
    request.replica_state.replica_id = BrokerId(version < 15 ? -1 : replica);
    for (const Part& part : parts) {
      auto& topic = request.topics.emplace_back();
      if (version >= 13) topic.topic_id = part.id;
      if (version < 13) topic.topic = part.name;
      auto& partition = topic.partitions.emplace_back();
      partition.partition = PartitionIndex(part.index);
      partition.fetch_offset = Offset(part.offset);
    }
    for (const Part& part : forgotten) {
      auto& topic = request.forgotten_topics_data.emplace_back();
      if (version >= 13) topic.topic_id = part.id;
      if (version < 13) topic.topic = part.name;
      topic.partitions.push_back(part.index);
    }
    const auto name_of = [this](TopicId topic) -> std::optional<std::string> {
      const auto found = names.find(topic);
      return found == names.end() ? std::nullopt : std::optional(found->second);
    };
    return sessions.begin(request, version, name_of, now);
  }
  FetchResponse finish(const FetchContext& context, const std::vector<Answer>& answers = {}) {
    FetchResponse response;
    for (const auto& topic : context.topics) {
      auto& topic_response = response.responses.emplace_back();
      topic_response.topic = topic.topic;
      topic_response.topic_id = topic.topic_id;
      for (const auto& partition : topic.partitions) {
        auto& data = topic_response.partitions.emplace_back();
        data.partition_index = partition.partition;
        data.high_watermark = Offset(0);
        data.log_start_offset = Offset(0);
        for (const Answer& answer : answers) {
          if ((version >= 13 ? answer.part.id != topic.topic_id : answer.part.name != topic.topic)) continue;
          if (answer.part.index != partition.partition.value()) continue;
          data.high_watermark = Offset(answer.high_watermark);
          data.error_code = answer.error;
          if (answer.records_bytes > 0) data.records = protocol::records_owned(Bytes(answer.records_bytes));
        }
      }
    }
    sessions.finish(context, response, now);
    return response;
  }
  std::int32_t open(const std::vector<Part>& parts) { return finish(begin(0, 0, parts)).session_id; }
};

const Part kApples0{kApples, "apples", 0};
const Part kApples1{kApples, "apples", 1};
const Part kPears0{kPears, "pears", 0};

// "apples 0 1, pears 0": what is to be fetched or was answered, in order.
std::string order_of(const FetchContext& context) {
  std::string text;
  for (const auto& topic : context.topics) {
    text += (text.empty() ? "" : ", ") + (topic.topic.empty() ? std::string("?") : topic.topic);
    for (const auto& partition : topic.partitions) text += " " + std::to_string(partition.partition.value());
  }
  return text;
}
std::string order_of(const FetchResponse& response) {
  std::string text;
  for (const auto& topic : response.responses) {
    text += (text.empty() ? "" : ", ") + (topic.topic.empty() ? std::string("?") : topic.topic);
    for (const auto& partition : topic.partitions) text += " " + std::to_string(partition.partition_index.value());
  }
  return text;
}

TEST_CASE("a full request becomes a session, one with epoch -1 does not", "[fetch_session]") {
  Fixture f;
  const FetchContext full = f.begin(0, 0, {kApples0, kPears0});
  CHECK(full.kind == Kind::kFull);
  const FetchResponse response = f.finish(full);
  CHECK(response.session_id > 0);
  CHECK(order_of(response) == "apples 0, pears 0");

  const FetchContext sessionless = f.begin(0, -1, {kApples0});
  CHECK(sessionless.kind == Kind::kSessionless);
  CHECK(f.finish(sessionless).session_id == 0);
  CHECK(f.sessions.size() == 1);
  CHECK(f.sessions.partitions() == 2);
}

TEST_CASE("an incremental request fetches everything and is told what is new", "[fetch_session]") {
  Fixture f;
  const std::int32_t id = f.open({kApples0, kApples1, kPears0});
  SECTION("nothing") {
    const FetchContext context = f.begin(id, 1, {});
    CHECK(context.kind == Kind::kIncremental);
    CHECK(order_of(context) == "apples 0 1, pears 0");
    const FetchResponse response = f.finish(context);
    CHECK(response.session_id == id);
    CHECK(response.error_code == ErrorCode::kNone);
    CHECK(response.responses.empty());
  }
  SECTION("records, a high watermark") {
    CHECK(order_of(f.finish(f.begin(id, 1, {}), {{kPears0, 0, 10}, {kApples1, 5}})) == "apples 1, pears 0");
    // Once is enough.
    CHECK(order_of(f.finish(f.begin(id, 2, {}), {{kApples1, 5}})).empty());
  }
  SECTION("the log's start") {
    const FetchContext context = f.begin(id, 1, {});
    FetchResponse response;
    auto& topic = response.responses.emplace_back();
    topic.topic_id = kApples;
    topic.partitions.emplace_back().log_start_offset = Offset(3);
    topic.partitions.back().high_watermark = Offset(0);
    f.sessions.finish(context, response, f.now);
    CHECK(response.responses.size() == 1);
  }
  SECTION("a diverging epoch, a replica to read from") {
    for (std::int32_t epoch = 1; epoch <= 2; ++epoch) {
      const FetchContext context = f.begin(id, epoch, {});
      FetchResponse response;
      auto& topic = response.responses.emplace_back();
      topic.topic_id = kApples;
      auto& data = topic.partitions.emplace_back();
      data.high_watermark = data.log_start_offset = Offset(0);
      if (epoch == 1) data.diverging_epoch.epoch = LeaderEpoch(4);
      if (epoch == 2) data.preferred_read_replica = BrokerId(2);
      f.sessions.finish(context, response, f.now);
      CHECK(response.responses.size() == 1);
    }
  }
  SECTION("errors, each time, and that they are over") {
    const Answer failing{kApples0, -1, 0, ErrorCode::kUnknownTopicOrPartition};
    CHECK(order_of(f.finish(f.begin(id, 1, {}), {failing})) == "apples 0");
    CHECK(order_of(f.finish(f.begin(id, 2, {}), {failing})) == "apples 0");
    CHECK(order_of(f.finish(f.begin(id, 3, {}))) == "apples 0");
    CHECK(order_of(f.finish(f.begin(id, 4, {}))).empty());
  }
}

TEST_CASE("partitions that returned data are read last next time", "[fetch_session]") {
  Fixture f;
  const std::int32_t id = f.open({kApples0, kApples1, kPears0});
  CHECK(order_of(f.finish(f.begin(id, 1, {}), {{kApples0, 1, 10}})) == "apples 0");
  CHECK(order_of(f.begin(id, 2, {})) == "apples 1, pears 0, apples 0");
  // A new high watermark alone moves nothing.
  CHECK(order_of(f.finish(f.begin(id, 3, {}), {{kApples1, 4}, {kApples0, 1}})) == "apples 1");
  CHECK(order_of(f.begin(id, 4, {})) == "apples 1, pears 0, apples 0");
}

TEST_CASE("partitions are added, changed and forgotten", "[fetch_session]") {
  Fixture f;
  const std::int32_t id = f.open({kApples0});
  FetchContext context = f.begin(id, 1, {kPears0, {kApples, "apples", 0, 42}});
  CHECK(order_of(context) == "apples 0, pears 0");
  CHECK(context.topics[0].partitions[0].fetch_offset == Offset(42));
  CHECK(order_of(f.finish(context)) == "pears 0");
  CHECK(order_of(f.begin(id, 2, {}, {kApples0, kApples1})) == "pears 0");
  CHECK(f.sessions.partitions() == 1);
  // What is both wanted and forgotten is forgotten.
  context = f.begin(id, 3, {kApples0}, {kApples0});
  CHECK(order_of(context) == "pears 0");
}

TEST_CASE("a session without partitions is over", "[fetch_session]") {
  Fixture f;
  const std::int32_t id = f.open({kApples0});
  const FetchContext context = f.begin(id, 1, {}, {kApples0});
  CHECK(context.kind == Kind::kSessionless);
  const FetchResponse response = f.finish(context);
  CHECK(response.session_id == 0);
  CHECK(response.error_code == ErrorCode::kNone);
  CHECK(f.sessions.size() == 0);
  CHECK(f.begin(id, 2, {}).error == ErrorCode::kFetchSessionIdNotFound);
  CHECK(f.sessions.memory_bytes() == 0);
}

TEST_CASE("what a session refuses", "[fetch_session]") {
  Fixture f;
  const std::int32_t id = f.open({kApples0});
  CHECK(f.begin(id + 1, 1, {}).error == ErrorCode::kFetchSessionIdNotFound);
  CHECK(f.begin(0, 5, {}).error == ErrorCode::kFetchSessionIdNotFound);
  CHECK(f.begin(id, 2, {}).error == ErrorCode::kInvalidFetchSessionEpoch);
  CHECK(f.begin(id, -7, {}).error == ErrorCode::kInvalidFetchSessionEpoch);
  f.version = 12;
  const FetchContext by_name = f.begin(id, 1, {});
  CHECK(by_name.error == ErrorCode::kFetchSessionTopicIdError);
  const FetchResponse refused = f.finish(by_name);
  CHECK(refused.error_code == ErrorCode::kFetchSessionTopicIdError);
  CHECK(refused.session_id == 0);
  // And the other way about.
  const std::int32_t named = f.open({kApples0});
  f.version = 13;
  CHECK(f.begin(named, 1, {}).error == ErrorCode::kFetchSessionTopicIdError);
  // None of it has cost the session anything.
  CHECK(f.begin(id, 1, {}).error == ErrorCode::kNone);
}

TEST_CASE("a session by names", "[fetch_session]") {
  Fixture f;
  f.version = 7;
  const std::int32_t id = f.open({kApples0, {kApples, "nowhere", 0}});
  CHECK(order_of(f.begin(id, 1, {kPears0}, {kApples0})) == "nowhere 0, pears 0");
}

TEST_CASE("the epoch wraps to 1", "[fetch_session]") {
  Fixture f;
  const std::int32_t id = f.open({kApples0});
  // A client cannot get there in a test's time: the rule is seen from its two ends.
  CHECK(f.begin(id, 1, {}).error == ErrorCode::kNone);
  CHECK(f.begin(id, 1, {}).error == ErrorCode::kInvalidFetchSessionEpoch);
  CHECK(f.begin(id, 2, {}).error == ErrorCode::kNone);
  CHECK(FetchSessions::next_epoch(INT32_MAX) == 1);
  CHECK(FetchSessions::next_epoch(INT32_MAX - 1) == INT32_MAX);
  CHECK(FetchSessions::next_epoch(0) == 1);
  CHECK(FetchSessions::next_epoch(-1) == -1);
}

TEST_CASE("a full request closes the session that it names", "[fetch_session]") {
  Fixture f;
  const std::int32_t id = f.open({kApples0});
  SECTION("and may open another") {
    const FetchResponse response = f.finish(f.begin(id, 0, {kPears0}));
    CHECK(response.session_id > 0);
    CHECK(response.session_id != id);
    CHECK(f.sessions.size() == 1);
  }
  SECTION("or not") {
    CHECK(f.finish(f.begin(id, -1, {kPears0})).session_id == 0);
    CHECK(f.sessions.size() == 0);
  }
  CHECK(f.begin(id, 1, {}).error == ErrorCode::kFetchSessionIdNotFound);
}

TEST_CASE("a duplicate that comes while a request waits", "[fetch_session]") {
  Fixture f;
  const std::int32_t id = f.open({kApples0});
  const FetchContext first = f.begin(id, 1, {});
  CHECK(f.begin(id, 1, {}).error == ErrorCode::kInvalidFetchSessionEpoch);
  CHECK(f.begin(id, 2, {}).error == ErrorCode::kNone);
  const FetchResponse late = f.finish(first, {{kApples0, 9}});
  CHECK(late.error_code == ErrorCode::kInvalidFetchSessionEpoch);
  CHECK(late.session_id == id);
  CHECK(late.responses.empty());
}

TEST_CASE("a session that is closed while a request waits is still answered", "[fetch_session]") {
  Fixture f;
  const std::int32_t id = f.open({kApples0});
  const FetchContext waiting = f.begin(id, 1, {});
  static_cast<void>(f.begin(id, -1, {}));
  CHECK(order_of(f.finish(waiting, {{kApples0, 9}})) == "apples 0");
  CHECK(f.sessions.size() == 0);
}

TEST_CASE("topic ids without a name are kept, and get it later", "[fetch_session]") {
  Fixture f;
  f.names.erase(kPears);
  const Answer unknown{kPears0, -1, 0, ErrorCode::kUnknownTopicId};
  const FetchContext full = f.begin(0, 0, {kPears0, kApples0});
  CHECK(order_of(full) == "? 0, apples 0");
  const std::int32_t id = f.finish(full, {unknown}).session_id;
  CHECK(order_of(f.finish(f.begin(id, 1, {}), {unknown})) == "? 0");
  f.names[kPears] = "pears";
  CHECK(order_of(f.finish(f.begin(id, 2, {}))) == "pears 0");
  // A name that was known stays, so that a topic that goes is an unknown partition and no unknown id.
  f.names.erase(kPears);
  CHECK(order_of(f.begin(id, 3, {})) == "pears 0, apples 0");
}

TEST_CASE("a partition that is named twice counts once", "[fetch_session]") {
  Fixture f;
  const FetchContext context = f.begin(0, 0, {{kApples, "apples", 0, 1}, kPears0, {kApples, "apples", 0, 2}});
  CHECK(order_of(context) == "apples 0, pears 0");
  CHECK(context.topics[0].partitions[0].fetch_offset == Offset(2));
}

TEST_CASE("ids say which shard owns the session", "[fetch_session]") {
  for (const std::int32_t shards : {1, 2, 3, 8}) {
    for (std::int32_t shard = 0; shard < shards; ++shard) {
      Fixture f({.slots = 200, .shard = shard, .shards = shards});
      for (int i = 0; i < 100; ++i) {
        const std::int32_t id = f.open({kApples0});
        CHECK(id > 0);
        CHECK(FetchSessions::shard_of(id, shards) == shard);
      }
      CHECK(f.sessions.size() == 100);
    }
  }
}

TEST_CASE("a full cache makes room only for what is worth more", "[fetch_session]") {
  Fixture f({.slots = 2});
  const std::int32_t small = f.open({kApples0});
  const std::int32_t large = f.open({kApples0, kApples1, kPears0});
  SECTION("nothing is old enough") {
    CHECK(f.open({kApples0, kApples1, kPears0}) == 0);
    CHECK(f.sessions.evictions() == 0);
  }
  SECTION("a follower evicts a consumer at any time, the smallest first, and is not evicted by one") {
    f.replica = 4;
    const std::int32_t follower = f.open({kApples0});
    CHECK(follower > 0);
    CHECK(f.begin(small, 1, {}).error == ErrorCode::kFetchSessionIdNotFound);
    CHECK(f.open({kApples0}) > 0);
    CHECK(f.begin(large, 1, {}).error == ErrorCode::kFetchSessionIdNotFound);
    CHECK(f.open({kApples0, kApples1}) == 0);
    f.replica = -1;
    CHECK(f.open({kApples0, kApples1, kPears0}) == 0);
  }
  SECTION("the last version of the replica id counts too") {
    f.version = 17;
    f.replica = 4;
    CHECK(f.open({kApples0}) > 0);
  }
  SECTION("what is stale goes") {
    f.now += 119s;
    CHECK(f.begin(small, 1, {}).error == ErrorCode::kNone);
    f.now += 2s;
    CHECK(f.open({kPears0}) > 0);
    CHECK(f.begin(large, 1, {}).error == ErrorCode::kFetchSessionIdNotFound);
    CHECK(f.begin(small, 2, {}).error == ErrorCode::kNone);
  }
  SECTION("what is old, though in use, goes for what is larger or equal, not for what is smaller") {
    f.now += 121s;
    CHECK(f.begin(small, 1, {kApples1}).error == ErrorCode::kNone);
    CHECK(f.begin(large, 1, {}).error == ErrorCode::kNone);
    CHECK(f.open({kPears0}) == 0);
    CHECK(f.open({kPears0, kApples0, kApples1}) > 0);
    CHECK(f.sessions.evictions() == 1);
    CHECK(f.begin(small, 2, {}).error == ErrorCode::kFetchSessionIdNotFound);
    CHECK(f.begin(large, 2, {}).error == ErrorCode::kNone);
  }
}

TEST_CASE("no slots, no sessions", "[fetch_session]") {
  Fixture f({.slots = 0});
  CHECK(f.open({kApples0}) == 0);
  CHECK(f.sessions.size() == 0);
}

TEST_CASE("sessions take no more memory than they may", "[fetch_session]") {
  Fixture f({.slots = 1000, .memory_bytes_max = 20'000});
  std::vector<Part> many;
  for (std::int32_t i = 0; i < 50; ++i) many.push_back({kApples, "apples", i});
  const std::int32_t first = f.open(many);
  CHECK(first > 0);
  CHECK(f.sessions.memory_bytes() < 10'000);  // below 200 bytes a partition
  std::size_t opened = 1;
  while (f.open(many) > 0) ++opened;
  CHECK(opened >= 2);
  CHECK(f.sessions.memory_bytes() <= 20'000);
  // One that grows beyond it is closed, and its client begins anew.
  for (std::int32_t i = 50; i < 200; ++i) many.push_back({kApples, "apples", i});
  CHECK(f.begin(first, 1, many).error == ErrorCode::kFetchSessionIdNotFound);
  CHECK(f.sessions.size() == opened - 1);
}

TEST_CASE("what a session takes is given back", "[fetch_session]") {
  Fixture f;
  const std::int32_t id = f.open({kApples0});
  const std::size_t before = f.sessions.memory_bytes();
  std::int32_t epoch = 1;
  for (int i = 0; i < 10; ++i) {
    f.finish(f.begin(id, epoch++, {kPears0, kApples1}));
    CHECK(f.sessions.memory_bytes() > before);
    f.finish(f.begin(id, epoch++, {}, {kPears0, kApples1}));
    CHECK(f.sessions.memory_bytes() == before);
  }
}

}  // namespace
// A partition that is named twice stands where it was first, with what was said last: against a map that says so plainly.
TEST_CASE("fetch sessions: whatever a request repeats, each partition is fetched once") {
  SeededRandom random{11};
  for (int round = 0; round < 300; ++round) {
    const std::int16_t version = round % 2 == 0 ? 12 : 13;
    FetchRequest request;
    std::vector<std::pair<std::pair<std::string, std::int32_t>, std::int64_t>> expected;
    for (std::uint64_t topics = random.below(6); topics > 0; --topics) {
      auto& topic = request.topics.emplace_back();
      const bool apples = random.below(2) == 0;
      topic.topic = version < 13 ? (apples ? "apples" : "pears") : "";
      if (version >= 13) topic.topic_id = apples ? kApples : kPears;
      for (std::uint64_t partitions = random.below(5); partitions > 0; --partitions) {
        auto& partition = topic.partitions.emplace_back();
        partition.partition = PartitionIndex(static_cast<std::int32_t>(random.below(4)));
        partition.fetch_offset = Offset(static_cast<std::int64_t>(random.below(1000)));
        const std::pair key{std::string(apples ? "apples" : "pears"), partition.partition.value()};
        const auto there = std::ranges::find(expected, key, [](const auto& one) { return one.first; });
        if (there == expected.end()) {
          expected.emplace_back(key, partition.fetch_offset.value());
        } else {
          there->second = partition.fetch_offset.value();
        }
      }
    }
    FetchSessions::name_once(request, version,
                             [](TopicId id) { return std::optional<std::string>(id == kApples ? "apples" : "pears"); });
    decltype(expected) found;
    for (std::size_t i = 0; i < request.topics.size(); ++i) {
      const auto& topic = request.topics[i];
      CHECK_FALSE(topic.partitions.empty());
      if (i > 0) CHECK(topic.topic != request.topics[i - 1].topic);
      for (const auto& partition : topic.partitions)
        found.emplace_back(std::pair{topic.topic, partition.partition.value()}, partition.fetch_offset.value());
    }
    INFO("round " << round);
    REQUIRE(found == expected);
  }
}

TEST_CASE("fetch sessions: who names more than a session holds is answered without one") {
  FetchSessionOptions options;
  options.partitions_max = 2;
  Fixture f(options);
  CHECK(f.open({kApples0, kApples1, kPears0}) == 0);
  const std::int32_t id = f.open({kApples0, kApples1});
  REQUIRE(id != 0);
  CHECK(f.begin(id, 1, {kPears0}).error == ErrorCode::kFetchSessionIdNotFound);
  CHECK(f.sessions.size() == 0);
}

}  // namespace kurier::broker
