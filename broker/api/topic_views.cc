#include "broker/api/topic_views.h"

namespace kurier::broker::api {

// READ 3, WRITE 4, CREATE 5, DELETE 6, ALTER 7, DESCRIBE 8, DESCRIBE_CONFIGS 10, ALTER_CONFIGS 11
static_assert(kAllTopicOperations == (1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 10 | 1 << 11));
// CREATE 5, ALTER 7, DESCRIBE 8, CLUSTER_ACTION 9, DESCRIBE_CONFIGS 10, ALTER_CONFIGS 11, IDEMPOTENT_WRITE 12
static_assert(kAllClusterOperations == (1 << 5 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12));

std::optional<Address> address_of(const replication::BrokerImage& broker, const std::string& listener_name) {
  for (const auto& endpoint : broker.end_points) {
    if (endpoint.name == listener_name) return Address{endpoint.host, endpoint.port};
  }
  return std::nullopt;
}

bool is_internal_topic(const std::string& name) {
  // Nearly no name begins so.
  return name.starts_with("__") &&
         (name == "__consumer_offsets" || name == "__transaction_state" || name == "__share_group_state");
}

std::vector<BrokerId> offline_replicas(const replication::MetadataImage& image, const replication::PartitionImage& partition) {
  std::vector<BrokerId> offline;
  for (const BrokerId replica : partition.replicas) {
    const replication::BrokerImage* broker = image.broker(replica);
    if (broker == nullptr || broker->fenced || !replication::has_online_replica(*broker, partition))
      offline.push_back(replica);
  }
  return offline;
}

std::expected<ShardIndex, protocol::ErrorCode> owner_of(const Broker& broker, const replication::TopicImage* topic,
                                                        PartitionIndex partition, bool named_by_id) {
  if (topic == nullptr && named_by_id) return std::unexpected(protocol::ErrorCode::kUnknownTopicId);
  if (topic == nullptr || !topic->partitions.contains(partition)) {
    return std::unexpected(protocol::ErrorCode::kUnknownTopicOrPartition);
  }
  return broker.shards().owner_of(topic->name, partition);
}

}  // namespace kurier::broker::api
