// The view: random changes with crashes at every write, beside the same in memory; what makes it invalid; who is told what.
// One history again: KURIER_SEED=17 unit_coordinator "a view that crashes*"
#include <catch2/catch.hpp>

#include <cstdlib>

#include "coordinator/group/memory_state.h"
#include "coordinator/view/ordered_key.h"
#include "coordinator/view/stored_views.h"
#include "tests/unit/coordinator/view_bench.h"

using namespace kurier;
using namespace kurier::coordinator;
using kurier::simulation::SimulatedKeyValueStore;

namespace {

const TopicId kTopicId{7, 8};
const Uuid kDirectory{9, 10};

// One random change, the same to every state that it is given to.
class Change {
 public:
  explicit Change(Random& random)
      : kind_(random.below(12)),
        group_(std::string(kGroups[random.below(5)])),
        partition_{std::string(kTopics[random.below(4)]), kPartitions[random.below(4)]},
        producer_(random.below(2) == 0 ? ProducerId(-5) : ProducerId(static_cast<std::int64_t>(random.below(2)))),
        value_(static_cast<std::int64_t>(random.below(1000))) {}

  void apply(GroupState& state, Offset at) const {
    const Bytes key = to_bytes("key" + std::to_string(value_ % 3));
    switch (kind_) {
      case 0: return state.put_classic_group(group_, classic());
      case 1: return state.erase_classic_group(group_);
      case 2: return state.put_other_record(group_, key, to_bytes(std::to_string(value_)));
      case 3: return state.erase_other_record(group_, key);
      case 4: return state.erase_offset(group_, partition_);
      case 5:
      case 6: return state.put_pending(producer_, group_, partition_, offset(at));
      case 7: return state.erase_pending(group_, partition_);
      case 8: {
        for (auto& [where, taken] : state.take_pending(producer_))
          state.put_offset(where.group, where.partition, std::move(taken));
        return;
      }
      default: return state.put_offset(group_, partition_, offset(at));
    }
  }

 private:
  static constexpr std::string_view kGroups[] = {"", "a", std::string_view("a\0b", 3), "ab", "\xff\xff"};
  static constexpr std::string_view kTopics[] = {"t", std::string_view("t\0", 2), "tt", "u"};
  static constexpr std::int32_t kPartitions[] = {-1, 0, 1, 0x01020304};

  [[nodiscard]] protocol::GroupMetadataValue classic() const {
    protocol::GroupMetadataValue group;
    group.protocol_type = "consumer";
    group.generation = static_cast<std::int32_t>(value_);
    if (value_ % 2 == 0) group.members.emplace_back().member_id = "m";
    return group;
  }
  [[nodiscard]] CommittedOffset offset(Offset at) const {
    CommittedOffset offset;
    offset.offset = Offset(value_);
    offset.metadata = std::string("m\0\xff", 3);
    offset.commit_timestamp = Timestamp(value_ * 2);
    offset.topic_id = value_ % 2 == 0 ? TopicId{} : TopicId{1, 2};
    offset.record_offset = at;
    return offset;
  }

  std::uint64_t kind_;
  std::string group_;
  TopicPartition partition_;
  ProducerId producer_;
  std::int64_t value_;
};

struct Fixture {
  explicit Fixture(std::uint64_t seed = 1) : store(seed) {}
  ~Fixture() {
    if (view) view->close();
    finish();
  }

  test::ManualShard shard;
  ManualPool pool;
  SimulatedKeyValueStore store;
  LogFigures figures;
  FiguresLog log{figures};
  std::shared_ptr<PartitionView> view;
  std::unique_ptr<ViewedGroupState> state;
  std::optional<Result<Offset>> begun;
  Result<void> store_opens{};
  std::function<void(Offset, std::move_only_function<void()>)> save_last;

