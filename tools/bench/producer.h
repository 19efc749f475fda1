// Producer: one connection that sends produce requests made beforehand and receives their answers. A shell: two tasks,
// one that sends and one that receives.
//
// At full speed at most `in_flight` requests are not answered; on a schedule each is sent when it is due, however many
// are not answered, and its latency counts from when it was due.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "tools/bench/batch.h"
#include "tools/bench/client.h"
#include "tools/bench/cluster.h"
#include "tools/bench/histogram.h"
#include "tools/bench/options.h"
#include "tools/bench/plan.h"
#include "tools/bench/schedule.h"

namespace kurier::bench {

// When the n-th batch of each partition was meant to be sent; kept on a schedule only.
using SendTimes = std::vector<std::vector<MonotonicTime>>;

struct Pace {
  Schedule schedule;
  MonotonicTime measured_from;  // what was due earlier warms up
  std::size_t connections = 1;  // every so many events are this connection's
  std::size_t first_event = 0;
};

class Producer {
 public:
  // `batch` is the one that is sent again and again; it and `times` outlive the producer.
  Producer(const Loop& loop, const Options& options, const TopicLayout& layout, ConnectionPlan plan, ByteView batch,
           std::int32_t records_per_batch, SendTimes* times);

  // Connects, gets a producer id, makes the requests.
  Task<Result<void>> prepare();
  Task<Result<void>> send_all(std::optional<Pace> pace);
  Task<Result<void>> receive_all();
  void close();

  [[nodiscard]] const ConnectionPlan& plan() const { return plan_; }
  [[nodiscard]] Channel& channel() { return *channel_; }
  [[nodiscard]] const std::vector<MonotonicClock::duration>& latencies() const { return latencies_; }
  // On a schedule: how long after it was due this side began to send each request.
  [[nodiscard]] const Histogram& sent_late() const { return sent_late_; }

 private:
  // One of the requests that this connection sends in turn: what lies before, between and after its batches.
  struct Template {
    std::array<std::byte, kFrameHeadBytes> head;
    std::vector<Bytes> glue;
    std::vector<std::size_t> partitions;  // places in the plan
  };
  Result<Template> make_template(std::size_t first) const;
  void assemble(Template& request, std::int32_t correlation_id);
  [[nodiscard]] Task<Result<void>> get_producer_id();
  Result<void> check(ByteView frame, std::int32_t correlation_id) const;

  const Loop& loop_;
  const Options& options_;
  const TopicLayout& layout_;
  ConnectionPlan plan_;
  ByteView batch_;
  std::int32_t records_per_batch_;
  SendTimes* times_;
  std::unique_ptr<Channel> channel_;
  std::int16_t version_ = 0;
  std::vector<Template> templates_;
  std::vector<ByteView> pieces_;  // of the request that is being sent

  ProducerId producer_id_{-1};
  ProducerEpoch producer_epoch_{-1};
  std::vector<BatchStamp> stamps_;           // one a batch of a request
  std::vector<std::int32_t> next_sequence_;  // of each partition of the plan

  std::deque<MonotonicTime> in_flight_;  // when each was sent, or due
  MonotonicTime measured_from_;
  std::vector<MonotonicClock::duration> latencies_;
  Histogram sent_late_;
  Signal room_;
  bool receiver_ended_ = false;
};

}  // namespace kurier::bench
