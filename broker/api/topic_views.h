// What several handlers say about topics, brokers and permissions.
#pragma once

#include <set>

#include "broker/broker.h"
#include "protocol/messages/create_topics_request.h"

namespace kurier::broker::api {

struct Address {
  std::string host;
  std::int32_t port = 0;
};
// Where a broker is reached by clients of a listener; none if it does not have that listener.
[[nodiscard]] std::optional<Address> address_of(const replication::BrokerImage& broker, const std::string& listener_name);

[[nodiscard]] bool is_internal_topic(const std::string& name);

// How topics are made by use: with the broker's defaults, the internal topics with their own configuration.
[[nodiscard]] protocol::CreateTopicsRequest creation_of(const std::set<std::string>& names,
                                                        const config::NodeConfig& config);

// Without an authorizer everybody may do everything: a bit for each AclOperation that applies.
inline constexpr std::int32_t kAllTopicOperations = 0b1101'1111'1000;
inline constexpr std::int32_t kAllClusterOperations = 0b1'1111'1010'0000;

// The partitions of a topic that have a replica on an offline broker show it.
[[nodiscard]] std::vector<BrokerId> offline_replicas(const replication::MetadataImage& image, const replication::PartitionImage& partition);

// The owner of a partition that a request names. `topic` is null where the image has none of its name or id; then, and
// where it has no such partition, the error is UNKNOWN_TOPIC_ID or UNKNOWN_TOPIC_OR_PARTITION.
[[nodiscard]] std::expected<ShardIndex, protocol::ErrorCode> owner_of(const Broker& broker, const replication::TopicImage* topic,
                                                                      PartitionIndex partition, bool named_by_id);

}  // namespace kurier::broker::api
