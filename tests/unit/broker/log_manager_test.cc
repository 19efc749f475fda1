// How a shard's partitions follow the metadata while their directories are made by a pool.
#include "broker/log_manager.h"

#include <catch2/catch.hpp>

#include "tests/simulation/simulated_file_system.h"
#include "tests/support/manual_pool.h"
#include "tests/support/manual_shard.h"

using namespace kurier;
using namespace kurier::broker;
using replication::MetadataDelta;
using replication::MetadataImage;

namespace {

const BrokerId kSelf(1);

TopicId id_of(std::uint64_t number) { return Uuid{7, number}; }

struct Leading final : PartitionObserver {
  void leads(const std::shared_ptr<Partition>& partition, PartitionPorts) override {
    led.push_back(partition->topic());
  }
  void leads_no_longer(const std::shared_ptr<Partition>& partition) override { lost.push_back(partition->topic()); }
  std::vector<std::string> led;
  std::vector<std::string> lost;
};

struct Fixture {
  test::ManualShard shard;
  simulation::SimulatedFileSystem files{1};
  test::ManualPool flusher;
  test::ManualPool pool;
  Leading observer;
  config::NodeConfig config;
  PartitionTable table;
  LogDirectories directories{files};
  std::shared_ptr<const MetadataImage> image = std::make_shared<const MetadataImage>();
  std::vector<replication::DirectoryAssignment> told;
  int removals = 0;
  std::unique_ptr<LogManager> logs;
  std::vector<std::string> followed;

  explicit Fixture(std::vector<std::string> paths = {"/d"}) {
    config.node_id = kSelf;
    for (const std::string& path : paths) {
      REQUIRE(directories.add(storage::LogDirectory::open(files, path).value()));
      directories.all().back().id = Uuid{1, directories.all().size()};
    }
    logs = std::make_unique<LogManager>(
        LogManagerPorts{files, shard, shard, shard, flusher, pool, observer, [](LogDirectoryState&, const Error&) {},
                        [this](auto assignments) { told.insert(told.end(), assignments.begin(), assignments.end()); },
                        [this] { ++removals; }, [this] { return image; }, [] { return true; }},
        config, table, directories, ShardIndex(0), ShardIndex(1));
    REQUIRE(load_logs(files, {logs.get()}, directories, *image, kSelf, pool));
  }

  static std::vector<replication::MetadataRecord> creation(const std::string& name, std::uint64_t id,
                                                           std::int32_t partitions = 1, std::int32_t first = 0) {
    std::vector<replication::MetadataRecord> records;
    protocol::TopicRecord topic;
    topic.name = name;
    topic.topic_id = id_of(id);
    if (first == 0) records.emplace_back(topic);
    for (std::int32_t i = first; i < partitions; ++i) {
      protocol::PartitionRecord partition;
      partition.topic_id = id_of(id);
      partition.partition_id = PartitionIndex(i);
      partition.replicas = partition.isr = {kSelf};
      partition.leader = kSelf;
      partition.leader_epoch = LeaderEpoch(0);
      partition.partition_epoch = PartitionEpoch(0);
      records.emplace_back(partition);
    }
    return records;
  }

  // The records are committed: the shard has the image and is told of it.
  void commit(const std::string& name, const std::vector<replication::MetadataRecord>& records) {
    MetadataDelta delta(*image);
    for (const auto& record : records) REQUIRE(delta.replay(record));
    auto changes = std::make_shared<MetadataDelta::Changes>(delta.changes());
    image = std::make_shared<const MetadataImage>(delta.take());
    logs->apply(std::move(changes), [this, name] { followed.push_back(name); });
  }
  void create(const std::string& name, std::uint64_t id, std::int32_t partitions = 1) {
    commit("create " + name, creation(name, id, partitions));
  }
  void remove(const std::string& name, std::uint64_t id) {
    protocol::RemoveTopicRecord record;
    record.topic_id = id_of(id);
    commit("remove " + name, {record});
  }
  void configure(const std::string& name, const std::string& key, const std::string& value) {
    protocol::ConfigRecord record;
    record.resource_type = 2;
    record.resource_name = name;
    record.name = key;
    record.value = value;
    commit("configure " + name, {record});
  }

