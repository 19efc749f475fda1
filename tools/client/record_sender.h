// RecordSender: gets records into a topic: one batch a partition at a time, sent to its leader, acknowledged before the
// next. Coroutines over a Cluster, on the loop's thread; one call at a time.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "protocol/messages/produce_response.h"
#include "tools/client/cluster.h"
#include "tools/client/records.h"

namespace kurier::client {

struct SenderOptions {
  std::int16_t acks = -1;  // 0, 1, -1: all
  // A producer id and sequence numbers: what is sent again after an error is stored once. Without it a batch whose
  // answer was lost is not sent again, because it may be there.
  bool idempotent = true;
  protocol::Codec codec = protocol::Codec::kNone;
};

struct SentRange {
  Offset first_offset{-1};  // -1: the broker did not say (acks 0)
  std::uint64_t records = 0;
};

class RecordSender {
 public:
  RecordSender(Cluster& cluster, std::string topic, SenderOptions options);

  // Finds the topic (a broker with auto.create.topics.enable makes it) and gets a producer id.
  Task<Result<void>> open();
  [[nodiscard]] std::int32_t partitions() const { return static_cast<std::int32_t>(topic_.partitions.size()); }
  // Until all are acknowledged. Partition → its records.
  Task<Result<void>> send(std::map<std::int32_t, std::vector<OutgoingRecord>> records);
  // What was sent so far, by partition; the first offset is that of the first batch.
  [[nodiscard]] const std::map<std::int32_t, SentRange>& sent() const { return sent_; }

 private:
  struct Batch {
    Bytes bytes;
    std::int32_t records = 0;
  };
  using Batches = std::map<std::int32_t, Batch>;
  Task<Result<void>> get_producer_id();
  Task<Result<void>> find_topic();
  Task<Result<void>> send_to(BrokerId leader, std::vector<std::int32_t> partitions, Batches& open);
  Result<void> take(const protocol::ProduceResponse& response, Batches& open);
  void acknowledged(std::int32_t partition, Offset first_offset, Batches& open);

  Cluster& cluster_;
  std::string name_;
  SenderOptions options_;
  TopicInfo topic_;
  ProducerId producer_id_{-1};
  ProducerEpoch producer_epoch_{-1};
  std::map<std::int32_t, std::int32_t> next_sequence_;
  std::map<std::int32_t, SentRange> sent_;
  std::optional<MonotonicTime> last_use_;  // of the connections
};

}  // namespace kurier::client