  void make(bool distrust = false, Uuid directory = kDirectory) {
    if (view) view->close();
    view = std::make_shared<PartitionView>(PartitionView::Ports{shard, shard, shard, pool,
                                                                [this]() -> Result<KeyValueStore*> {
                                                                  if (!store_opens)
                                                                    return std::unexpected(store_opens.error());
                                                                  return &store;
                                                                },
                                                                save_last},
                                           PartitionView::Options{.name = "offsets-0",
                                                                  .topic_id = kTopicId,
                                                                  .partition = PartitionIndex(0),
                                                                  .log_directory_id = directory,
                                                                  .distrust = distrust,
                                                                  .unsaved_bytes_max = 2000,
                                                                  .unsaved_records_max = 100,
                                                                  .unsaved_time_max = std::chrono::seconds(30)});
    state = std::make_unique<ViewedGroupState>(view);
    begun.reset();
    shard.spawn("test", begin(view, log, begun));
  }
  static Task<void> begin(std::shared_ptr<PartitionView> view, RecordLog& log, std::optional<Result<Offset>>& into) {
    auto result = co_await PartitionView::begin(std::move(view), log);
    into.emplace(std::move(result));
  }
  void finish() {
    do shard.run_posted();
    while (pool.run_one());
  }
  Offset open(bool distrust = false, Uuid directory = kDirectory) {
    make(distrust, directory);
    finish();
    REQUIRE(begun.has_value());
    REQUIRE(begun->has_value());
    return **begun;
  }
  // A commit, as the record at the end of the log.
  void commit(const std::string& group, std::int64_t value) {
    CommittedOffset offset;
    offset.offset = Offset(value);
    state->put_offset(group, {"t", 0}, offset);
    figures.end += 1;
    view->reflects({figures.end, figures.epoch});
  }
  void all_is_committed() {
    figures.high_watermark = figures.end;
    view->committed_to(figures.end);
  }
  void save() {
    all_is_committed();
    shard.pass(std::chrono::seconds(31));
    finish();
  }
  std::int64_t committed(const std::string& group) {
    const auto offset = state->offset(group, "t", 0);
    return offset ? offset->offset.value() : -1;
  }
};

// A history of changes with crashes; what is wrong, or nothing.
std::string history(std::uint64_t seed, SimulatedKeyValueStore::Bugs bugs, std::map<std::string, int>& counts) {
  SeededRandom random(seed);
  Fixture f(seed);
  f.store.bugs = bugs;
  std::vector<Change> log;  // a record each
  std::vector<std::string> states{described_in_parts(MemoryGroupState{})};  // after so many of them
  MemoryGroupState memory;
  const auto position = [&] { return Offset(static_cast<std::int64_t>(log.size())); };
  const auto reflect = [&](std::size_t count) {
    f.view->reflects({Offset(static_cast<std::int64_t>(count)), f.figures.epoch});
  };
  static_cast<void>(f.open());
  for (int step = 0; step < 400; ++step) {
    log.emplace_back(random);
    log.back().apply(memory, position());
    log.back().apply(*f.state, position());
    states.push_back(described_in_parts(memory));
    f.figures.end = position();
    reflect(log.size());
    if (random.below(3) == 0) f.all_is_committed();
    if (random.below(10) == 0) f.shard.pass(std::chrono::seconds(31));
    if (random.below(4) == 0) f.pool.run_one();
    if (random.below(2) == 0) f.shard.run_posted();
    if (const std::string now = described_in_parts(*f.state); now != states.back())
      return "live:\n" + now + "not\n" + states.back();
    if (f.figures.bound && *f.figures.bound > Offset(0)) ++counts["saved"];
    const Offset bound = f.figures.bound.value_or(Offset(0));
    const bool stops_cleanly = random.below(60) == 0;
    if (!stops_cleanly && !f.store.crashed()) {
      if (random.below(20) == 0) f.store.crash_at(f.store.changes() + 1 + random.below(3));
      continue;
    }
    if (stops_cleanly) {
      ++counts["clean stop"];
      f.view->close();
      f.finish();
    } else {
      ++counts["crash"];
      f.view->close();
      f.pool.forget_all();  // also what the view wanted to say at the end
    }
    f.store.restart();
    const auto from = static_cast<std::size_t>(f.open().value());
    if (from > 0) ++counts["went on from a view"];
    if (Offset(static_cast<std::int64_t>(from)) < bound) return "the cleaner was let past what is durable";
    if (const std::string now = described_in_parts(*f.state); now != states[from])
      return "opened at " + std::to_string(from) + ":\n" + now + "not\n" + states[from];
    for (std::size_t at = from; at < log.size(); ++at) {
      log[at].apply(*f.state, Offset(static_cast<std::int64_t>(at) + 1));
      reflect(at + 1);
    }
    if (!f.view->is_sound()) return "not sound";
  }
  return {};
}

}  // namespace

