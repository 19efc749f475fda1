// Consumer: one connection that fetches its partitions from their beginning until it has every batch that is planned
// for them. One fetch is in flight, as with Kafka's consumer: its answer says where the next one begins. Batches are
// walked by their headers and not copied.
#pragma once

#include <memory>
#include <vector>

#include "tools/bench/client.h"
#include "tools/bench/cluster.h"
#include "tools/bench/histogram.h"
#include "tools/bench/options.h"
#include "tools/bench/producer.h"

namespace kurier::bench {

struct ConsumedPartition {
  std::int32_t index = 0;
  Offset end;  // done there
  Offset next{0};
};

struct ConsumerCounts {
  std::uint64_t requests = 0;
  std::uint64_t empty_responses = 0;  // long polls that ran out
  std::uint64_t batches = 0;
  std::uint64_t records = 0;
  std::uint64_t batch_bytes = 0;
  std::uint64_t received_bytes = 0;  // frames, with the parts of batches that did not fit
};

class Consumer {
 public:
  // `partitions` in the order of their indexes. `times`, if given, says when each batch was meant to be sent: then its
  // latency is recorded.
  Consumer(const Loop& loop, const Options& options, const TopicLayout& layout, BrokerId broker,
           std::vector<ConsumedPartition> partitions, std::int32_t records_per_batch, const SendTimes* times);

  Task<Result<void>> prepare();
  // All partitions to their ends, `passes` times.
  Task<Result<void>> consume_all(std::uint32_t passes, MonotonicTime measured_from);
  void close();

  [[nodiscard]] const ConsumerCounts& counts() const { return counts_; }
  [[nodiscard]] const Histogram& latency() const { return latency_; }

 private:
  Result<Bytes> make_request(std::int32_t correlation_id) const;
  Result<void> take(ByteView frame, std::int32_t correlation_id);
  void walk(ConsumedPartition& partition, ByteView records);
  [[nodiscard]] bool is_done() const;

  const Loop& loop_;
  const Options& options_;
  const TopicLayout& layout_;
  BrokerId broker_;
  std::vector<ConsumedPartition> partitions_;
  std::int32_t records_per_batch_;
  const SendTimes* times_;
  std::unique_ptr<Channel> channel_;
  std::int16_t version_ = 0;
  MonotonicTime measured_from_;
  ConsumerCounts counts_;
  Histogram latency_;
};

}  // namespace kurier::bench
