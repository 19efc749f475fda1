// The controller's decisions, the image that its records make, and both behind a metadata log on a simulated disk.
#include <catch2/catch.hpp>

#include <deque>

#include "replication/controller/local_controller.h"
#include "replication/raft/format.h"
#include "tests/simulation/simulated_file_system.h"

using namespace kurier;
using namespace kurier::replication;
using protocol::CreateTopicsRequest;
using protocol::ErrorCode;

namespace {

struct FixedClock final : Clock {
  [[nodiscard]] MonotonicTime monotonic() const override { return MonotonicTime{}; }
  [[nodiscard]] Timestamp wall() const override { return Timestamp(1'700'000'000'000); }
};

// Runs everything on the calling thread, in order.
struct Queue final : Executor, WorkPool {
  void post(Callback callback) override { callbacks.push_back(std::move(callback)); }
  void run(Callback work) override { callbacks.push_back(std::move(work)); }
  void drain() {
    while (!callbacks.empty()) {
      Callback next = std::move(callbacks.front());
      callbacks.pop_front();
      next();
    }
  }
  std::deque<Callback> callbacks;
};

struct Node {
  explicit Node(FileSystem& file_system, std::uint64_t seed = 1) : files(file_system), random(seed) {}

  Result<void> start() {
    TRY_ASSIGN(const auto formatted,
               format_standalone(files, {"MkU3OEVBNTcwNTJENDM2Qg", BrokerId(1), {"/data"}, "/data", {{"CONTROLLER", "localhost", 9093}}},
                                 random, clock.wall()));
    LocalControllerOptions options;
    options.log.log_directory = "/data";
    options.log.self = {BrokerId(1), formatted.front().directory_id, {{"CONTROLLER", "localhost", 9093}}, 0, 1};
    options.incarnation_id = Uuid::generate(random);
    options.broker.id = BrokerId(1);
    options.broker.incarnation_id = Uuid::generate(random);
    log_dir = formatted.front().directory_id;
    options.broker.log_dirs = more_log_dirs;
    options.broker.log_dirs.push_back(log_dir);
    TRY_ASSIGN(controller,
               LocalController::start({files,
                                       clock,
                                       random,
                                       queue,
                                       queue,
                                       [this](ImagePointer image, MetadataDelta::Changes, Callback followed) {
                                         published = std::move(image);
                                         following.push_back(std::move(followed));
                                         if (follows_at_once) all_have_followed();
                                       },
                                       {}},
                                      std::move(options)));
    controller->unfence([] {});
    queue.drain();
    return {};
  }

  protocol::CreateTopicsResponse create(std::vector<CreateTopicsRequest::CreatableTopic> topics, bool validate_only = false) {
    CreateTopicsRequest request;
    request.topics = std::move(topics);
    request.validate_only = validate_only;
    std::optional<protocol::CreateTopicsResponse> response;
    controller->create_topics(std::move(request), [&](protocol::CreateTopicsResponse r) { response = std::move(r); });
    queue.drain();
    REQUIRE(response);
    return *response;
  }

  void all_have_followed() {
    for (Callback& followed : std::exchange(following, {})) followed();
  }

  FileSystem& files;
  bool follows_at_once = true;
  std::vector<Callback> following;
  FixedClock clock;
  SeededRandom random;
  Queue queue;
  ImagePointer published;
  DirectoryId log_dir;  // the one with the metadata log
  std::vector<DirectoryId> more_log_dirs;
  std::unique_ptr<LocalController> controller;
};

CreateTopicsRequest::CreatableTopic topic_of(std::string name, std::int32_t partitions = -1, std::int16_t replicas = -1) {
  CreateTopicsRequest::CreatableTopic topic;
  topic.name = std::move(name);
  topic.num_partitions = partitions;
  topic.replication_factor = replicas;
  return topic;
}

MetadataImage replayed(const MetadataImage& image) {
  MetadataDelta delta{MetadataImage{}};
  for (const MetadataRecord& record : to_records(image)) {
    const auto decoded = decode_record(encode_record(record, image.record_versions()));
    REQUIRE(decoded);
    REQUIRE(delta.replay(*decoded));
  }
  return delta.take();
}

}  // namespace

