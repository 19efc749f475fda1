// One function an API. Each is a file of this folder.
#pragma once

#include "broker/broker.h"
#include "broker/handling.h"
#include "replication/controller/controller.h"

namespace kurier::broker::api {

Task<net::Reply> api_versions(Broker& broker, Call call);
Task<net::Reply> create_partitions(Broker& broker, Call call);
Task<net::Reply> create_topics(Broker& broker, Call call);
Task<net::Reply> delete_groups(Broker& broker, Call call);
Task<net::Reply> delete_topics(Broker& broker, Call call);
Task<net::Reply> describe_cluster(Broker& broker, Call call);
Task<net::Reply> describe_configs(Broker& broker, Call call);
Task<net::Reply> describe_groups(Broker& broker, Call call);
Task<net::Reply> describe_quorum(Broker& broker, Call call);
Task<net::Reply> describe_topic_partitions(Broker& broker, Call call);
Task<net::Reply> fetch(Broker& broker, Call call);
Task<net::Reply> fetch_metadata(Broker& broker, Call call);
Task<net::Reply> find_coordinator(Broker& broker, Call call);
Task<net::Reply> heartbeat(Broker& broker, Call call);
Task<net::Reply> init_producer_id(Broker& broker, Call call);
Task<net::Reply> join_group(Broker& broker, Call call);
Task<net::Reply> leave_group(Broker& broker, Call call);
Task<net::Reply> list_groups(Broker& broker, Call call);
Task<net::Reply> list_offsets(Broker& broker, Call call);
Task<net::Reply> metadata(Broker& broker, Call call);
Task<net::Reply> offset_commit(Broker& broker, Call call);
Task<net::Reply> offset_delete(Broker& broker, Call call);
Task<net::Reply> offset_fetch(Broker& broker, Call call);
Task<net::Reply> offset_for_leader_epoch(Broker& broker, Call call);
Task<net::Reply> produce(Broker& broker, Call call);
Task<net::Reply> sync_group(Broker& broker, Call call);

// Of a request that names a leader epoch: kNone, kFencedLeaderEpoch or kUnknownLeaderEpoch (KIP-320).
[[nodiscard]] protocol::ErrorCode check_leader_epoch(const Partition& partition, LeaderEpoch current);

}  // namespace kurier::broker::api
