// MetadataImage: everything that the metadata log says, up to one offset. A value: copying it is cheap (its parts are
// shared until one is changed), so each shard holds its own and a request uses one throughout.
//
// Record types without behaviour yet (ACLs, SCRAM, quotas, delegation tokens, controllers) are kept as records, so that a
// snapshot loses none: replaying to_records(image) gives an equal image. MetadataDelta applies records to an image and says
// what they changed. No I/O, any thread.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/uuid.h"
#include "replication/metadata/record.h"

namespace kurier::replication {

// A shared value that is copied when it is changed while somebody else holds it too.
template <class T>
class CopyOnWrite {
 public:
  CopyOnWrite() : value_(std::make_shared<T>()) {}
  const T& operator*() const { return *value_; }
  const T* operator->() const { return value_.get(); }
  T& change() {
    if (value_.use_count() > 1) value_ = std::make_shared<T>(*value_);
    return *value_;
  }
  friend bool operator==(const CopyOnWrite& left, const CopyOnWrite& right) {
    return left.value_ == right.value_ || *left.value_ == *right.value_;
  }

 private:
  std::shared_ptr<T> value_;
};

// Directories that are none (KIP-858): of a replica from before records named them; not chosen yet; gone.
inline constexpr DirectoryId kMigratingDirectory{0, 0};
inline constexpr DirectoryId kUnassignedDirectory{0, 1};
inline constexpr DirectoryId kLostDirectory{0, 2};

using PartitionImage = protocol::PartitionRecord;     // its lists of ELR are none rather than empty
using BrokerImage = protocol::RegisterBrokerRecord;   // fenced, in_controlled_shutdown, log_dirs: as of now

struct TopicImage {
  std::string name;
  TopicId id;
  std::map<PartitionIndex, PartitionImage> partitions;
  friend bool operator==(const TopicImage&, const TopicImage&) = default;
};
using TopicPointer = std::shared_ptr<const TopicImage>;

enum class ConfigResourceType : std::int8_t { kTopic = 2, kBroker = 4, kClientMetrics = 16, kGroup = 32 };
struct ConfigResource {
  std::int8_t type = 0;
  std::string name;  // of a broker: its id; empty: the default of all
  friend auto operator<=>(const ConfigResource&, const ConfigResource&) = default;
};
using ConfigMap = std::map<std::string, std::string>;

struct TopicsById : std::map<TopicId, TopicPointer> {
  friend bool operator==(const TopicsById& left, const TopicsById& right);
};

// It may lead and be given replicas.
[[nodiscard]] inline bool is_active(const BrokerImage& broker) {
  return !broker.fenced && !broker.in_controlled_shutdown;
}
// KIP-858: whether the broker has the log directory in which its replica lies, as far as it is known.
[[nodiscard]] bool has_online_replica(const BrokerImage& broker, const PartitionImage& partition);

class MetadataImage {
 public:
  // Null if there is none. Pointers live as long as the image, `topic` as long as its holder likes.
  [[nodiscard]] TopicPointer topic(const TopicId& id) const;
  [[nodiscard]] TopicPointer topic(const std::string& name) const;
  [[nodiscard]] const BrokerImage* broker(BrokerId id) const;
  [[nodiscard]] const PartitionImage* partition(const TopicId& id, PartitionIndex index) const;
  [[nodiscard]] const ConfigMap& configs(ConfigResourceType type, const std::string& name) const;  // empty if none
  [[nodiscard]] std::int16_t feature(const std::string& name) const;                               // 0 if not finalized
  [[nodiscard]] RecordVersions record_versions() const;
  [[nodiscard]] std::size_t client_quota_count() const { return quotas_->size(); }
  [[nodiscard]] ProducerId next_producer_id() const { return next_producer_id_.value_or(ProducerId(0)); }
  [[nodiscard]] const std::map<std::string, std::int16_t>& features() const { return *features_; }
  [[nodiscard]] const std::map<BrokerId, BrokerImage>& brokers() const { return *brokers_; }
  [[nodiscard]] const std::map<BrokerId, protocol::RegisterControllerRecord>& controllers() const { return *controllers_; }
  [[nodiscard]] const TopicsById& topics() const { return *topics_; }
  [[nodiscard]] const std::map<std::string, TopicId>& topic_ids() const { return *topic_ids_; }
  [[nodiscard]] std::size_t partition_count() const;

  // Equality of the state; where it was read does not count.
  friend bool operator==(const MetadataImage& left, const MetadataImage& right);

  Offset last_offset{-1};  // of the last record that it contains

 private:
  friend class MetadataDelta;
  friend std::vector<MetadataRecord> to_records(const MetadataImage& image);

  using ScramKey = std::pair<std::string, std::int8_t>;
  // Entity types and names in the record's order, then the key.
  using QuotaKey = std::pair<std::vector<std::pair<std::string, std::optional<std::string>>>, std::string>;

