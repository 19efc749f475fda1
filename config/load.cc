#include "config/load.h"

#include <algorithm>
#include <charconv>

#include "config/addresses.h"
#include "config/text.h"

namespace kurier::config {
namespace {

constexpr std::string_view kStockPlace = "the stock values";

bool is_yaml(std::string_view path) { return path.ends_with(".yaml") || path.ends_with(".yml"); }

void override_with(std::vector<Setting>& settings, const std::vector<Setting>& stronger) {
  for (const Setting& setting : stronger) {
    const auto same = std::ranges::find(settings, setting.name, &Setting::name);
    if (same == settings.end()) {
      settings.push_back(setting);
    } else {
      *same = setting;
    }
  }
}

bool is_in(const std::vector<Setting>& settings, std::string_view name) {
  return std::ranges::find(settings, name, &Setting::name) != settings.end();
}

// Stock values that follow others which the user has set: the state directory lies beside the log directory, and a
// node of its own is found at its own controller listener.
void adapt_stock(std::vector<Setting>& settings, const std::vector<Setting>& arguments) {
  if ((is_in(arguments, "log.dirs") || is_in(arguments, "log.dir")) && !is_in(arguments, "kurier.state.dir")) {
    std::erase_if(settings, [](const Setting& s) { return s.name == "kurier.state.dir"; });
  }
  if (is_in(arguments, "log.dir") && !is_in(arguments, "log.dirs")) {
    std::erase_if(settings, [](const Setting& s) { return s.name == "log.dirs"; });
  }
  if (is_in(arguments, "controller.quorum.voters") || is_in(arguments, "controller.quorum.bootstrap.servers")) return;
  const auto value_of = [&](std::string_view name) {
    return std::ranges::find(settings, name, &Setting::name)->value;
  };
  const auto listeners = parse_value("listeners", Type::kList, "", value_of("listeners"));
  const std::string names = "," + value_of("controller.listener.names") + ",";
  if (!listeners) return;
  for (const std::string& text : listeners->list) {
    const auto listener = parse_listener(text);
    if (!listener || !names.contains("," + listener->name + ",")) continue;
    const bool is_everywhere = listener->host.empty() || listener->host == "0.0.0.0";
    std::string host = is_everywhere ? "127.0.0.1" : listener->host;
    if (is_ipv6(host)) host = "[" + host + "]";
    settings.push_back({"controller.quorum.bootstrap.servers", fmt::format("{}:{}", host, listener->port),
                        std::string(kStockPlace)});
    return;
  }
}

std::vector<Setting> all_settings(const ConfigSource& source, Loading& loading) {
  std::vector<Setting> settings;
  if (source.path.empty()) {
    for (const auto& [name, value] : stock_values()) settings.push_back({name, value, std::string(kStockPlace)});
  } else {
    // Some editors begin a file with the mark that it is UTF-8.
    constexpr std::string_view kMark = "\xEF\xBB\xBF";
    const std::string content = source.content.substr(source.content.starts_with(kMark) ? kMark.size() : 0);
    ReadSettings read = is_yaml(source.path) ? read_yaml(source.path, content) : read_properties(source.path, content);
    settings = std::move(read.settings);
    loading.faults = std::move(read.faults);
  }
  ReadSettings arguments = read_arguments(source.settings);
  loading.faults.insert(loading.faults.end(), arguments.faults.begin(), arguments.faults.end());
  override_with(settings, arguments.settings);
  if (source.path.empty()) adapt_stock(settings, arguments.settings);
  return settings;
}

void check_connection_limits(Loading& loading, NodeConfig& node) {
  const auto pairs = parse_pairs(loading.text("max.connections.per.ip.overrides"));
  if (!pairs) return loading.fault("max.connections.per.ip.overrides", "expected host:count, comma-separated");
  for (const auto& [host, text] : *pairs) {
    std::int32_t count = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
    if (error != std::errc() || end != text.data() + text.size() || count < 0) {
      loading.fault("max.connections.per.ip.overrides", fmt::format("\"{}\" is not a count for {}", text, host));
    }
    node.network.max_connections_per_ip_overrides[host] = count;
  }
  loading.require(node.network.max_connections_per_ip > 0 || !pairs->empty(), "max.connections.per.ip",
                  "0 is possible only with max.connections.per.ip.overrides");
}

// The listener's name is written in lower case, as Kafka has it.
void fill_listener_limits(Loading& loading, NodeConfig& node) {
  for (const auto& [name, place] : loading.places) {
    const auto text = node.originals.find(name);
    if (!is_listener_limit(name) || text == node.originals.end()) continue;
    const bool is_rate = name.ends_with("rate");
    const Property& property = *find_broker_property(is_rate ? "max.connection.creation.rate" : "max.connections");
    const auto value = parse_value(name, property.type, property.range, text->second);
    if (!value) {
      loading.fault(name, fmt::format("\"{}\" is not allowed; expected {}", text->second,
                                      expectation(property.type, property.range)));
      continue;
    }
    const auto is_its = [&](const Listener& listener) {
      return fmt::format("listener.name.{}.{}", lower(listener.name), property.name) == name;
    };
    const auto listener = std::ranges::find_if(node.listeners, is_its);
    if (listener == node.listeners.end()) {
      loading.notices.push_back(
          fmt::format("{}: {} has no effect here, because no listener has this name (in lower case)", place, name));
      continue;
    }
    ListenerLimits& limits = node.network.of_listener[listener->name];
    (is_rate ? limits.max_connection_creation_rate : limits.max_connections) = static_cast<std::int32_t>(value->number);
  }
}

}  // namespace

const std::map<std::string, std::string>& stock_values() {
  static const std::map<std::string, std::string> values = {
      {"process.roles", "broker,controller"},
      {"node.id", "1"},
      {"listeners", "PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093"},
      {"inter.broker.listener.name", "PLAINTEXT"},
      {"controller.listener.names", "CONTROLLER"},
      {"listener.security.protocol.map",
       "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL"},
      {"num.network.threads", "3"},
      {"num.io.threads", "8"},
      {"socket.send.buffer.bytes", "102400"},
      {"socket.receive.buffer.bytes", "102400"},
      {"socket.request.max.bytes", "104857600"},
      {"log.dirs", "./kurier-data/log"},
      {"kurier.state.dir", "./kurier-data/state"},
      {"num.partitions", "1"},
      {"num.recovery.threads.per.data.dir", "2"},
      {"offsets.topic.replication.factor", "1"},
      {"share.coordinator.state.topic.replication.factor", "1"},
      {"share.coordinator.state.topic.min.isr", "1"},
      {"transaction.state.log.replication.factor", "1"},
      {"transaction.state.log.min.isr", "1"},
      {"log.retention.hours", "168"},
      {"log.segment.bytes", "1073741824"},
      {"log.retention.check.interval.ms", "300000"},
  };
  return values;
}

namespace {

// What members of groups may ask for lies between two bounds, and they are heard of more than once a session.
void check_groups(Loading& loading) {
  const auto require = [&](const std::string& name, bool holds, std::string_view is, const std::string& other) {
    loading.require(holds, name, fmt::format("{} is {} {}={}", loading.text(name), is, other, loading.text(other)));
  };
  for (const std::string_view kind : {"consumer", "share", "streams"}) {
    for (const std::string_view what : {"session.timeout.ms", "heartbeat.interval.ms"}) {
      const std::string name = fmt::format("group.{}.{}", kind, what);
      const std::string least = fmt::format("group.{}.min.{}", kind, what);
      const std::string most = fmt::format("group.{}.max.{}", kind, what);
      require(most, loading.number(least) <= loading.number(most), "smaller than", least);
      require(name, loading.number(least) <= loading.number(name), "smaller than", least);
      require(name, loading.number(name) <= loading.number(most), "larger than", most);
    }
    const std::string heartbeat = fmt::format("group.{}.heartbeat.interval.ms", kind);
    const std::string session = fmt::format("group.{}.session.timeout.ms", kind);
    require(heartbeat, loading.number(heartbeat) < loading.number(session), "not smaller than", session);
  }
  loading.require(contains(loading.list("group.coordinator.rebalance.protocols"), "classic"),
                  "group.coordinator.rebalance.protocols", "classic cannot be left out");
  const std::int64_t codec = loading.number("offsets.topic.compression.codec");
  loading.require(codec >= 0 && codec <= 4, "offsets.topic.compression.codec",
                  fmt::format("{} is no codec; expected 0 (none), 1 (gzip), 2 (snappy), 3 (lz4) or 4 (zstd)", codec));
}

}  // namespace

void check_values(Loading& loading, const NodeConfig& node) {
  check_groups(loading);
  loading.require(loading.number("log.cleaner.threads") >= 1, "log.cleaner.threads",
                  "0 is not allowed; expected 1 or more (log.cleaner.enable turns the cleaner off)");
  const auto number = [&](std::string_view name) { return loading.number(name); };
  // `name` against the value of another property: both are shown.
  const auto compare = [&](bool holds, std::string_view name, std::string_view is, std::string_view other, std::string_view right = "") {
    loading.require(holds, name, fmt::format("{} is {} {}={}{}", loading.text(name), is, other, loading.text(other), right));
  };
  loading.require(node.number("log.roll.ms").value_or(1) >= 1, "log.roll.ms",
                  fmt::format("{} is not allowed; expected 1 or more", loading.text("log.roll.ms")));
  loading.require(node.number("log.roll.jitter.ms").value_or(0) >= 0, "log.roll.jitter.ms",
                  fmt::format("{} is not allowed; expected 0 or more", loading.text("log.roll.jitter.ms")));
  const std::int64_t retention_ms = node.number("log.retention.ms").value_or(-1);
  const std::string_view retention_name = loading.is_set("log.retention.ms")        ? "log.retention.ms"
                                          : loading.is_set("log.retention.minutes") ? "log.retention.minutes"
                                                                                    : "log.retention.hours";
  loading.require(retention_ms != 0, retention_name, "0 is not allowed; expected -1 (for ever), or 1 or more");
  compare(number("log.cleaner.min.compaction.lag.ms") <= number("log.cleaner.max.compaction.lag.ms"),
          "log.cleaner.min.compaction.lag.ms", "larger than", "log.cleaner.max.compaction.lag.ms");
  const std::int64_t cleaner_threads = std::max<std::int64_t>(1, number("log.cleaner.threads"));
  compare(number("log.cleaner.dedupe.buffer.size") / cleaner_threads > 1'048'576, "log.cleaner.dedupe.buffer.size",
          "not enough for", "log.cleaner.threads", "; expected more than 1048576 for each");
  compare(number("replica.fetch.wait.max.ms") <= number("replica.socket.timeout.ms"), "replica.socket.timeout.ms",
          "smaller than", "replica.fetch.wait.max.ms");
  compare(number("replica.fetch.wait.max.ms") <= number("replica.lag.time.max.ms"), "replica.fetch.wait.max.ms",
          "larger than", "replica.lag.time.max.ms", ", so the ISR would change all the time");
  const std::int64_t queued_bytes = number("queued.max.request.bytes");
  compare(queued_bytes <= 0 || queued_bytes >= number("socket.request.max.bytes"), "queued.max.request.bytes",
          "smaller than", "socket.request.max.bytes", ", so the largest request could never be read");
  compare(number("connections.max.idle.ms") < 0 ||
              number("connection.failed.authentication.delay.ms") < number("connections.max.idle.ms"),
          "connection.failed.authentication.delay.ms", "not smaller than", "connections.max.idle.ms");
  constexpr std::int64_t kTopicSegmentBytesMin = 1 << 20;  // of segment.bytes
  loading.require(number("offsets.topic.segment.bytes") >= kTopicSegmentBytesMin, "offsets.topic.segment.bytes",
                  fmt::format("{} is not allowed; expected {} or more, the least of any topic's segment.bytes, or "
                              "__consumer_offsets could never be created",
                              loading.text("offsets.topic.segment.bytes"), kTopicSegmentBytesMin));
  const std::int64_t local_bytes = number("log.local.retention.bytes");
  compare(local_bytes == -2 || number("log.retention.bytes") == -1 ||
              (local_bytes != -1 && local_bytes <= number("log.retention.bytes")),
          "log.local.retention.bytes", "larger than", "log.retention.bytes");
  const std::int64_t local_ms = number("log.local.retention.ms");
  compare(local_ms == -2 || retention_ms == -1 || (local_ms != -1 && local_ms <= retention_ms),
          "log.local.retention.ms", "longer than", retention_name);
  if (number("broker.heartbeat.interval.ms") * 2 > number("broker.session.timeout.ms")) {
    loading.notices.push_back(
        "broker.heartbeat.interval.ms is more than half of broker.session.timeout.ms, so one lost "
        "heartbeat may fence the broker");
  }
}

Result<LoadedConfig> load_config(const ConfigSource& source) {
  Loading loading(source.path);
  NodeConfig node;
  take_settings(loading, all_settings(source, loading), source.path.empty(), node);
  fill_values(loading, node);
  fill_identity(loading, node);
  check_connection_limits(loading, node);
  fill_listener_limits(loading, node);
  check_values(loading, node);
  if (!loading.faults.empty()) return fail(Failure::kInvalid, fmt::format("{}", fmt::join(loading.faults, "\n")));
  return LoadedConfig{std::move(node), std::move(loading.notices)};
}

}  // namespace kurier::config
