#include "replication/metadata/image.h"

#include <fmt/core.h>

#include <algorithm>

namespace kurier::replication {

bool operator==(const TopicsById& left, const TopicsById& right) {
  return std::ranges::equal(left, right, [](const auto& a, const auto& b) {
    return a.first == b.first && (a.second == b.second || *a.second == *b.second);
  });
}

bool operator==(const MetadataImage& left, const MetadataImage& right) {
  return left.features_ == right.features_ && left.brokers_ == right.brokers_ &&
         left.controllers_ == right.controllers_ && left.topics_ == right.topics_ && left.topic_ids_ == right.topic_ids_ &&
         left.configs_ == right.configs_ && left.quotas_ == right.quotas_ && left.acls_ == right.acls_ &&
         left.scram_ == right.scram_ && left.tokens_ == right.tokens_ &&
         left.next_producer_id_ == right.next_producer_id_ && left.zk_migration_state_ == right.zk_migration_state_;
}

bool has_online_replica(const BrokerImage& broker, const PartitionImage& partition) {
  for (std::size_t i = 0; i < partition.replicas.size() && i < partition.directories.size(); ++i) {
    if (partition.replicas[i] != broker.broker_id) continue;
    const DirectoryId& directory = partition.directories[i];
    if (directory == kLostDirectory) return false;
    const bool is_told =
        directory != kMigratingDirectory && directory != kUnassignedDirectory && !broker.log_dirs.empty();
    return !is_told || std::ranges::find(broker.log_dirs, directory) != broker.log_dirs.end();
  }
  return true;
}

TopicPointer MetadataImage::topic(const TopicId& id) const {
  const auto found = topics_->find(id);
  return found == topics_->end() ? nullptr : found->second;
}

TopicPointer MetadataImage::topic(const std::string& name) const {
  const auto found = topic_ids_->find(name);
  return found == topic_ids_->end() ? nullptr : topic(found->second);
}

const BrokerImage* MetadataImage::broker(BrokerId id) const {
  const auto found = brokers_->find(id);
  return found == brokers_->end() ? nullptr : &found->second;
}

const PartitionImage* MetadataImage::partition(const TopicId& id, PartitionIndex index) const {
  const auto found = topics_->find(id);
  if (found == topics_->end()) return nullptr;
  const auto partition = found->second->partitions.find(index);
  return partition == found->second->partitions.end() ? nullptr : &partition->second;
}

const ConfigMap& MetadataImage::configs(ConfigResourceType type, const std::string& name) const {
  static const ConfigMap kNone;
  const auto found = configs_->find(ConfigResource{static_cast<std::int8_t>(type), name});
  return found == configs_->end() ? kNone : found->second;
}

std::int16_t MetadataImage::feature(const std::string& name) const {
  const auto found = features_->find(name);
  return found == features_->end() ? std::int16_t{0} : found->second;
}

RecordVersions MetadataImage::record_versions() const {
  return {.metadata_version = feature("metadata.version"), .elr = feature("eligible.leader.replicas.version") >= 1};
}

std::size_t MetadataImage::partition_count() const {
  std::size_t count = 0;
  for (const auto& [id, topic] : *topics_) count += topic->partitions.size();
  return count;
}

std::vector<MetadataRecord> to_records(const MetadataImage& image) {
  std::vector<MetadataRecord> records;
  const auto feature = [&](const std::string& name, std::int16_t level) {
    protocol::FeatureLevelRecord record;
    record.name = name;
    record.feature_level = level;
    records.emplace_back(std::move(record));
  };
  // metadata.version comes first: it says which versions the records after it may have.
  if (const auto level = image.feature("metadata.version"); level != 0) feature("metadata.version", level);
  for (const auto& [name, level] : *image.features_) {
    if (name != "metadata.version") feature(name, level);
  }
  if (image.zk_migration_state_) {
    protocol::ZkMigrationStateRecord record;
    record.zk_migration_state = *image.zk_migration_state_;
    records.emplace_back(record);
  }
  for (const auto& [id, broker] : *image.brokers_) records.emplace_back(broker);
  if (image.record_versions().knows_controller_registration()) {
    for (const auto& [id, controller] : *image.controllers_) records.emplace_back(controller);
  }
  for (const auto& [id, topic] : *image.topics_) {
    protocol::TopicRecord record;
    record.name = topic->name;
    record.topic_id = id;
    records.emplace_back(std::move(record));
    for (const auto& [index, partition] : topic->partitions) records.emplace_back(partition);
  }
  for (const auto& [resource, configs] : *image.configs_) {
    for (const auto& [name, value] : configs) {
      protocol::ConfigRecord record;
      record.resource_type = resource.type;
      record.resource_name = resource.name;
      record.name = name;
      record.value = value;
      records.emplace_back(std::move(record));
    }
  }
  for (const auto& [key, quota] : *image.quotas_) records.emplace_back(quota);
  if (image.next_producer_id_) {
    protocol::ProducerIdsRecord record;  // whose block it was matters no more
    record.broker_id = BrokerId(-1);
    record.broker_epoch = BrokerEpoch(-1);
    record.next_producer_id = *image.next_producer_id_;
    records.emplace_back(record);
  }
  for (const auto& [id, acl] : *image.acls_) records.emplace_back(acl);
  for (const auto& [key, credential] : *image.scram_) records.emplace_back(credential);
  for (const auto& [id, token] : *image.tokens_) records.emplace_back(token);
  return records;
}

const std::vector<FeatureRange>& supported_features() {
  static const std::vector<FeatureRange> kFeatures{
      {"metadata.version", 7, 33, 33}, {"eligible.leader.replicas.version", 0, 1, 1}, {"group.version", 0, 1, 1},
      {"share.version", 0, 2, 2},      {"streams.version", 0, 1, 1},                  {"transaction.version", 0, 2, 2},
      {"kraft.version", 0, 1, 1}};
  return kFeatures;
}

Result<void> check_feature_level(const std::string& name, std::int16_t level) {
  for (const FeatureRange& feature : supported_features()) {
    if (name != feature.name) continue;
    if (level >= feature.min && level <= feature.max) return {};
    return fail(Failure::kUnsupported, fmt::format("the cluster has finalized {} at level {}; this program knows {} to {}", name,
                                                   level, feature.min, feature.max));
  }
  if (level == 0) return {};
  return fail(Failure::kUnsupported,
              fmt::format("the cluster has finalized the unknown feature {} at level {}; start a newer version", name, level));
}

}  // namespace kurier::replication
