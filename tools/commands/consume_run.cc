// The reading of kurier consume. One loop: poll, print, and in a group heartbeat and commit between two polls. What was
// printed is committed afterwards, so a record may be printed twice and is never lost.
#include <fmt/core.h>

#include <algorithm>

#include "broker/net/signals.h"
#include "tools/client/fetcher.h"
#include "tools/client/member.h"
#include "tools/commands/consume.h"

namespace kurier::commands {
namespace {

using client::Cluster;
using client::TopicPartition;
using Positions = std::map<TopicPartition, Offset>;
constexpr std::size_t kPrintBytes = 64 * 1024;
constexpr auto kTopicsMaxAge = std::chrono::minutes(1);  // metadata.max.age.ms of a group's leader

class Reading {
 public:
  Reading(Cluster& cluster, const ConsumeOptions& options, const ConsumeSettings& settings)
      : cluster_(cluster),
        options_(options),
        settings_(settings),
        fetcher_(cluster, {.reset = reset_of(settings.start)}),
        last_record_(cluster.loop().now()) {}

  Task<Result<void>> run() {
    net::watch_stop_signals(cluster_.loop().reactor, [this](int) {
      is_stopped_ = true;
      if (member_) member_->cancel();
    });
    if (options_.group) co_return co_await run_member();
    co_return co_await run_alone();
  }

 private:
  // An offset outside the log is where reading was told to begin, or it is an error.
  static std::optional<Timestamp> reset_of(const StartAt& start) {
    if (start.number) return std::nullopt;
    return start.time == client::kEarliest ? client::kEarliest : client::kLatest;
  }

  Task<Result<void>> run_alone();
  Task<Result<void>> run_member();
  Task<Result<void>> read_generation(client::Assignment assignment);
  Task<Result<std::vector<TopicPartition>>> all_partitions();
  Task<Result<Positions>> starting_positions(std::vector<TopicPartition> partitions);
  Task<Result<void>> begin(Positions positions);
  Task<Result<void>> poll();
  Task<Result<bool>> commit();
  bool take(const client::FetchedRecord& record);
  Result<void> flush();
  [[nodiscard]] bool is_done() const;

  [[nodiscard]] bool has_enough() const { return options_.max_messages && records_ >= *options_.max_messages; }