TEST_CASE("a first start writes what Apache Kafka's first start writes") {
  simulation::SimulatedFileSystem files(1);
  Node node(files);
  const auto started = node.start();
  INFO((started ? std::string() : started.error().context));
  REQUIRE(started);
  const MetadataImage& image = *node.published;
  CHECK(image.feature("metadata.version") == 33);
  CHECK(image.features().size() == 6);
  CHECK(image.configs(ConfigResourceType::kBroker, "") == ConfigMap{{"min.insync.replicas", "1"}});
  REQUIRE(image.broker(BrokerId(1)) != nullptr);
  CHECK_FALSE(image.broker(BrokerId(1))->fenced);
  // Leader change, KRaft version, voters; 9 bootstrap records; the controller; then the broker.
  CHECK(node.controller->broker_epoch() == BrokerEpoch(13));
  CHECK(node.controller->quorum().epoch == LeaderEpoch(1));
  CHECK(node.controller->quorum().high_watermark == Offset(16));
  CHECK(replayed(image) == image);
}

TEST_CASE("topics are validated as Kafka does") {
  simulation::SimulatedFileSystem files(2);
  Node node(files);
  REQUIRE(node.start());
  auto with_both = topic_of("manual", 1);
  with_both.assignments.resize(1);
  with_both.assignments[0].broker_ids = {BrokerId(1)};
  auto unknown_broker = topic_of("elsewhere");
  unknown_broker.assignments.resize(1);
  unknown_broker.assignments[0].broker_ids = {BrokerId(9)};
  auto null_config = topic_of("null-config");
  null_config.configs.resize(1);
  null_config.configs[0].name = "retention.ms";
  null_config.configs[0].value = std::nullopt;
  const auto response = node.create({topic_of("a.b", 2, 1), topic_of("a_b"), topic_of("a b"), topic_of(""), topic_of("zero", 0),
                                     topic_of("three", 1, 3), with_both, unknown_broker, null_config, topic_of("twice"),
                                     topic_of("twice")});
  std::vector<ErrorCode> codes;
  for (const auto& result : response.topics) codes.push_back(result.error_code);
  CHECK(codes == std::vector<ErrorCode>{ErrorCode::kNone, ErrorCode::kNone, ErrorCode::kInvalidTopicException,
                                        ErrorCode::kInvalidTopicException, ErrorCode::kInvalidPartitions,
                                        ErrorCode::kInvalidReplicationFactor, ErrorCode::kInvalidRequest,
                                        ErrorCode::kInvalidReplicaAssignment, ErrorCode::kInvalidConfig,
                                        ErrorCode::kInvalidRequest});
  CHECK(response.topics[0].num_partitions == 2);
  CHECK(node.create({topic_of("x.y")}).topics[0].error_code == ErrorCode::kNone);
  CHECK(node.create({topic_of("x_y")}).topics[0].error_message == "Topic 'x_y' collides with existing topic: x.y");
  const TopicPointer topic = node.published->topic(std::string("a.b"));
  REQUIRE(topic);
  CHECK(topic->id == response.topics[0].topic_id);
  CHECK(topic->partitions.at(PartitionIndex(1)).leader == BrokerId(1));
  CHECK(node.create({topic_of("a.b")}).topics[0].error_code == ErrorCode::kTopicAlreadyExists);
  CHECK(node.create({topic_of("only-asked")}, true).topics[0].error_code == ErrorCode::kNone);
  CHECK_FALSE(node.published->topic(std::string("only-asked")));
}

TEST_CASE("who creates topics is answered when all shards have followed, and nobody else waits for that") {
  simulation::SimulatedFileSystem files(1);
  Node node(files);
  REQUIRE(node.start());
  node.follows_at_once = false;
  std::vector<std::string> answered;
  const auto create = [&](const std::string& name) {
    CreateTopicsRequest request;
    request.topics = {topic_of(name)};
    node.controller->create_topics(std::move(request), [&answered, name](const auto& response) {
      answered.push_back(name + " " + std::to_string(static_cast<int>(response.topics.front().error_code)));
    });
    node.queue.drain();
  };
  create("slow");
  CHECK(node.published->topic(std::string("slow")));
  CHECK(answered.empty());
  create("slow");  // it exists
  CHECK(answered == std::vector<std::string>{"slow 36"});
  create("quick");
  REQUIRE(node.following.size() == 2);
  node.following[1]();
  CHECK(answered == std::vector<std::string>{"slow 36", "quick 0"});
  node.following[0]();
  CHECK(answered == std::vector<std::string>{"slow 36", "quick 0", "slow 0"});
}

