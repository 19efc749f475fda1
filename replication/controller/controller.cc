#include "replication/controller/controller.h"

#include <fmt/core.h>

#include <algorithm>
#include <unordered_map>

namespace kurier::replication {

using protocol::ErrorCode;

namespace {

constexpr std::size_t kTopicNameMax = 249;
constexpr std::size_t kRecordsPerRequestMax = 10'000;
constexpr std::string_view kMetadataTopic = "__cluster_metadata";

// '.' and '_' are the same character in the names of metrics.
std::string collision_key(std::string name) {
  std::ranges::replace(name, '.', '_');
  return name;
}

// A request that asks for too much is refused as a whole, each topic as often as it is named.
Decision<protocol::CreateTopicsResponse> refuse_all(const protocol::CreateTopicsRequest& request,
                                                    const std::string& why) {
  Decision<protocol::CreateTopicsResponse> decision;
  for (const auto& topic : request.topics) {
    auto& result = decision.response.topics.emplace_back();
    result.name = topic.name;
    result.error_code = ErrorCode::kPolicyViolation;
    result.error_message = why;
  }
  return decision;
}

Decision<protocol::CreatePartitionsResponse> refuse_all(const protocol::CreatePartitionsRequest& request,
                                                        const std::string& why) {
  Decision<protocol::CreatePartitionsResponse> decision;
  for (const auto& topic : request.topics) {
    auto& result = decision.response.results.emplace_back();
    result.name = topic.name;
    result.error_code = ErrorCode::kPolicyViolation;
    result.error_message = why;
  }
  return decision;
}

// One log directory is where the replica goes; with several the broker chooses and tells (AssignReplicasToDirs). A broker
// that named none is one from before KIP-858.
DirectoryId directory_on(const MetadataImage& image, BrokerId id) {
  const BrokerImage* broker = image.broker(id);
  if (broker == nullptr || broker->log_dirs.size() > 1) return kUnassignedDirectory;
  return broker->log_dirs.empty() ? kMigratingDirectory : broker->log_dirs.front();
}

}  // namespace

class Controller::Creation {
 public:
  Creation(const MetadataImage& image, const TopicConfigPort& configs) : image_(image), configs_(configs) {}

  // A topic that exists; none if the name is free. Those of this request do not collide with each other, as in Apache Kafka.
  [[nodiscard]] const std::string* colliding_topic(const std::string& name) {
    if (name.find_first_of("._") == std::string::npos) return nullptr;
    if (!by_collision_key_) {
      by_collision_key_.emplace();
      for (const auto& [existing, id] : image_.topic_ids()) {
        if (existing.find_first_of("._") != std::string::npos)
          by_collision_key_->try_emplace(collision_key(existing), &existing);
      }
    }
    const auto found = by_collision_key_->find(collision_key(name));
    return found == by_collision_key_->end() ? nullptr : found->second;
  }

  // Topics of one request mostly have the same overrides.
  [[nodiscard]] std::optional<std::string> validate(const std::string& topic, const ConfigMap& overrides) {
    if (!configs_.validate || valid_ == overrides) return std::nullopt;
    auto why = configs_.validate(topic, overrides);
    if (!why) valid_ = overrides;
    return why;
  }
  [[nodiscard]] std::vector<protocol::CreateTopicsResponse::CreatableTopicConfigs> describe(
      const ConfigMap& overrides) {
    if (!configs_.describe) return {};
    if (!described_ || described_->first != overrides)
      described_.emplace(overrides, configs_.describe(image_, overrides));
    return described_->second;
  }

 private:
  const MetadataImage& image_;
  const TopicConfigPort& configs_;
  std::optional<ConfigMap> valid_;
  std::optional<std::unordered_map<std::string, const std::string*>> by_collision_key_;
  std::optional<std::pair<ConfigMap, std::vector<protocol::CreateTopicsResponse::CreatableTopicConfigs>>> described_;
};

std::optional<std::string> invalid_topic_name(const std::string& name) {
  const auto invalid = [](std::string_view why) { return fmt::format("Topic name is invalid: {}", why); };
  if (name.empty()) return invalid("the empty string is not allowed");
  if (name == "." || name == "..") return invalid(fmt::format("'{}' is not allowed", name));
  if (name.size() > kTopicNameMax) {
    return invalid(fmt::format("the length of '{}' is longer than the max allowed length {}", name, kTopicNameMax));
  }
  const auto is_legal = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
  };
  if (!std::ranges::all_of(name, is_legal)) {
    return invalid(fmt::format("'{}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'", name));
  }
  return std::nullopt;
}