  Cluster& cluster_;
  const ConsumeOptions& options_;
  const ConsumeSettings& settings_;
  client::Fetcher fetcher_;
  std::optional<client::Member> member_;
  Positions ends_;  // with --until-end
  Positions committed_;  // of this generation
  std::string output_;
  std::uint64_t records_ = 0;
  MonotonicTime last_record_;
  bool has_begun_ = false;  // it is known what is read
  bool is_stopped_ = false;
  Result<void> printed_;
};

Task<Result<std::vector<TopicPartition>>> Reading::all_partitions() {
  const auto topics = co_await cluster_.topics(options_.topics, false);
  if (!topics) co_return std::unexpected(topics.error());
  std::vector<TopicPartition> partitions;
  for (const client::TopicInfo& topic : *topics) {
    for (const std::int32_t index : options_.partitions) {
      if (topic.find(PartitionIndex(index)) == nullptr) {
        co_return fail(Failure::kNotFound, fmt::format("--partition is {}, topic '{}' has {} partitions", index,
                                                       topic.name, topic.partitions.size()));
      }
      partitions.emplace_back(topic.name, PartitionIndex(index));
    }
    if (!options_.partitions.empty()) continue;
    for (const client::PartitionInfo& partition : topic.partitions)
      partitions.emplace_back(topic.name, partition.index);
  }
  co_return partitions;
}

Task<Result<Positions>> Reading::starting_positions(std::vector<TopicPartition> partitions) {
  Positions positions;
  if (settings_.start.number && *settings_.start.number >= 0) {
    for (const TopicPartition& partition : partitions) positions[partition] = Offset(*settings_.start.number);
    co_return positions;
  }
  std::map<TopicPartition, Timestamp> asked;
  for (const TopicPartition& partition : partitions) asked[partition] = settings_.start.time;
  const auto found = co_await client::list_offsets(cluster_, asked);
  if (!found) co_return std::unexpected(found.error());
  positions = *found;
  // Behind a time that is later than every record there is only the end.
  std::map<TopicPartition, Timestamp> open;
  for (const auto& [partition, offset] : positions) {
    if (offset < Offset(0)) open[partition] = client::kLatest;
  }
  const auto ends = co_await client::list_offsets(cluster_, open);
  if (!ends) co_return std::unexpected(ends.error());
  for (const auto& [partition, offset] : *ends) positions[partition] = offset;
  if (!settings_.start.number) co_return positions;
  for (auto& [partition, time] : asked) time = client::kEarliest;
  const auto starts = co_await client::list_offsets(cluster_, asked);
  if (!starts) co_return std::unexpected(starts.error());
  for (auto& [partition, offset] : positions) {
    offset = std::max(starts->at(partition), offset + *settings_.start.number);
  }
  co_return positions;
}

Task<Result<void>> Reading::begin(Positions positions) {
  ends_.clear();
  committed_.clear();
  if (options_.until_end) {
    std::map<TopicPartition, Timestamp> asked;
    for (const auto& [partition, offset] : positions) asked[partition] = client::kLatest;
    auto ends = co_await client::list_offsets(cluster_, asked);
    if (!ends) co_return std::unexpected(ends.error());
    ends_ = std::move(*ends);
  }
  fetcher_.assign(std::move(positions));
  has_begun_ = true;
  co_return Result<void>{};
}

bool Reading::is_done() const {
  if (is_stopped_ || !printed_ || has_enough()) return true;
  if (options_.timeout_ms && cluster_.loop().now() - last_record_ > std::chrono::milliseconds(*options_.timeout_ms)) {
    return true;
  }
  if (!options_.until_end || !has_begun_) return false;
  return std::ranges::all_of(fetcher_.positions(), [&](const auto& position) {
    const auto end = ends_.find(position.first);
    return end == ends_.end() || position.second >= end->second;
  });
}

Result<void> Reading::flush() {
  if (printed_) printed_ = print(output_);
  output_.clear();
  return printed_;
}

bool Reading::take(const client::FetchedRecord& record) {
  output_ += options_.connect.json ? to_json(record).text() + "\n" : to_text(record, settings_.format);
  ++records_;
  if (output_.size() >= kPrintBytes && !flush()) return false;
  return !has_enough();
}

Task<Result<void>> Reading::poll() {
  const std::uint64_t before = records_;
  client::Fetcher::Sink sink = [this](const client::FetchedRecord& record) { return take(record); };
  const Result<void> polled = co_await fetcher_.poll(std::move(sink));
  const Result<void> printed = flush();
  if (records_ > before) last_record_ = cluster_.loop().now();
  co_return polled ? printed : polled;
}

Task<Result<void>> Reading::run_alone() {
  const auto partitions = co_await all_partitions();
  if (!partitions) co_return std::unexpected(partitions.error());
  const auto positions = co_await starting_positions(*partitions);
  if (!positions) co_return std::unexpected(positions.error());
  const Result<void> begun = co_await begin(*positions);
  if (!begun) co_return begun;
  while (!is_done()) {
    const Result<void> polled = co_await poll();
    if (!polled) co_return polled;
  }
  co_return Result<void>{};
}

Task<Result<bool>> Reading::commit() {
  client::CommittedOffsets offsets;
  for (const auto& [partition, position] : fetcher_.positions()) {
    const auto before = committed_.find(partition);
    if (before == committed_.end() || before->second != position) offsets[partition].offset = position;
  }
  const auto committed = co_await member_->commit(offsets);
  if (committed && *committed) committed_ = fetcher_.positions();
  co_return committed;
}

// Until the group rebalances or reading is over. What was printed is committed at the end of it.
Task<Result<void>> Reading::read_generation(client::Assignment assignment) {
  std::vector<TopicPartition> partitions;
  for (const auto& [topic, indexes] : assignment) {
    for (const std::int32_t index : indexes) partitions.emplace_back(topic, PartitionIndex(index));
  }
  const auto committed = co_await client::committed_offsets(cluster_, *options_.group, partitions);
  if (!committed) co_return std::unexpected(committed.error());
  std::erase_if(partitions, [&](const TopicPartition& partition) { return committed->contains(partition); });
  auto positions = co_await starting_positions(partitions);
  if (!positions) co_return std::unexpected(positions.error());
  for (const auto& [partition, offset] : *committed) (*positions)[partition] = offset.offset;
  const Result<void> begun = co_await begin(*positions);
  if (!begun) co_return begun;

  const auto heartbeat_interval = std::chrono::milliseconds(options_.session_timeout_ms) / 15;
  const auto commit_interval = std::chrono::milliseconds(options_.commit_interval_ms);
  MonotonicTime next_heartbeat = cluster_.loop().now() + heartbeat_interval;
  MonotonicTime next_commit = cluster_.loop().now() + commit_interval;
  MonotonicTime next_look = cluster_.loop().now() + kTopicsMaxAge;
  Result<void> outcome;
  bool is_current = true;
  while (outcome && is_current && !is_done()) {
    outcome = co_await poll();
    const MonotonicTime now = cluster_.loop().now();
    if (outcome && now >= next_heartbeat) {
      const Result<bool> alive = co_await member_->heartbeat();
      is_current = alive.value_or(false);
      if (!alive) outcome = std::unexpected(alive.error());
      next_heartbeat = now + heartbeat_interval;
    }
    if (outcome && is_current && now >= next_look) {
      is_current = !(co_await member_->is_outdated()).value_or(false);
      next_look = now + kTopicsMaxAge;
    }
    if (outcome && is_current && now >= next_commit) {
      const Result<bool> done = co_await commit();
      is_current = done.value_or(false);
      if (!done) outcome = std::unexpected(done.error());
      next_commit = now + commit_interval;
    }
  }
  if (!printed_) co_return printed_;  // what nobody has read is not committed
  const Result<bool> done = co_await commit();
  if (outcome && !done) co_return std::unexpected(done.error());
  co_return outcome;
}

Task<Result<void>> Reading::run_member() {
  const auto topics = co_await cluster_.topics(options_.topics, false);
  if (!topics) co_return std::unexpected(topics.error());
  client::MemberOptions options{
      .group = *options_.group, .topics = options_.topics, .instance_id = options_.instance_id};
  options.session_timeout = std::chrono::milliseconds(options_.session_timeout_ms);
  member_.emplace(cluster_, std::move(options));
  Result<void> outcome;
  while (outcome && !is_done()) {
    auto assignment = co_await member_->join();
    if (is_stopped_) break;
    if (!assignment) {
      outcome = std::unexpected(assignment.error());
      break;
    }
    outcome = co_await read_generation(std::move(*assignment));
  }
  const Result<void> left = co_await member_->leave();
  co_return outcome ? left : outcome;
}

}  // namespace

Task<Result<void>> consume(Cluster& cluster, const ConsumeOptions& options, const ConsumeSettings& settings) {
  Reading reading(cluster, options, settings);
  co_return co_await reading.run();
}

}  // namespace kurier::commands
