// Offsets that expire or lose their topic, a part at a time, while the groups change in between.
// One history again: KURIER_SEED=17 unit_coordinator "a sweep in parts*"
#include "coordinator/group/offset_sweep.h"

#include <fmt/core.h>

#include <catch2/catch.hpp>
#include <cstdlib>

#include "coordinator/group/records.h"
#include "tests/unit/coordinator/bench.h"

using namespace kurier;
using namespace kurier::coordinator;

namespace {

constexpr std::chrono::milliseconds kRetention = std::chrono::minutes(30);

GroupOptions options() {
  GroupOptions options;
  options.offsets_retention = kRetention;
  return options;
}

struct Sweeping : Bench {
  Sweeping() : Bench(options()) {}

  void commit(const std::string& group, std::int32_t first, std::int32_t count, const std::string& topic = "t",
              std::optional<ProducerId> producer = std::nullopt) {
    const auto fill = [&](auto& request) {
      request.group_id = group;
      request.generation_id_or_member_epoch = -1;
      auto& named = request.topics.emplace_back();
      named.name = topic;
      for (std::int32_t i = first; i < first + count; ++i)
        named.partitions.emplace_back().partition_index = PartitionIndex(i);
    };
    if (producer) {
      protocol::TxnOffsetCommitRequest request;
      request.producer_id = *producer;
      fill(request);
      take(core().txn_offset_commit(token(), {5, "", ""}, request, now()));
    } else {
      protocol::OffsetCommitRequest request;
      fill(request);
      take(core().offset_commit(token(), {9, "", ""}, request, now()));
    }
  }
  void join(const std::string& group) {
    protocol::JoinGroupRequest request;
    request.group_id = group;
    request.session_timeout_ms = 10'000;
    request.rebalance_timeout_ms = 10'000;
    request.protocol_type = "consumer";
    request.protocols.push_back({"range", {}, {}});
    take(core().join_group(token(), {3, "", ""}, request, now()));
  }
  std::size_t count_of(const std::string& group) {
    std::size_t count = 0;
    state().for_each_offset(group, [&](const TopicPartition&, const CommittedOffset&) { ++count; });
    return count;
  }
  bool has_group(const std::string& group) { return core().classic_group(group) != nullptr; }
  // How many records it wanted.
  std::size_t take_part(OffsetSweep& sweep) {
    Outcome outcome = core().sweep(sweep, now());
    std::size_t records = 0;
    for (const Append& append : outcome.appends) records += append.records.size();
    take(std::move(outcome));
    return records;
  }
  int take_all(OffsetSweep& sweep) {
    int parts = 0;
    for (; !sweep.is_over; ++parts) take_part(sweep);
    return parts;
  }
};

}  // namespace

TEST_CASE("what has expired goes in parts that are bounded, and the groups with it") {
  Sweeping bench;
  for (int i = 0; i < 100; ++i) bench.commit(fmt::format("g{:03}", i), 0, i == 50 ? 2000 : 10);
  bench.pass(kRetention);
  bench.commit("g020", 5, 1);
  OffsetSweep sweep;
  std::size_t records = 0;
  int parts = 0;
  for (; !sweep.is_over; ++parts) {
    const std::size_t more = bench.take_part(sweep);
    CHECK(more <= 2 * sweep.part);
    records += more;
  }
  CHECK(parts > 3000 / 256);
  CHECK(records == 99 * 10 + 2000 - 1 + 99);
  CHECK(bench.core().group_ids() == std::vector<std::string>{"g020"});
  CHECK(bench.count_of("g020") == 1);
  CHECK(bench.replayed() == bench.state());
}

TEST_CASE("a group that gets a commit where the sweep has passed stays") {
  Sweeping bench;
  bench.commit("g", 0, 100);
  bench.pass(kRetention);
  OffsetSweep sweep{.part = 20};
  CHECK(bench.take_part(sweep) == 20);
  CHECK(bench.take_part(sweep) == 20);
  bench.commit("g", 3, 1);
  bench.take_all(sweep);
  CHECK(bench.has_group("g"));
  CHECK(bench.count_of("g") == 1);
  CHECK(bench.state().offset("g", "t", 3));
}