Controller::Placement Controller::place(const MetadataImage& image, std::int32_t partitions,
                                        std::int32_t replication_factor) {
  Placement placement;
  std::vector<BrokerId> active;
  for (const auto& [id, broker] : image.brokers()) {
    if (is_active(broker)) active.push_back(id);
  }
  const auto refuse = [&](std::string_view why) {
    placement.error = ErrorCode::kInvalidReplicationFactor;
    placement.message = fmt::format("Unable to replicate the partition {} time(s): {}", replication_factor, why);
    return placement;
  };
  if (active.empty()) return refuse("All brokers are currently fenced or in controlled shutdown.");
  const auto count = active.size();
  if (static_cast<std::size_t>(replication_factor) > image.brokers().size()) {
    return refuse(fmt::format("The target replication factor of {} cannot be reached because only {} broker(s) are registered or "
                              "some brokers have all their log directories cordoned.",
                              replication_factor, image.brokers().size()));
  }
  // Brokers that are fenced now take replicas only when there are not enough others.
  std::vector<BrokerId> fenced;
  for (const auto& [id, broker] : image.brokers()) {
    if (!is_active(broker)) fenced.push_back(id);
  }
  const std::uint64_t begin = random_.below(count);
  for (std::int32_t partition = 0; partition < partitions; ++partition) {
    std::vector<BrokerId> replicas;
    for (std::size_t i = 0; i < static_cast<std::size_t>(replication_factor); ++i) {
      const std::size_t turn = static_cast<std::size_t>(begin) + static_cast<std::size_t>(partition) + i;
      replicas.push_back(i < count ? active[turn % count] : fenced[i - count]);
    }
    placement.replicas.push_back(std::move(replicas));
  }
  return placement;
}

Controller::Placement Controller::check_assignment(const MetadataImage& image,
                                                   std::vector<std::vector<BrokerId>> replicas,
                                                   std::size_t replication_factor) {
  Placement placement;
  const auto refuse = [&](std::string why) {
    placement.error = ErrorCode::kInvalidReplicaAssignment;
    placement.message = std::move(why);
    placement.replicas.clear();
    return placement;
  };
  for (std::size_t partition = 0; partition < replicas.size(); ++partition) {
    std::vector<BrokerId> sorted = replicas[partition];
    if (sorted.empty()) return refuse("The manual partition assignment includes an empty replica list.");
    std::ranges::sort(sorted);
    for (BrokerId id : sorted) {
      if (image.broker(id) == nullptr) {
        return refuse(fmt::format("The manual partition assignment includes broker {}, but no such broker is registered.", id.value()));
      }
    }
    if (const auto twice = std::ranges::adjacent_find(sorted); twice != sorted.end()) {
      return refuse(fmt::format("The manual partition assignment includes the broker {} more than once.", twice->value()));
    }
    if (replication_factor == 0) replication_factor = sorted.size();
    if (sorted.size() != replication_factor) {
      return refuse(fmt::format("The manual partition assignment includes a partition with {} replica(s), but this is not "
                                "consistent with previous partitions, which have {} replica(s).",
                                sorted.size(), replication_factor));
    }
    if (std::ranges::none_of(sorted, [&](BrokerId id) { return is_active(*image.broker(id)); })) {
      return refuse(fmt::format("All brokers specified in the manual partition assignment for partition {} are fenced or in "
                                "controlled shutdown.",
                                partition));
    }
  }
  placement.replicas = std::move(replicas);
  return placement;
}

protocol::PartitionRecord Controller::new_partition(const MetadataImage& image, const TopicId& topic, PartitionIndex index,
                                                    const std::vector<BrokerId>& replicas) {
  protocol::PartitionRecord record;
  record.partition_id = index;
  record.topic_id = topic;
  record.replicas = replicas;
  for (BrokerId id : replicas) {
    record.directories.push_back(directory_on(image, id));
    if (is_active(*image.broker(id))) record.isr.push_back(id);
  }
  record.leader = record.isr.front();
  record.leader_epoch = LeaderEpoch(0);
  record.partition_epoch = PartitionEpoch(0);
  return record;
}

