// kurier produce: lines of standard input become records. What can be read without waiting is sent together and
// acknowledged before more is read, so that a line typed by hand is sent at once and a file in large batches.
#include <fmt/core.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>

#include "base/random.h"
#include "broker/net/system_random.h"
#include "tools/client/record_sender.h"
#include "tools/commands/command.h"
#include "tools/commands/commands.h"
#include "tools/commands/lines.h"

namespace kurier::commands {
namespace {

using client::Cluster;
constexpr const char* kName = "kurier produce";
constexpr std::size_t kReadBytes = 256 * 1024;

struct Options {
  ConnectOptions connect;
  std::string topic;
  std::optional<std::int32_t> partition;
  std::string acks = "all";
  std::optional<bool> idempotent;
  std::string codec = "none";
  std::size_t batch_bytes = 512 * 1024;
  std::optional<std::string> key_separator;
  std::vector<std::string> headers;
  std::vector<std::string> properties;
  std::optional<std::string> null_marker;
};

struct Settings {
  client::SenderOptions sender;
  InputFormat format;
};

Result<protocol::Codec> parse_codec(const std::string& text) {
  for (const auto codec : {protocol::Codec::kNone, protocol::Codec::kGzip, protocol::Codec::kSnappy,
                           protocol::Codec::kLz4, protocol::Codec::kZstd}) {
    if (text == protocol::to_string(codec)) return codec;
  }
  return fail(Failure::kInvalid,
              fmt::format("--compression-codec is '{}', expected none, gzip, snappy, lz4 or zstd", text));
}

Result<Settings> settings_of(const Options& options) {
  Settings settings;
  if (options.acks == "all" || options.acks == "-1") {
    settings.sender.acks = -1;
  } else if (options.acks == "0" || options.acks == "1") {
    settings.sender.acks = static_cast<std::int16_t>(options.acks[0] - '0');
  } else {
    return fail(Failure::kInvalid, fmt::format("--acks is '{}', expected 0, 1 or all", options.acks));
  }
  settings.sender.idempotent = options.idempotent.value_or(settings.sender.acks == -1);
  if (settings.sender.idempotent && settings.sender.acks != -1) {
    return fail(Failure::kInvalid, "--idempotent needs --acks all");
  }
  if (options.partition && *options.partition < 0) {
    return fail(Failure::kInvalid, fmt::format("--partition is {}, expected 0 or more", *options.partition));
  }
  TRY_ASSIGN(settings.sender.codec, parse_codec(options.codec));
  for (const std::string& property : options.properties) TRY(set_property(settings.format, property));
  if (options.key_separator) TRY(set_property(settings.format, "key.separator=" + *options.key_separator));
  if (options.null_marker) settings.format.null_marker = options.null_marker;
  for (const std::string& header : options.headers) {
    TRY_ASSIGN(auto named, parse_assignment(header, "--header"));
    settings.format.headers.emplace_back(std::move(named.first), to_bytes(named.second));
  }
  return settings;
}

// The records that are waiting to be sent, by partition.
class Pending {
 public:
  Pending(std::int32_t partitions, std::optional<std::int32_t> fixed, std::uint64_t first)
      : partitions_(partitions),
        fixed_(fixed),
        without_key_(static_cast<std::int32_t>(first % static_cast<std::uint64_t>(partitions))) {}

  // True: the batch that it is in is full.
  bool add(client::OutgoingRecord record, std::size_t batch_bytes) {
    const std::int32_t partition = fixed_       ? *fixed_
                                   : record.key ? client::partition_for_key(*record.key, partitions_)
                                                : without_key_;
    std::size_t bytes = 32 + (record.key ? record.key->size() : 0) + (record.value ? record.value->size() : 0);
    for (const auto& [name, value] : record.headers) bytes += 8 + name.size() + value.size();
    records_[partition].push_back(std::move(record));
    bytes_[partition] += bytes;
    return bytes_[partition] >= batch_bytes;
  }
  [[nodiscard]] bool is_empty() const { return records_.empty(); }
  // Records without a key go to another partition after each batch.
  std::map<std::int32_t, std::vector<client::OutgoingRecord>> take() {
    without_key_ = (without_key_ + 1) % partitions_;
    bytes_.clear();
    return std::exchange(records_, {});
  }