TEST_CASE("many changes of one thing are saved before the time, so that the log can be cleaned") {
  Fixture f;
  static_cast<void>(f.open());
  for (std::int64_t i = 1; i <= 250; ++i) {
    f.commit("g", i);
    f.all_is_committed();
    f.finish();
  }
  CHECK(f.figures.bound == Offset(200));
  CHECK(f.view->saved()->offset == Offset(200));
}

TEST_CASE("a view that crashes at any write has what the log says, and the cleaner is never let past it") {
  const char* only = std::getenv("KURIER_SEED");
  const std::uint64_t first = only == nullptr ? 1 : std::stoull(only);
  const std::uint64_t last = only == nullptr ? 60 : first;
  std::map<std::string, int> counts;
  for (std::uint64_t seed = first; seed <= last; ++seed) {
    INFO("KURIER_SEED=" << seed);
    REQUIRE(history(seed, {}, counts) == "");
  }
  if (only != nullptr) return;
  for (const char* what : {"saved", "clean stop", "crash", "went on from a view"}) {
    INFO(what);
    CHECK(counts[what] > 20);
  }
}

TEST_CASE("the checker sees a store that tears writes, and one that does not flush") {
  const auto is_caught = [](SimulatedKeyValueStore::Bugs bugs) {
    std::map<std::string, int> counts;
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
      if (!history(seed, bugs, counts).empty()) return true;
    }
    return false;
  };
  CHECK(is_caught({.tears_writes = true}));
  CHECK(is_caught({.flush_does_nothing = true}));
}

TEST_CASE("a view is used only if the log bears it out") {
  const StoredPosition stored{{Offset(100), LeaderEpoch(4)}, kDirectory};
  const LogFacts good{Offset(0), Offset(100), std::nullopt, LeaderEpoch(4), kDirectory};
  CHECK_FALSE(reason_to_discard(stored, good));
  auto with = [&](auto change) {
    LogFacts facts = good;
    change(facts);
    return reason_to_discard(stored, facts).has_value();
  };
  CHECK_FALSE(with([](LogFacts& log) { log.log_start_offset = Offset(100); }));
  CHECK(with([](LogFacts& log) {
    log.log_start_offset = Offset(101);
    log.log_end_offset = Offset(200);
  }));
  CHECK_FALSE(with([](LogFacts& log) { log.log_end_offset = Offset(101); }));
  CHECK(with([](LogFacts& log) { log.log_end_offset = Offset(99); }));
  CHECK_FALSE(with([](LogFacts& log) { log.cleaned_to = Offset(100); }));
  CHECK(with([](LogFacts& log) { log.cleaned_to = Offset(101); }));
  CHECK(with([](LogFacts& log) { log.epoch = LeaderEpoch(5); }));
  CHECK(with([](LogFacts& log) { log.epoch.reset(); }));
  CHECK(with([](LogFacts& log) { log.log_directory_id = Uuid{1, 1}; }));
  CHECK_FALSE(with([](LogFacts& log) { log.crc = 8; }));  // a view that does not say
}

