#include "coordinator/runtime/coordinator_runtime.h"

#include <catch2/catch.hpp>

#include "base/random.h"
#include "coordinator/group/group_machine.h"
#include "coordinator/group/records.h"
#include "coordinator/runtime/batch_builder.h"
#include "protocol/messages/offset_commit_request.h"
#include "protocol/messages/offset_fetch_request.h"
#include "tests/support/manual_shard.h"
#include "tests/unit/coordinator/view_bench.h"

using namespace kurier;
using namespace kurier::coordinator;
using protocol::ErrorCode;
using Runtime = CoordinatorRuntime<GroupMachine>;

namespace {

// What a partition's log is to a coordinator; the test decides when something is committed and what is refused.
struct Content {
  std::vector<Bytes> batches;
  Offset end{0};
  Offset high_watermark{0};
  LeaderEpoch epoch{0};
  std::optional<ErrorCode> refuses;
  std::size_t records_max = 1'000'000;  // of a batch
  bool commits_at_once = true;
  RecordLogObserver* observer = nullptr;

  void commit() {
    high_watermark = end;
    if (observer != nullptr) observer->committed_to(high_watermark);
  }
};

class FakeLog final : public RecordLog {
 public:
  FakeLog(Content& content, const Clock& clock) : content_(content), clock_(clock) {}

  std::expected<Appended, ErrorCode> append(LeaderEpoch epoch, std::span<const CoordinatorRecord> records,
                                            const std::optional<TransactionOfAppend>& transaction) override {
    if (epoch != content_.epoch) return std::unexpected(ErrorCode::kNotLeaderOrFollower);
    if (content_.refuses) return std::unexpected(*content_.refuses);
    if (records.size() > content_.records_max) return std::unexpected(ErrorCode::kMessageTooLarge);
    Bytes batch = build_batch(records, transaction, clock_.wall());
    protocol::stamp_offset(batch, content_.end, epoch);
    const Offset first = content_.end;
    const std::uint32_t crc = protocol::RecordBatchView::parse(batch)->crc();
    content_.end += static_cast<std::int64_t>(records.size());
    content_.batches.push_back(std::move(batch));
    if (content_.commits_at_once) content_.commit();
    return Appended{first, content_.end, crc};
  }
  Task<Result<Bytes>> read(Offset from, std::size_t bytes_max) override {
    Bytes bytes;
    for (const Bytes& batch : content_.batches) {
      if (protocol::RecordBatchView::parse(batch)->last_offset() < from) continue;
      if (!bytes.empty() && bytes.size() + batch.size() > bytes_max) break;
      bytes.insert(bytes.end(), batch.begin(), batch.end());
    }
    co_return bytes;
  }
  Offset log_start_offset() const override { return Offset(0); }
  Offset high_watermark() const override { return content_.high_watermark; }
  Offset log_end_offset() const override { return content_.end; }
  std::optional<LeaderEpoch> epoch_at(Offset) const override { return content_.epoch; }
  std::optional<Offset> cleaned_to() const override { return std::nullopt; }
  void never_clean_beyond(std::optional<Offset>) override {}
  void flush_to(Offset, std::move_only_function<void(bool)> done) override { done(true); }
  void observe(RecordLogObserver* observer) override { content_.observer = observer; }

 private:
  Content& content_;
  const Clock& clock_;
};

struct Fixture {
  test::ManualShard shard;
  SeededRandom random{1};
  Content content;
  std::shared_ptr<Runtime> runtime;
  // With a view, if there is a store.
  ManualPool pool;
  simulation::SimulatedKeyValueStore* store = nullptr;
  std::shared_ptr<PartitionView> view;
  int views_lost = 0;

  explicit Fixture(simulation::SimulatedKeyValueStore* with_store = nullptr) : store(with_store) { restart(); }
  ~Fixture() { runtime->resign(); }

  // Everything that the pool has to do, and what comes of it.
  void settle() {
    do shard.run_posted();
    while (pool.run_one());
  }

  void restart() {
    if (runtime) runtime->resign();
    if (store != nullptr) return restart_with_view();
    runtime = std::make_shared<Runtime>(
        RuntimePorts{shard, shard, shard}, "offsets-0", std::make_unique<FakeLog>(content, shard),
        std::make_unique<GroupMachine>(GroupOptions{}, random), content.epoch, std::chrono::milliseconds(5000));
    runtime->begin();
  }