void Controller::create_topic(Creation& creation, const MetadataImage& image, const Topic& topic,
                              std::vector<MetadataRecord>& records, Result_& result) {
  const auto refuse = [&result](ErrorCode error, std::string message) {
    result.error_code = error;
    result.error_message = std::move(message);
  };
  if (topic.name == kMetadataTopic) {
    return refuse(ErrorCode::kInvalidRequest, "Creation of internal topic __cluster_metadata is prohibited.");
  }
  if (auto why = invalid_topic_name(topic.name)) return refuse(ErrorCode::kInvalidTopicException, std::move(*why));
  if (image.topic_ids().contains(topic.name)) {
    return refuse(ErrorCode::kTopicAlreadyExists, fmt::format("Topic '{}' already exists.", topic.name));
  }
  if (const std::string* other = creation.colliding_topic(topic.name)) {
    return refuse(ErrorCode::kInvalidTopicException, fmt::format("Topic '{}' collides with existing topic: {}", topic.name, *other));
  }
  ConfigMap overrides;
  for (const auto& config : topic.configs) {
    if (!config.value) {
      return refuse(ErrorCode::kInvalidConfig, fmt::format("Null value not supported for topic configs: {}", config.name));
    }
    overrides[config.name] = *config.value;
  }
  if (auto why = creation.validate(topic.name, overrides)) return refuse(ErrorCode::kInvalidConfig, std::move(*why));

  Placement placement;
  if (!topic.assignments.empty()) {
    if (topic.replication_factor != -1) {
      return refuse(ErrorCode::kInvalidRequest, "A manual partition assignment was specified, but replication factor was not set to -1.");
    }
    if (topic.num_partitions != -1) {
      return refuse(ErrorCode::kInvalidRequest, "A manual partition assignment was specified, but numPartitions was not set to -1.");
    }
    std::map<PartitionIndex, std::vector<BrokerId>> by_index;
    for (const auto& assignment : topic.assignments) {
      if (!by_index.emplace(assignment.partition_index, assignment.broker_ids).second) {
        return refuse(ErrorCode::kInvalidReplicaAssignment, fmt::format("Found multiple manual partition assignments for partition {}",
                                                                        assignment.partition_index.value()));
      }
    }
    std::vector<std::vector<BrokerId>> replicas;
    for (auto& [index, brokers] : by_index) {
      if (index.value() != static_cast<std::int32_t>(replicas.size())) {
        return refuse(ErrorCode::kInvalidReplicaAssignment, "partitions should be a consecutive 0-based integer sequence");
      }
      replicas.push_back(std::move(brokers));
    }
    placement = check_assignment(image, std::move(replicas), 0);
  } else {
    if (topic.replication_factor < -1 || topic.replication_factor == 0) {
      return refuse(ErrorCode::kInvalidReplicationFactor, "Replication factor must be larger than 0, or -1 to use the default value.");
    }
    if (topic.num_partitions < -1 || topic.num_partitions == 0) {
      return refuse(ErrorCode::kInvalidPartitions, "Number of partitions was set to an invalid non-positive value.");
    }
    placement = place(image, topic.num_partitions == -1 ? options_.num_partitions : topic.num_partitions,
                      topic.replication_factor == -1 ? options_.default_replication_factor : topic.replication_factor);
  }
  if (placement.error != ErrorCode::kNone) return refuse(placement.error, std::move(placement.message));

  do {
    result.topic_id = Uuid::generate(random_);
  } while (image.topic(result.topic_id));
  result.error_message = std::nullopt;
  result.num_partitions = static_cast<std::int32_t>(placement.replicas.size());
  result.replication_factor = static_cast<std::int16_t>(placement.replicas.front().size());
  result.configs = creation.describe(overrides);

  protocol::TopicRecord record;
  record.name = topic.name;
  record.topic_id = result.topic_id;
  records.emplace_back(std::move(record));
  for (const auto& [name, value] : overrides) {
    protocol::ConfigRecord config;
    config.resource_type = static_cast<std::int8_t>(ConfigResourceType::kTopic);
    config.resource_name = topic.name;
    config.name = name;
    config.value = value;
    records.emplace_back(std::move(config));
  }
  for (std::size_t i = 0; i < placement.replicas.size(); ++i) {
    records.emplace_back(new_partition(image, result.topic_id, PartitionIndex(static_cast<std::int32_t>(i)), placement.replicas[i]));
  }
}

