// Fetcher: reads partitions from where it is told, record by record, from whoever leads them. One fetch to each leader
// at a time; a poll returns when all have answered. Coroutines over a Cluster, on the loop's thread.
#pragma once

#include <functional>
#include <map>
#include <optional>

#include "protocol/messages/fetch_request.h"
#include "protocol/messages/fetch_response.h"
#include "protocol/record.h"
#include "tools/client/cluster.h"

namespace kurier::client {

struct FetchOptions {
  std::chrono::milliseconds max_wait{500};
  std::int32_t max_bytes = 50 << 20;
  std::int32_t partition_max_bytes = 1 << 20;
  // Where to go on if a position is outside its log: kEarliest or kLatest of groups.h; none: that is an error.
  std::optional<Timestamp> reset;
};

struct FetchedRecord {
  const TopicPartition& partition;
  const protocol::RecordView& record;
  protocol::TimestampType timestamp_type;
};

class Fetcher {
 public:
  // Called for each record, in the order of its partition. False ends the poll: the next one begins behind that record.
  using Sink = std::function<bool(const FetchedRecord&)>;

  Fetcher(Cluster& cluster, FetchOptions options) : cluster_(cluster), options_(options) {}

  // From now on these, and no others.
  void assign(std::map<TopicPartition, Offset> positions);
  // Waits for records at most `max_wait`, or for leaders at most the cluster's patience.
  Task<Result<void>> poll(Sink sink);
  [[nodiscard]] const std::map<TopicPartition, Offset>& positions() const { return positions_; }

 private:
  Task<Result<void>> find_leaders();
  [[nodiscard]] protocol::FetchRequest request_for(BrokerId leader) const;
  Task<Result<void>> send_all(std::map<BrokerId, Channel*>& sent);
  Result<void> take(const protocol::FetchResponse& response, const Sink& sink);
  Result<void> take_records(const TopicPartition& partition, ByteView records, const Sink& sink);
  Result<void> take_batch(const TopicPartition& partition, const protocol::RecordBatchView& batch, const Sink& sink);
  Result<void> take_error(const TopicPartition& partition, protocol::ErrorCode code);
  Task<Result<void>> reset_positions();
  Result<void> not_reached(BrokerId broker, const Error& error);

  Cluster& cluster_;
  FetchOptions options_;
  std::map<TopicPartition, Offset> positions_;
  std::map<TopicPartition, BrokerId> leaders_;  // empty: to be asked for
  std::map<TopicPartition, Timestamp> to_reset_;
  std::optional<MonotonicTime> failing_since_;
  std::int32_t next_correlation_id_ = 1;
  bool is_ended_ = false;  // the sink has had enough
};

}  // namespace kurier::client
