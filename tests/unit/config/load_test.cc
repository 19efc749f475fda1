#include <catch2/catch.hpp>

#include "config/node_config.h"

namespace kurier::config {
namespace {

constexpr const char* kServerProperties = R"(# what Apache Kafka ships
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=localhost:9093
listeners=PLAINTEXT://:9092,CONTROLLER://:9093
inter.broker.listener.name=PLAINTEXT
advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL
num.network.threads=3
num.io.threads=8
socket.send.buffer.bytes=102400
socket.receive.buffer.bytes=102400
socket.request.max.bytes=104857600
log.dirs=/tmp/kraft-combined-logs
num.partitions=1
num.recovery.threads.per.data.dir=2
offsets.topic.replication.factor=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
log.retention.hours=168
log.segment.bytes=1073741824
log.retention.check.interval.ms=300000
)";

std::string error_of(const std::string& content, const char* path = "server.yaml") {
  const auto loaded = load_config({.path = path, .content = content, .settings = {}});
  return loaded ? "no error" : loaded.error().context;
}

std::string error_of_settings(std::vector<std::string> settings) {
  const auto loaded = load_config({.path = "", .content = "", .settings = std::move(settings)});
  return loaded ? "no error" : loaded.error().context;
}

NodeConfig load(std::vector<std::string> settings) {
  auto loaded = load_config({.path = "", .content = "", .settings = std::move(settings)});
  INFO((loaded ? "" : loaded.error().context));
  REQUIRE(loaded);
  return loaded->node;
}

TEST_CASE("without a file the stock values hold") {
  const auto loaded = load_config({});
  REQUIRE(loaded);
  CHECK(loaded->notices.empty());
  const NodeConfig& node = loaded->node;
  CHECK(node.node_id == BrokerId(1));
  CHECK(node.is_broker);
  CHECK(node.is_controller);
  REQUIRE(node.listeners.size() == 2);
  CHECK(node.listeners[0] == Listener{"PLAINTEXT", "127.0.0.1", 9092, "PLAINTEXT"});
  CHECK(node.listeners[1] == Listener{"CONTROLLER", "127.0.0.1", 9093, "PLAINTEXT"});
  CHECK(node.advertised_listeners == std::vector{node.listeners[0]});
  CHECK(node.advertised_controller_listeners == std::vector{node.listeners[1]});
  CHECK(node.quorum.bootstrap_servers == std::vector{HostAndPort{"127.0.0.1", 9093}});
  CHECK(node.log_dirs == std::vector<std::string>{"./kurier-data/log"});
  CHECK(node.metadata_log_dir == "./kurier-data/log");
  CHECK(node.state_dir == "./kurier-data/state");
  CHECK(node.offsets.topic.replication_factor == 1);
  CHECK(node.transaction.topic.min_insync_replicas == 1);
  CHECK(node.network.socket_request_max_bytes == 104'857'600);
}

TEST_CASE("--set overrides the stock values, and what depends on them follows") {
  const NodeConfig node = load({"listeners=PLAINTEXT://127.0.0.1:19092,CONTROLLER://127.0.0.1:19093", "log.dirs=/a/,/b"});
  CHECK(node.quorum.bootstrap_servers == std::vector{HostAndPort{"127.0.0.1", 19093}});
  CHECK(node.log_dirs == std::vector<std::string>{"/a/", "/b"});
  CHECK(node.state_dir == "/a.kurier");
}

TEST_CASE("Apache Kafka's own server.properties works unchanged") {
  const auto loaded = load_config({.path = "server.properties", .content = kServerProperties, .settings = {}});
  INFO((loaded ? "" : loaded.error().context));
  REQUIRE(loaded);
  CHECK(loaded->node.advertised_listeners == std::vector{Listener{"PLAINTEXT", "localhost", 9092, "PLAINTEXT"}});
  CHECK(loaded->node.state_dir == "/tmp/kraft-combined-logs.kurier");
  CHECK(loaded->node.listeners[0].host.empty());
  REQUIRE(loaded->notices.size() == 2);
  CHECK(loaded->notices[1] ==
        "num.network.threads, num.io.threads have no effect here, because kurier runs one shard a core; see "
        "kurier.shards");
}

TEST_CASE("a file without log.dirs gets Kafka's default") {
  const auto loaded = load_config({.path = "s.yaml",
                                   .content = "node.id: 3\nprocess: {roles: [broker, controller]}\n"
                                              "listeners: [\"PLAINTEXT://h:1\", \"C://h:2\"]\n"
                                              "controller: {listener.names: c, quorum: {voters: 3@h:2}}\n",
                                   .settings = {}});
  INFO((loaded ? "" : loaded.error().context));
  REQUIRE(loaded);
  CHECK(loaded->node.log_dirs == std::vector<std::string>{"/tmp/kafka-logs"});
  CHECK(loaded->node.state_dir == "/tmp/kafka-logs.kurier");
  CHECK(loaded->node.listeners[1].protocol == "PLAINTEXT");
  CHECK(loaded->node.quorum.voters == std::vector{QuorumVoter{BrokerId(3), "h", 2}});
  CHECK(loaded->node.originals.at("broker.id") == "3");
}

TEST_CASE("faults say place, value and what would be right, all at once") {
  const std::string error = error_of(
      "process.roles: [broker, controller]\nnode.id: 1\nlisteners: [\"PLAINTEXT://h:1\", \"C://h:2\"]\n"
      "controller.listener.names: C\ncontroller.quorum.bootstrap.servers: h:2\n"
      "num.partitions: abc\nlog.segment.bytes: 5\nnum.partition: 3\ncompression.type: brotli\n");
  CHECK_THAT(error, Catch::Contains("server.yaml:6: num.partitions: \"abc\" is not an int; expected an int, 1 or more"));
  CHECK_THAT(error, Catch::Contains("server.yaml:7: log.segment.bytes: \"5\" is not allowed; expected an int, 1048576 or more"));
  CHECK_THAT(error, Catch::Contains("server.yaml:8: num.partition: no such property; did you mean num.partitions?"));
  CHECK_THAT(error, Catch::Contains("server.yaml:9: compression.type: \"brotli\" is not allowed; expected one of"));
}

TEST_CASE("what would weaken security, durability or isolation is refused") {
  CHECK_THAT(error_of_settings({"authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer"}),
             Catch::Contains("--set: authorizer.class.name") && Catch::Contains("everybody would be allowed everything"));
  CHECK_THAT(error_of_settings({"remote.log.storage.system.enable=true"}), Catch::Contains("tiered storage"));
  CHECK_THAT(error_of_settings({"listeners=SSL://127.0.0.1:1,CONTROLLER://127.0.0.1:2", "inter.broker.listener.name=SSL"}),
             Catch::Contains("SSL (SSL) is refused"));
  CHECK(error_of_settings({"remote.log.storage.system.enable=false", "authorizer.class.name="}) == "no error");
}

TEST_CASE("a password is never shown") {
  const auto loaded = load_config({.path = "", .content = "", .settings = {"ssl.key.password=hunter2"}});
  REQUIRE(loaded);
  REQUIRE(loaded->notices.size() == 1);
  CHECK_THAT(loaded->notices[0], !Catch::Contains("hunter2"));
}

TEST_CASE("impossible combinations") {
  CHECK_THAT(error_of_settings({"controller.listener.names=OTHER"}), Catch::Contains("OTHER is not among listeners"));
  CHECK_THAT(error_of_settings({"listeners=PLAINTEXT://127.0.0.1:1,CONTROLLER://127.0.0.1:1"}), Catch::Contains("share port 1"));
  CHECK_THAT(error_of_settings({"listeners=PLAINTEXT://0.0.0.0:1,CONTROLLER://127.0.0.1:2"}), Catch::Contains("0.0.0.0 cannot be reached"));
  CHECK_THAT(error_of_settings({"advertised.listeners=PLAINTEXT://0.0.0.0:1"}), Catch::Contains("0.0.0.0 cannot be reached"));
  CHECK_THAT(error_of_settings({"inter.broker.listener.name=CONTROLLER"}), Catch::Contains("is a controller listener"));
  CHECK_THAT(error_of_settings({"inter.broker.listener.name=NOWHERE"}), Catch::Contains("has no security protocol"));
  CHECK_THAT(error_of_settings({"process.roles=broker"}), Catch::Contains("must not listen on it"));
  CHECK_THAT(error_of_settings({"process.roles=controller"}), Catch::Contains("is not in controller.listener.names"));
  CHECK_THAT(error_of_settings({"controller.quorum.voters=7@h:1"}), Catch::Contains("node.id 1 is not among the voters"));
  CHECK_THAT(error_of_settings({"broker.id=2"}), Catch::Contains("differs from node.id"));
  CHECK_THAT(error_of_settings({"log.retention.hours=0"}), Catch::Contains("log.retention.hours: 0 is not allowed"));
  CHECK_THAT(error_of_settings({"queued.max.request.bytes=1000"}), Catch::Contains("smaller than socket.request.max.bytes"));
  CHECK_THAT(error_of_settings({"offsets.topic.segment.bytes=1048575"}), Catch::Contains("expected 1048576 or more"));
  CHECK_THAT(error_of_settings({"log.cleaner.threads=0"}),
             Catch::Contains("log.cleaner.threads: 0 is not allowed; expected 1 or more"));
  CHECK_THAT(error_of_settings({"offsets.topic.compression.codec=5"}), Catch::Contains("5 is no codec"));
  CHECK_THAT(error_of_settings({"group.coordinator.rebalance.protocols=consumer,share"}),
             Catch::Contains("classic cannot be left out"));
  for (const std::string kind : {"group.consumer", "group.share", "group.streams"}) {
    CHECK_THAT(error_of_settings({kind + ".session.timeout.ms=1"}),
               Catch::Contains("smaller than " + kind + ".min.session.timeout.ms=45000"));
    CHECK_THAT(error_of_settings({kind + ".heartbeat.interval.ms=99999"}),
               Catch::Contains("larger than " + kind + ".max.heartbeat.interval.ms=15000"));
    CHECK_THAT(error_of_settings({kind + ".min.session.timeout.ms=70000"}),
               Catch::Contains("smaller than " + kind + ".min.session.timeout.ms=70000"));
    CHECK_THAT(error_of_settings({kind + ".heartbeat.interval.ms=45000", kind + ".max.heartbeat.interval.ms=50000"}),
               Catch::Contains("not smaller than " + kind + ".session.timeout.ms=45000"));
  }
  CHECK_THAT(error_of_settings({"kurier.state.dir=./kurier-data/log/state"}), Catch::Contains("must be outside"));
  CHECK_THAT(error_of_settings({"log.dirs="}), Catch::Contains("must not be empty"));
  CHECK_THAT(error_of_settings({"node.id"}), Catch::Contains("expected name=value"));
  CHECK_THAT(error_of("", "empty.properties"), Catch::Contains("empty.properties: process.roles: not set"));
}

TEST_CASE("what one node alone cannot be is refused") {
  CHECK_THAT(error_of_settings({"controller.quorum.voters=1@h:1,2@i:1"}), Catch::Contains("node 2 is refused"));
  CHECK_THAT(error_of_settings({"controller.quorum.bootstrap.servers=a:9093,b:9093"}), Catch::Contains("a:9093 is refused"));
  CHECK_THAT(error_of_settings({"controller.quorum.bootstrap.servers=a:1"}), Catch::Contains("a:1 is refused"));
  CHECK(error_of_settings({"controller.quorum.bootstrap.servers=localhost:9093"}) == "no error");
  CHECK_THAT(error_of_settings({"process.roles=broker", "listeners=PLAINTEXT://127.0.0.1:1",
                                "controller.quorum.bootstrap.servers=h:9093"}),
             Catch::Contains("process.roles: \"broker\" is refused") && Catch::Contains("expected broker,controller"));
}

TEST_CASE("each directory is one of its own, under whatever name") {
  CHECK_THAT(error_of_settings({"log.dirs=a,./a/"}), Catch::Contains("log.dirs: ./a/ is or lies in the log directory a"));
  CHECK_THAT(error_of_settings({"log.dirs=/a/b,/a"}), Catch::Contains("/a/b is or lies in the log directory /a"));
  CHECK_THAT(error_of_settings({"log.dirs=/a", "metadata.log.dir=/a/b/../m"}), Catch::Contains("metadata.log.dir"));
  CHECK_THAT(error_of_settings({"log.dirs=/a/l", "kurier.state.dir=/a"}), Catch::Contains("/a holds the log directory /a/l"));
  CHECK_THAT(error_of_settings({"log.dirs=/a", "kurier.state.dir=/a/../a/s"}), Catch::Contains("must be outside"));
  CHECK(load({"log.dirs=/a,/b", "metadata.log.dir=/b/"}).metadata_log_dir == "/b");
  CHECK(error_of_settings({"log.dirs=/a", "kurier.state.dir=/ab"}) == "no error");
}

TEST_CASE("values that came as metadata win over the file") {
  const NodeConfig node = load({"min.insync.replicas=2", "log.retention.hours=5"});
  const DynamicBrokerConfigs dynamic{{{"log.retention.ms", "7"}}, {{"min.insync.replicas", "3"}, {"log.retention.ms", "9"}}};
  CHECK(node.text("min.insync.replicas", dynamic) == "3");
  CHECK(node.text("min.insync.replicas") == "2");
  CHECK(node.number("log.retention.ms", dynamic) == 7);
  CHECK(node.number("log.retention.ms") == 5 * 3'600'000);
}

TEST_CASE("plug-in prefixes are named") {
  const auto loaded =
      load_config({.path = "", .content = "", .settings = {"listener.name.plaintext.ssl.client.auth=none"}});
  REQUIRE(loaded);
  REQUIRE(loaded->notices.size() == 1);
  CHECK_THAT(loaded->notices[0], Catch::Contains("listener.name.plaintext.ssl.client.auth has no effect here"));
}

TEST_CASE("limits of one listener") {
  const NodeConfig node =
      load({"listener.name.plaintext.max.connections=5", "listener.name.plaintext.max.connection.creation.rate=7",
            "listener.name.controller.max.connections=0"});
  CHECK(node.network.max_connections == INT32_MAX);
  REQUIRE(node.network.of_listener.size() == 2);
  CHECK(node.network.of_listener.at("PLAINTEXT").max_connections == 5);
  CHECK(node.network.of_listener.at("PLAINTEXT").max_connection_creation_rate == 7);
  CHECK(node.network.of_listener.at("CONTROLLER").max_connections == 0);
  CHECK_THAT(error_of_settings({"listener.name.plaintext.max.connections=-1"}),
             Catch::Contains(
                 "--set: listener.name.plaintext.max.connections: \"-1\" is not allowed; expected an int, 0 or more"));
  for (const char* name : {"listener.name.PLAINTEXT.max.connections", "listener.name.other.max.connections",
                           "listener.name.max.connections"}) {
    const auto loaded = load_config({.path = "", .content = "", .settings = {std::string(name) + "=5"}});
    REQUIRE(loaded);
    CHECK(loaded->node.network.of_listener.empty());
    REQUIRE(loaded->notices.size() == 1);
    CHECK_THAT(loaded->notices[0],
               Catch::Contains(std::string(name) + " has no effect here, because no listener has this name"));
  }
}

TEST_CASE("values that Kafka's protocol cannot carry") {
  CHECK(error_of_settings({"broker.rack=" + std::string(32'767, 'r')}) == "no error");
  CHECK_THAT(error_of_settings({"broker.rack=" + std::string(32'768, 'r')}),
             Catch::Contains("--set: broker.rack: 32768 bytes are too long; expected at most 32767"));
  CHECK_THAT(error_of_settings({"advertised.listeners=PLAINTEXT://" + std::string(40'000, 'h') + ":1"}),
             Catch::Contains("--set: advertised.listeners: 40014 bytes are too long"));
  CHECK_THAT(error_of_settings({"broker.rack=r\xff"}), Catch::Contains("--set: broker.rack: the value is not UTF-8"));
  CHECK_THAT(error_of("broker.rack=a\\u0000b\n", "s.properties"),
             Catch::Contains("s.properties:1: broker.rack: the value holds a NUL character"));
  CHECK_THAT(error_of("broker.rack: \"a\\0b\"\n"),
             Catch::Contains("server.yaml:1: broker.rack: the value holds a NUL character"));
}

TEST_CASE("a byte order mark is no part of the first name") {
  const std::string error = error_of("\xEF\xBB\xBFnum.partitions: x\n");
  CHECK_THAT(error, Catch::Contains("server.yaml:1: num.partitions: \"x\" is not an int"));
  const auto loaded = load_config(
      {.path = "server.properties", .content = std::string("\xEF\xBB\xBF") + kServerProperties, .settings = {}});
  CHECK(loaded);
}

TEST_CASE("log.dir beside log.dirs has no effect, and is named") {
  const auto loaded = load_config({.path = "", .content = "", .settings = {"log.dir=/a", "log.dirs=/b"}});
  REQUIRE(loaded);
  CHECK(loaded->node.log_dirs == std::vector<std::string>{"/b"});
  CHECK(loaded->notices == std::vector<std::string>{"--set: log.dir has no effect here, because log.dirs is set"});
  CHECK(load({"log.dir=/a"}).log_dirs == std::vector<std::string>{"/a"});
}

TEST_CASE("milliseconds win over minutes, minutes over hours") {
  CHECK(load({}).number("log.retention.ms") == 168 * 3'600'000);
  CHECK(load({"log.retention.minutes=2"}).number("log.retention.ms") == 120'000);
  CHECK(load({"log.retention.minutes=2", "log.retention.ms=5"}).number("log.retention.ms") == 5);
  CHECK(load({"log.retention.hours=-1"}).number("log.retention.ms") == -1);
  CHECK(load({"log.flush.scheduler.interval.ms=7"}).number("log.flush.interval.ms") == 7);
}

}  // namespace
}  // namespace kurier::config