TEST_CASE("what a log did not take is not taken for gone") {
  Sweeping bench;
  bench.commit("g", 0, 50);
  bench.pass(kRetention);
  OffsetSweep sweep{.part = 20};
  bench.take_part(sweep);
  bench.hold_appends(true);
  bench.take_part(sweep);
  bench.fail_next(protocol::ErrorCode::kNotEnoughReplicas);
  bench.hold_appends(false);
  bench.take_all(sweep);
  CHECK(bench.replayed() == bench.state());
  CHECK(bench.count_of("g") == 0);
  OffsetSweep next;
  bench.take_all(next);
  CHECK_FALSE(bench.has_group("g"));
  CHECK(bench.state() == MemoryGroupState());
}

TEST_CASE("a sweep ends although the log takes nothing") {
  Sweeping bench;
  bench.commit("g", 0, 50);
  bench.pass(kRetention);
  OffsetSweep sweep{.part = 20};
  bench.hold_appends(true);
  for (int parts = 0; !sweep.is_over; ++parts) {
    REQUIRE(parts < 10);
    bench.take_part(sweep);
    while (!bench.pending().empty()) bench.fail_next(protocol::ErrorCode::kNotEnoughReplicas);
  }
  CHECK(bench.count_of("g") == 50);
  CHECK(bench.has_group("g"));
}

TEST_CASE("groups that are deleted, made or come alive between two parts") {
  Sweeping bench;
  for (const char* group : {"a", "b", "c", "d"}) bench.commit(group, 0, 30);
  bench.pass(kRetention);
  OffsetSweep sweep{.part = 20};
  bench.take_part(sweep);  // some of a
  bench.take(bench.core().delete_groups(bench.token(), {"a", "b"}, bench.now()));
  bench.join("c");
  bench.commit("aa", 0, 3);
  bench.take_all(sweep);
  CHECK(bench.core().group_ids() == std::vector<std::string>{"aa", "c"});
  CHECK(bench.count_of("aa") == 3);
  CHECK(bench.count_of("c") == 30);  // it is alive, and nobody knows what it reads
  CHECK(bench.replayed() == bench.state());
}

TEST_CASE("offsets of deleted topics go in parts, pending ones too") {
  Sweeping bench;
  for (const char* topic : {"s", "t", "tt", "u", "v"}) bench.commit("g", 0, 100, topic);
  bench.commit("g", 0, 40, "pending", ProducerId(1));
  bench.commit("g", 20, 40, "pending", ProducerId(2));
  bench.commit("g", 90, 20, "t", ProducerId(1));
  bench.commit("h", 0, 5, "v");
  OffsetSweep sweep{.topics = {.deleted = {{"pending", {1, 1}}, {"t", {1, 2}}, {"u", {1, 3}}, {"nowhere", {1, 4}}}},
                    .part = 30};
  std::size_t records = 0;
  int parts = 0;
  for (; !sweep.is_over; ++parts) {
    const std::size_t more = bench.take_part(sweep);
    CHECK(more <= 40);  // no partition's producers are torn apart
    records += more;
  }
  CHECK(parts > 10);
  CHECK(records == 200 + 60 + 10);
  CHECK(bench.count_of("g") == 300);
  CHECK_FALSE(bench.state().has_any_pending("g"));
  CHECK(bench.count_of("h") == 5);
  CHECK(bench.replayed() == bench.state());
}

namespace {

// Commits, transactions, deletions and new members between the parts of one sweep after the other. What is wrong, or nothing.
class RandomSweeps {
 public:
  explicit RandomSweeps(std::uint64_t seed) : random_(seed) {}

  std::string run() {
    for (int step = 0; step < 400 && wrong_.empty(); ++step) {
      if (random_.below(3) > 0) change();
      if (random_.below(6) == 0) bench_.pass(std::chrono::minutes(random_.below(20)));
      part();
      if (!(bench_.replayed() == bench_.state())) wrong_ = "the log replayed is not the state";
    }
    return wrong_;
  }
  int finished = 0;
  int tombstones = 0;

 private:
  std::string group() { return fmt::format("g{}", random_.below(6)); }
  std::string topic() { return fmt::format("t{}", random_.below(4)); }