TEST_CASE("names that collide are found among many") {
  simulation::SimulatedFileSystem files(1);
  Node node(files);
  REQUIRE(node.start());
  std::vector<CreateTopicsRequest::CreatableTopic> topics;
  for (int i = 0; i < 3000; ++i) topics.push_back(topic_of("a.b" + std::to_string(i)));
  const auto created = node.create(topics);
  CHECK(std::ranges::all_of(created.topics, [](const auto& topic) { return topic.error_code == ErrorCode::kNone; }));
  std::ranges::for_each(topics, [](auto& topic) { std::ranges::replace(topic.name, '.', '_'); });
  topics.push_back(topic_of("a_c"));
  topics.push_back(topic_of("a.c"));  // topics of one request do not collide with each other
  const auto refused = node.create(topics);
  CHECK(std::ranges::count(refused.topics, ErrorCode::kInvalidTopicException,
                           &protocol::CreateTopicsResponse::CreatableTopicResult::error_code) == 3000);
  CHECK(refused.topics.front().error_message == "Topic 'a_b0' collides with existing topic: a.b0");
}

TEST_CASE("topics grow, are deleted by id, and their ids and configurations survive a restart") {
  simulation::SimulatedFileSystem files(3);
  TopicId kept;
  {
    Node node(files);
    REQUIRE(node.start());
    auto configured = topic_of("kept", 1);
    configured.configs.resize(1);
    configured.configs[0].name = "retention.ms";
    configured.configs[0].value = "1000";
    const auto response = node.create({configured, topic_of("gone")});
    kept = response.topics[0].topic_id;
    protocol::CreatePartitionsRequest grow;
    grow.topics.resize(2);
    grow.topics[0].name = "kept";
    grow.topics[0].count = 3;
    grow.topics[0].assignments = std::nullopt;
    grow.topics[1].name = "gone";
    grow.topics[1].count = 1;
    grow.topics[1].assignments = std::nullopt;
    std::vector<ErrorCode> codes;
    node.controller->create_partitions(grow, [&](auto answer) {
      for (const auto& result : answer.results) codes.push_back(result.error_code);
    });
    protocol::DeleteTopicsRequest remove;
    remove.topics.resize(2);
    remove.topics[0].name = std::nullopt;
    remove.topics[0].topic_id = response.topics[1].topic_id;
    remove.topics[1].name = "unknown";
    node.controller->delete_topics(remove, [&](auto answer) {
      for (const auto& result : answer.responses) codes.push_back(result.error_code);
    });
    protocol::AllocateProducerIdsRequest ids;
    ids.broker_id = BrokerId(1);
    ids.broker_epoch = node.controller->broker_epoch();
    std::vector<std::int64_t> starts;
    for (int i = 0; i < 2; ++i) {
      node.controller->allocate_producer_ids(ids, [&](auto answer) { starts.push_back(answer.producer_id_start.value()); });
    }
    node.queue.drain();
    CHECK(codes == std::vector<ErrorCode>{ErrorCode::kNone, ErrorCode::kInvalidPartitions, ErrorCode::kNone,
                                          ErrorCode::kUnknownTopicOrPartition});
    CHECK(starts == std::vector<std::int64_t>{0, 1000});
    CHECK(replayed(*node.published) == *node.published);
  }  // as after kill -9: nothing was closed
  Node node(files, 2);
  const auto started = node.start();
  INFO((started ? std::string() : started.error().context));
  REQUIRE(started);
  const TopicPointer topic = node.published->topic(kept);
  REQUIRE(topic);
  CHECK(topic->name == "kept");
  CHECK(topic->partitions.size() == 3);
  CHECK_FALSE(node.published->topic(std::string("gone")));
  CHECK(node.published->configs(ConfigResourceType::kTopic, "kept") == ConfigMap{{"retention.ms", "1000"}});
  CHECK(node.published->next_producer_id() == ProducerId(2000));
  CHECK(node.controller->quorum().epoch == LeaderEpoch(2));
  // The new incarnation leads again, in a new leader epoch.
  const PartitionImage& partition = topic->partitions.at(PartitionIndex(0));
  CHECK(partition.leader == BrokerId(1));
  CHECK(partition.isr == std::vector<BrokerId>{BrokerId(1)});
  CHECK(partition.leader_epoch == LeaderEpoch(2));
  CHECK(node.published->broker(BrokerId(1))->broker_epoch == node.controller->broker_epoch());
}

TEST_CASE("a controlled shutdown leaves no leader, and the next start elects it again") {
  simulation::SimulatedFileSystem files(4);
  {
    Node node(files);
    REQUIRE(node.start());
    node.create({topic_of("t")});
    bool done = false;
    node.controller->shut_down_broker([&] { done = true; });
    node.queue.drain();
    CHECK(done);
    const auto& partition = node.published->topic(std::string("t"))->partitions.at(PartitionIndex(0));
    CHECK(partition.leader == BrokerId(-1));
    CHECK(partition.isr.empty());
    CHECK(partition.eligible_leader_replicas == std::vector<BrokerId>{BrokerId(1)});
    CHECK(node.published->broker(BrokerId(1))->fenced);
    REQUIRE(node.controller->close());
  }
  Node node(files, 2);
  REQUIRE(node.start());
  const auto& partition = node.published->topic(std::string("t"))->partitions.at(PartitionIndex(0));
  CHECK(partition.leader == BrokerId(1));
  CHECK_FALSE(partition.eligible_leader_replicas);
}

