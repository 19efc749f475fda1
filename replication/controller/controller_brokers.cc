// What brokers and controllers bring about by coming and going, and by what happens to their disks.
#include <algorithm>

#include "replication/controller/controller.h"

namespace kurier::replication {

using protocol::PartitionChangeRecord;

namespace {

bool contains(const std::vector<BrokerId>& list, BrokerId id) { return std::ranges::find(list, id) != list.end(); }
bool contains(const std::optional<std::vector<BrokerId>>& list, BrokerId id) { return list && contains(*list, id); }

PartitionChangeRecord change_of(const PartitionImage& partition) {
  PartitionChangeRecord change;
  change.partition_id = partition.partition_id;
  change.topic_id = partition.topic_id;
  return change;
}

// Where the replica of the partition lies.
DirectoryId directory_of(const PartitionImage& partition, BrokerId id) {
  const auto replica = std::ranges::find(partition.replicas, id) - partition.replicas.begin();
  return static_cast<std::size_t>(replica) < partition.directories.size()
             ? partition.directories[static_cast<std::size_t>(replica)]
             : kUnassignedDirectory;
}

template <class Feature>
std::vector<Feature> features_of_this_program() {
  std::vector<Feature> features;
  for (const FeatureRange& range : supported_features()) {
    Feature feature;
    feature.name = range.name;
    feature.min_supported_version = range.min;
    feature.max_supported_version = range.max;
    features.push_back(std::move(feature));
  }
  return features;
}

protocol::BrokerRegistrationChangeRecord registration_change(const BrokerImage& broker) {
  protocol::BrokerRegistrationChangeRecord record;
  record.broker_id = broker.broker_id;
  record.broker_epoch = broker.broker_epoch;
  return record;
}

}  // namespace

std::vector<MetadataRecord> Controller::bootstrap(const MetadataImage& bootstrap) const {
  protocol::BeginTransactionRecord begin;
  begin.name = "Bootstrap records";
  std::vector<MetadataRecord> records{begin};
  for (MetadataRecord& record : to_records(bootstrap)) records.push_back(std::move(record));
  if (bootstrap.feature("eligible.leader.replicas.version") >= 1) {
    protocol::ConfigRecord config;
    config.resource_type = static_cast<std::int8_t>(ConfigResourceType::kBroker);
    config.name = "min.insync.replicas";
    config.value = std::to_string(options_.min_insync_replicas);
    records.emplace_back(std::move(config));
  }
  records.emplace_back(protocol::EndTransactionRecord{});
  return records;
}

std::vector<MetadataRecord> Controller::register_controller(
    const MetadataImage& image, BrokerId id, const Uuid& incarnation_id,
    const std::vector<protocol::RegisterControllerRecord::ControllerEndpoint>& endpoints) const {
  if (!image.record_versions().knows_controller_registration()) return {};
  protocol::RegisterControllerRecord record;
  record.controller_id = id;
  record.incarnation_id = incarnation_id;
  record.end_points = endpoints;
  record.features = features_of_this_program<protocol::RegisterControllerRecord::ControllerFeature>();
  return {record};
}

std::vector<MetadataRecord> Controller::register_broker(const MetadataImage& image, const BrokerStart& start,
                                                        Offset first_offset) const {
  protocol::RegisterBrokerRecord record;
  record.broker_id = start.id;
  record.incarnation_id = start.incarnation_id;
  record.broker_epoch = BrokerEpoch(first_offset.value());
  record.end_points = start.endpoints;
  record.features = features_of_this_program<protocol::RegisterBrokerRecord::BrokerFeature>();
  record.rack = start.rack;
  record.fenced = true;
  record.log_dirs = start.log_dirs;
  std::ranges::sort(record.log_dirs);
  std::vector<MetadataRecord> records{record};
  step_down(image, start.id, records);
  return records;
}

void Controller::step_down(const MetadataImage& image, BrokerId broker, std::vector<MetadataRecord>& records,
                           const std::vector<DirectoryId>* failed) {
  const bool elr = image.record_versions().elr;
  for (const auto& [id, topic] : image.topics()) {
    for (const auto& [index, partition] : topic->partitions) {
      if (!contains(partition.isr, broker)) continue;
      if (failed != nullptr && std::ranges::find(*failed, directory_of(partition, broker)) == failed->end()) continue;
      PartitionChangeRecord change = change_of(partition);
      std::vector<BrokerId> isr = partition.isr;
      std::erase(isr, broker);
      if (partition.leader == broker) {
        const auto next = std::ranges::find_if(partition.replicas, [&](BrokerId replica) {
          const BrokerImage* other = image.broker(replica);
          return contains(isr, replica) && other != nullptr && is_active(*other) &&
                 has_online_replica(*other, partition);
        });
        change.leader = next == partition.replicas.end() ? BrokerId(-1) : *next;
      }
      if (!isr.empty()) {
        change.isr = std::move(isr);
      } else if (elr) {
        // KIP-966: the last member leaves the ISR too, and is remembered as eligible.
        std::vector<BrokerId> eligible = partition.eligible_leader_replicas.value_or(std::vector<BrokerId>{});
        if (!contains(eligible, broker)) eligible.push_back(broker);
        change.isr.emplace();
        change.eligible_leader_replicas = std::move(eligible);
        change.last_known_elr = std::vector<BrokerId>{broker};
      } else if (partition.leader != broker) {
        continue;
      }
      records.emplace_back(std::move(change));
    }
  }
}

std::vector<MetadataRecord> Controller::announce_log_dirs(const MetadataImage& image, BrokerId id) const {
  const BrokerImage* broker = image.broker(id);
  if (broker == nullptr || broker->cordoned_log_dirs || image.record_versions().metadata_version < 30) return {};
  protocol::BrokerRegistrationChangeRecord change = registration_change(*broker);
  change.cordoned_log_dirs.emplace();
  return {change};
}

std::vector<MetadataRecord> Controller::unfence(const MetadataImage& image, BrokerId id) const {
  const BrokerImage* broker = image.broker(id);
  if (broker == nullptr || !broker->fenced) return {};
  protocol::BrokerRegistrationChangeRecord unfenced = registration_change(*broker);
  unfenced.fenced = -1;
  std::vector<MetadataRecord> records{unfenced};
  for (const auto& [topic_id, topic] : image.topics()) {
    for (const auto& [index, partition] : topic->partitions) {
      if (partition.leader != BrokerId(-1)) continue;
      const bool in_isr = contains(partition.isr, id);
      const bool eligible =
          contains(partition.eligible_leader_replicas, id) ||
          (partition.isr.empty() && !partition.eligible_leader_replicas && contains(partition.last_known_elr, id));
      if ((!in_isr && !eligible) || !has_online_replica(*broker, partition)) continue;
      PartitionChangeRecord change = change_of(partition);
      if (!in_isr) {
        change.isr = std::vector<BrokerId>{id};
        change.eligible_leader_replicas.emplace();
        change.last_known_elr.emplace();
      }
      change.leader = id;
      records.emplace_back(std::move(change));
    }
  }
  return records;
}

std::vector<MetadataRecord> Controller::begin_controlled_shutdown(const MetadataImage& image, BrokerId id) const {
  const BrokerImage* broker = image.broker(id);
  if (broker == nullptr || broker->fenced || broker->in_controlled_shutdown) return {};
  protocol::BrokerRegistrationChangeRecord change = registration_change(*broker);
  change.in_controlled_shutdown = 1;
  std::vector<MetadataRecord> records{change};
  step_down(image, id, records);
  // A broker that leads nothing may go at once.
  return records.size() > 1 ? records : std::vector<MetadataRecord>{};
}

std::vector<MetadataRecord> Controller::fence(const MetadataImage& image, BrokerId id) const {
  const BrokerImage* broker = image.broker(id);
  if (broker == nullptr || broker->fenced) return {};
  protocol::BrokerRegistrationChangeRecord change = registration_change(*broker);
  change.fenced = 1;
  std::vector<MetadataRecord> records{change};
  step_down(image, id, records);
  return records;
}

std::vector<MetadataRecord> Controller::assign_directories(const MetadataImage& image, BrokerId broker,
                                                           const std::vector<DirectoryAssignment>& assignments) const {
  std::vector<MetadataRecord> records;
  if (!image.record_versions().knows_directories()) return records;
  for (const DirectoryAssignment& assignment : assignments) {
    const PartitionImage* partition = image.partition(assignment.topic, assignment.partition);
    if (partition == nullptr) continue;
    std::vector<DirectoryId> directories = partition->directories;
    directories.resize(partition->replicas.size(), kUnassignedDirectory);
    bool changes = false;
    for (std::size_t i = 0; i < directories.size(); ++i) {
      if (partition->replicas[i] != broker || directories[i] == assignment.directory) continue;
      directories[i] = assignment.directory;
      changes = true;
    }
    if (!changes) continue;
    PartitionChangeRecord change = change_of(*partition);
    change.directories = std::move(directories);
    records.emplace_back(std::move(change));
  }
  return records;
}

std::vector<MetadataRecord> Controller::directories_failed(const MetadataImage& image, BrokerId id,
                                                           const std::vector<DirectoryId>& failed) const {
  const BrokerImage* broker = image.broker(id);
  if (broker == nullptr || !image.record_versions().knows_directories()) return {};
  protocol::BrokerRegistrationChangeRecord change = registration_change(*broker);
  for (const DirectoryId& directory : broker->log_dirs) {
    if (std::ranges::find(failed, directory) == failed.end()) change.log_dirs.push_back(directory);
  }
  // Told before; or none is left, which a record cannot say: such a broker ends.
  if (change.log_dirs.size() == broker->log_dirs.size() || change.log_dirs.empty()) return {};
  std::vector<MetadataRecord> records{change};
  step_down(image, id, records, &failed);
  return records;
}

}  // namespace kurier::replication
