// Sweeps beside the other work of a shard: a part at a turn, one coordinator after the other, whatever becomes of them.
#include "broker/offset_sweeper.h"

#include <fmt/core.h>

#include <catch2/catch.hpp>

#include "base/random.h"
#include "protocol/messages/offset_commit_request.h"
#include "tests/support/manual_shard.h"

using namespace kurier;
using namespace kurier::coordinator;
using kurier::broker::GroupRuntime;
using kurier::broker::OffsetSweeper;

namespace {

// Commits at once; what was appended is only counted.
class CountingLog final : public RecordLog {
 public:
  explicit CountingLog(Offset& end) : end_(end) {}
  std::expected<Appended, protocol::ErrorCode> append(LeaderEpoch, std::span<const CoordinatorRecord> records,
                                                      const std::optional<TransactionOfAppend>&) override {
    const Offset first = end_;
    end_ += static_cast<std::int64_t>(records.size());
    if (observer_ != nullptr) observer_->committed_to(end_);
    return Appended{first, end_};
  }
  Task<Result<Bytes>> read(Offset, std::size_t) override { co_return Bytes{}; }
  Offset log_start_offset() const override { return Offset(0); }
  Offset high_watermark() const override { return end_; }
  Offset log_end_offset() const override { return end_; }
  std::optional<LeaderEpoch> epoch_at(Offset) const override { return LeaderEpoch(0); }
  std::optional<Offset> cleaned_to() const override { return std::nullopt; }
  void never_clean_beyond(std::optional<Offset>) override {}
  void flush_to(Offset, std::move_only_function<void(bool)> done) override { done(true); }
  void observe(RecordLogObserver* observer) override { observer_ = observer; }

 private:
  Offset& end_;
  RecordLogObserver* observer_ = nullptr;
};

struct Coordinator {
  Coordinator(test::ManualShard& shard, Random& random) {
    runtime = std::make_shared<GroupRuntime>(
        RuntimePorts{shard, shard, shard}, "offsets", std::make_unique<CountingLog>(end),
        std::make_unique<GroupMachine>(GroupOptions{}, random), LeaderEpoch(0), std::chrono::milliseconds(5000));
    runtime->begin();
  }
  ~Coordinator() { runtime->resign(); }

  void commit(const std::string& group, const std::string& topic, std::int32_t count) {
    runtime->perform([&](GroupMachine& machine, Now now) {
      protocol::OffsetCommitRequest request;
      request.group_id = group;
      auto& named = request.topics.emplace_back();
      named.name = topic;
      for (std::int32_t i = 0; i < count; ++i) named.partitions.emplace_back().partition_index = PartitionIndex(i);
      return machine.groups().offset_commit(++token, {9, "", ""}, request, now);
    });
  }
  std::size_t offsets() const {
    std::size_t count = 0;
    const GroupStateReader& state = runtime->machine().state();
    state.for_each_group([&](const std::string& group) {
      state.for_each_offset(group, [&](const TopicPartition&, const CommittedOffset&) { ++count; });
    });
    return count;
  }

  Offset end{0};
  RequestToken token = 1'000'000;
  std::shared_ptr<GroupRuntime> runtime;
};

struct Fixture {
  test::ManualShard shard;
  SeededRandom random{1};
  Coordinator first{shard, random};
  Coordinator second{shard, random};
  OffsetSweeper sweeper{shard, shard, shard};

  Fixture() {
    for (int i = 0; i < 100; ++i) {
      for (Coordinator* each : {&first, &second}) {
        each->commit(fmt::format("g{}", i), "t", 20);
        each->commit(fmt::format("g{}", i), "u", 20);
      }
    }
  }
};

const DeletedTopics kT{{"t", {1, 1}}};

}  // namespace

