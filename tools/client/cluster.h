// Cluster: the brokers of a cluster as a client sees them: who they are, a channel to each, who leads a partition and
// who coordinates a group. Coroutines on the loop's thread; one call at a time.
//
// A channel that failed is forgotten; the next call opens another. Answers that say "not yet" are asked for again until
// `patience` is over.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/uuid.h"
#include "protocol/messages/metadata_response.h"
#include "tools/client/channel.h"

namespace kurier::client {

using TopicPartition = std::pair<std::string, PartitionIndex>;
[[nodiscard]] std::string to_string(const TopicPartition& partition);  // "topic-3"

struct PartitionInfo {
  PartitionIndex index;
  BrokerId leader;
  LeaderEpoch leader_epoch;
};

struct TopicInfo {
  std::string name;
  TopicId id;
  bool is_internal = false;
  std::vector<PartitionInfo> partitions;  // by index
  [[nodiscard]] const PartitionInfo* find(PartitionIndex index) const;
};

// What passes by itself: a coordinator that loads or moves, a leader that is being elected.
[[nodiscard]] bool is_passing(protocol::ErrorCode code);

class Cluster {
 public:
  Cluster(const Loop& loop, std::vector<Endpoint> bootstrap, std::chrono::milliseconds patience);

  [[nodiscard]] const Loop& loop() const { return loop_; }
  [[nodiscard]] std::chrono::milliseconds patience() const { return patience_; }
  [[nodiscard]] const std::map<BrokerId, Endpoint>& brokers() const { return brokers_; }

  // Asks who the brokers are.
  Task<Result<void>> open();
  // These topics, each with a leader for every partition. kNotFound names a topic that does not exist.
  Task<Result<std::vector<TopicInfo>>> topics(std::vector<std::string> names, bool create);
  // Every topic; partitions may have no leader.
  Task<Result<std::vector<TopicInfo>>> all_topics();
  Task<Result<BrokerId>> coordinator_of(std::string group);

  // A channel of the caller's own, that nobody else uses.
  Task<Result<std::unique_ptr<Channel>>> open_channel(BrokerId broker);
  // The channel to a broker on which this class asks, too.
  Task<Result<Channel*>> channel_to(BrokerId broker);
  void forget(BrokerId broker) { channels_.erase(broker); }

  template <class Response, class Request>
  Task<Result<Response>> ask(BrokerId broker, Request request, std::int16_t newest = kAnyVersion) {
    const Result<Channel*> channel = co_await channel_to(broker);
    if (!channel) co_return std::unexpected(channel.error());
    auto response = co_await (*channel)->template ask<Response>(std::move(request), newest);
    if (!response && response.error().failure != Failure::kUnsupported) forget(broker);
    co_return response;
  }

  // Of the group's coordinator, again as long as `error_of` the response is passing.
  template <class Response, class Request>
  Task<Result<Response>> ask_coordinator(std::string group, Request request,
                                         protocol::ErrorCode (*error_of)(const Response&),
                                         std::int16_t newest = kAnyVersion) {
    const MonotonicTime give_up = loop_.now() + patience_;
    while (true) {
      const Result<BrokerId> coordinator = co_await coordinator_of(group);
      if (!coordinator) co_return std::unexpected(coordinator.error());
      auto response = co_await ask<Response>(*coordinator, request, newest);
      if (!response || !is_passing(error_of(*response)) || loop_.now() >= give_up) co_return response;
      co_await pause();
    }
  }

 private:
  Task<void> pause();
  Task<Result<Channel*>> any_channel();
  Task<Result<protocol::MetadataResponse>> metadata(std::optional<std::vector<std::string>> names, bool create);

  const Loop& loop_;
  std::vector<Endpoint> bootstrap_;
  std::chrono::milliseconds patience_;
  std::map<BrokerId, Endpoint> brokers_;
  std::map<BrokerId, std::unique_ptr<Channel>> channels_;  // -1: to an address of the bootstrap list
};

}  // namespace kurier::client
