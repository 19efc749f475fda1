#include "tools/client/cluster.h"

#include <fmt/core.h>

#include <algorithm>

#include "protocol/messages/find_coordinator_request.h"
#include "protocol/messages/find_coordinator_response.h"
#include "protocol/messages/metadata_request.h"

namespace kurier::client {
namespace {

using protocol::ErrorCode;
constexpr BrokerId kBootstrap{-1};
constexpr auto kPause = std::chrono::milliseconds(50);

TopicInfo info_of(const protocol::MetadataResponse::MetadataResponseTopic& topic) {
  TopicInfo info{.name = topic.name.value_or(""), .id = topic.topic_id, .is_internal = topic.is_internal};
  for (const auto& partition : topic.partitions) {
    info.partitions.push_back({partition.partition_index, partition.leader_id, partition.leader_epoch});
  }
  std::ranges::sort(info.partitions, {}, &PartitionInfo::index);
  return info;
}

// What is not there yet or not at all; kNone if every partition has a leader that is known.
ErrorCode error_of(const protocol::MetadataResponse::MetadataResponseTopic& topic,
                   const std::map<BrokerId, Endpoint>& brokers) {
  if (topic.error_code != ErrorCode::kNone) return topic.error_code;
  const bool is_led = std::ranges::all_of(topic.partitions,
                                          [&](const auto& partition) { return brokers.contains(partition.leader_id); });
  return is_led && !topic.partitions.empty() ? ErrorCode::kNone : ErrorCode::kLeaderNotAvailable;
}

}  // namespace

std::string to_string(const TopicPartition& partition) {
  return fmt::format("{}-{}", partition.first, partition.second.value());
}

const PartitionInfo* TopicInfo::find(PartitionIndex index) const {
  const auto at = std::ranges::lower_bound(partitions, index, {}, &PartitionInfo::index);
  return at != partitions.end() && at->index == index ? &*at : nullptr;
}

bool is_passing(ErrorCode code) {
  switch (code) {
    case ErrorCode::kCoordinatorLoadInProgress:
    case ErrorCode::kCoordinatorNotAvailable:
    case ErrorCode::kNotCoordinator:
    case ErrorCode::kLeaderNotAvailable:
    case ErrorCode::kNotLeaderOrFollower:
    case ErrorCode::kOffsetNotAvailable:
    case ErrorCode::kUnstableOffsetCommit: return true;
    default: return false;
  }
}

Cluster::Cluster(const Loop& loop, std::vector<Endpoint> bootstrap, std::chrono::milliseconds patience)
    : loop_(loop), bootstrap_(std::move(bootstrap)), patience_(patience) {}

Task<void> Cluster::pause() { co_await sleep_until(loop_.reactor, loop_.now() + kPause); }

Task<Result<std::unique_ptr<Channel>>> Cluster::open_channel(BrokerId broker) {
  const auto at = brokers_.find(broker);
  if (at == brokers_.end()) {
    co_return fail(Failure::kNotFound, fmt::format("the cluster names no broker {}", broker.value()));
  }
  auto channel = co_await Channel::open(loop_, at->second, patience_);
  if (channel) co_return channel;
  co_return std::unexpected(
      channel.error().within(fmt::format("broker {} at {}", broker.value(), at->second.to_string())));
}

Task<Result<Channel*>> Cluster::channel_to(BrokerId broker) {
  if (broker == kBootstrap) co_return co_await any_channel();
  std::unique_ptr<Channel>& known = channels_[broker];
  if (known) co_return known.get();
  auto channel = co_await open_channel(broker);
  if (!channel) {
    channels_.erase(broker);
    co_return std::unexpected(channel.error());
  }
  known = std::move(*channel);
  co_return known.get();
}

// Brokers that are known first: the address of the beginning may be gone.
Task<Result<Channel*>> Cluster::any_channel() {
  if (const auto known = channels_.find(kBootstrap); known != channels_.end()) co_return known->second.get();
  std::vector<Endpoint> addresses = bootstrap_;
  for (const auto& [id, endpoint] : brokers_) addresses.push_back(endpoint);
  std::optional<Error> first_error;
  for (const Endpoint& address : addresses) {
    auto channel = co_await Channel::open(loop_, address, patience_);
    if (channel) {
      channels_[kBootstrap] = std::move(*channel);
      co_return channels_[kBootstrap].get();
    }
    if (!first_error) first_error = channel.error().within(fmt::format("no broker at {}", address.to_string()));
  }
  co_return std::unexpected(*first_error);
}

// Tries once more on a new connection: the one that is there may have been idle too long.
Task<Result<protocol::MetadataResponse>> Cluster::metadata(std::optional<std::vector<std::string>> names, bool create) {
  for (int attempt = 0;; ++attempt) {
    protocol::MetadataRequest request;
    if (!names) request.topics.reset();  // null: all of them
    if (names) {
      for (const std::string& name : *names) request.topics->emplace_back().name = name;
    }
    request.allow_auto_topic_creation = create;
    const bool is_used = channels_.contains(kBootstrap);
    auto response = co_await ask<protocol::MetadataResponse>(kBootstrap, std::move(request));
    if (!response) {
      if (is_used && attempt == 0) continue;
      co_return std::unexpected(response.error());
    }
    if (!response->brokers.empty()) {
      brokers_.clear();
      for (const auto& broker : response->brokers) {
        brokers_[broker.node_id] = {broker.host, static_cast<std::uint16_t>(broker.port)};
      }
    }
    co_return response;
  }
}

Task<Result<void>> Cluster::open() {
  const auto response = co_await metadata(std::vector<std::string>{}, false);
  if (!response) co_return std::unexpected(response.error());
  if (brokers_.empty()) co_return fail(Failure::kNotFound, "the cluster names no broker yet");
  co_return Result<void>{};
}

Task<Result<std::vector<TopicInfo>>> Cluster::topics(std::vector<std::string> names, bool create) {
  std::vector<TopicInfo> found;
  if (names.empty()) co_return found;
  const MonotonicTime give_up = loop_.now() + patience_;
  while (true) {
    const auto response = co_await metadata(names, create);
    if (!response) co_return std::unexpected(response.error());
    found.clear();
    std::optional<Error> error;
    bool is_final = false;
    for (const auto& topic : response->topics) {
      const ErrorCode code = error_of(topic, brokers_);
      found.push_back(info_of(topic));
      if (code == ErrorCode::kNone || is_final) continue;
      const bool unknown = code == ErrorCode::kUnknownTopicOrPartition;
      is_final = unknown ? !create : !is_passing(code);
      error = unknown && !create
                  ? Error{Failure::kNotFound, fmt::format("topic '{}' does not exist", topic.name.value_or(""))}
                  : Error{Failure::kInvalid,
                          fmt::format("topic '{}': {}", topic.name.value_or(""), protocol::to_string(code))};
    }
    if (!error) co_return found;
    if (is_final || loop_.now() >= give_up) co_return std::unexpected(*error);
    co_await pause();
  }
}

Task<Result<std::vector<TopicInfo>>> Cluster::all_topics() {
  const auto response = co_await metadata(std::nullopt, false);
  if (!response) co_return std::unexpected(response.error());
  std::vector<TopicInfo> found;
  for (const auto& topic : response->topics) {
    if (topic.error_code == ErrorCode::kNone) found.push_back(info_of(topic));
  }
  std::ranges::sort(found, {}, &TopicInfo::name);
  co_return found;
}

Task<Result<BrokerId>> Cluster::coordinator_of(std::string group) {
  const MonotonicTime give_up = loop_.now() + patience_;
  while (true) {
    const Result<Channel*> channel = co_await channel_to(kBootstrap);
    if (!channel) co_return std::unexpected(channel.error());
    const auto version = (*channel)->version_of(protocol::FindCoordinatorRequest::kApiKey);
    if (!version) co_return std::unexpected(version.error());
    protocol::FindCoordinatorRequest request;
    if (*version >= 4) {
      request.coordinator_keys.push_back(group);
    } else {
      request.key = group;
    }
    auto response = co_await ask<protocol::FindCoordinatorResponse>(kBootstrap, std::move(request));
    if (!response) co_return std::unexpected(response.error());
    if (*version < 4) {
      auto& only = response->coordinators.emplace_back();
      only.node_id = response->node_id;
      only.host = response->host;
      only.port = response->port;
      only.error_code = response->error_code;
    }
    if (response->coordinators.size() != 1) co_return fail(Failure::kMalformed, "FindCoordinator: no answer");
    const auto& found = response->coordinators[0];
    if (found.error_code == ErrorCode::kNone) {
      brokers_[found.node_id] = {found.host, static_cast<std::uint16_t>(found.port)};
      co_return found.node_id;
    }
    if (!is_passing(found.error_code) || loop_.now() >= give_up) {
      co_return fail(Failure::kInvalid,
                     fmt::format("the coordinator of group '{}': {}", group, protocol::to_string(found.error_code)));
    }
    co_await pause();
  }
}

}  // namespace kurier::client