TEST_CASE("a view is not used where the log has another batch before its offset") {
  const StoredPosition stored{{Offset(100), LeaderEpoch(4), 7}, kDirectory};
  LogFacts log{Offset(0), Offset(100), std::nullopt, LeaderEpoch(4), kDirectory};
  CHECK_FALSE(reason_to_discard(stored, log));  // compaction has taken the batch
  log.crc = 7;
  CHECK_FALSE(reason_to_discard(stored, log));
  log.crc = 8;
  CHECK(reason_to_discard(stored, log));
  log.cleaned_to = Offset(99);
  CHECK(reason_to_discard(stored, log));
  log.cleaned_to = Offset(100);  // by us, never beyond the view: with another checksum
  CHECK_FALSE(reason_to_discard(stored, log));
  CHECK(decode_position(encode_position(stored))->position == stored.position);
}

TEST_CASE("a view that the log does not bear out is erased for good before the log is replayed") {
  Fixture f;
  static_cast<void>(f.open());
  f.commit("g", 5);
  f.save();
  REQUIRE(f.open() == Offset(1));
  REQUIRE(f.committed("g") == 5);
  const auto expected = GENERATE("truncated", "another leader", "cleaned", "another directory", "unreadable",
                                 "distrusted", "the position cannot be read");
  INFO(expected);
  const std::string what = expected;
  if (what == "truncated") f.figures.end = Offset(0);
  if (what == "another leader") f.figures.epoch = LeaderEpoch(4);
  if (what == "cleaned") f.figures.end = Offset(10), f.figures.cleaned_to = Offset(2);
  auto content = f.store.content();
  if (what == "the position cannot be read") content.begin()->second = to_bytes("\xff\xff");
  f.store.become(content);
  const Offset from =
      f.open(what == "distrusted" || what == "unreadable", what == "another directory" ? Uuid{1, 1} : kDirectory);
  CHECK(from == Offset(0));
  CHECK(f.committed("g") == -1);
  CHECK(f.figures.bound == Offset(0));
  f.pool.forget_all();
  f.store.restart();
  CHECK(f.store.content().empty());
}

TEST_CASE("what cannot be erased is not used: nothing is answered") {
  Fixture f;
  static_cast<void>(f.open());
  f.commit("g", 5);
  f.save();
  f.figures.end = Offset(0);
  f.make();
  f.pool.run_one();  // opened
  f.store.crash_at(f.store.changes() + 1);
  f.finish();
  REQUIRE(f.begun.has_value());
  CHECK_FALSE(f.begun->has_value());
}

TEST_CASE("without a store everything is in memory, and the cleaner is free") {
  Fixture f;
  f.store_opens = fail(Failure::kIo, "no disk");
  CHECK(f.open() == Offset(0));
  for (int i = 0; i < 100; ++i) f.commit("g" + std::to_string(i), i);
  f.save();
  CHECK(f.committed("g7") == 7);
  CHECK_FALSE(f.figures.bound.has_value());
  CHECK(f.store.content().empty());
}

TEST_CASE("a store that fails is left as it is; what changes is in memory") {
  Fixture f;
  static_cast<void>(f.open());
  f.commit("a", 1);
  f.save();
  f.commit("a", 2);
  f.commit("b", 3);
  f.store.crash_at(f.store.changes() + 1);
  f.save();
  f.commit("c", 4);
  f.save();
  CHECK(f.committed("a") == 2);
  CHECK(f.committed("b") == 3);
  CHECK(f.committed("c") == 4);
  CHECK(f.figures.bound == Offset(1));  // as far as the store has it
  f.view->close();
  f.finish();
  f.store.restart();
  CHECK(f.open() == Offset(1));
  CHECK(f.committed("a") == 1);
}