TEST_CASE("KIP-858: what lies in a failed log directory has no leader until the broker has that directory again") {
  simulation::SimulatedFileSystem files(1);
  const DirectoryId second{7, 7};
  TopicId id;
  {
    Node node(files);
    node.more_log_dirs = {second};
    REQUIRE(node.start());
    node.create({topic_of("t", 2)});
    id = node.published->topic("t")->id;
    const auto partition = [&](std::int32_t index) { return *node.published->partition(id, PartitionIndex(index)); };
    REQUIRE(partition(0).directories ==
            std::vector<DirectoryId>{kUnassignedDirectory});  // the broker chooses and tells
    node.controller->assign_directories({{id, PartitionIndex(0), node.log_dir}, {id, PartitionIndex(1), second}});
    node.queue.drain();
    CHECK(partition(0).directories == std::vector<DirectoryId>{node.log_dir});
    CHECK(partition(1).directories == std::vector<DirectoryId>{second});
    const LeaderEpoch before = partition(1).leader_epoch;
    node.controller->directories_failed({second});
    node.queue.drain();
    CHECK(node.published->broker(BrokerId(1))->log_dirs == std::vector<DirectoryId>{node.log_dir});
    CHECK(partition(0).leader == BrokerId(1));
    CHECK(partition(1).leader == BrokerId(-1));
    CHECK(partition(1).leader_epoch == before + 1);
    CHECK(partition(1).isr.empty());
    CHECK(partition(1).eligible_leader_replicas == std::vector<BrokerId>{BrokerId(1)});
    const Offset last = node.published->last_offset;
    node.controller->directories_failed({second});
    node.queue.drain();
    CHECK(node.published->last_offset == last);  // nothing new
    // What is made from here on can only lie in the other one.
    node.create({topic_of("u", 1)});
    CHECK(node.published->partition(node.published->topic("u")->id, PartitionIndex(0))->directories ==
          std::vector<DirectoryId>{node.log_dir});
    REQUIRE(node.controller->close());
  }
  for (const bool is_back : {false, true}) {
    Node node(files, 2);
    if (is_back) node.more_log_dirs = {second};
    REQUIRE(node.start());
    CHECK(node.published->partition(id, PartitionIndex(0))->leader == BrokerId(1));
    CHECK(node.published->partition(id, PartitionIndex(1))->leader == BrokerId(is_back ? 1 : -1));
    REQUIRE(node.controller->close());
  }
}

TEST_CASE("what comes from the future stops the start") {
  protocol::FeatureLevelRecord level;
  level.name = "metadata.version";
  level.feature_level = 34;
  MetadataDelta delta{MetadataImage{}};
  const auto replay = delta.replay(level);
  REQUIRE_FALSE(replay);
  CHECK(replay.error().failure == Failure::kUnsupported);
  const Bytes unknown_type{std::byte{1}, std::byte{99}, std::byte{0}, std::byte{0}};
  CHECK(decode_record(unknown_type).error().failure == Failure::kUnsupported);
  const Bytes unknown_version{std::byte{1}, std::byte{2}, std::byte{7}, std::byte{0}};
  CHECK(decode_record(unknown_version).error().failure == Failure::kUnsupported);
}

TEST_CASE("a metadata transaction that is aborted leaves no trace") {
  MetadataDelta delta{MetadataImage{}};
  protocol::TopicRecord topic;
  topic.name = "before";
  topic.topic_id = Uuid{1, 1};
  REQUIRE(delta.replay(topic));
  const MetadataImage before = delta.image();
  REQUIRE(delta.replay(protocol::BeginTransactionRecord{}));
  protocol::PartitionRecord partition;
  partition.topic_id = Uuid{1, 1};
  partition.partition_id = PartitionIndex(0);
  REQUIRE(delta.replay(partition));
  CHECK_FALSE(delta.image() == before);
  REQUIRE(delta.replay(protocol::AbortTransactionRecord{}));
  CHECK(delta.image() == before);
}

