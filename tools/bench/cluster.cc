#include "tools/bench/cluster.h"

#include <fmt/core.h>

#include "protocol/messages/create_topics_request.h"
#include "protocol/messages/create_topics_response.h"
#include "protocol/messages/delete_topics_request.h"
#include "protocol/messages/delete_topics_response.h"
#include "protocol/messages/list_offsets_request.h"
#include "protocol/messages/list_offsets_response.h"
#include "protocol/messages/metadata_request.h"
#include "protocol/messages/metadata_response.h"

namespace kurier::bench {
namespace {

using protocol::ErrorCode;
constexpr std::int32_t kTimeoutMs = 60'000;

// Nothing if not every partition has a leader.
std::optional<TopicLayout> layout_of(const protocol::MetadataResponse& metadata, const std::string& name,
                                     std::size_t partitions) {
  TopicLayout layout;
  layout.name = name;
  for (const auto& broker : metadata.brokers) {
    layout.brokers[broker.node_id] = {broker.host, static_cast<std::uint16_t>(broker.port)};
  }
  for (const auto& topic : metadata.topics) {
    if (topic.name != name || topic.error_code != ErrorCode::kNone || topic.partitions.size() != partitions) continue;
    layout.id = topic.topic_id;
    layout.leaders.assign(partitions, BrokerId(-1));
    for (const auto& partition : topic.partitions) {
      const auto index = static_cast<std::size_t>(partition.partition_index.value());
      const bool is_led = partition.error_code == ErrorCode::kNone && layout.brokers.contains(partition.leader_id);
      if (index >= partitions || !is_led) return std::nullopt;
      layout.leaders[index] = partition.leader_id;
    }
    return layout;
  }
  return std::nullopt;
}

}  // namespace

Task<Result<void>> create_topic(Channel& channel, TopicSpec spec) {
  protocol::CreateTopicsRequest request;
  auto& topic = request.topics.emplace_back();
  topic.name = spec.name;
  topic.num_partitions = spec.partitions;
  topic.replication_factor = spec.replication_factor;
  for (const auto& [name, value] : spec.configs) {
    auto& config = topic.configs.emplace_back();
    config.name = name;
    config.value = value;
  }
  request.timeout_ms = kTimeoutMs;
  const auto response = co_await channel.ask<protocol::CreateTopicsResponse>(std::move(request));
  if (!response) co_return std::unexpected(response.error());
  if (response->topics.size() != 1) co_return fail(Failure::kMalformed, "CreateTopics: no answer for the topic");
  const auto& created = response->topics[0];
  if (created.error_code == ErrorCode::kNone) co_return Result<void>{};
  co_return fail(Failure::kInvalid, fmt::format("creating topic '{}': {}: {}", spec.name, to_string(created.error_code),
                                                created.error_message.value_or("")));
}

Task<Result<void>> delete_topic(Channel& channel, std::string name) {
  const Result<std::int16_t> version = channel.version_of(protocol::DeleteTopicsRequest::kApiKey);
  if (!version) co_return std::unexpected(version.error());
  protocol::DeleteTopicsRequest request;
  if (*version >= 6) {
    request.topics.emplace_back().name = name;
  } else {
    request.topic_names.push_back(name);
  }
  request.timeout_ms = kTimeoutMs;
  const auto response = co_await channel.ask<protocol::DeleteTopicsResponse>(std::move(request));
  if (!response) co_return std::unexpected(response.error());
  if (response->responses.size() == 1 && response->responses[0].error_code == ErrorCode::kNone)
    co_return Result<void>{};
  co_return fail(Failure::kInvalid,
                 fmt::format("deleting topic '{}': {}", name,
                             response->responses.empty() ? "no answer" : to_string(response->responses[0].error_code)));
}

Task<Result<TopicLayout>> wait_for_leaders(const Loop& loop, Channel& channel, std::string name,
                                           std::size_t partitions) {
  const auto fail_without = [&] {
    return fail(Failure::kTimeout, fmt::format("not every partition of topic '{}' has a leader", name));
  };
  for (bool was_answered = false;; was_answered = true) {
    protocol::MetadataRequest request;
    request.topics.emplace().emplace_back().name = name;
    request.allow_auto_topic_creation = false;
    const auto metadata = co_await channel.ask<protocol::MetadataResponse>(std::move(request));
    if (!metadata && was_answered && loop.now() > loop.deadline) co_return fail_without();
    if (!metadata) co_return std::unexpected(metadata.error());
    if (auto layout = layout_of(*metadata, name, partitions)) co_return std::move(*layout);
    if (loop.now() > loop.deadline) co_return fail_without();
    co_await sleep_until(loop.reactor, loop.now() + std::chrono::milliseconds(1));
  }
}

Task<Result<std::vector<Offset>>> end_offsets(Channel& channel, std::string topic,
                                              std::vector<PartitionIndex> partitions) {
  protocol::ListOffsetsRequest request;
  request.replica_id = BrokerId(-1);
  auto& asked = request.topics.emplace_back();
  asked.name = topic;
  for (const PartitionIndex partition : partitions) {
    auto& one = asked.partitions.emplace_back();
    one.partition_index = partition;
    one.timestamp = Timestamp(-1);  // the end
  }
  request.timeout_ms = kTimeoutMs;
  const auto response = co_await channel.ask<protocol::ListOffsetsResponse>(std::move(request));
  if (!response) co_return std::unexpected(response.error());
  std::map<PartitionIndex, Offset> found;
  for (const auto& answered : response->topics) {
    for (const auto& partition : answered.partitions) {
      if (partition.error_code != ErrorCode::kNone) {
        co_return fail(Failure::kNotFound,
                       fmt::format("ListOffsets of {}-{}: {}", topic, partition.partition_index.value(),
                                   to_string(partition.error_code)));
      }
      found[partition.partition_index] = partition.offset;
    }
  }
  std::vector<Offset> offsets;
  for (const PartitionIndex partition : partitions) {
    const auto at = found.find(partition);
    if (at == found.end()) {
      co_return fail(Failure::kMalformed, fmt::format("ListOffsets: no answer for {}-{}", topic, partition.value()));
    }
    offsets.push_back(at->second);
  }
  co_return offsets;
}

Task<Result<void>> wait_until_served(const Loop& loop, const TopicLayout& layout) {
  std::map<BrokerId, std::vector<PartitionIndex>> led;
  for (std::size_t i = 0; i < layout.leaders.size(); ++i)
    led[layout.leaders[i]].emplace_back(static_cast<std::int32_t>(i));
  for (const auto& [broker, partitions] : led) {
    auto channel = co_await Channel::open(loop, layout.brokers.at(broker));
    if (!channel) co_return std::unexpected(channel.error());
    while (true) {
      const auto ends = co_await end_offsets(**channel, layout.name, partitions);
      if (ends) break;
      if (ends.error().failure != Failure::kNotFound || loop.now() > loop.deadline)
        co_return std::unexpected(ends.error());
      co_await sleep_until(loop.reactor, loop.now() + std::chrono::milliseconds(1));
    }
  }
  co_return Result<void>{};
}

}  // namespace kurier::bench