  void settle() {
    shard.run_posted();
    while (pool.run_one()) shard.run_posted();
  }
  std::shared_ptr<Partition> partition(std::uint64_t id, std::int32_t index = 0) {
    const LocalTopic* topic = table.find(id_of(id));
    return topic == nullptr ? nullptr : topic->find(PartitionIndex(index));
  }
  bool is_there(const std::string& path) { return files.exists(path + "/partition.metadata").value(); }
  std::optional<Uuid> stored_id(const std::string& path) {
    return storage::read_partition_metadata(files, path).value();
  }
  std::vector<std::string> names_in(const std::string& path, const std::string& end) {
    std::vector<std::string> names;
    for (const auto& entry : files.list(path).value()) {
      if (entry.is_directory && entry.name.ends_with(end)) names.push_back(entry.name);
    }
    return names;
  }
};

}  // namespace

TEST_CASE("a partition is served when its directory is made, and who asked for it is told then") {
  Fixture f;
  f.create("a", 1, 2);
  CHECK(f.partition(1) == nullptr);
  CHECK_FALSE(f.table.is_unopened(id_of(1), PartitionIndex(0)));
  CHECK(f.followed.empty());
  f.settle();
  REQUIRE(f.partition(1) != nullptr);
  CHECK(f.partition(1, 1) != nullptr);
  CHECK(f.followed == std::vector<std::string>{"create a"});
  CHECK(f.stored_id("/d/a-0") == id_of(1));
  CHECK(f.observer.led == std::vector<std::string>{"a", "a"});
  CHECK(f.directories.all().front().partitions == 2);
  CHECK(f.flusher.size() == 0);
}

TEST_CASE("thousands of partitions are adopted a few at a time, and one that comes later does not wait for them") {
  Fixture f;
  std::vector<replication::MetadataRecord> records;
  for (std::uint64_t i = 0; i < 2000; ++i) {
    for (auto& record : Fixture::creation("t" + std::to_string(i), 100 + i)) records.push_back(std::move(record));
  }
  f.commit("many", records);
  f.create("later", 1);
  f.shard.run_posted();  // the walk over what has changed
  std::size_t steps = 0;
  std::size_t served = 0;
  while (f.partition(1) == nullptr) {
    REQUIRE(f.pool.size() <= DirectoryWork::kChunksAtOnce);
    REQUIRE(f.pool.run_one());
    f.shard.run_posted();
    REQUIRE(f.observer.led.size() - served <= DirectoryWork::kJobsPerChunk);
    served = f.observer.led.size();
    ++steps;
  }
  CHECK(steps <= DirectoryWork::kChunksAtOnce + 2);
  CHECK(f.followed == std::vector<std::string>{"create later"});
  f.settle();
  CHECK(f.followed == std::vector<std::string>{"create later", "many"});
  CHECK(f.table.topics().size() == 2001);
}

TEST_CASE("a topic that is deleted while its directories are made leaves nothing, and one of its name begins anew") {
  Fixture f;
  f.create("a", 1, 100);
  REQUIRE(f.pool.run_one());  // some are made, and the shard does not know yet
  f.remove("a", 1);
  f.create("a", 2, 100);
  CHECK(f.partition(1) == nullptr);
  f.settle();
  CHECK(f.partition(1) == nullptr);
  for (std::int32_t i = 0; i < 100; ++i) {
    REQUIRE(f.partition(2, i) != nullptr);
    REQUIRE(f.stored_id("/d/a-" + std::to_string(i)) == id_of(2));
  }
  CHECK(f.followed.size() == 3);
  CHECK(f.names_in("/d", "-stray").empty());
  CHECK(f.names_in("/d", "-delete").size() < 100);  // those that were not begun were never made
  f.shard.pass(f.partition(2)->config().file_delete_delay);
  f.settle();
  CHECK(f.names_in("/d", "-delete").empty());
  CHECK(f.directories.all().front().partitions == 100);
  // All led by the topic that is there.
  CHECK(f.observer.led.size() == 100);
}

TEST_CASE("a deletion is followed when the directories are out of the way; they are removed later") {
  Fixture f;
  f.create("a", 1, 3);
  f.settle();
  f.remove("a", 1);
  CHECK(f.partition(1) == nullptr);  // at once
  CHECK(f.observer.lost.size() == 3);
  CHECK(f.followed == std::vector<std::string>{"create a"});
  CHECK(f.is_there("/d/a-0"));
  f.settle();
  CHECK(f.followed == std::vector<std::string>{"create a", "remove a"});
  CHECK_FALSE(f.is_there("/d/a-0"));
  CHECK(f.names_in("/d", "-delete").size() == 3);
  CHECK(f.removals == 1);
  f.shard.pass(std::chrono::seconds(60));
  f.settle();
  CHECK(f.names_in("/d", "-delete").empty());
}