// What counts against the limit for a request.
std::int64_t Controller::partitions_wanted(const Topic& topic) const {
  if (!topic.assignments.empty()) return static_cast<std::int64_t>(topic.assignments.size());
  return topic.num_partitions == -1 ? options_.num_partitions : std::max(0, topic.num_partitions);
}

Decision<protocol::CreateTopicsResponse> Controller::create_topics(const MetadataImage& image,
                                                                   const protocol::CreateTopicsRequest& request) {
  Decision<protocol::CreateTopicsResponse> decision;
  std::map<std::string, int> times;
  for (const Topic& topic : request.topics) ++times[topic.name];
  std::int64_t partitions = 0;
  for (const Topic& topic : request.topics) {
    if (times[topic.name] > 1 || topic.name == kMetadataTopic) continue;  // has an error of its own
    partitions += partitions_wanted(topic);
  }
  if (partitions > kPartitionsPerRequestMax) {
    return refuse_all(request, "Excessively large number of partitions per request.");
  }
  Creation creation(image, options_.topic_configs);
  for (const Topic& topic : request.topics) {
    if (times[topic.name] == 0) continue;  // a duplicate that has been answered
    Result_ result;
    result.name = topic.name;
    if (times[topic.name] > 1) {
      result.error_code = ErrorCode::kInvalidRequest;
      result.error_message = "Duplicate topic name.";
      times[topic.name] = 0;
    } else {
      create_topic(creation, image, topic, decision.records, result);
    }
    decision.response.topics.push_back(std::move(result));
  }
  if (decision.records.size() > kRecordsPerRequestMax) {
    return refuse_all(request, "Unable to perform excessively large batch operation.");
  }
  if (request.validate_only) decision.records.clear();
  return decision;
}

Decision<protocol::DeleteTopicsResponse> Controller::delete_topics(const MetadataImage& image,
                                                                   const protocol::DeleteTopicsRequest& request) const {
  Decision<protocol::DeleteTopicsResponse> decision;
  std::set<TopicId> removed;
  std::map<std::pair<std::optional<std::string>, TopicId>, int> times;
  for (const auto& topic : request.topics) ++times[{topic.name, topic.topic_id}];
  for (const std::string& name : request.topic_names) ++times[{name, kZeroUuid}];
  const auto remove = [&](const std::optional<std::string>& name, const TopicId& id) {
    protocol::DeleteTopicsResponse::DeletableTopicResult result;
    result.name = name;
    result.topic_id = id;
    const TopicPointer topic = name ? image.topic(*name) : image.topic(id);
    int& mentions = times[{name, id}];
    const bool is_one_way = name.has_value() == id.is_zero();  // by its name or by its id
    if (is_one_way && mentions == 0) return;                   // answered already
    if (is_one_way && mentions > 1) {
      mentions = 0;
      result.error_code = ErrorCode::kInvalidRequest;
      result.error_message = name ? "Duplicate topic name." : "Duplicate topic id.";
    } else if (name && !id.is_zero()) {
      result.error_code = ErrorCode::kInvalidRequest;
      result.error_message = "You may not specify both topic name and topic id.";
    } else if (!name && id.is_zero()) {
      result.error_code = ErrorCode::kInvalidRequest;
      result.error_message = "Neither topic name nor id were specified.";
    } else if (!topic) {
      result.error_code = name ? ErrorCode::kUnknownTopicOrPartition : ErrorCode::kUnknownTopicId;
      result.error_message = name ? "This server does not host this topic-partition." : "This server does not host this topic ID.";
    } else if (!removed.insert(topic->id).second) {
      result.error_code = ErrorCode::kInvalidRequest;
      result.error_message = "The provided topic name maps to an ID that was already supplied.";
    } else {
      result.name = topic->name;
      result.topic_id = topic->id;
      protocol::RemoveTopicRecord record;
      record.topic_id = topic->id;
      decision.records.emplace_back(record);
    }
    decision.response.responses.push_back(std::move(result));
  };
  for (const auto& topic : request.topics) remove(topic.name, topic.topic_id);
  for (const std::string& name : request.topic_names) remove(name, kZeroUuid);
  return decision;
}

