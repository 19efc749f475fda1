#include "replication/raft/leader_fetch.h"

#include <algorithm>

namespace kurier::replication {

using protocol::ErrorCode;
using protocol::FetchRequest;
using protocol::FetchResponse;
using storage::LeaderEpochs;

namespace {

constexpr std::int64_t kObserverSessionMs = 300'000;
// A client may call itself what it likes; an honest quorum has a few dozen replicas.
constexpr std::size_t kObserversMax = 1000;
constexpr SnapshotId kBootstrapSnapshot{Offset(0), LeaderEpoch(0)};

const FetchRequest::FetchPartition& partition_of(const FetchRequest& request) {
  return request.topics.front().partitions.front();
}

// Only whoever knows who leads, and in which epoch, is answered from the log.
ErrorCode check_leader(LeaderEpoch asked, const LeaderLog& log) {
  if (asked < log.epoch) return ErrorCode::kFencedLeaderEpoch;
  if (asked > log.epoch) return ErrorCode::kUnknownLeaderEpoch;
  return log.is_shutting_down ? ErrorCode::kBrokerNotAvailable : ErrorCode::kNone;
}

// The last epoch that is at most the asked one, and where it ends.
LeaderEpochs::EndOffset end_of_epoch(LeaderEpoch asked, const LeaderLog& log) {
  const LeaderEpochs::EndOffset& known = log.end_of_asked_epoch;
  if (known.end_offset.value() < 0) return {log.last_epoch, log.end};
  // The log begins with a snapshot: what is before it ends with the snapshot's epoch.
  const auto& earliest = log.earliest_snapshot;
  if (earliest && known.end_offset == earliest->offset && known.epoch == asked)
    return {earliest->epoch, earliest->offset};
  return known;
}

}  // namespace

ErrorCode LeaderFetches::check(const FetchRequest& request, const std::string& cluster_id) {
  if (request.cluster_id && *request.cluster_id != cluster_id) return ErrorCode::kInconsistentClusterId;
  // By its id alone, which versions before 13 cannot say.
  const bool is_metadata = request.topics.size() == 1 && request.topics.front().topic_id == kMetadataTopicId &&
                           request.topics.front().partitions.size() == 1 &&
                           partition_of(request).partition.value() == 0;
  return is_metadata ? ErrorCode::kNone : ErrorCode::kInvalidRequest;
}

FetchVerdict LeaderFetches::decide(const FetchRequest& request, const LeaderLog& log) {
  const auto& asked = partition_of(request);
  FetchVerdict verdict;
  if (request.max_wait_ms < 0 || asked.fetch_offset.value() < 0 || asked.last_fetched_epoch.value() < 0 ||
      asked.last_fetched_epoch > asked.current_leader_epoch) {
    verdict.error = ErrorCode::kInvalidRequest;
    return verdict;
  }
  verdict.error = check_leader(asked.current_leader_epoch, log);
  if (verdict.error != ErrorCode::kNone) return verdict;

  const Offset from = asked.fetch_offset;
  const LeaderEpoch epoch = asked.last_fetched_epoch;
  // For an empty log a snapshot is always shorter than the log.
  if (from.value() == 0 && log.latest_snapshot && *log.latest_snapshot != kBootstrapSnapshot) {
    verdict.snapshot = log.latest_snapshot;
    return verdict;
  }
  if (from.value() == 0 && log.start.value() == 0) return verdict;
  const auto& earliest = log.earliest_snapshot;
  if (earliest && (from < log.start || (from == log.start && epoch != earliest->epoch) || epoch < earliest->epoch)) {
    verdict.snapshot = log.latest_snapshot;
    return verdict;
  }
  const LeaderEpochs::EndOffset end = end_of_epoch(epoch, log);
  if (end.epoch != epoch || end.end_offset < from) verdict.diverging = end;
  return verdict;
}

ErrorCode LeaderFetches::noted(const FetchRequest& request, std::int16_t version, const LeaderLog& log, Timestamp now) {
  const BrokerId id = version >= 15 ? request.replica_state.replica_id : request.replica_id;
  if (id.value() < 0) return ErrorCode::kNone;  // whoever reads without being a replica
  if (id == self_) return ErrorCode::kUnknownServerError;
  const auto& asked = partition_of(request);
  const std::pair key{id, asked.replica_directory_id};
  if (!replicas_.contains(key) && replicas_.size() >= kObserversMax) return ErrorCode::kNone;
  Replica& replica = replicas_[key];
  Observer& state = replica.state;
  state.id = id;
  state.directory_id = asked.replica_directory_id;
  if (asked.fetch_offset >= log.end) {
    state.last_caught_up = std::max(state.last_caught_up, now);
  } else if (replica.leader_end_at_last_fetch.value() > 0 && asked.fetch_offset >= replica.leader_end_at_last_fetch) {
    state.last_caught_up = std::max(state.last_caught_up, state.last_fetch);
  }
  state.last_fetch = std::max(state.last_fetch, now);
  state.log_end_offset = asked.fetch_offset;
  replica.leader_end_at_last_fetch = log.end;
  return ErrorCode::kNone;
}

FetchResponse LeaderFetches::respond(const FetchVerdict& verdict, const LeaderLog& log, protocol::Records records,
                                     std::int16_t version, const VoterEndpoint* leader) {
  FetchResponse response;
  auto& topic = response.responses.emplace_back();
  topic.topic = "__cluster_metadata";
  topic.topic_id = kMetadataTopicId;
  auto& data = topic.partitions.emplace_back();
  data.error_code = verdict.error;
  data.log_start_offset = log.start;
  data.high_watermark = verdict.error == ErrorCode::kNone ? log.high_watermark : Offset(-1);
  data.current_leader.leader_id = log.leader;
  data.current_leader.leader_epoch = log.epoch;
  data.records = std::move(records);
  data.records.is_null = false;
  if (verdict.diverging) {
    data.diverging_epoch.epoch = verdict.diverging->epoch;
    data.diverging_epoch.end_offset = verdict.diverging->end_offset;
  }
  if (verdict.snapshot) {
    data.snapshot_id.epoch = verdict.snapshot->epoch;
    data.snapshot_id.end_offset = verdict.snapshot->offset;
  }
  if (version >= 17 && leader != nullptr) {
    auto& node = response.node_endpoints.emplace_back();
    node.node_id = log.leader;
    node.host = leader->host;
    node.port = leader->port;
  }
  return response;
}

bool LeaderFetches::may_wait(const FetchRequest& request, const FetchResponse& response) {
  const auto& data = response.responses.front().partitions.front();
  const bool has_news = data.error_code != ErrorCode::kNone || data.records.size_bytes() > 0 ||
                        data.diverging_epoch.end_offset.value() >= 0 || data.snapshot_id.end_offset.value() >= 0 ||
                        partition_of(request).high_watermark < data.high_watermark;  // KIP-1166
  return !has_news && request.max_wait_ms > 0;
}

std::vector<LeaderFetches::Observer> LeaderFetches::observers(Timestamp now) {
  std::erase_if(replicas_,
                [&](const auto& entry) { return now - entry.second.state.last_fetch >= kObserverSessionMs; });
  std::vector<Observer> all;
  for (const auto& [key, replica] : replicas_) all.push_back(replica.state);
  return all;
}

}  // namespace kurier::replication
