#include "config/topic_config.h"

#include <catch2/catch.hpp>

namespace kurier::config {
namespace {

std::string error_of(const std::map<std::string, std::string>& overrides) {
  const auto topic = parse_topic_config(NodeConfig(), overrides);
  return topic ? "no error" : topic.error().context;
}

const ConfigEntry& entry(const std::vector<ConfigEntry>& entries, std::string_view name) {
  for (const ConfigEntry& one : entries) {
    if (one.name == name) return one;
  }
  FAIL("no entry " << name);
  return entries.front();
}

TEST_CASE("the defaults of a topic are those of the struct") {
  const auto topic = parse_topic_config(NodeConfig(), {});
  REQUIRE(topic);
  CHECK(*topic == TopicConfig());
}

TEST_CASE("a topic inherits from the broker, and overrides it") {
  NodeConfig node;
  node.originals = {{"log.retention.hours", "1"}, {"log.segment.bytes", "2000000"}, {"log.roll.ms", "5"}};
  const auto topic = parse_topic_config(node, {{"segment.bytes", "3000000"}, {"cleanup.policy", "compact, delete"}});
  REQUIRE(topic);
  CHECK(topic->retention == Milliseconds(3'600'000));
  CHECK(topic->segment_bytes == 3'000'000);
  CHECK(topic->segment_age_max == Milliseconds(5));
  CHECK(topic->compact);
  CHECK(topic->delete_old);
}

TEST_CASE("a name or value that is not understood costs nothing but itself, and no data") {
  const auto as_configured = take_topic_config(
      NodeConfig(), {{"cleanup.policy", "compact,compact"}, {"retention.ms", "-1"}, {"message.format.version", "2.0"}});
  CHECK(as_configured.config.compact);
  CHECK(!as_configured.config.delete_old);
  CHECK(as_configured.config.retention == Milliseconds(-1));
  CHECK(!as_configured.config.keeps_everything);
  CHECK(as_configured.unknown == std::vector<std::string>{"message.format.version"});
  CHECK(as_configured.faults.empty());

  NodeConfig node;
  node.originals = {{"log.segment.bytes", "2000000"}};
  const auto small = take_topic_config(node, {{"segment.bytes", "100"}, {"cleanup.policy", "compact"}});
  CHECK(small.config.segment_bytes == 2'000'000);
  CHECK(small.config.compact);
  CHECK(small.config.keeps_everything);
  REQUIRE(small.faults.size() == 1);
  CHECK(small.faults[0] ==
        "segment.bytes=\"100\" cannot be taken, expected an int, 1048576 or more: \"2000000\" holds "
        "instead, and nothing of the topic is deleted or compacted until it is corrected");
  for (const auto& [name, text] :
       {std::pair("cleanup.policy", "eat"), std::pair("retention.ms", "x"), std::pair("internal.segment.bytes", "x"),
        std::pair("remote.storage.enable", "true")}) {
    CAPTURE(name);
    CHECK(take_topic_config(NodeConfig(), {{name, text}}).config.keeps_everything);
  }

  const auto harmless = take_topic_config(NodeConfig(), {{"compression.type", "none"}, {"retention.bytes", "5"}});
  CHECK(harmless.config.retention_bytes == 5);
  CHECK(!harmless.config.keeps_everything);
  REQUIRE(harmless.faults.size() == 1);
  CHECK_THAT(harmless.faults[0], Catch::EndsWith(": \"producer\" holds instead"));

  // Apache Kafka checks the two against each other only where they are set.
  const auto crossed =
      take_topic_config(NodeConfig(), {{"min.compaction.lag.ms", "5"}, {"max.compaction.lag.ms", "2"}});
  CHECK(crossed.config.min_compaction_lag == Milliseconds(5));
  CHECK(!crossed.config.keeps_everything);
}

TEST_CASE("what brokers are told as metadata and is not understood costs no data either") {
  const DynamicBrokerConfigs dynamic{{{"log.segment.bytes", "100"}, {"log.retention.ms", " +5 "}, {"no.such", "1"}},
                                     {{"log.segment.bytes", "3000000"}, {"message.max.bytes", "x"}}};
  const auto inherits = take_topic_config(NodeConfig(), {{"cleanup.policy", "compact"}}, dynamic);
  CHECK(inherits.config.segment_bytes == 3'000'000);
  CHECK(inherits.config.retention == Milliseconds(5));
  CHECK(inherits.config.max_message_bytes == 1'048'588);
  CHECK(inherits.config.compact);
  CHECK(inherits.config.keeps_everything);
  CHECK(inherits.faults.empty());
  CHECK(!take_topic_config(NodeConfig(), {{"segment.bytes", "4000000"}}, dynamic).config.keeps_everything);
  const auto faults = broker_faults(dynamic);
  REQUIRE(faults.size() == 2);
  CHECK_THAT(faults[0],
             Catch::StartsWith("log.segment.bytes=\"100\" of this broker's dynamic configuration cannot be taken, "
                               "expected an int, 1048576 or more"));
}

TEST_CASE("times that Apache Kafka's brokers refuse do not become a retention of nothing") {
  const std::pair<const char*, const char*> refused[] = {{"log.retention.ms", "0"},
                                                         {"log.retention.minutes", "0"},
                                                         {"log.retention.hours", "0"},
                                                         {"log.roll.ms", "0"},
                                                         {"log.roll.jitter.ms", "-1"}};
  for (const auto& [name, value] : refused) {
    CAPTURE(name);
    const DynamicBrokerConfigs dynamic{{}, {{name, value}}};
    const auto taken = take_topic_config(NodeConfig(), {}, dynamic);
    CHECK(taken.config.keeps_everything);
    CHECK(taken.config.retention != Milliseconds(0));
    CHECK(broker_faults(dynamic).size() == 1);
  }
  CHECK(broker_faults({{}, {{"log.retention.bytes", "0"}, {"log.retention.ms", "-1"}, {"log.roll.jitter.ms", "0"}}})
            .empty());
}

TEST_CASE("the sentences are Kafka's") {
  CHECK(error_of({{"foo", "1"}}) == "Unknown topic config name: foo");
  CHECK(error_of({{"retention.ms", "x"}}) ==
        "Invalid value x for configuration retention.ms: Not a number of type LONG");
  CHECK(error_of({{"retention.ms", "-2"}}) ==
        "Invalid value -2 for configuration retention.ms: Value must be at least -1");
  CHECK(error_of({{"min.cleanable.dirty.ratio", "2"}}) ==
        "Invalid value 2.0 for configuration min.cleanable.dirty.ratio: Value must be no more than 1");
  CHECK(error_of({{"compression.gzip.level", "0"}}) ==
        "Invalid value 0 for configuration compression.gzip.level: Value must be between 1 and 9 or equal to -1");
  CHECK(error_of({{"cleanup.policy", "x"}}) ==
        "Invalid value x for configuration cleanup.policy: String must be one of: compact, delete");
  for (const char* list : {",", "compact,", ",compact", "compact,,delete", " , ", ",,"}) {
    CHECK(error_of({{"cleanup.policy", list}}) == "Configuration 'cleanup.policy' values must not be empty.");
  }
  CHECK(error_of({{"segment.bytes", "  "}}) ==
        "Invalid value    for configuration segment.bytes: Not a number of type INT");
  CHECK(error_of({{"preallocate", "x"}}) ==
        "Invalid value x for configuration preallocate: Expected value to be either true or false");
  CHECK(error_of({{"leader.replication.throttled.replicas", "x"}}) ==
        "Invalid value [x] for configuration leader.replication.throttled.replicas: "
        "leader.replication.throttled.replicas must be the literal '*' or a list of replicas in the following format: "
        "[partitionId]:[brokerId],[partitionId]:[brokerId],...");
  CHECK(error_of({{"min.compaction.lag.ms", "5"}, {"max.compaction.lag.ms", "2"}}) ==
        "conflict topic config setting min.compaction.lag.ms (5) > max.compaction.lag.ms (2)");
  CHECK_THAT(error_of({{"remote.storage.enable", "true"}}), Catch::StartsWith("Tiered Storage functionality"));
}

TEST_CASE("a topic's listing: order, sources and synonyms") {
  const auto loaded = load_config({});
  REQUIRE(loaded);
  const auto listed = describe_topic(loaded->node, {}, {{"retention.bytes", "7"}});
  REQUIRE(listed.size() == 37);
  CHECK(listed.front().name == "compression.type");
  CHECK(listed.back().name == "segment.index.bytes");
  // log.retention.hours is set, but Kafka shows it only under its own name.
  CHECK(entry(listed, "retention.ms").synonyms.empty());
  CHECK(entry(listed, "retention.ms").value == "604800000");
  CHECK(entry(listed, "retention.ms").source == Source::kDefault);
  CHECK(entry(listed, "segment.bytes").source == Source::kStaticBroker);
  CHECK(entry(listed, "segment.bytes").synonyms.size() == 2);
  CHECK(entry(listed, "retention.bytes").source == Source::kDynamicTopic);
  CHECK(entry(listed, "retention.bytes").value == "7");
  REQUIRE(entry(listed, "retention.bytes").synonyms.size() == 2);
  CHECK(entry(listed, "retention.bytes").synonyms[1].name == "log.retention.bytes");
}

TEST_CASE("a broker's listing hides secrets and what is internal") {
  const auto loaded = load_config({.path = "", .content = "", .settings = {"ssl.key.password=secret"}});
  REQUIRE(loaded);
  const DynamicBrokerConfigs dynamic{{{"log.segment.bytes", "2000000"}}, {{"log.segment.bytes", "3000000"}}};
  const auto listed = describe_broker(loaded->node, dynamic);
  CHECK(!entry(listed, "ssl.key.password").value);
  CHECK(entry(listed, "ssl.key.password").is_sensitive);
  CHECK(entry(listed, "node.id").read_only);
  CHECK(entry(listed, "log.segment.bytes").value == "2000000");
  CHECK(entry(listed, "log.segment.bytes").synonyms.size() == 4);
  CHECK(entry(listed, "log.segment.bytes").source == Source::kDynamicBroker);
  for (const ConfigEntry& one : listed) CHECK(one.name != "unstable.api.versions.enable");
  const auto cluster = describe_cluster_default(loaded->node, dynamic);
  REQUIRE(cluster.size() == 1);
  CHECK(cluster[0].value == "3000000");
}

TEST_CASE("a synonym is shown as it was written, a value in normal form, a plug-in's name without a type") {
  const auto loaded = load_config(
      {.path = "", .content = "", .settings = {"log.cleanup.policy=delete, compact", "listener.name.plaintext.x=5"}});
  REQUIRE(loaded);
  const auto listed = describe_broker(loaded->node, {});
  CHECK(entry(listed, "log.cleanup.policy").value == "delete,compact");
  CHECK(entry(listed, "log.cleanup.policy").synonyms.front().value == "delete, compact");
  CHECK(entry(listed, "listener.name.plaintext.x").type == Type::kUnknown);
  CHECK(!entry(listed, "listener.name.plaintext.x").value);
}

TEST_CASE("doubles are written as Java writes them") {
  const auto text = [](const char* value) { return parse_value("x", Type::kDouble, "", value)->text; };
  CHECK(text("1") == "1.0");
  CHECK(text("0.50") == "0.5");
  CHECK(text("1e7") == "1.0E7");
  CHECK(text("1000000") == "1000000.0");
  CHECK(text("0.0001") == "1.0E-4");
  CHECK(text("1.7976931348623157E308") == "1.7976931348623157E308");
  CHECK(text("NaN") == "NaN");
  CHECK(text("1e400") == "Infinity");
  CHECK(text("-Infinity") == "-Infinity");
  CHECK(text("0x1p-1074") == "4.9E-324");
  CHECK(text("-1e-323") == "-9.9E-324");
  CHECK(text("2e-323") == "2.0E-323");
  CHECK(text("-0") == "-0.0");
}

// What Apache Kafka 4.4 on Java 17 makes of each; tests/interop/api_rules.py asks it.
TEST_CASE("what Java's parsers take is taken, and nothing else") {
  const auto parsed = [](Type type, const char* text) {
    const auto value = parse_value("x", type, "", text);
    return value ? value->text : std::string("refused");
  };
  const auto whole = [&](const char* text) { return parsed(Type::kInt, text); };
  for (const char* text : {"5", " 5 ", "+5", "005", "\t5\n",
                           "\x1f"
                           "5",
                           "\u0665", "\uff15",
                           "\u0cec"
                           "5"}) {
    CAPTURE(text);
    CHECK(whole(text) == (std::string_view(text) == "\u0cec"
                                                    "5"
                              ? "65"
                              : "5"));
  }
  CHECK(whole("-0") == "0");
  CHECK(whole("-2147483648") == "-2147483648");
  CHECK(parsed(Type::kLong, "-9223372036854775808") == "-9223372036854775808");
  CHECK(parsed(Type::kLong, "9223372036854775808") == "refused");
  CHECK(parsed(Type::kLong, "-99999999999999999999") == "refused");
  const std::string behind_a_space = std::string("\u00a0") + "5";
  for (const char* text : {"", "+", "-", "+-5", "5.0", "5_0", "0x5", "5L", "5e6", behind_a_space.c_str(), "2147483648",
                           "\U0001d7d3", "\xe0\xb3", "1 0"}) {
    CAPTURE(text);
    CHECK(whole(text) == "refused");
  }
  const auto real = [&](const char* text) { return parsed(Type::kDouble, text); };
  for (const char* text : {"0.5", "0.5f", ".5D", "+.5d", "5e-1", "5E-1F", "0x1p-1", "0X.8P0", "0x1.p-1d", "0x.8p+0f",
                           " 0.5\t", "00.5", "0.50000000000000000000000000000001"}) {
    CAPTURE(text);
    CHECK(real(text) == "0.5");
  }
  CHECK(real("5.") == "5.0");
  CHECK(real("-NaN") == "NaN");
  CHECK(real("0e99999999999") == "0.0");
  CHECK(real("0x1p-99999999999") == "0.0");
  for (const char* text :
       {"",        "nan",   "inf", "NaNf",  "Infinityf", "0x1",  "0x1p",     "0x.p1", "0xp1", "0x1p-1ff",
        "0x1p0.5", "5e",    "5e+", "0.5ff", "0.5 f",     "f",    ".",        ".e5",   "e5",   "0,5",
        "1_0",     "1e+-0", "+-1", "- 1",   "\u0660.5",  "0x1g", "infinity", "nan(1)"}) {
    CAPTURE(text);
    CHECK(real(text) == "refused");
  }
  const auto truth = [&](const char* text) { return parsed(Type::kBoolean, text); };
  CHECK(truth(" tRuE ") == "true");
  CHECK(truth("FAL\u017fE") == "false");
  for (const char* text : {"", "1", "yes", "\u00a0true"}) CHECK(truth(text) == "refused");
  const auto list = [&](const char* text) { return parsed(Type::kList, text); };
  CHECK(list(" a , b\n,\vc ") == "a,b,c");
  CHECK(list("a,b,a,a") == "a,b");
  CHECK(list("a\x01,b") == "a\x01,b");
  CHECK(list("  ").empty());
  const auto replicas = [](const char* text) {
    const auto value = parse_value("x", Type::kList, "[partitionId]:[brokerId],[partitionId]:[brokerId],...", text);
    return value ? value->text : std::string("refused");
  };
  CHECK(replicas("0:1,0:1,") == "0:1,0:1,");
  CHECK(replicas("*,*") == "refused");
}

TEST_CASE("a topic inherits what came as metadata, and says what has no effect") {
  const DynamicBrokerConfigs dynamic{{}, {{"log.flush.interval.ms", "50"}, {"min.insync.replicas", "2"}}};
  const auto topic = parse_topic_config(NodeConfig(), {{"min.insync.replicas", "1"}}, dynamic);
  REQUIRE(topic);
  CHECK(topic->flush_interval == Milliseconds(50));
  CHECK(topic->min_insync_replicas == 1);
  CHECK(topic_notices({{"flush.ms", "5"}, {"preallocate", "true"}, {"cleanup.policy", "delete"}}).empty());
  const auto notices = topic_notices({{"cleanup.policy", "compact"}, {"delete.retention.ms", "1"}, {"remote.copy.lag.ms", "5"}});
  REQUIRE(notices.size() == 1);
  CHECK(notices[0] == "remote.copy.lag.ms has no effect here, because tiered storage is not there yet");
}

}  // namespace
}  // namespace kurier::config
