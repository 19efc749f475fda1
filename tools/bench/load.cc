// Producing and consuming. In order: a topic, connections, (for fetch: a log to read), the measured part, the check
// that the logs hold exactly what was sent, the topic's end.
#include <fmt/core.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <numeric>

#include "broker/net/signals.h"
#include "tools/bench/consumer.h"
#include "tools/bench/latency_json.h"
#include "tools/bench/process.h"
#include "tools/bench/producer.h"
#include "tools/bench/workloads.h"

namespace kurier::bench {
namespace {

double seconds(MonotonicClock::duration duration) { return std::chrono::duration<double>(duration).count(); }

double seconds_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

// What is read before and after the measured part.
struct Reading {
  MonotonicTime time;
  ProcessUsage broker;
  double client_user_s = 0;
  double client_system_s = 0;
};

Result<Reading> read_usage(const Loop& loop, const Options& options) {
  Reading reading;
  if (options.pid > 0) {
    TRY_ASSIGN(reading.broker, usage_of(options.pid));
  }
  rusage own{};
  ::getrusage(RUSAGE_SELF, &own);
  reading.client_user_s = seconds_of(own.ru_utime);
  reading.client_system_s = seconds_of(own.ru_stime);
  reading.time = loop.now();
  return reading;
}

// A stop signal fails the run as a timeout does, so that its topic is deleted. May outlive the load: signals come late, too.
struct Interruption {
  int signal_number = 0;  // 0: none has come
  std::function<void()> act;  // ends what is running
  [[nodiscard]] Error error() const {
    return Error{Failure::kCancelled, fmt::format("ended by signal {}", signal_number)};
  }
};

class Load {
 public:
  Load(const Loop& loop, const Options& options) : loop_(loop), options_(options) {}

  Task<Result<void>> run(JsonObject& result);

 private:
  [[nodiscard]] bool is(Workload workload) const { return options_.workload == workload; }
  [[nodiscard]] bool is_paced() const { return is(Workload::kTail) || is(Workload::kLatency); }
  [[nodiscard]] bool consumes() const { return is_paced() || is(Workload::kFetch) || is(Workload::kBoth); }
  Task<Result<void>> make_topic();
  Task<Result<void>> run_on_topic(JsonObject& result);
  void make_batch();
  Result<void> plan();
  Task<Result<void>> prime();
  Task<Result<void>> make_producers();
  Task<Result<void>> make_consumers();
  Task<Result<void>> together(bool producing, bool consuming);
  Task<Result<void>> verify_ends();
  Task<Result<void>> clean_up();
  void report(JsonObject& result, const Reading& before, const Reading& after) const;
  void report_produced(JsonObject& result, double took_s) const;
  void report_consumed(JsonObject& result, double took_s) const;
  [[nodiscard]] std::uint64_t planned_batches() const {
    return std::accumulate(batches_.begin(), batches_.end(), std::uint64_t{0});
  }

