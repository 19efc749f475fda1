// ClusterControl: how a shard's handlers ask the controller, which lives on the control thread: a request goes there,
// the answer comes back as a message to the shard, after the metadata that it made.
#pragma once

#include "base/executor.h"
#include "base/task.h"
#include "broker/metadata_fetches.h"
#include "replication/controller/local_controller.h"

namespace kurier::broker {

class ClusterControl {
 public:
  // All outlive it. `self` is this node's broker.
  ClusterControl(Executor& shard, Executor& control, replication::LocalController& controller, MetadataFetches& fetches,
                 BrokerId self)
      : shard_(shard),
        control_(control),
        controller_(controller),
        fetches_(fetches),
        self_(self),
        broker_epoch_(controller.broker_epoch()) {}

  Task<protocol::CreateTopicsResponse> create_topics(protocol::CreateTopicsRequest request);
  Task<protocol::DeleteTopicsResponse> delete_topics(protocol::DeleteTopicsRequest request);
  Task<protocol::CreatePartitionsResponse> create_partitions(protocol::CreatePartitionsRequest request);
  Task<replication::LocalController::Quorum> quorum();
  Task<protocol::FetchResponse> fetch_metadata(protocol::FetchRequest request, std::int16_t version,
                                               std::string listener);
  // The next id for an idempotent producer; blocks of ids are fetched from the controller.
  Task<Result<ProducerId>> next_producer_id();

 private:
  Task<Result<void>> fetch_producer_ids();

  Executor& shard_;
  Executor& control_;
  replication::LocalController& controller_;
  MetadataFetches& fetches_;
  const BrokerId self_;
  const BrokerEpoch broker_epoch_;
  ProducerId next_{0};
  ProducerId end_{0};
};

}  // namespace kurier::broker