TEST_CASE("the same name again and again, each time before the last change is followed") {
  Fixture f;
  for (std::uint64_t id = 1; id <= 20; ++id) {
    f.create("a", id, 4);
    if (id % 3 == 0) f.pool.run_one();
    if (id % 4 == 0) f.shard.run_posted();
    if (id < 20) f.remove("a", id);
  }
  f.settle();
  CHECK(f.followed.size() == 39);
  for (std::int32_t i = 0; i < 4; ++i) {
    REQUIRE(f.partition(20, i) != nullptr);
    CHECK(f.stored_id("/d/a-" + std::to_string(i)) == id_of(20));
  }
  CHECK(f.table.topics().size() == 1);
  CHECK(f.names_in("/d", "-stray").empty());
}

TEST_CASE("a directory that cannot be made is offline alone") {
  Fixture f;
  REQUIRE(f.files.make_directories("/d/a-1"));
  REQUIRE(write_file_atomically(f.files, "/d/a-1/partition.metadata", as_bytes(std::string_view("nonsense"))));
  f.create("a", 1, 3);
  f.settle();
  CHECK(f.followed == std::vector<std::string>{"create a"});
  CHECK(f.partition(1, 0) != nullptr);
  CHECK(f.partition(1, 1) == nullptr);
  CHECK(f.table.is_unopened(id_of(1), PartitionIndex(1)));
  CHECK(f.partition(1, 2) != nullptr);
  CHECK(f.directories.all().front().partitions == 2);
}

TEST_CASE("partitions for which the disk was too full are made when there is space") {
  Fixture f;
  f.files.space_left_is(0);
  f.create("a", 1, 3);
  f.settle();
  CHECK(f.followed == std::vector<std::string>{"create a"});
  CHECK(f.partition(1) == nullptr);
  CHECK(f.table.is_unopened(id_of(1), PartitionIndex(0)));
  f.files.space_left_is(UINT64_MAX);
  for (int i = 0; i < 3; ++i) {
    f.shard.pass(std::chrono::seconds(1));
    f.settle();
  }
  for (std::int32_t i = 0; i < 3; ++i) CHECK(f.partition(1, i) != nullptr);
  CHECK_FALSE(f.table.is_unopened(id_of(1), PartitionIndex(0)));
}

TEST_CASE("a directory that fails while a partition is made in it") {
  Fixture f;
  f.create("a", 1);
  REQUIRE(f.pool.run_one());
  f.directories.all().front().failed = true;
  f.logs->directory_failed(f.directories.all().front());
  f.settle();
  CHECK(f.partition(1) == nullptr);
  CHECK(f.table.is_unopened(id_of(1), PartitionIndex(0)));
  CHECK(f.followed.size() == 1);
}

TEST_CASE("a configuration that is not understood costs nothing but itself, and no data") {
  Fixture f;
  f.create("a", 1);
  f.configure("a", "retention.ms", "1234");
  f.configure("a", "cleanup.policy", "compact,compact");
  f.configure("a", "message.format.version", "2.0");
  f.settle();
  const auto config = [&]() -> const storage::LogConfig& { return f.partition(1)->log().config(); };
  CHECK(config().retention_ms == 1234);
  CHECK(config().is_cleaned());
  f.configure("a", "segment.bytes", "100");
  f.settle();
  CHECK(config().retention_ms == 1234);
  CHECK(config().compact);
  CHECK(!config().is_cleaned());
  CHECK(!config().is_retired());
  f.configure("a", "segment.bytes", "2000000");
  f.settle();
  CHECK(config().is_cleaned());
}

TEST_CASE("what changes of a partition while it is made counts when it is served") {
  Fixture f;
  f.create("a", 1);
  REQUIRE(f.pool.run_one());
  f.configure("a", "retention.ms", "1234");
  protocol::PartitionChangeRecord change;
  change.topic_id = id_of(1);
  change.partition_id = PartitionIndex(0);
  change.leader = kSelf;
  f.commit("elect", {change});
  f.settle();
  REQUIRE(f.partition(1) != nullptr);
  CHECK(f.partition(1)->leader().leader_epoch() == LeaderEpoch(1));
  CHECK(f.partition(1)->log().config().retention_ms == 1234);
  CHECK(f.observer.led.size() == 1);
  CHECK(f.followed.size() == 3);
}

TEST_CASE("partitions that are added while the first ones are made") {
  Fixture f;
  f.create("a", 1, 2);
  REQUIRE(f.pool.run_one());
  f.commit("grow", Fixture::creation("a", 1, 5, 2));
  f.settle();
  for (std::int32_t i = 0; i < 5; ++i) CHECK(f.partition(1, i) != nullptr);
  CHECK(f.observer.led.size() == 5);
  CHECK(f.followed.size() == 2);
}