  void restart_with_view() {
    begin_with_view();
    settle();
  }

  // It loads, for the pool has not opened the store.
  void begin_with_view() {
    view = std::make_shared<PartitionView>(
        PartitionView::Ports{shard, shard, shard, pool, [this]() -> Result<KeyValueStore*> { return store; }},
        PartitionView::Options{
            .name = "offsets-0", .topic_id = {1, 2}, .distrust = views_lost > 0, .unsaved_bytes_max = 3000});
    runtime = std::make_shared<Runtime>(
        RuntimePorts{shard, shard, shard}, "offsets-0", std::make_unique<FakeLog>(content, shard),
        std::make_unique<GroupMachine>(GroupOptions{}, random, std::make_unique<ViewedGroupState>(view)), content.epoch,
        std::chrono::milliseconds(5000), Runtime::View{view, [this] { ++views_lost; }});
    runtime->begin();
  }

  static Task<void> take(std::shared_ptr<Runtime> runtime, Runtime::Operation operation,
                         std::optional<Response>& into) {
    auto response = co_await Runtime::ask(std::move(runtime), std::move(operation));
    if (response) into.emplace(*std::move(response));
  }
  void ask(Runtime::Operation operation, std::optional<Response>& into) {
    shard.spawn("test", take(runtime, std::move(operation), into));
  }

  // A commit of a consumer without members.
  void commit(std::int64_t offset, std::optional<Response>& into, const std::string& group = "g") {
    protocol::OffsetCommitRequest request;
    request.group_id = group;
    auto& topic = request.topics.emplace_back();
    topic.name = "t";
    auto& partition = topic.partitions.emplace_back();
    partition.committed_offset = Offset(offset);
    partition.committed_metadata = "";
    ask([request](GroupMachine& machine, RequestToken token,
                  Now now) { return machine.groups().offset_commit(token, {9, "client", "/127.0.0.1"}, request, now); },
        into);
  }
  static ErrorCode error_of(const std::optional<Response>& response) {
    return std::get<protocol::OffsetCommitResponse>(*response).topics.at(0).partitions.at(0).error_code;
  }
  std::int64_t committed(const std::string& group = "g") {
    const auto offset = runtime->machine().state().offset(group, "t", 0);
    return offset ? offset->offset.value() : -1;
  }
};

}  // namespace

TEST_CASE("an answer waits until its records are committed") {
  Fixture f;
  f.content.commits_at_once = false;
  std::optional<Response> first;
  std::optional<Response> second;
  f.commit(5, first);
  f.commit(6, second);
  REQUIRE_FALSE(first);
  REQUIRE(f.content.end == Offset(2));
  f.content.high_watermark = Offset(1);
  f.content.observer->committed_to(Offset(1));
  REQUIRE(Fixture::error_of(first) == ErrorCode::kNone);
  REQUIRE_FALSE(second);
  f.content.commit();
  REQUIRE(Fixture::error_of(second) == ErrorCode::kNone);
}

TEST_CASE("what the log refuses is not in the state, and is answered with the coordinator's error") {
  Fixture f;
  f.content.refuses = ErrorCode::kNotEnoughReplicas;
  std::optional<Response> answer;
  f.commit(5, answer);
  REQUIRE(Fixture::error_of(answer) == ErrorCode::kCoordinatorNotAvailable);
  REQUIRE(f.committed() == -1);
  f.content.refuses.reset();
  answer.reset();
  f.commit(5, answer);
  REQUIRE(Fixture::error_of(answer) == ErrorCode::kNone);
  REQUIRE(f.committed() == 5);
}

TEST_CASE("an append that is not committed in time is answered, and the coordinator goes on") {
  Fixture f;
  f.content.commits_at_once = false;
  std::optional<Response> answer;
  f.commit(5, answer);
  f.shard.pass(std::chrono::milliseconds(4999));
  REQUIRE_FALSE(answer);
  f.shard.pass(std::chrono::milliseconds(1));
  REQUIRE(Fixture::error_of(answer) == ErrorCode::kCoordinatorNotAvailable);
  f.content.commits_at_once = true;
  answer.reset();
  f.commit(6, answer);
  REQUIRE(Fixture::error_of(answer) == ErrorCode::kNone);
}