  const Loop& loop_;
  const Options& options_;
  std::shared_ptr<Interruption> interruption_ = std::make_shared<Interruption>();
  std::unique_ptr<Channel> control_;  // for what is asked outside the measured part
  bool created_ = false;
  std::string topic_;
  TopicLayout layout_;
  Bytes batch_;
  std::int32_t records_per_batch_ = 1;
  std::vector<ConnectionPlan> plans_;
  std::vector<std::uint64_t> batches_;  // of each partition
  std::vector<std::uint64_t> primed_;  // of each partition, before those
  SendTimes times_;
  std::vector<std::unique_ptr<Producer>> producers_;
  std::vector<std::unique_ptr<Consumer>> consumers_;
};

Task<Result<void>> Load::make_topic() {
  auto control = co_await Channel::open(loop_, *parse_address(options_.address));
  if (!control) co_return std::unexpected(control.error());
  control_ = std::move(*control);
  topic_ = options_.topic;
  if (topic_.empty()) topic_ = fmt::format("kurier-bench-{}-{}", ::getpid(), loop_.reactor.clock().wall().value());
  TopicSpec spec{.name = topic_, .partitions = options_.partitions, .replication_factor = options_.replication_factor};
  for (const std::string& config : options_.topic_configs) {
    const std::size_t equals = config.find('=');
    spec.configs.emplace_back(config.substr(0, equals), config.substr(equals + 1));
  }
  const Result<void> created = co_await create_topic(*control_, std::move(spec));
  if (!created) co_return created;
  created_ = true;
  auto layout = co_await wait_for_leaders(loop_, *control_, topic_, static_cast<std::size_t>(options_.partitions));
  if (!layout) co_return std::unexpected(layout.error());
  layout_ = std::move(*layout);
  co_return co_await wait_until_served(loop_, layout_);
}

// One record where requests or latency are the question; else as many as fill the batch.
void Load::make_batch() {
  const bool one_record = is(Workload::kRequests) || is(Workload::kLatency);
  const BatchShape shape = shape_for(one_record ? 1 : options_.batch_bytes, options_.value_bytes);
  records_per_batch_ = static_cast<std::int32_t>(shape.records);
  batch_ = encode_batch(shape, options_.value_bytes, loop_.reactor.clock().wall(), 1);
}

Result<void> Load::plan() {
  PlanInput input{.leaders = layout_.leaders,
                  .connections = options_.connections,
                  .batches_per_request = options_.batches_per_request};
  if (is(Workload::kRequests)) {
    input.batches = options_.requests * options_.batches_per_request;
  } else if (is_paced()) {
    input.batches =
        static_cast<std::uint64_t>(std::ceil(options_.rate * (options_.seconds + options_.warm_up_seconds))) *
        options_.batches_per_request;
  } else {
    input.batches = (options_.total_bytes + batch_.size() - 1) / batch_.size();
  }
  TRY_ASSIGN(plans_, plan_connections(input));
  batches_ = batches_of_partitions(plans_, options_.batches_per_request, layout_.leaders.size());
  return {};
}

Task<Result<void>> Load::make_producers() {
  if (is_paced()) times_.resize(layout_.leaders.size());
  for (const ConnectionPlan& one : plans_) {
    producers_.push_back(std::make_unique<Producer>(loop_, options_, layout_, one, batch_, records_per_batch_,
                                                    is_paced() ? &times_ : nullptr));
    const Result<void> prepared = co_await producers_.back()->prepare();
    if (!prepared) co_return std::unexpected(prepared.error().within("producer"));
  }
  co_return Result<void>{};
}

// At least a batch into every partition, so that what the first one costs (files, indexes) is not measured.
Task<Result<void>> Load::prime() {
  auto plans = plan_connections({.leaders = layout_.leaders,
                                 .connections = options_.connections,
                                 .batches_per_request = options_.batches_per_request,
                                 .batches = layout_.leaders.size()});
  if (!plans) co_return std::unexpected(plans.error());
  plans_ = std::move(*plans);
  primed_ = batches_of_partitions(plans_, options_.batches_per_request, layout_.leaders.size());
  Result<void> done = co_await make_producers();
  if (done) done = co_await together(true, false);
  producers_.clear();
  co_return done;
}

Task<Result<void>> Load::make_consumers() {
  const auto plans = plan_connections({.leaders = layout_.leaders, .connections = options_.consumers});
  if (!plans) co_return std::unexpected(plans.error().within("consumers"));
  for (const ConnectionPlan& one : *plans) {
    std::vector<ConsumedPartition> partitions;
    for (const std::int32_t index : one.partitions) {
      const auto batches = static_cast<std::int64_t>(batches_[static_cast<std::size_t>(index)]);
      partitions.push_back({.index = index, .end = Offset(batches * records_per_batch_)});
    }
    consumers_.push_back(std::make_unique<Consumer>(loop_, options_, layout_, one.broker, std::move(partitions),
                                                    records_per_batch_, is_paced() ? &times_ : nullptr));
    const Result<void> prepared = co_await consumers_.back()->prepare();
    if (!prepared) co_return std::unexpected(prepared.error().within("consumer"));
  }
  co_return Result<void>{};
}

// Runs producers, consumers or both until all have ended, the first failed, time is up, or a stop signal came.
Task<Result<void>> Load::together(bool producing, bool consuming) {
  if (interruption_->signal_number != 0) co_return std::unexpected(interruption_->error());
  Join join(loop_.reactor, [this] {
    for (const auto& producer : producers_) producer->close();
    for (const auto& consumer : consumers_) consumer->close();
  });
  const TimerId timer = loop_.reactor.start(loop_.deadline, [this, &join] {
    join.fail(Error{Failure::kTimeout, fmt::format("not finished after {} s (--max-seconds)", options_.max_seconds)});
  });
  interruption_->act = [this, &join] { join.fail(interruption_->error()); };
  const MonotonicTime start = loop_.now() + std::chrono::milliseconds(10);
  const auto warm_up = std::chrono::nanoseconds(static_cast<std::int64_t>(options_.warm_up_seconds * 1e9));
  const MonotonicTime measured_from = is_paced() ? start + warm_up : MonotonicTime{};
  if (consuming) {
    for (const auto& consumer : consumers_) {
      join.start("consume", consumer->consume_all(is(Workload::kFetch) ? options_.passes : 1, measured_from));
    }
  }
  if (producing) {
    std::optional<Pace> pace;
    if (is_paced()) {
      pace.emplace(Pace{.schedule = Schedule(start, options_.rate),
                        .measured_from = measured_from,
                        .connections = producers_.size()});
    }
    for (const auto& producer : producers_) {
      join.start("receive", producer->receive_all());
      join.start("send", producer->send_all(pace));
      if (pace) ++pace->first_event;
    }
  }
  const Result<void> outcome = co_await join.wait();
  loop_.reactor.cancel(timer);
  interruption_->act = nullptr;
  co_return outcome;
}

// The logs hold what was sent, no more and no less.
Task<Result<void>> Load::verify_ends() {
  std::map<BrokerId, std::vector<PartitionIndex>> led;
  for (std::size_t i = 0; i < layout_.leaders.size(); ++i) {
    led[layout_.leaders[i]].emplace_back(static_cast<std::int32_t>(i));
  }
  for (const auto& [broker, partitions] : led) {
    auto channel = co_await Channel::open(loop_, layout_.brokers.at(broker));
    if (!channel) co_return std::unexpected(channel.error());
    const auto ends = co_await end_offsets(**channel, topic_, partitions);
    if (!ends) co_return std::unexpected(ends.error());
    for (std::size_t i = 0; i < partitions.size(); ++i) {
      const auto index = static_cast<std::size_t>(partitions[i].value());
      const std::uint64_t batches = batches_[index] + (primed_.empty() ? 0 : primed_[index]);
      const auto expected = static_cast<std::int64_t>(batches) * records_per_batch_;
      if ((*ends)[i].value() != expected) {
        co_return fail(Failure::kCorrupt, fmt::format("{}-{} ends at offset {}, but {} records were sent", topic_,
                                                      index, (*ends)[i].value(), expected));
      }
    }
  }
  co_return Result<void>{};
}

Task<Result<void>> Load::run_on_topic(JsonObject& result) {
  make_batch();
  if (options_.prime) {
    const Result<void> primed = co_await prime();
    if (!primed) co_return std::unexpected(primed.error().within("the first batches"));
  }
  const Result<void> planned = plan();
  if (!planned) co_return planned;
  const Result<void> producers = co_await make_producers();
  if (!producers) co_return producers;
  if (is(Workload::kFetch)) {
    const Result<void> filled = co_await together(true, false);
    if (!filled) co_return std::unexpected(filled.error().within("filling the log"));
  }
  if (consumes()) {
    const Result<void> consumers = co_await make_consumers();
    if (!consumers) co_return consumers;
  }
  const Result<Reading> before = read_usage(loop_, options_);
  if (!before) co_return std::unexpected(before.error());
  const Result<void> done = co_await together(!is(Workload::kFetch), consumes());
  if (!done) co_return done;
  const Result<Reading> after = read_usage(loop_, options_);
  if (!after) co_return std::unexpected(after.error());
  const Result<void> verified = co_await verify_ends();
  if (!verified) co_return verified;
  report(result, *before, *after);
  co_return Result<void>{};
}

void Load::report_produced(JsonObject& result, double took_s) const {
  Histogram latency;
  Histogram sent_late;
  std::uint64_t requests = 0;
  for (const auto& producer : producers_) {
    requests += producer->plan().requests;
    sent_late.merge(producer->sent_late());
    for (const auto one : producer->latencies()) latency.record(one);
  }
  const std::uint64_t batches = planned_batches();
  const std::uint64_t bytes = batches * batch_.size();
  result.add("produce_requests", requests);
  result.add("batches", batches);
  result.add("records", batches * static_cast<std::uint64_t>(records_per_batch_));
  result.add("batch_bytes_total", bytes);
  result.add("produced_mb_per_s", static_cast<double>(bytes) / 1e6 / took_s);
  result.add("produce_requests_per_s", static_cast<double>(requests) / took_s);
  if (latency.count() > 0) result.add("produce_latency_us", to_json(latency));
  if (sent_late.count() > 0) result.add("sent_late_us", to_json(sent_late));
}

void Load::report_consumed(JsonObject& result, double took_s) const {
  ConsumerCounts sum;
  Histogram latency;
  for (const auto& consumer : consumers_) {
    const ConsumerCounts& one = consumer->counts();
    sum.requests += one.requests;
    sum.empty_responses += one.empty_responses;
    sum.batches += one.batches;
    sum.records += one.records;
    sum.batch_bytes += one.batch_bytes;
    sum.received_bytes += one.received_bytes;
    latency.merge(consumer->latency());
  }
  result.add("fetch_requests", sum.requests);
  result.add("fetch_empty_responses", sum.empty_responses);
  result.add("fetched_batches", sum.batches);
  result.add("fetched_records", sum.records);
  result.add("fetched_batch_bytes", sum.batch_bytes);
  result.add("fetch_received_bytes", sum.received_bytes);
  result.add("fetched_mb_per_s", static_cast<double>(sum.batch_bytes) / 1e6 / took_s);
  if (latency.count() > 0) result.add("end_to_end_latency_us", to_json(latency));
}

void Load::report(JsonObject& result, const Reading& before, const Reading& after) const {
  const double took_s = seconds(after.time - before.time);
  result.add("topic", topic_);
  result.add("batch_bytes", batch_.size());
  result.add("records_per_batch", records_per_batch_);
  result.add("seconds", took_s);
  double bytes = 0;
  double requests = 0;
  if (!is(Workload::kFetch)) {
    report_produced(result, took_s);
    bytes += static_cast<double>(planned_batches() * batch_.size());
    for (const auto& producer : producers_) requests += static_cast<double>(producer->plan().requests);
  } else {
    result.add("batch_bytes_total", planned_batches() * batch_.size());
  }
  if (consumes()) {
    report_consumed(result, took_s);
    for (const auto& consumer : consumers_) {
      bytes += static_cast<double>(consumer->counts().batch_bytes);
      requests += static_cast<double>(consumer->counts().requests);
    }
  }
  if (options_.pid > 0) result.add("broker", to_json(difference(before.broker, after.broker), bytes / 1e9, requests));
  JsonObject client;
  client.add("user_s", after.client_user_s - before.client_user_s);
  client.add("system_s", after.client_system_s - before.client_system_s);
  result.add("client", client);
}

// On a connection of its own: what failed may have left the first one in the middle of something.
Task<Result<void>> Load::clean_up() {
  if (!created_ || options_.keep_topic) co_return Result<void>{};
  const Loop a_moment{loop_.reactor, loop_.lookup, loop_.now() + std::chrono::seconds(30)};
  auto channel = co_await Channel::open(a_moment, *parse_address(options_.address));
  if (!channel) co_return std::unexpected(channel.error().within("deleting topic '" + topic_ + "'"));
  co_return co_await delete_topic(**channel, topic_);
}

Task<Result<void>> Load::run(JsonObject& result) {
  net::watch_stop_signals(loop_.reactor, [interruption = interruption_](int signal_number) {
    interruption->signal_number = signal_number;
    if (interruption->act) interruption->act();
  });
  Result<void> outcome = co_await make_topic();
  if (outcome) outcome = co_await run_on_topic(result);
  const Result<void> cleaned = co_await clean_up();
  co_return outcome ? cleaned : outcome;
}

}  // namespace

Task<Result<void>> run_load(const Loop& loop, const Options& options, JsonObject& result) {
  Load load(loop, options);
  co_return co_await load.run(result);
}

}  // namespace kurier::bench