TEST_CASE("a record says what the level of metadata.version can say, and no more") {
  protocol::RegisterBrokerRecord broker;
  broker.log_dirs = {DirectoryId{5, 6}};
  broker.cordoned_log_dirs.emplace();
  protocol::PartitionRecord partition;
  partition.replicas = {BrokerId(1)};
  partition.directories = {DirectoryId{5, 6}};
  partition.eligible_leader_replicas = {BrokerId(1)};
  for (const std::int16_t level : {std::int16_t{7}, std::int16_t{8}, std::int16_t{16}, std::int16_t{17},
                                   std::int16_t{22}, std::int16_t{23}, std::int16_t{30}, std::int16_t{33}}) {
    for (const bool elr : {false, level >= 23}) {
      const RecordVersions versions{level, elr};
      const auto broker_back = decode_record(encode_record(broker, versions));
      const auto partition_back = decode_record(encode_record(partition, versions));
      REQUIRE(broker_back);
      REQUIRE(partition_back);
      const auto& registered = std::get<protocol::RegisterBrokerRecord>(*broker_back);
      CHECK(registered.log_dirs.size() == (level >= 17 ? 1 : 0));
      CHECK(registered.cordoned_log_dirs.has_value() == (level >= 30));
      const auto& placed = std::get<protocol::PartitionRecord>(*partition_back);
      CHECK(placed.directories.size() == (level >= 17 ? 1 : 0));
      CHECK(placed.eligible_leader_replicas.has_value() == elr);
    }
  }
  CHECK(version_of(partition, {23, false}) == 2);
  CHECK(version_of(partition, {22, false}) == 1);
  CHECK(version_of(partition, {16, false}) == 0);
}

TEST_CASE("quorum-state is Apache Kafka's") {
  QuorumState state{BrokerId(1), LeaderEpoch(7), BrokerId(-1), {}};
  CHECK(to_json(state, 1, {BrokerId(1)}) ==
        R"({"leaderId":1,"leaderEpoch":7,"votedId":-1,"votedDirectoryId":"AAAAAAAAAAAAAAAAAAAAAA","data_version":1})");
  CHECK(parse_quorum_state(to_json(state, 1, {BrokerId(1)})) == state);
  CHECK(to_json(state, 0, {BrokerId(1), BrokerId(2)}) ==
        R"({"clusterId":"","leaderId":1,"leaderEpoch":7,"votedId":-1,"appliedOffset":0,)"
        R"("currentVoters":[{"voterId":1},{"voterId":2}],"data_version":0})");
  CHECK(parse_quorum_state(to_json(state, 0, {BrokerId(1)})) == state);
  CHECK(parse_quorum_state(R"({"clusterId":"","leaderId":3,"leaderEpoch":4,"votedId":-1,"appliedOffset":0,)"
                           R"("currentVoters":[{"voterId":1}],"data_version":0})") ==
        QuorumState{BrokerId(3), LeaderEpoch(4), BrokerId(-1), {}});
  CHECK(parse_quorum_state(R"({"data_version":2})").error().failure == Failure::kUnsupported);
  CHECK_FALSE(parse_quorum_state("{}"));
}

TEST_CASE("a snapshot is read as it was written, and not at all when it is cut") {
  simulation::SimulatedFileSystem files(5);
  REQUIRE(files.make_directories("/m"));
  const SnapshotId id{Offset(77), LeaderEpoch(3)};
  CHECK(snapshot_file_name(id) == "00000000000000000077-0000000003.checkpoint");
  CHECK(parse_snapshot_file_name(snapshot_file_name(id)) == id);
  CHECK_FALSE(parse_snapshot_file_name("00000000000000000077-0000000003.checkpoint.part"));
  const std::vector<Bytes> values{to_bytes("one"), to_bytes("two")};
  const SnapshotContent content{Timestamp(5), 1, {{BrokerId(1), Uuid{3, 4}, {{"C", "h", 1}}, 0, 1}}};
  REQUIRE(write_snapshot(files, "/m", id, content, values, Timestamp(9)));
  std::vector<Bytes> read;
  const std::string path = "/m/" + snapshot_file_name(id);
  const auto visit = [&](const RaftRecord& record) -> Result<void> {
    read.push_back(to_bytes(record.value));
    return {};
  };
  const auto back = read_snapshot(files, path, visit);
  REQUIRE(back);
  CHECK(back->voters == content.voters);
  CHECK(back->last_contained == Timestamp(5));
  CHECK(read == values);
  auto file = files.open(path, OpenMode::kReadWrite);
  REQUIRE(file);
  REQUIRE((*file)->truncate(*(*file)->size_bytes() - 1));
  CHECK(read_snapshot(files, path, visit).error().failure == Failure::kCorrupt);
}