  CopyOnWrite<std::map<std::string, std::int16_t>> features_;
  CopyOnWrite<std::map<BrokerId, BrokerImage>> brokers_;
  CopyOnWrite<std::map<BrokerId, protocol::RegisterControllerRecord>> controllers_;
  CopyOnWrite<TopicsById> topics_;
  CopyOnWrite<std::map<std::string, TopicId>> topic_ids_;
  CopyOnWrite<std::map<ConfigResource, ConfigMap>> configs_;
  CopyOnWrite<std::map<QuotaKey, protocol::ClientQuotaRecord>> quotas_;
  CopyOnWrite<std::map<Uuid, protocol::AccessControlEntryRecord>> acls_;
  CopyOnWrite<std::map<ScramKey, protocol::UserScramCredentialRecord>> scram_;
  CopyOnWrite<std::map<std::string, protocol::DelegationTokenRecord>> tokens_;
  std::optional<ProducerId> next_producer_id_;
  std::optional<std::int8_t> zk_migration_state_;
};

// The image as records, in the order of Apache Kafka's snapshots: features, brokers, controllers, topics with their
// partitions, configurations, quotas, producer ids, ACLs, SCRAM credentials, delegation tokens.
[[nodiscard]] std::vector<MetadataRecord> to_records(const MetadataImage& image);

class MetadataDelta {
 public:
  explicit MetadataDelta(MetadataImage base) : image_(std::move(base)) {}

  // kUnsupported: a feature or a level that this program does not know. kCorrupt: a record about something that is not there.
  Result<void> replay(const MetadataRecord& record);

  // The image after the records; not to be published while a metadata transaction (KIP-868) is open.
  [[nodiscard]] const MetadataImage& image() const { return image_; }
  [[nodiscard]] MetadataImage take() { return std::move(image_); }
  [[nodiscard]] bool in_transaction() const { return before_transaction_ != nullptr; }
  void abort_transaction();

  // What the records changed, for publishers.
  struct Changes {
    std::set<TopicId> topics;  // created, or with partitions that changed
    std::map<TopicId, std::string> deleted_topics;
    std::set<BrokerId> brokers;
    std::set<ConfigResource> configs;
    bool features = false;
  };
  [[nodiscard]] const Changes& changes() const { return changes_; }

 private:
  Result<void> apply(const protocol::RegisterBrokerRecord& record);
  Result<void> apply(const protocol::UnregisterBrokerRecord& record);
  Result<void> apply(const protocol::TopicRecord& record);
  Result<void> apply(const protocol::PartitionRecord& record);
  Result<void> apply(const protocol::ConfigRecord& record);
  Result<void> apply(const protocol::PartitionChangeRecord& record);
  Result<void> apply(const protocol::FenceBrokerRecord& record);
  Result<void> apply(const protocol::UnfenceBrokerRecord& record);
  Result<void> apply(const protocol::RemoveTopicRecord& record);
  Result<void> apply(const protocol::DelegationTokenRecord& record);
  Result<void> apply(const protocol::UserScramCredentialRecord& record);
  Result<void> apply(const protocol::FeatureLevelRecord& record);
  Result<void> apply(const protocol::ClientQuotaRecord& record);
  Result<void> apply(const protocol::ProducerIdsRecord& record);
  Result<void> apply(const protocol::BrokerRegistrationChangeRecord& record);
  Result<void> apply(const protocol::AccessControlEntryRecord& record);
  Result<void> apply(const protocol::RemoveAccessControlEntryRecord& record);
  Result<void> apply(const protocol::NoOpRecord& record);
  Result<void> apply(const protocol::ZkMigrationStateRecord& record);
  Result<void> apply(const protocol::RemoveUserScramCredentialRecord& record);
  Result<void> apply(const protocol::BeginTransactionRecord& record);
  Result<void> apply(const protocol::EndTransactionRecord& record);
  Result<void> apply(const protocol::AbortTransactionRecord& record);
  Result<void> apply(const protocol::RemoveDelegationTokenRecord& record);
  Result<void> apply(const protocol::RegisterControllerRecord& record);
  Result<void> apply(const protocol::ClearElrRecord& record);
  Result<void> apply(const protocol::UnregisterControllerRecord& record);

  Result<BrokerImage*> broker_to_change(BrokerId id, std::int64_t epoch);
  Result<TopicImage*> topic_to_change(const TopicId& id);

  MetadataImage image_;
  std::unique_ptr<MetadataImage> before_transaction_;
  std::map<TopicId, std::shared_ptr<TopicImage>> own_topics_;  // already copied by this delta
  Changes changes_;
};

// The features of Apache Kafka 4.4 and the levels known here; kUnsupported otherwise.
struct FeatureRange {
  const char* name;
  std::int16_t min;
  std::int16_t max;
  std::int16_t default_level;
};
[[nodiscard]] const std::vector<FeatureRange>& supported_features();
[[nodiscard]] Result<void> check_feature_level(const std::string& name, std::int16_t level);

}  // namespace kurier::replication