Decision<protocol::CreatePartitionsResponse> Controller::create_partitions(
    const MetadataImage& image, const protocol::CreatePartitionsRequest& request) {
  Decision<protocol::CreatePartitionsResponse> decision;
  std::map<std::string, int> times;
  for (const auto& topic : request.topics) ++times[topic.name];
  std::int64_t additional_of_all = 0;
  for (const auto& wanted : request.topics) {
    const TopicPointer topic = times[wanted.name] == 1 ? image.topic(wanted.name) : nullptr;
    if (topic)
      additional_of_all +=
          std::max<std::int64_t>(0, std::int64_t{wanted.count} - static_cast<std::int64_t>(topic->partitions.size()));
  }
  if (additional_of_all > kPartitionsPerRequestMax) {
    return refuse_all(request, "Excessively large number of additional partitions per request.");
  }
  for (const auto& wanted : request.topics) {
    if (times[wanted.name] == 0) continue;
    protocol::CreatePartitionsResponse::CreatePartitionsTopicResult result;
    result.name = wanted.name;
    const auto refuse = [&](ErrorCode error, std::optional<std::string> message) {
      result.error_code = error;
      result.error_message = std::move(message);
      decision.response.results.push_back(result);
    };
    if (times[wanted.name] > 1) {
      times[wanted.name] = 0;
      refuse(ErrorCode::kInvalidRequest, "Duplicate topic name.");
      continue;
    }
    const TopicPointer topic = image.topic(wanted.name);
    if (!topic) {
      refuse(ErrorCode::kUnknownTopicOrPartition, std::nullopt);
      continue;
    }
    const auto existing = static_cast<std::int32_t>(topic->partitions.size());
    if (wanted.count == existing) {
      refuse(ErrorCode::kInvalidPartitions, fmt::format("Topic already has {} partition(s).", existing));
      continue;
    }
    if (wanted.count < existing) {
      refuse(ErrorCode::kInvalidPartitions, fmt::format("The topic {} currently has {} partition(s); {} would not be an increase.",
                                                        wanted.name, existing, wanted.count));
      continue;
    }
    const std::int32_t additional = wanted.count - existing;
    const std::size_t replication_factor = topic->partitions.begin()->second.replicas.size();
    Placement placement;
    if (wanted.assignments) {
      if (wanted.assignments->size() != static_cast<std::size_t>(additional)) {
        refuse(ErrorCode::kInvalidReplicaAssignment,
               fmt::format("Attempted to add {} additional partition(s), but only {} assignment(s) were specified.", additional,
                           wanted.assignments->size()));
        continue;
      }
      std::vector<std::vector<BrokerId>> replicas;
      for (const auto& assignment : *wanted.assignments) replicas.push_back(assignment.broker_ids);
      placement = check_assignment(image, std::move(replicas), replication_factor);
    } else {
      placement = place(image, additional, static_cast<std::int32_t>(replication_factor));
    }
    if (placement.error != ErrorCode::kNone) {
      refuse(placement.error, std::move(placement.message));
      continue;
    }
    for (std::int32_t i = 0; i < additional && !request.validate_only; ++i) {
      decision.records.emplace_back(
          new_partition(image, topic->id, PartitionIndex(existing + i), placement.replicas[static_cast<std::size_t>(i)]));
    }
    decision.response.results.push_back(result);
  }
  return decision;
}

Decision<protocol::AllocateProducerIdsResponse> Controller::allocate_producer_ids(
    const MetadataImage& image, const protocol::AllocateProducerIdsRequest& request) const {
  Decision<protocol::AllocateProducerIdsResponse> decision;
  const BrokerImage* broker = image.broker(request.broker_id);
  if (broker == nullptr || broker->broker_epoch != request.broker_epoch) {
    decision.response.error_code = broker == nullptr ? ErrorCode::kBrokerIdNotRegistered : ErrorCode::kStaleBrokerEpoch;
    return decision;
  }
  const ProducerId first = image.next_producer_id();
  if (first.value() > INT64_MAX - kProducerIdBlock) {
    decision.response.error_code = ErrorCode::kUnknownServerError;
    return decision;
  }
  decision.response.producer_id_start = first;
  decision.response.producer_id_len = kProducerIdBlock;
  protocol::ProducerIdsRecord record;
  record.broker_id = request.broker_id;
  record.broker_epoch = request.broker_epoch;
  record.next_producer_id = first + kProducerIdBlock;
  decision.records.emplace_back(record);
  return decision;
}

}  // namespace kurier::replication
