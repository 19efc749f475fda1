#include "broker/api/group_calls.h"

namespace kurier::broker::api {

using protocol::ErrorCode;

namespace {

struct Asking {
  PartitionIndex partition;
  GroupRuntime::Operation operation;
  std::expected<coordinator::Response, ErrorCode> answer = std::unexpected(ErrorCode::kNotCoordinator);
};

Task<void> ask_here(Broker& broker, Asking& asking) {
  const auto runtime = co_await broker.groups().find_loaded(asking.partition);
  if (runtime) {
    asking.answer = co_await GroupRuntime::ask(*runtime, std::move(asking.operation));
  } else {
    asking.answer = std::unexpected(runtime.error());
  }
}

struct Reading {
  PartitionIndex partition;
  bool committed = false;
  GroupReading read;
  ErrorCode error = ErrorCode::kNone;
};

Task<void> read_here(Broker& broker, Reading& reading) {
  const auto runtime = co_await broker.groups().find_loaded(reading.partition);
  if (!runtime) {
    reading.error = runtime.error();
    co_return;
  }
  reading.read((*runtime)->machine(), (*runtime)->now());
  if (!(*runtime)->is_sound()) reading.error = ErrorCode::kCoordinatorNotAvailable;
  if (!reading.committed || reading.error != ErrorCode::kNone) co_return;
  const bool committed = co_await GroupRuntime::until_committed(*runtime);
  if (!committed) reading.error = ErrorCode::kCoordinatorNotAvailable;
}

}  // namespace

std::expected<GroupPlace, ErrorCode> place_of_group(Broker& broker, const std::string& group) {
  const auto topic = broker.image()->topic(GroupCoordinators::kTopic);
  if (!topic) return std::unexpected(ErrorCode::kNotCoordinator);
  const PartitionIndex partition = broker.groups().partition_of(group);
  const auto found = topic->partitions.find(partition);
  if (found == topic->partitions.end() || found->second.leader != broker.config().node_id) {
    return std::unexpected(ErrorCode::kNotCoordinator);
  }
  return GroupPlace{partition, broker.shards().owner_of(topic->name, partition)};
}

coordinator::RequestContext request_context(const Call& call) {
  // As Java prints an InetAddress without a name.
  return {call.request.version, call.request.header.client_id.value_or(""), "/" + call.connection.peer.host};
}

Task<std::expected<coordinator::Response, ErrorCode>> ask_group(Broker& broker, const std::string& group,
                                                                GroupRuntime::Operation operation) {
  const auto place = place_of_group(broker, group);
  if (!place) co_return std::unexpected(place.error());
  Asking asking{place->partition, std::move(operation)};
  const std::vector<ShardIndex> owners{place->owner};
  co_await on_shards(broker.shards(), broker.shard(), owners, ask_here, asking);
  co_return std::move(asking.answer);
}

Task<ErrorCode> read_group(Broker& broker, const std::string& group, bool committed, GroupReading read) {
  const auto place = place_of_group(broker, group);
  if (!place) co_return place.error();
  Reading reading{place->partition, committed, std::move(read)};
  const std::vector<ShardIndex> owners{place->owner};
  co_await on_shards(broker.shards(), broker.shard(), owners, read_here, reading);
  co_return reading.error;
}

}  // namespace kurier::broker::api