TEST_CASE("only what is committed is saved") {
  Fixture f;
  static_cast<void>(f.open());
  f.commit("g", 5);
  f.shard.pass(std::chrono::seconds(31));
  f.finish();
  CHECK(f.store.content().empty());
  f.commit("g", 6);
  f.view->committed_to(Offset(1));
  f.finish();
  CHECK(f.view->saved()->offset == Offset(1));
  CHECK(f.figures.bound == Offset(1));
  CHECK(f.committed("g") == 6);
  f.view->close();  // the second commit is not committed
  f.finish();
  CHECK(f.open() == Offset(1));
  CHECK(f.committed("g") == 5);
}

TEST_CASE("only what the log does not lose in a power cut is saved") {
  Fixture f;
  static_cast<void>(f.open());
  f.figures.flushes_wait = true;
  f.commit("g", 5);
  f.save();
  REQUIRE(f.figures.flushes.size() == 1);
  CHECK(f.figures.flushes.front().first == Offset(1));
  CHECK(f.store.content().empty());
  f.commit("g", 6);
  f.save();
  REQUIRE(f.figures.flushes.size() == 1);
  f.figures.flushes.front().second(true);
  f.finish();
  CHECK(f.view->saved()->offset == Offset(1));
  // What cannot be made durable is not saved: its partition is at its end.
  f.save();
  REQUIRE(f.figures.flushes.size() == 2);
  f.figures.flushes.back().second(false);
  f.finish();
  f.view->close();
  f.finish();
  f.figures.flushes_wait = false;
  CHECK(f.open() == Offset(1));
}

TEST_CASE("a lot is saved at once, a little after a while, the rest at the end") {
  Fixture f;
  static_cast<void>(f.open());
  f.all_is_committed();
  f.commit("g", 1);
  f.all_is_committed();
  f.finish();
  CHECK_FALSE(f.view->saved().has_value());
  f.save();
  CHECK(f.view->saved()->offset == Offset(1));
  for (int i = 0; i < 50; ++i) f.commit("g" + std::to_string(i), i);
  f.all_is_committed();
  f.finish();
  CHECK(f.view->saved()->offset > Offset(1));
  CHECK(f.view->unsaved_bytes() < 2000);
  f.commit("last", 9);
  f.all_is_committed();
  f.view->close();
  f.finish();
  CHECK(f.open() == f.figures.end);
  CHECK(f.committed("last") == 9);
}

TEST_CASE("what is left at the end is handed over, and saved when the log is durable so far") {
  Fixture f;
  Offset end{-1};
  std::move_only_function<void()> save;
  f.save_last = [&](Offset needed, std::move_only_function<void()> work) {
    end = needed;
    save = std::move(work);
  };
  static_cast<void>(f.open());
  f.commit("g", 5);
  f.commit("g", 6);
  f.all_is_committed();
  f.view->close();
  f.finish();
  CHECK(end == Offset(2));
  CHECK(f.store.content().empty());
  REQUIRE(save);
  save();
  CHECK(f.open() == Offset(2));
  CHECK(f.committed("g") == 6);
}

TEST_CASE("a view that has missed records of its log does not go on") {
  Fixture f;
  static_cast<void>(f.open());
  f.commit("g", 1);
  f.save();
  f.figures.end += 1;  // by somebody else
  f.view->missed_something();
  f.commit("g", 3);
  f.save();
  CHECK(f.committed("g") == 3);
  f.view->close();
  f.finish();
  CHECK(f.open() == Offset(1));
}

TEST_CASE("what cannot be read is said, and nothing of it is saved") {
  Fixture f;
  static_cast<void>(f.open());
  f.commit("g", 1);
  f.save();
  f.store.reading_fails(true);
  CHECK(f.committed("g") == -1);
  CHECK_FALSE(f.view->is_sound());
  f.store.reading_fails(false);
  f.commit("h", 2);
  f.save();
  f.view->close();
  f.finish();
  CHECK(f.open() == Offset(1));
}

