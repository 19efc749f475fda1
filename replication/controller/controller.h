// Controller: which metadata records does a change of the cluster need, and what is answered?
//
// A core: every operation is a pure function of the image (with what was decided but is not committed yet) and the
// request, and returns {records, response}. The records are replayed and appended as one batch, in this order; the
// response is given when they are committed. Without records there was nothing to do, or an error. Error codes and texts
// are Apache Kafka's, because clients show them to people.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "protocol/messages/allocate_producer_ids_request.h"
#include "protocol/messages/allocate_producer_ids_response.h"
#include "protocol/messages/create_partitions_request.h"
#include "protocol/messages/create_partitions_response.h"
#include "protocol/messages/create_topics_request.h"
#include "protocol/messages/create_topics_response.h"
#include "protocol/messages/delete_topics_request.h"
#include "protocol/messages/delete_topics_response.h"
#include "replication/metadata/image.h"

namespace kurier::replication {

template <class Response>
struct Decision {
  std::vector<MetadataRecord> records;
  Response response;
};

// What the controller asks of config/. Both may be empty: everything is valid, and no configuration is listed.
struct TopicConfigPort {
  // The text of INVALID_CONFIG; none if the overrides of a topic are fine.
  std::function<std::optional<std::string>(const std::string& topic, const ConfigMap& overrides)> validate;
  // What a CreateTopics response lists.
  std::function<std::vector<protocol::CreateTopicsResponse::CreatableTopicConfigs>(const MetadataImage& image,
                                                                                  const ConfigMap& overrides)>
      describe;
};

struct ControllerOptions {
  std::int32_t num_partitions = 1;               // num.partitions
  std::int16_t default_replication_factor = 1;   // default.replication.factor
  std::int32_t min_insync_replicas = 1;          // min.insync.replicas of the static configuration
  TopicConfigPort topic_configs;
};

struct BrokerStart {
  BrokerId id;
  Uuid incarnation_id;
  std::vector<protocol::RegisterBrokerRecord::BrokerEndpoint> endpoints;
  std::optional<std::string> rack;
  std::vector<DirectoryId> log_dirs;
};

struct DirectoryAssignment {
  TopicId topic;
  PartitionIndex partition;
  DirectoryId directory;
};

inline constexpr std::int32_t kProducerIdBlock = 1000;
inline constexpr std::int32_t kPartitionsPerRequestMax = 10'000;

class Controller {
 public:
  // `random` outlives it; it draws topic ids and where a placement begins.
  Controller(ControllerOptions options, Random& random) : options_(std::move(options)), random_(random) {}

  [[nodiscard]] Decision<protocol::CreateTopicsResponse> create_topics(const MetadataImage& image,
                                                                       const protocol::CreateTopicsRequest& request);
  [[nodiscard]] Decision<protocol::DeleteTopicsResponse> delete_topics(const MetadataImage& image,
                                                                       const protocol::DeleteTopicsRequest& request) const;
  [[nodiscard]] Decision<protocol::CreatePartitionsResponse> create_partitions(
      const MetadataImage& image, const protocol::CreatePartitionsRequest& request);
  [[nodiscard]] Decision<protocol::AllocateProducerIdsResponse> allocate_producer_ids(
      const MetadataImage& image, const protocol::AllocateProducerIdsRequest& request) const;

  // The first records of a new log (KIP-868 transaction): the features of the bootstrap snapshot, and with ELR the
  // cluster's min.insync.replicas (KIP-966). `bootstrap` is what the 0-0 checkpoint or 4.3's bootstrap.checkpoint holds.
  [[nodiscard]] std::vector<MetadataRecord> bootstrap(const MetadataImage& bootstrap) const;
  // None where the level of metadata.version is below 3.7-IV0 (KIP-919).
  [[nodiscard]] std::vector<MetadataRecord> register_controller(
      const MetadataImage& image, BrokerId id, const Uuid& incarnation_id,
      const std::vector<protocol::RegisterControllerRecord::ControllerEndpoint>& endpoints) const;
  // A node's own earlier incarnation is known to be gone: it is replaced at once, and what it led has no leader until the
  // new one is unfenced. The new broker epoch is the offset of the first record.
  [[nodiscard]] std::vector<MetadataRecord> register_broker(const MetadataImage& image, const BrokerStart& start,
                                                            Offset first_offset) const;
  // The first heartbeat says that none of its directories is cordoned.
  [[nodiscard]] std::vector<MetadataRecord> announce_log_dirs(const MetadataImage& image, BrokerId id) const;
  // The broker has caught up: it may lead again.
  [[nodiscard]] std::vector<MetadataRecord> unfence(const MetadataImage& image, BrokerId id) const;
  // A controlled shutdown of the broker, first and last step.
  [[nodiscard]] std::vector<MetadataRecord> begin_controlled_shutdown(const MetadataImage& image, BrokerId id) const;
  [[nodiscard]] std::vector<MetadataRecord> fence(const MetadataImage& image, BrokerId id) const;
  // The broker put replicas into log directories of its own choice (KIP-858).
  [[nodiscard]] std::vector<MetadataRecord> assign_directories(
      const MetadataImage& image, BrokerId broker, const std::vector<DirectoryAssignment>& assignments) const;
  // Log directories of the broker have failed (KIP-858): it leads nothing that lies in them until it registers anew with them.
  [[nodiscard]] std::vector<MetadataRecord> directories_failed(const MetadataImage& image, BrokerId broker,
                                                               const std::vector<DirectoryId>& failed) const;

 private:
  using Topic = protocol::CreateTopicsRequest::CreatableTopic;
  using Result_ = protocol::CreateTopicsResponse::CreatableTopicResult;
  [[nodiscard]] std::int64_t partitions_wanted(const Topic& topic) const;
  // What the topics of one request share, so that thousands of them do not each go over all that there are.
  class Creation;
  void create_topic(Creation& creation, const MetadataImage& image, const Topic& topic,
                    std::vector<MetadataRecord>& records, Result_& result);
  struct Placement {
    std::vector<std::vector<BrokerId>> replicas;  // of each partition
    protocol::ErrorCode error = protocol::ErrorCode::kNone;
    std::string message;
  };
  [[nodiscard]] Placement place(const MetadataImage& image, std::int32_t partitions, std::int32_t replication_factor);
  [[nodiscard]] static Placement check_assignment(const MetadataImage& image, std::vector<std::vector<BrokerId>> replicas,
                                                  std::size_t replication_factor);
  [[nodiscard]] static protocol::PartitionRecord new_partition(const MetadataImage& image, const TopicId& topic,
                                                               PartitionIndex index, const std::vector<BrokerId>& replicas);
  // Those that `broker` leads lose their leader, or get another of the ISR; with `failed`, only where the replica lies in those.
  static void step_down(const MetadataImage& image, BrokerId broker, std::vector<MetadataRecord>& records,
                        const std::vector<DirectoryId>* failed = nullptr);

  ControllerOptions options_;
  Random& random_;
};

// INVALID_TOPIC_EXCEPTION's text; none if the name is legal.
[[nodiscard]] std::optional<std::string> invalid_topic_name(const std::string& name);

}  // namespace kurier::replication