TEST_CASE("at each turn of the shard a part of one coordinator is swept, and others have theirs in between") {
  Fixture f;
  f.sweeper.forget(f.first.runtime, kT);
  f.sweeper.forget(f.second.runtime, kT);
  int turns = 0;
  int others = 0;
  std::size_t before = 8000;
  while (f.first.offsets() + f.second.offsets() > 4000) {
    REQUIRE(turns++ < 100);
    f.shard.post([&] { ++others; });
    REQUIRE(f.shard.run_one_posted());
    REQUIRE(f.shard.run_one_posted());
    const std::size_t left = f.first.offsets() + f.second.offsets();
    CHECK(before - left <= 256);
    CHECK((f.first.offsets() == 2000 || f.second.offsets() == 4000));
    before = left;
  }
  CHECK(turns >= 8);
  CHECK(others == turns);
  f.shard.run_posted();
  CHECK(f.first.end == Offset(4000 + 2000));
}

TEST_CASE("a sweep ends with its coordinator, and the next one goes on") {
  Fixture f;
  f.sweeper.forget(f.first.runtime, kT);
  f.sweeper.forget(f.second.runtime, kT);
  REQUIRE(f.shard.run_one_posted());
  const std::size_t left = f.first.offsets();
  CHECK(left < 4000);
  f.first.runtime->resign();
  f.shard.run_posted();
  CHECK(f.first.offsets() == left);
  CHECK(f.second.offsets() == 2000);
}

TEST_CASE("topics that are deleted before a sweep begins go with it; later ones get their own") {
  Fixture f;
  f.sweeper.forget(f.first.runtime, kT);
  f.sweeper.forget(f.second.runtime, kT);
  f.sweeper.forget(f.second.runtime, {{"u", {1, 2}}});
  REQUIRE(f.shard.run_one_posted());
  f.sweeper.forget(f.first.runtime, {{"u", {1, 2}}});
  f.shard.run_posted();
  CHECK(f.first.offsets() == 0);
  CHECK(f.second.offsets() == 0);
}

TEST_CASE("what is gone may be said offset by offset, and goes whatever it is called") {
  Fixture f;
  f.first.commit("g7", "v", 20);
  const Offset end = f.first.end;
  f.first.commit("g8", "v", 20);
  f.sweeper.forget(f.first.runtime, [&](const TopicPartition& at, const CommittedOffset& offset) {
    return at.topic != "t" && offset.record_offset < end;
  });
  f.sweeper.expire(f.first.runtime);
  REQUIRE(f.shard.run_one_posted());
  CHECK(f.first.offsets() < 4040);
  f.shard.run_posted();
  CHECK(f.first.offsets() == 2020);
  CHECK(f.second.offsets() == 4000);
  f.sweeper.forget(f.second.runtime, [&](const TopicPartition&, const CommittedOffset&) { return true; });
  f.sweeper.finish();  // it is a deletion
  CHECK(f.second.offsets() == 0);
}

TEST_CASE("before a stop deletions are finished, and nothing else is done") {
  Fixture f;
  f.shard.pass(GroupOptions{}.offsets_retention);
  f.sweeper.expire(f.first.runtime);
  f.sweeper.expire(f.first.runtime);
  f.sweeper.forget(f.first.runtime, kT);
  f.sweeper.forget(f.second.runtime, kT);
  f.sweeper.finish();
  CHECK(f.first.offsets() == 2000);
  CHECK(f.second.offsets() == 2000);
  f.shard.run_posted();
  CHECK(f.first.offsets() == 2000);
}

TEST_CASE("what has expired goes, with its groups") {
  Fixture f;
  f.shard.pass(GroupOptions{}.offsets_retention);
  f.first.commit("g7", "t", 1);
  f.sweeper.expire(f.first.runtime);
  f.shard.run_posted();
  CHECK(f.first.offsets() == 1);
  CHECK(f.first.runtime->machine().groups().group_ids() == std::vector<std::string>{"g7"});
  CHECK(f.second.offsets() == 4000);
}