  void change() {
    switch (random_.below(8)) {
      case 0: return bench_.take(bench_.core().delete_groups(bench_.token(), {group()}, bench_.now()));
      case 1: return bench_.join(group());
      case 2: return commit(ProducerId(1));
      case 3: return bench_.end_transaction(ProducerId(1), random_.below(2) == 0);
      default: return commit(std::nullopt);
    }
  }
  void commit(std::optional<ProducerId> producer) {
    const auto count = static_cast<std::int32_t>(1 + random_.below(30));
    bench_.commit(group(), static_cast<std::int32_t>(random_.below(30)), count, topic(), producer);
  }
  void part() {
    if (sweep_.is_over) {
      ++finished;
      sweep_ = {.part = 1 + random_.below(50)};
      if (random_.below(2) == 0) sweep_.topics.deleted = {{topic(), {1, 1}}, {topic(), {1, 1}}};
    }
    Outcome outcome = bench_.core().sweep(sweep_, bench_.now());
    for (const Append& append : outcome.appends) {
      if (append.records.size() > 2 * sweep_.part + 2) wrong_ = "a part is too large";
      std::set<GroupPartition> gone;
      for (const CoordinatorRecord& record : append.records) look_at(record, gone);
    }
    bench_.take(std::move(outcome));
  }
  void look_at(const CoordinatorRecord& record, std::set<GroupPartition>& gone) {
    ++tombstones;
    const auto decoded = decode_record(record.key, std::nullopt);
    if (const auto* offset = std::get_if<OffsetRecord>(&*decoded)) {
      if (!gone.insert({offset->group, offset->partition}).second) wrong_ = "a tombstone twice";
      if (!sweep_.topics.any()) return check_expired(*offset);
      const bool is_meant = std::ranges::any_of(
          sweep_.topics.deleted, [&](const DeletedTopic& topic) { return topic.name == offset->partition.topic; });
      if (!is_meant) wrong_ = "an offset of another topic goes";
      return;
    }
    const auto* group = std::get_if<GroupRecord>(&*decoded);
    if (group == nullptr || sweep_.topics.any()) {
      wrong_ = "a record that nobody asked for";
      return;
    }
    bench_.state().for_each_offset(group->group, [&](const TopicPartition& where, const CommittedOffset&) {
      if (!gone.contains({group->group, where})) wrong_ = group->group + " ends with an offset left";
    });
    if (bench_.state().has_any_pending(group->group)) wrong_ = group->group + " ends with something pending";
  }
  void check_expired(const OffsetRecord& record) {
    const auto offset = bench_.state().offset(record.group, record.partition.topic, record.partition.partition);
    const auto group = bench_.core().classic_group(record.group);
    if (!offset || group == nullptr) {
      wrong_ = "an offset goes that is not there";
      return;
    }
    // Of a group that had members, since it is empty.
    const Timestamp since =
        group->protocol_type() ? group->state_since().value_or(offset->commit_timestamp) : offset->commit_timestamp;
    if (bench_.now().wall - since < kRetention.count()) wrong_ = "an offset goes too early";
  }

  SeededRandom random_;
  Sweeping bench_;
  OffsetSweep sweep_{.is_over = true};
  std::string wrong_;
};

}  // namespace

TEST_CASE("a sweep in parts takes what is due and nothing else, whatever happens between them") {
  const char* only = std::getenv("KURIER_SEED");
  const std::uint64_t first = only == nullptr ? 1 : std::stoull(only);
  const std::uint64_t last = only == nullptr ? 60 : first;
  int finished = 0;
  int tombstones = 0;
  for (std::uint64_t seed = first; seed <= last; ++seed) {
    INFO("KURIER_SEED=" << seed);
    RandomSweeps sweeps(seed);
    CHECK(sweeps.run() == "");
    finished += sweeps.finished;
    tombstones += sweeps.tombstones;
  }
  if (only != nullptr) return;
  CHECK(finished > 500);
  CHECK(tombstones > 5000);
}

TEST_CASE("in parts the same is left as at once") {
  for (const std::size_t part : {1U, 7U, 40U, 100000U}) {
    INFO(part);
    Sweeping bench;
    for (int i = 0; i < 20; ++i) {
      bench.commit(fmt::format("g{}", i), 0, i * 3);
      if (i % 5 == 0) bench.pass(std::chrono::minutes(10));
      if (i % 4 == 0) bench.commit(fmt::format("g{}", i / 2), 2, 1, "u");
    }
    OffsetSweep expiry{.part = part};
    bench.take_all(expiry);
    OffsetSweep deletion{.topics = {.deleted = {{"u", {1, 1}}}}, .part = part};
    bench.take_all(deletion);
    std::string left;
    bench.state().for_each_group([&](const std::string& id) { left += fmt::format("{}:{} ", id, bench.count_of(id)); });
    static std::string expected;
    if (expected.empty()) expected = left;
    CHECK_FALSE(left.empty());
    CHECK(left == expected);
    CHECK(bench.replayed() == bench.state());
  }
}
