#include <fmt/core.h>

#include <algorithm>

#include "replication/metadata/image.h"

namespace kurier::replication {
namespace {

void none_if_empty(std::optional<std::vector<BrokerId>>& list) {
  if (list && list->empty()) list.reset();
}

}  // namespace

Result<void> MetadataDelta::replay(const MetadataRecord& record) {
  return std::visit([this](const auto& message) { return apply(message); }, record);
}

Result<BrokerImage*> MetadataDelta::broker_to_change(BrokerId id, std::int64_t epoch) {
  auto& brokers = image_.brokers_.change();
  const auto found = brokers.find(id);
  if (found == brokers.end()) {
    return fail(Failure::kCorrupt, fmt::format("a record changes broker {}, which is not registered", id.value()));
  }
  if (found->second.broker_epoch.value() != epoch) {
    return fail(Failure::kCorrupt, fmt::format("a record changes broker {} of epoch {}, which has epoch {}", id.value(), epoch,
                                               found->second.broker_epoch.value()));
  }
  changes_.brokers.insert(id);
  return &found->second;
}

Result<TopicImage*> MetadataDelta::topic_to_change(const TopicId& id) {
  changes_.topics.insert(id);
  if (const auto own = own_topics_.find(id); own != own_topics_.end()) return own->second.get();
  const TopicPointer topic = image_.topic(id);
  if (!topic) return fail(Failure::kCorrupt, fmt::format("a record changes topic {}, which does not exist", id.to_string()));
  auto copy = std::make_shared<TopicImage>(*topic);
  own_topics_[id] = copy;
  image_.topics_.change()[id] = copy;
  return copy.get();
}

Result<void> MetadataDelta::apply(const protocol::RegisterBrokerRecord& record) {
  image_.brokers_.change()[record.broker_id] = record;
  changes_.brokers.insert(record.broker_id);
  return {};
}

Result<void> MetadataDelta::apply(const protocol::UnregisterBrokerRecord& record) {
  TRY(broker_to_change(record.broker_id, record.broker_epoch.value()));
  image_.brokers_.change().erase(record.broker_id);
  return {};
}

Result<void> MetadataDelta::apply(const protocol::TopicRecord& record) {
  if (image_.topic_ids_->contains(record.name)) {
    return fail(Failure::kCorrupt, fmt::format("a record creates topic {}, which exists", record.name));
  }
  auto topic = std::make_shared<TopicImage>(TopicImage{record.name, record.topic_id, {}});
  own_topics_[record.topic_id] = topic;
  image_.topics_.change()[record.topic_id] = topic;
  image_.topic_ids_.change()[record.name] = record.topic_id;
  changes_.topics.insert(record.topic_id);
  return {};
}

Result<void> MetadataDelta::apply(const protocol::PartitionRecord& record) {
  TRY_ASSIGN(TopicImage * topic, topic_to_change(record.topic_id));
  PartitionImage partition = record;
  none_if_empty(partition.eligible_leader_replicas);
  none_if_empty(partition.last_known_elr);
  // A record from before KIP-858 names no directories.
  if (partition.directories.empty()) partition.directories.resize(partition.replicas.size(), kMigratingDirectory);
  topic->partitions[record.partition_id] = std::move(partition);
  return {};
}

Result<void> MetadataDelta::apply(const protocol::ConfigRecord& record) {
  const ConfigResource resource{record.resource_type, record.resource_name};
  changes_.configs.insert(resource);
  auto& all = image_.configs_.change();
  if (record.value) {
    all[resource][record.name] = *record.value;
    return {};
  }
  if (const auto found = all.find(resource); found != all.end()) {
    found->second.erase(record.name);
    if (found->second.empty()) all.erase(found);
  }
  return {};
}

Result<void> MetadataDelta::apply(const protocol::PartitionChangeRecord& record) {
  TRY_ASSIGN(TopicImage * topic, topic_to_change(record.topic_id));
  const auto found = topic->partitions.find(record.partition_id);
  if (found == topic->partitions.end()) {
    return fail(Failure::kCorrupt, fmt::format("a record changes partition {}-{}, which does not exist", topic->name,
                                               record.partition_id.value()));
  }
  PartitionImage& partition = found->second;
  if (record.replicas) {
    // The directories go with the replicas; a replica that is new has none yet.
    std::vector<DirectoryId> directories(record.replicas->size(), kUnassignedDirectory);
    for (std::size_t i = 0; i < record.replicas->size(); ++i) {
      const auto old = std::ranges::find(partition.replicas, (*record.replicas)[i]);
      const auto index = static_cast<std::size_t>(old - partition.replicas.begin());
      if (old != partition.replicas.end() && index < partition.directories.size()) directories[i] = partition.directories[index];
    }
    partition.replicas = *record.replicas;
    partition.directories = std::move(directories);
  }
  if (record.directories) partition.directories = *record.directories;
  if (record.isr) partition.isr = *record.isr;
  if (record.removing_replicas) partition.removing_replicas = *record.removing_replicas;
  if (record.adding_replicas) partition.adding_replicas = *record.adding_replicas;
  if (record.eligible_leader_replicas) partition.eligible_leader_replicas = record.eligible_leader_replicas;
  if (record.last_known_elr) partition.last_known_elr = record.last_known_elr;
  none_if_empty(partition.eligible_leader_replicas);
  none_if_empty(partition.last_known_elr);
  if (record.leader_recovery_state != -1) partition.leader_recovery_state = record.leader_recovery_state;
  if (record.leader != BrokerId(-2)) {  // naming a leader, even the same, begins a leader epoch
    partition.leader = record.leader;
    ++partition.leader_epoch;
  }
  ++partition.partition_epoch;
  return {};
}

Result<void> MetadataDelta::apply(const protocol::FenceBrokerRecord& record) {
  TRY_ASSIGN(BrokerImage * broker, broker_to_change(record.id, record.epoch));
  broker->fenced = true;
  return {};
}

Result<void> MetadataDelta::apply(const protocol::UnfenceBrokerRecord& record) {
  TRY_ASSIGN(BrokerImage * broker, broker_to_change(record.id, record.epoch));
  broker->fenced = false;
  return {};
}

Result<void> MetadataDelta::apply(const protocol::RemoveTopicRecord& record) {
  const TopicPointer topic = image_.topic(record.topic_id);
  if (!topic) return fail(Failure::kCorrupt, fmt::format("a record removes topic {}, which does not exist", record.topic_id.to_string()));
  changes_.topics.erase(record.topic_id);
  changes_.deleted_topics[record.topic_id] = topic->name;
  image_.topic_ids_.change().erase(topic->name);
  image_.configs_.change().erase(ConfigResource{static_cast<std::int8_t>(ConfigResourceType::kTopic), topic->name});
  image_.topics_.change().erase(record.topic_id);
  own_topics_.erase(record.topic_id);
  return {};
}

Result<void> MetadataDelta::apply(const protocol::DelegationTokenRecord& record) {
  image_.tokens_.change()[record.token_id] = record;
  return {};
}

Result<void> MetadataDelta::apply(const protocol::UserScramCredentialRecord& record) {
  image_.scram_.change()[{record.name, record.mechanism}] = record;
  return {};
}

Result<void> MetadataDelta::apply(const protocol::FeatureLevelRecord& record) {
  TRY(check_feature_level(record.name, record.feature_level));
  changes_.features = true;
  if (record.feature_level == 0) {
    image_.features_.change().erase(record.name);
  } else {
    image_.features_.change()[record.name] = record.feature_level;
  }
  return {};
}

Result<void> MetadataDelta::apply(const protocol::ClientQuotaRecord& record) {
  MetadataImage::QuotaKey key;
  for (const auto& entity : record.entity) key.first.emplace_back(entity.entity_type, entity.entity_name);
  key.second = record.key;
  if (record.remove) {
    image_.quotas_.change().erase(key);
  } else {
    image_.quotas_.change()[key] = record;
  }
  return {};
}

Result<void> MetadataDelta::apply(const protocol::ProducerIdsRecord& record) {
  image_.next_producer_id_ = record.next_producer_id;
  return {};
}

Result<void> MetadataDelta::apply(const protocol::BrokerRegistrationChangeRecord& record) {
  TRY_ASSIGN(BrokerImage * broker, broker_to_change(record.broker_id, record.broker_epoch.value()));
  if (record.fenced != 0) broker->fenced = record.fenced > 0;
  if (record.in_controlled_shutdown == 1) broker->in_controlled_shutdown = true;
  if (!record.log_dirs.empty()) broker->log_dirs = record.log_dirs;
  if (record.cordoned_log_dirs) broker->cordoned_log_dirs = record.cordoned_log_dirs;
  return {};
}

Result<void> MetadataDelta::apply(const protocol::AccessControlEntryRecord& record) {
  image_.acls_.change()[record.id] = record;
  return {};
}

Result<void> MetadataDelta::apply(const protocol::RemoveAccessControlEntryRecord& record) {
  image_.acls_.change().erase(record.id);
  return {};
}

Result<void> MetadataDelta::apply(const protocol::NoOpRecord&) { return {}; }

Result<void> MetadataDelta::apply(const protocol::ZkMigrationStateRecord& record) {
  image_.zk_migration_state_ = record.zk_migration_state;
  return {};
}

Result<void> MetadataDelta::apply(const protocol::RemoveUserScramCredentialRecord& record) {
  image_.scram_.change().erase({record.name, record.mechanism});
  return {};
}

Result<void> MetadataDelta::apply(const protocol::BeginTransactionRecord&) {
  if (before_transaction_) return fail(Failure::kCorrupt, "a metadata transaction begins within another");
  before_transaction_ = std::make_unique<MetadataImage>(image_);
  own_topics_.clear();  // what the transaction changes must not reach the image kept for its abort
  return {};
}

Result<void> MetadataDelta::apply(const protocol::EndTransactionRecord&) {
  if (!before_transaction_) return fail(Failure::kCorrupt, "a metadata transaction ends that never began");
  before_transaction_.reset();
  return {};
}

Result<void> MetadataDelta::apply(const protocol::AbortTransactionRecord&) {
  if (!before_transaction_) return fail(Failure::kCorrupt, "a metadata transaction is aborted that never began");
  abort_transaction();
  return {};
}

void MetadataDelta::abort_transaction() {
  if (!before_transaction_) return;
  image_ = std::move(*before_transaction_);
  before_transaction_.reset();
  own_topics_.clear();
}

Result<void> MetadataDelta::apply(const protocol::RemoveDelegationTokenRecord& record) {
  image_.tokens_.change().erase(record.token_id);
  return {};
}

Result<void> MetadataDelta::apply(const protocol::RegisterControllerRecord& record) {
  image_.controllers_.change()[record.controller_id] = record;
  return {};
}

Result<void> MetadataDelta::apply(const protocol::ClearElrRecord& record) {
  std::vector<TopicId> ids;
  for (const auto& [id, topic] : *image_.topics_) {
    if (record.topic_name.empty() || topic->name == record.topic_name) ids.push_back(id);
  }
  for (const TopicId& id : ids) {
    TRY_ASSIGN(TopicImage * topic, topic_to_change(id));
    for (auto& [index, partition] : topic->partitions) {
      partition.eligible_leader_replicas.reset();
      partition.last_known_elr.reset();
    }
  }
  return {};
}

Result<void> MetadataDelta::apply(const protocol::UnregisterControllerRecord& record) {
  image_.controllers_.change().erase(record.controller_id);
  return {};
}

}  // namespace kurier::replication