 private:
  std::int32_t partitions_;
  std::optional<std::int32_t> fixed_;
  std::int32_t without_key_;
  std::map<std::int32_t, std::vector<client::OutgoingRecord>> records_;
  std::map<std::int32_t, std::size_t> bytes_;
};

// What there is; empty at the end of the input. Blocks: nothing else is to be done meanwhile.
Result<std::string_view> read_input(std::string& buffer) {
  buffer.resize(kReadBytes);
  while (true) {
    const ssize_t count = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return std::unexpected(error_from_errno(errno, "reading standard input"));
    return std::string_view(buffer).substr(0, static_cast<std::size_t>(count));
  }
}

Task<Result<void>> send_lines(client::RecordSender& sender, const Options& options, const InputFormat& format) {
  Pending pending(sender.partitions(), options.partition, net::SystemRandom().next() >> 1U);
  LineSplitter lines;
  std::string buffer;
  std::uint64_t number = 0;
  for (bool is_over = false; !is_over;) {
    const Result<std::string_view> text = read_input(buffer);
    if (!text) co_return std::unexpected(text.error());
    is_over = text->empty();
    lines.add(*text);
    for (auto line = lines.next(); line || is_over; line = lines.next()) {
      if (!line) line = lines.rest();
      if (!line) break;
      auto record = parse_line(*line, format, ++number);
      const bool is_wrong = !record;
      if (record && !pending.add(std::move(*record), options.batch_bytes)) continue;
      // What came before a wrong line is sent.
      const Result<void> sent = co_await sender.send(pending.take());
      if (!sent) co_return sent;
      if (is_wrong) co_return std::unexpected(record.error());
    }
    if (pending.is_empty()) continue;
    const Result<void> sent = co_await sender.send(pending.take());
    if (!sent) co_return sent;
  }
  co_return Result<void>{};
}

std::string report(const std::string& topic, const client::RecordSender& sender) {
  std::uint64_t records = 0;
  std::vector<client::JsonObject> partitions;
  for (const auto& [partition, range] : sender.sent()) {
    auto& one = partitions.emplace_back();
    one.add("partition", partition);
    one.add("first_offset", range.first_offset.value());
    one.add("records", range.records);
    records += range.records;
  }
  client::JsonObject json;
  json.add("topic", topic);
  json.add("records", records);
  json.add("partitions", partitions);
  return json.text() + "\n";
}

Task<Result<void>> produce(Cluster& cluster, const Options& options, const Settings& settings) {
  client::RecordSender sender(cluster, options.topic, settings.sender);
  const Result<void> opened = co_await sender.open();
  if (!opened) co_return opened;
  if (options.partition && *options.partition >= sender.partitions()) {
    co_return fail(Failure::kInvalid, fmt::format("--partition is {}, topic '{}' has {} partitions", *options.partition,
                                                  options.topic, sender.partitions()));
  }
  const Result<void> sent = co_await send_lines(sender, options, settings.format);
  if (options.connect.json) {
    const Result<void> printed = print(report(options.topic, sender));
    if (sent && !printed) co_return printed;
  }
  co_return sent;
}

void add_options(CLI::App& app, Options& options) {
  app.add_option("topic,--topic", options.topic, "a topic; made if the broker makes topics by itself")->required();
  add_connect_options(app, options.connect);
  app.add_option("--partition", options.partition,
                 "of every record (default: by key as Java's producer does, in turn without a key)");
  app.add_option("--key-separator", options.key_separator, "what is before it in a line is the key");
  app.add_option("-H,--header", options.headers, "a header of every record; may be repeated")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
  app.add_option("--null-marker", options.null_marker, "a key or value that is this is null");
  app.add_option("--acks,--request-required-acks", options.acks, "0, 1 or all")->capture_default_str();
  app.add_flag("--idempotent,!--no-idempotent", options.idempotent,
               "send again without duplicates (default with --acks all)");
  app.add_option("--compression-codec", options.codec, "none, gzip, snappy, lz4 or zstd")->capture_default_str();
  app.add_option("--batch-size", options.batch_bytes, "bytes of a batch at most, before compression")
      ->check(CLI::Range(1, 64 << 20))
      ->capture_default_str();
  app.add_option("--property,--reader-property", options.properties,
                 "as kafka-console-producer takes it: parse.key, key.separator, null.marker")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
}

}  // namespace

int produce_main(int argc, char** argv) {
  Options options;
  CLI::App app{"Sends each line of standard input as a record. With --json it says at the end where they are."};
  app.name(kName);
  add_options(app, options);
  if (const auto status = parse(app, argc, argv)) return *status;
  const auto settings = settings_of(options);
  if (!settings) return say_wrong(kName, settings.error());
  return run(kName, options.connect, [&](Cluster& cluster) { return produce(cluster, options, *settings); });
}

}  // namespace kurier::commands