TEST_CASE("a damaged value is said to be damaged") {
  Fixture f;
  static_cast<void>(f.open());
  f.commit("g", 1);
  f.save();
  auto content = f.store.content();
  content.rbegin()->second = to_bytes("\xff");
  f.store.become(content);
  static_cast<void>(f.open());
  CHECK(f.committed("g") == -1);
  CHECK_FALSE(f.view->is_sound());
}

TEST_CASE("views of several partitions do not see each other") {
  Fixture f;
  static_cast<void>(f.open());
  Bytes other(20, std::byte{0xff});
  f.store.put_durably(other, to_bytes("x"));
  other.push_back(std::byte{1});
  f.store.put_durably(other, to_bytes("x"));
  f.commit("g", 1);
  f.save();
  CHECK(f.open(true) == Offset(0));
  CHECK(f.store.content().size() == 2);
}

TEST_CASE("keys are ordered as their parts are") {
  const std::vector<std::string> texts{"",
                                       std::string("\0", 1),
                                       std::string("\0\0", 2),
                                       std::string("\0\1", 2),
                                       "\1",
                                       "a",
                                       std::string("a\0", 2),
                                       std::string("a\0b", 3),
                                       "ab",
                                       "b",
                                       "\xff",
                                       "\xff\xff"};
  const std::vector<std::int64_t> numbers{INT64_MIN, -256, -1, 0, 1, 255, 256, INT64_MAX};
  std::vector<std::pair<std::string, std::int64_t>> parts;
  std::vector<Bytes> keys;
  for (const auto& text : texts) {
    for (const auto number : numbers) {
      parts.emplace_back(text, number);
      keys.push_back(OrderedKey().text(text).number(number).take());
    }
  }
  for (std::size_t i = 0; i < keys.size(); ++i) {
    OrderedKeyReader reader(keys[i]);
    CHECK(reader.text() == parts[i].first);
    CHECK(reader.number<std::int64_t>() == parts[i].second);
    CHECK(reader.ok());
    if (i > 0) CHECK(keys[i - 1] < keys[i]);
    OrderedKeyReader cut(ByteView(keys[i]).first(keys[i].size() - 1));
    static_cast<void>(cut.text());
    static_cast<void>(cut.number<std::int64_t>());
    CHECK_FALSE(cut.ok());
  }
}

TEST_CASE("views of topics that are no more are erased, those of others and what is no view are not") {
  SimulatedKeyValueStore store(1);
  const TopicId first{1, 1};
  const TopicId last{UINT64_MAX, 1};
  for (const TopicId& topic : {first, kTopicId, last}) {
    for (const std::int32_t partition : {0, 7}) {
      const Bytes prefix = view_prefix(topic, PartitionIndex(partition));
      store.put_durably(prefix, {});
      for (const char* key : {"a", "b"}) {
        Bytes stored = prefix;
        stored.push_back(static_cast<std::byte>(*key));
        store.put_durably(std::move(stored), {});
      }
    }
  }
  store.put_durably(to_bytes("short"), {});
  const auto whole = store.content();
  CHECK(*erase_views_of_others(store, {first, kTopicId, last}) == 0);
  CHECK(store.content() == whole);
  CHECK(*erase_views_of_others(store, {kTopicId, last}) == 1);
  CHECK(store.content().size() == whole.size() - 6);
  CHECK(*erase_views_of_others(store, {{5, 5}, last}) == 1);
  CHECK(store.content().size() == whole.size() - 12);
  CHECK(store.content().contains(to_bytes("short")));
}

TEST_CASE("a view has no room while there is enough to be saved and what came before is not saved") {
  Fixture f;
  f.open();
  CHECK(f.view->has_room());
  for (int i = 0; i < 60; ++i) f.commit("group-" + std::to_string(i), i);
  CHECK_FALSE(f.view->has_room());  // the first part waits until it is committed
  f.all_is_committed();
  f.finish();
  CHECK(f.view->has_room());
  CHECK(f.view->saved()->offset == Offset(60));
}