TEST_CASE("a coordinator that begins anew knows what was in the log, in as many reads as it takes") {
  Fixture f;
  std::optional<Response> answer;
  for (int i = 0; i < 20'000; ++i) {
    answer.reset();
    f.commit(i, answer, "g" + std::to_string(i % 100));
    REQUIRE(Fixture::error_of(answer) == ErrorCode::kNone);
  }
  f.restart();
  REQUIRE(f.runtime->availability() == ErrorCode::kNone);
  for (int i = 0; i < 100; ++i) REQUIRE(f.committed("g" + std::to_string(i)) == 19'900 + i);
}

TEST_CASE("a log whose last records were compacted away is loaded to its end") {
  Fixture f;
  f.content.end += 3;
  f.content.commit();
  f.restart();
  f.settle();
  CHECK(f.runtime->availability() == ErrorCode::kNone);
}

namespace {

Task<void> wait_for_commits(std::shared_ptr<Runtime> runtime, std::optional<bool>& into) {
  const bool committed = co_await Runtime::until_committed(std::move(runtime));
  into = committed;
}

}  // namespace

TEST_CASE("a damaged log keeps its coordinator unavailable instead of giving wrong answers") {
  Fixture f;
  std::optional<Response> answer;
  f.commit(5, answer);
  f.content.batches.back().back() ^= std::byte{1};
  f.restart();
  REQUIRE(f.runtime->availability() == ErrorCode::kNotCoordinator);
}

TEST_CASE("what need not be one batch is split where it is too large for one") {
  Fixture f;
  protocol::OffsetCommitRequest request;
  request.group_id = "g";
  auto& topic = request.topics.emplace_back();
  topic.name = "t";
  for (std::int32_t i = 0; i < 100; ++i) {
    auto& partition = topic.partitions.emplace_back();
    partition.partition_index = PartitionIndex(i);
    partition.committed_metadata = "";
  }
  const auto commit = [&](GroupMachine& machine, RequestToken token, Now now) {
    return machine.groups().offset_commit(token, {9, "client", "/127.0.0.1"}, request, now);
  };
  std::optional<Response> answer;
  f.ask(commit, answer);
  REQUIRE(Fixture::error_of(answer) == ErrorCode::kNone);
  f.content.records_max = 13;
  answer.reset();
  f.ask(commit, answer);  // one batch or none
  REQUIRE(Fixture::error_of(answer) == ErrorCode::kUnknownServerError);
  const Offset before = f.content.end;
  f.shard.pass(GroupOptions{}.offsets_retention);
  OffsetSweep sweep;
  f.runtime->perform([&](GroupMachine& machine, Now now) { return machine.groups().sweep(sweep, now); });
  REQUIRE(f.content.end == before + 101);  // the group goes with its offsets
  REQUIRE_FALSE(f.runtime->machine().state().has_offsets("g"));
  REQUIRE(f.runtime->machine().groups().group_ids().empty());
  f.restart();
  REQUIRE(f.runtime->machine().groups().group_ids().empty());
}

TEST_CASE("a commit that outlives the timeout has failed, and is told to readers only once it is committed") {
  Fixture f;
  f.content.commits_at_once = false;
  std::optional<Response> answer;
  f.commit(5, answer);
  f.shard.pass(std::chrono::milliseconds(5000));
  REQUIRE(Fixture::error_of(answer) == ErrorCode::kCoordinatorNotAvailable);
  std::optional<bool> early;
  f.shard.spawn("test", wait_for_commits(f.runtime, early));
  CHECK_FALSE(early);
  f.shard.pass(std::chrono::milliseconds(4999));
  std::optional<bool> late;
  f.shard.spawn("test", wait_for_commits(f.runtime, late));
  CHECK_FALSE(early);
  f.shard.pass(std::chrono::milliseconds(1));
  CHECK(early == false);
  CHECK_FALSE(late);
  f.content.commit();
  CHECK(late == true);
  std::optional<bool> at_once;
  f.shard.spawn("test", wait_for_commits(f.runtime, at_once));
  CHECK(at_once == true);
  CHECK(f.committed() == 5);
}

TEST_CASE("a coordinator answers when all that it has loaded is committed") {
  Fixture f;
  f.content.commits_at_once = false;
  std::optional<Response> answer;
  f.commit(5, answer);
  f.restart();
  CHECK(f.runtime->availability() == ErrorCode::kCoordinatorLoadInProgress);
  const Offset first = f.content.end;
  f.content.batches.push_back(f.content.batches.front());  // by somebody else, meanwhile
  protocol::stamp_offset(f.content.batches.back(), first, f.content.epoch);
  f.content.end = first + first.value();
  f.content.high_watermark = first;
  f.content.observer->committed_to(first);
  CHECK(f.runtime->availability() == ErrorCode::kCoordinatorLoadInProgress);
  f.restart();  // nobody waits for it any more
  CHECK(f.runtime->availability() == ErrorCode::kCoordinatorLoadInProgress);
  f.content.commit();
  CHECK(f.runtime->availability() == ErrorCode::kNone);
  CHECK(f.committed() == 5);
}

TEST_CASE("many groups come alive a part at a time, and others have their turn in between") {
  Fixture f;
  constexpr int kGroups = 200;
  FakeLog log(f.content, f.shard);
  for (int i = 0; i < kGroups; ++i) {
    protocol::GroupMetadataValue value;
    value.protocol_type = "consumer";
    value.generation = 1;
    auto& member = value.members.emplace_back();
    member.member_id = "m";
    member.session_timeout = 10'000;
    const CoordinatorRecord record = group_record("g" + std::to_string(i), value);
    REQUIRE(log.append(f.content.epoch, std::span(&record, 1), std::nullopt));
  }
  f.restart();
  CHECK(f.runtime->availability() == ErrorCode::kCoordinatorLoadInProgress);
  f.restart();  // nobody goes on with it
  CHECK(f.runtime->availability() == ErrorCode::kCoordinatorLoadInProgress);
  f.shard.pass(std::chrono::milliseconds(0));
  REQUIRE(f.runtime->availability() == ErrorCode::kNone);
  // Each member has its session, however late its group came.
  const auto empty = [&] {
    int count = 0;
    for (int i = 0; i < kGroups; ++i) {
      const auto group = f.runtime->machine().groups().classic_group("g" + std::to_string(i));
      if (group->is(ClassicGroupState::kEmpty)) ++count;
    }
    return count;
  };
  f.shard.pass(std::chrono::milliseconds(9'999));
  CHECK(empty() == 0);
  f.shard.pass(std::chrono::milliseconds(1));
  CHECK(empty() == kGroups);
}

TEST_CASE("who waits when the leadership ends is told so, readers too") {
  Fixture f;
  f.content.commits_at_once = false;
  std::optional<Response> answer;
  f.commit(5, answer);
  std::optional<bool> read;
  f.shard.spawn("test", wait_for_commits(f.runtime, read));
  REQUIRE_FALSE(read);
  f.runtime->resign();
  REQUIRE(Fixture::error_of(answer) == ErrorCode::kNotCoordinator);
  REQUIRE(read == false);
  REQUIRE(f.runtime->availability() == ErrorCode::kNotCoordinator);
}

namespace {

// Commits, crashes of the store and of the process, clean restarts; what is wrong, or nothing.
std::string life_with_a_view(std::uint64_t seed, bool loses_the_log, std::map<std::string, int>& counts) {
  SeededRandom random(seed);
  simulation::SimulatedKeyValueStore store(seed);
  Fixture f(&store);
  std::map<std::string, std::int64_t> answered;
  for (int step = 0; step < 300; ++step) {
    const std::string group = "g" + std::to_string(random.below(20));
    std::optional<Response> answer;
    f.commit(step, answer, group);
    if (!answer || Fixture::error_of(answer) != ErrorCode::kNone) return "a commit was not answered";
    answered[group] = step;
    if (random.below(15) == 0) f.shard.pass(std::chrono::seconds(31));
    if (random.below(3) == 0) f.settle();
    if (random.below(25) == 0) store.crash_at(store.changes() + 1 + random.below(3));
    const bool stops = random.below(40) == 0;
    if (!stops && !store.crashed()) continue;
    ++counts[stops ? "clean restart" : "crash"];
    f.runtime->resign();
    if (stops) f.settle();
    f.pool.forget_all();
    store.restart();
    if (loses_the_log) f.content.batches.pop_back(), f.content.end = f.content.end - 1;
    f.restart();
    if (f.runtime->availability() != ErrorCode::kNone) return "it does not load";
    if (f.view->saved()) ++counts["a view"];
    for (const auto& [name, offset] : answered) {
      if (f.committed(name) != offset) return name + " has lost its commit";
    }
    // A coordinator that has nothing but the log.
    MemoryGroupState replayed;
    for (const Bytes& batch : f.content.batches) {
      const auto parsed = protocol::RecordBatchView::parse(batch);
      protocol::RecordReader records(*parsed, parsed->payload());
      while (const protocol::RecordView* record = records.next()) {
        if (!replay(replayed, *record->key, record->value, record->offset)) return "the log cannot be replayed";
      }
    }
    if (described_in_parts(f.runtime->machine().state()) != described_in_parts(replayed)) return "view and log differ";
  }
  return {};
}

}  // namespace

TEST_CASE("a coordinator over a view loses no commit that it answered, whenever the store or the process ends") {
  std::map<std::string, int> counts;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    INFO("seed " << seed);
    REQUIRE(life_with_a_view(seed, false, counts) == "");
  }
  for (const char* what : {"crash", "clean restart", "a view"}) {
    INFO(what);
    CHECK(counts[what] > 50);
  }
}

TEST_CASE("the checker of coordinators over views sees a log that loses its end") {
  std::map<std::string, int> counts;
  bool is_caught = false;
  for (std::uint64_t seed = 1; seed <= 40 && !is_caught; ++seed)
    is_caught = !life_with_a_view(seed, true, counts).empty();
  CHECK(is_caught);
}

TEST_CASE("with a view only the rest of the log is replayed") {
  simulation::SimulatedKeyValueStore store(1);
  Fixture f(&store);
  std::optional<Response> answer;
  for (int i = 0; i < 100; ++i) f.commit(i, answer, "g" + std::to_string(i));
  f.shard.pass(std::chrono::seconds(31));
  f.settle();
  f.runtime->resign();
  f.settle();
  f.content.batches.front().back() ^= std::byte{1};  // whoever reads it stops
  f.restart();
  REQUIRE(f.runtime->availability() == ErrorCode::kNone);
  CHECK(f.committed("g42") == 42);
}

TEST_CASE("when the view cannot be read nothing is answered from it, and the next coordinator has the log's word") {
  simulation::SimulatedKeyValueStore store(1);
  Fixture f(&store);
  std::optional<Response> answer;
  f.commit(5, answer);
  f.runtime->resign();
  f.settle();
  f.restart();
  REQUIRE(f.committed() == 5);
  store.reading_fails(true);
  answer.reset();
  f.commit(6, answer);  // asks whether there is such a group
  CHECK(Fixture::error_of(answer) == ErrorCode::kNotCoordinator);
  CHECK(f.views_lost == 1);
  CHECK(f.runtime->availability() == ErrorCode::kNotCoordinator);
  CHECK(f.content.end == Offset(1));
  store.reading_fails(false);
  f.restart();
  CHECK(f.committed() == 5);
}

TEST_CASE("who may wait for a load goes on when it is over, when the patience is, or the leadership") {
  simulation::SimulatedKeyValueStore store(1);
  Fixture f(&store);
  int woken = 0;
  const auto wait = [](std::shared_ptr<Runtime> runtime, std::chrono::milliseconds patience, int& count) -> Task<void> {
    co_await Runtime::until_loaded(std::move(runtime), patience);
    ++count;
  };
  f.shard.spawn("test", wait(f.runtime, std::chrono::milliseconds(100), woken));
  CHECK(woken == 1);  // it has loaded
  f.runtime->resign();
  f.settle();
  f.begin_with_view();
  f.shard.spawn("test", wait(f.runtime, std::chrono::milliseconds(100), woken));
  f.shard.spawn("test", wait(f.runtime, std::chrono::milliseconds(200), woken));
  f.shard.pass(std::chrono::milliseconds(99));
  CHECK(woken == 1);
  f.shard.pass(std::chrono::milliseconds(1));
  CHECK(woken == 2);
  CHECK(f.runtime->availability() == ErrorCode::kCoordinatorLoadInProgress);
  f.settle();
  CHECK(woken == 3);
  CHECK(f.runtime->availability() == ErrorCode::kNone);
  f.shard.pass(std::chrono::milliseconds(200));
  f.runtime->resign();
  f.settle();
  f.begin_with_view();
  f.shard.spawn("test", wait(f.runtime, std::chrono::milliseconds(100), woken));
  f.runtime->resign();
  CHECK(woken == 4);
  f.settle();
}