TEST_CASE("several log directories are filled evenly, and the controller is told once") {
  Fixture f({"/d", "/e"});
  f.create("a", 1, 10);
  f.settle();
  CHECK(f.directories.all()[0].partitions == 5);
  CHECK(f.directories.all()[1].partitions == 5);
  CHECK(f.told.size() == 10);
}

TEST_CASE("who comes to wait for a partition that is gone is sent away at once") {
  Fixture f;
  f.create("a", 1);
  f.settle();
  const auto partition = f.partition(1);
  f.remove("a", 1);
  std::optional<protocol::ErrorCode> answer;
  const auto wait = [](Partition& gone, MonotonicTime deadline,
                       std::optional<protocol::ErrorCode>& told) -> Task<void> {
    told = co_await gone.replicated(Offset(0), deadline);
  };
  f.shard.spawn("waits", wait(*partition, f.shard.monotonic() + std::chrono::seconds(10), answer));
  CHECK(answer == protocol::ErrorCode::kNotLeaderOrFollower);
}

TEST_CASE("when the node stops nobody waits for directories that are not begun, and deletions are finished") {
  Fixture f;
  f.create("kept", 1);
  f.create("gone", 2);
  f.settle();
  f.create("many", 3, 100);
  f.remove("gone", 2);
  REQUIRE(f.pool.run_one());
  const auto begun = f.names_in("/d", "").size();
  f.logs->begin_stop();
  f.settle();
  CHECK(f.followed == std::vector<std::string>{"create kept", "create gone", "remove gone", "create many"});
  CHECK(f.names_in("/d", "").size() == begun);
  CHECK(f.names_in("/d", "-delete").size() == 1);
  CHECK_FALSE(f.table.is_unopened(id_of(3), PartitionIndex(99)));
}

TEST_CASE("at the start what belongs to no topic is set aside and kept, as Apache Kafka does") {
  Fixture f;
  for (const char* path :
       {"/d/gone-0", "/d/gone-1", "/d/half-0", "/d/gone-2.00000000000000070000000000000009-delete"}) {
    REQUIRE(f.files.make_directories(path));
  }
  REQUIRE(storage::write_partition_metadata(f.files, "/d/gone-0", id_of(9)));
  REQUIRE(storage::write_partition_metadata(f.files, "/d/gone-1", id_of(9)));
  REQUIRE(f.files.make_directories("/d/half-0." + std::string(32, '0') + "-stray"));  // one of an earlier start
  REQUIRE(load_logs(f.files, {f.logs.get()}, f.directories, *f.image, kSelf, f.pool));
  const auto strays = f.names_in("/d", "-stray");
  CHECK(strays == std::vector<std::string>{
                      "gone-0.00000000000000070000000000000009-stray", "gone-1.00000000000000070000000000000009-stray",
                      "half-0." + std::string(32, '0') + "-stray", "half-0." + std::string(31, '0') + "1-stray"});
  CHECK(f.is_there("/d/" + strays.front()));
  CHECK(f.names_in("/d", "").size() == strays.size());
  f.create("gone", 10);
  f.settle();
  CHECK(f.stored_id("/d/gone-0") == id_of(10));
}

TEST_CASE("a stop in the middle: what was half made is finished at the next start") {
  Fixture f;
  f.create("a", 1, 100);
  REQUIRE(f.pool.run_one());  // the shard never hears of it
  auto image = f.image;
  const auto made = f.names_in("/d", "").size();
  CHECK(made > 0);
  CHECK(made < 100);
  REQUIRE(f.files.make_directories("/d/a-99"));  // a crash between two steps
  f.logs.reset();
  LogDirectories directories(f.files);
  f.directories.all().clear();
  REQUIRE(directories.add(storage::LogDirectory::open(f.files, "/d").value()));
  PartitionTable table;
  LogManager again(LogManagerPorts{f.files, f.shard, f.shard, f.shard, f.flusher, f.pool, f.observer,
                                   [](LogDirectoryState&, const Error&) {}, [](const auto&) {}, [] {},
                                   [&] { return image; }, [] { return true; }},
                   f.config, table, directories, ShardIndex(0), ShardIndex(1));
  struct Here final : WorkPool {
    void run(Callback work) override { work(); }
  } here;
  REQUIRE(load_logs(f.files, {&again}, directories, *image, kSelf, here));
  REQUIRE(table.find(id_of(1)) != nullptr);
  for (std::int32_t i = 0; i < 100; ++i) {
    CHECK(table.find(id_of(1))->find(PartitionIndex(i)) != nullptr);
    CHECK(f.stored_id("/d/a-" + std::to_string(i)) == id_of(1));
  }
}
