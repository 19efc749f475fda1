#include "tests/simulation/coordinator_world.h"

#include <fmt/core.h>

#include <algorithm>

#include "coordinator/group/records.h"
#include "coordinator/runtime/batch_builder.h"
#include "tests/support/cleaning.h"
#include "tests/support/group_state_text.h"
#include "tests/support/raw_batch.h"

namespace kurier::simulation {

using broker::GroupRuntime;
using coordinator::GroupMachine;
using coordinator::Now;
using coordinator::RequestContext;
using coordinator::RequestToken;
using protocol::ErrorCode;
using std::chrono::milliseconds;

namespace {

constexpr int kLives = 5;
constexpr std::size_t kPositionKeyBytes = 20;  // of the store: the topic's id and the partition
constexpr const char* kGroups[] = {"g", "h", "simple"};

RequestContext context_of(const std::string& client) { return {9, client, "/127.0.0.1"}; }

SimulatedBroker::Options options_of(Random& random, Death death) {
  SimulatedBroker::Options options;
  config::NodeConfig& config = options.config;
  config.node_id = BrokerId(1);
  config.group.initial_rebalance_delay = milliseconds(random.below(3) * 500);
  config.group.max_size = random.below(5) == 0 ? 3 : 1000;
  config.offsets.retention = std::chrono::minutes(30);
  config.offsets.commit_timeout = milliseconds(random.below(2) == 0 ? 5'000 : 60'000);
  config.log.cleaner_backoff = std::chrono::seconds(2);
  config.log.cleaner_dedupe_buffer_bytes = random.below(3) == 0 ? 24 * (8 + random.below(20)) : 24 * 1000;
  config.log.cleaner_io_buffer_bytes = 8192;
  config.log.cleaner_io_max_bytes_per_second = 1e12;
  options.topic_config = {{"cleanup.policy", "compact"},
                          {"internal.segment.bytes", std::to_string(700 + random.below(2000))},
                          {"index.interval.bytes", std::to_string(random.below(400))},
                          {"min.cleanable.dirty.ratio", "0.1"},
                          {"delete.retention.ms", random.below(2) == 0 ? "2000" : "86400000"},
                          {"file.delete.delay.ms", "1000"}};
  if (random.below(3) == 0) options.topic_config["max.message.bytes"] = "900";
  if (death == Death::kFlushed) options.topic_config["flush.messages"] = "1";
  if (death == Death::kPowerCut) options.topic_config["flush.messages"] = std::to_string(2 + random.below(30));
  options.begins = MonotonicTime(std::chrono::hours(1));
  return options;
}

}  // namespace

CoordinatorWorld::CoordinatorWorld(std::uint64_t seed, Death death, Bug bug, std::uint64_t crash_at)
    : death_(death), bug_(bug), random_(seed), machine_(seed ^ 0x5eed), store_(seed ^ 0x570e, &machine_) {
  machine_.bugs.sync_does_nothing = bug == Bug::kDiskThatDoesNotSync;
  options_ = options_of(random_, death);
  clients_ = test::GroupMember::some(4, 2);
  machine_.crash_at(crash_at != 0 ? crash_at : 30 + below(1200));
}

// ---- lives

CoordinatorWorld::Outcome CoordinatorWorld::run() {
  for (life_ = 1; life_ <= kLives && fault_.empty(); ++life_) {
    live();
    come_up_again();
    machine_.crash_at(machine_.changes() + 20 + below(one_in(4) ? 60 : 900));
  }
  machine_.crash_at(UINT64_MAX);
  if (fault_.empty()) {
    start();
    ++life_;
    broker_.reset();
  }
  mix(machine_.trace_hash());
  return {fault_, hash_, machine_.changes()};
}

void CoordinatorWorld::live() {
  const bool began = start();
  const std::uint64_t steps = 200 + below(400);
  for (std::uint64_t i = 0; began && i < steps && !is_dead() && fault_.empty(); ++i) step();
  if (began && !is_dead() && fault_.empty() && (must_stop_ || one_in(2))) stop();
}

bool CoordinatorWorld::is_compacted_before(Offset offset) {
  storage::Log& log = broker_->partition().log();
  if (offset <= log.log_start_offset() || offset > log.log_end_offset()) return false;
  if (log.cleaned_to() && *log.cleaned_to() >= offset) return false;  // then it is known
  const auto read = log.read(offset - 1, 1, log.log_end_offset(), true);
  if (!read || read->slice.size_bytes == 0) return false;
  Bytes header(protocol::kBatchHeaderBytes);
  if (!read->slice.file->read_at(read->slice.position, header)) return false;
  const auto batch = protocol::RecordBatchView::parse_header(header);
  return batch && (batch->record_count() != batch->last_offset_delta() + 1 || batch->has_delete_horizon());
}

bool CoordinatorWorld::start() {
  const bool has_view = !store_.content().empty();
  std::optional<Offset> position;
  for (const auto& [key, value] : store_.content()) {
    if (key.size() != kPositionKeyBytes) continue;
    if (const auto stored = coordinator::decode_position(value)) position = stored->position.offset;
  }
  broker_ = std::make_unique<SimulatedBroker>(machine_, store_, random_, options_);
  const Result<void> started = broker_->start();
  if (is_dead()) return false;
  if (!started) {
    fail("it does not start: " + started.error().context);
    return false;
  }
  check_log(broker_->partition().log(), broker_->log_knew_its_gaps());
  // A node that cannot tell gaps of compaction from losses is sure again when it has once stopped cleanly.
  must_stop_ = !broker_->knows_its_gaps();
  if (must_stop_) machine_.crash_at(UINT64_MAX);
  options_.others_have_cleaned = must_stop_;
  while (fault_.empty() && !is_dead() && broker_->coordinator() == nullptr && broker_->work()) {
  }
  if (is_dead() || !fault_.empty()) return false;
  if (broker_->coordinator() == nullptr) {
    fail("the coordinator does not load");
    return false;
  }
  const bool goes_on = has_view && !store_.content().empty();
  if (goes_on) ++counts_["goes on from a view"];
  if (view_must_last_ && has_view && !goes_on) {
    if (position && is_compacted_before(*position)) {
      ++counts_["made anew behind a compacted batch"];
    } else {
      fail("a view that was good was discarded");
    }
  }
  view_must_last_ = true;
  look();
  return fault_.empty() && !is_dead();
}

void CoordinatorWorld::stop() {
  if (must_stop_) machine_.space_left_is(UINT64_MAX);
  const Result<void> stopped = broker_->stop();
  if (is_dead()) return;
  look();
  // On a full disk it is not a clean one.
  const std::string mark = fmt::format("{}/.kafka_cleanshutdown", SimulatedBroker::kDirectory);
  if (!stopped || !machine_.exists(mark).value_or(false)) return;
  durable_ = history_.end();
  ++counts_["clean stop"];
}

void CoordinatorWorld::come_up_again() {
  if (!is_dead()) machine_.crash_at(machine_.changes() + 1);  // what it still wants to do is too late
  options_.begins = broker_->shard().monotonic() + milliseconds(below(3000));
  ++life_;
  seen_.reset();
  broker_.reset();
  --life_;
  ++counts_["death"];
  machine_.space_left_is(UINT64_MAX);
  machine_.restart(death_ == Death::kKill ? Crash::kKill : Crash::kPowerCut);
  store_.restart();
  store_.reading_fails(reading_fails_ = false);
  for (Client& client : clients_) {
    if (client.wish == Client::Wish::kWait) client.wish = Client::Wish::kJoin;
  }
  view_must_last_ = view_must_last_ && death_ != Death::kPowerCut && options_.store_opens;
  options_.store_opens = true;
  if (one_in(3)) options_.leader_epoch = LeaderEpoch(options_.leader_epoch.value() + 1);
  old_stores_.push_back(store_.content());
  if (bug_ == Bug::kViewAheadOfItsLog) {
    for (const auto& [key, value] : std::map(store_.content())) {
      if (key.size() != kPositionKeyBytes) continue;
      auto stored = coordinator::decode_position(value);
      if (!stored) continue;
      stored->position.offset += 2;
      store_.put_durably(key, coordinator::encode_position(*stored));
    }
  }
  if (fault_.empty()) tamper();
}

// What may happen to the state directory, and to the partition, while the node is down.
void CoordinatorWorld::tamper() {
  switch (below(10)) {
    case 0:
      store_.become({});
      ++counts_["view lost"];
      break;
    case 1:
      store_.become(old_stores_[below(old_stores_.size())]);
      ++counts_["view stale"];
      break;
    case 2:
      options_.store_opens = false;
      ++counts_["no store"];
      break;
    case 3: another_program_leads(); break;
    default: return;
  }
  view_must_last_ = false;
}

// It knows nothing of views: it appends, ends transactions and cleans as it likes, and stops cleanly.
void CoordinatorWorld::another_program_leads() {
  auto directory = storage::LogDirectory::open(machine_, SimulatedBroker::kDirectory);
  if (!directory) return fail("another program cannot have the directory: " + directory.error().context);
  const storage::TopicPartition key{SimulatedBroker::kTopic, PartitionIndex(0)};
  const auto offset_in = [&](const Result<storage::OffsetCheckpoint>& checkpoint) {
    return checkpoint && checkpoint->contains(key) ? std::optional(checkpoint->at(key)) : std::nullopt;
  };
  storage::LogOptions options{.directory = (*directory)->partition_path(key.first, key.second),
                              .recovery_point = offset_in((*directory)->recovery_points()).value_or(Offset(0)),
                              .cleaned_to = offset_in((*directory)->cleaner_offsets()),
                              .cleaned_before_recovery_point = true};
  options.config.compact = true;
  options.config.delete_old = false;
  options.config.segment_bytes = 1500;
  options.config.delete_retention_ms = one_in(2) ? 100 : 1 << 30;
  if (!*machine_.exists(options.directory)) return;
  options.had_clean_shutdown = (*directory)->take_clean_shutdown_mark().value_or(false);
  Timestamp now(1'000'000 + std::chrono::duration_cast<milliseconds>(options_.begins.time_since_epoch()).count());
  auto log = storage::Log::open(machine_, std::move(options), now);
  if (!log) return fail("another program cannot open the log: " + log.error().context);
  ++counts_["another program"];
  check_log(**log, true);
  options_.leader_epoch = LeaderEpoch(options_.leader_epoch.value() + 1);
  const ProducerId producer(5);
  const std::uint64_t batches = 1 + below(20);
  for (std::uint64_t i = 0; i < batches; ++i) {
    coordinator::CommittedOffset offset;
    offset.offset = Offset(++last_value_);
    offset.commit_timestamp = now;
    const coordinator::CoordinatorRecord record = coordinator::offset_record(
        kGroups[below(3)], {fmt::format("t{}", below(3)), static_cast<std::int32_t>(below(2))}, offset);
    std::optional<coordinator::TransactionOfAppend> transaction;
    if (one_in(3)) transaction = coordinator::TransactionOfAppend{"t", producer, ProducerEpoch(0)};
    std::vector<Bytes> made{coordinator::build_batch(std::span(&record, 1), transaction, now)};
    if (transaction) made.push_back(test::marker_batch(producer, ProducerEpoch(0), one_in(2), now));
    for (Bytes& batch : made) {
      const auto appended = (*log)->append(batch, options_.leader_epoch, now, storage::AppendOrigin::kCoordinator);
      if (!appended) return fail("another program cannot append: " + appended.error().context);
    }
    now = now + 10;
  }
  if (std::string fault = history_.learn(test::content_from(**log, history_.end())); !fault.empty()) return fail(fault);
  (*log)->high_watermark_is((*log)->log_end_offset());
  std::optional<Offset> cleaned = (*log)->cleaned_to();
  for (std::uint64_t times = below(3); times > 0; --times) {
    now = now + 1000;
    if (!(*log)->roll(now)) return fail("another program cannot roll");
    const auto done = test::clean(**log, machine_, now, (*log)->log_end_offset());
    if (!done) return fail("another program cannot clean: " + done.error().context);
    if (*done) cleaned = (*done)->cleaned_to;
  }
  if (!(*log)->close_clean()) return fail("another program cannot stop");
  const Offset end = (*log)->log_end_offset();
  if (cleaned && !(*directory)->write_cleaner_offsets({{key, *cleaned}})) return fail("no cleaner checkpoint");
  if (!(*directory)->write_recovery_points({{key, end}})) return fail("no recovery points");
  if (!(*directory)->write_clean_shutdown_mark(BrokerEpoch(1))) return fail("no clean shutdown");
  options_.others_have_cleaned = true;
  durable_ = end;
}

// ---- what happens

void CoordinatorWorld::step() {
  const std::size_t client = static_cast<std::size_t>(below(clients_.size()));
  if (one_in(8)) {
    anything(client);
  } else {
    do_what_is_due(client);
  }
  if (one_in(12)) happen_to_the_broker();
  for (std::uint64_t works = below(4); works > 0; --works) broker_->work();
  look();
}

void CoordinatorWorld::do_what_is_due(std::size_t index) {
  Client& client = clients_[index];
  switch (client.wish) {
    case Client::Wish::kJoin: client.wish = Client::Wish::kWait; return join(index);
    case Client::Wish::kWait: return broker_->pass(milliseconds(below(1'500)));
    case Client::Wish::kSync: client.wish = Client::Wish::kWait; return sync(index);
    case Client::Wish::kWork:
      if (one_in(2)) return commit(index);
      if (const ErrorCode error = heartbeat(client); error != ErrorCode::kNone) client.wish = Client::Wish::kJoin;
  }
}

void CoordinatorWorld::anything(std::size_t index) {
  Client& client = clients_[index];
  switch (below(12)) {
    case 0: return join(index);
    case 1: return sync(index);
    case 2: return leave(index);
    case 3:  // its process ends, and another one begins
      client.id.clear();
      client.generation = -1;
      client.wish = Client::Wish::kJoin;
      return;
    case 4: return broker_->pass(milliseconds(below(9'000)));
    case 5: return broker_->pass(one_in(6) ? std::chrono::minutes(below(40)) : std::chrono::seconds(below(40)));
    case 6:
      if (!one_in(4)) return;
      return ask(asked_by(index), [group = client.group](GroupMachine& machine, RequestToken token, Now now) {
        return machine.groups().delete_groups(token, {group}, now);
      });
    case 7: {
      protocol::OffsetDeleteRequest request;
      request.group_id = one_in(2) ? client.group : "simple";
      auto& topic = request.topics.emplace_back();
      topic.name = fmt::format("t{}", below(3));
      topic.partitions.emplace_back().partition_index = PartitionIndex(static_cast<std::int32_t>(below(2)));
      return ask(asked_by(index), [request](GroupMachine& machine, RequestToken token, Now now) {
        return machine.groups().offset_delete(token, request, now);
      });
    }
    default: return fetch(kGroups[below(3)]);
  }
}

void CoordinatorWorld::happen_to_the_broker() {
  if (std::exchange(reading_fails_, false)) store_.reading_fails(false);
  switch (below(8)) {
    case 0:
    case 1: return broker_->logs().maintain();
    case 2: return broker_->write_checkpoints({.recovery_points = true, .log_start_offsets = true});
    case 3: return static_cast<void>(broker_->partition().log().roll(broker_->shard().wall()));
    case 4:
      if (!one_in(8)) return;
      return broker_->groups().topics_deleted({{TopicId{1, 2}, fmt::format("t{}", below(3))}});
    case 5:
      if (one_in(4)) ++counts_["full disk"], machine_.space_left_is(below(2000));
      return;
    case 6:
      if (!one_in(8)) return;
      store_.reading_fails(reading_fails_ = true);
      view_must_last_ = false;
      ++counts_["unreadable view"];
      return;
    default: return machine_.space_left_is(UINT64_MAX);
  }
}

CoordinatorWorld::Asked CoordinatorWorld::asked_by(std::size_t client, std::int64_t value) const {
  const Client& who = clients_[client];
  return {life_, client, who.group, who.generation, who.id, value};
}

void CoordinatorWorld::ask(Asked asked, GroupRuntime::Operation operation) {
  if (auto runtime = broker_->coordinator()) {
    broker_->shard().spawn("request", request(*this, std::move(runtime), std::move(operation), std::move(asked)));
  } else {
    clients_[asked.client].wish = Client::Wish::kJoin;
  }
}

Task<void> CoordinatorWorld::request(CoordinatorWorld& world, std::shared_ptr<GroupRuntime> runtime,
                                     GroupRuntime::Operation operation, Asked asked) {
  const auto answered = co_await GroupRuntime::ask(std::move(runtime), std::move(operation));
  if (world.is_dead() || asked.life != world.life_) co_return;
  world.mix(answered ? answered->index() : 100);
  world.mix(asked.client);
  if (!answered) {
    world.clients_[asked.client].wish = Client::Wish::kJoin;
    co_return;
  }
  std::visit([&](const auto& response) { world.hear(asked, response); }, *answered);
}

void CoordinatorWorld::join(std::size_t index) {
  Client& client = clients_[index];
  if (one_in(6)) client.protocols = static_cast<std::size_t>(below(3));
  const auto request = client.join_request(random_, client.instance && one_in(3));
  ++counts_["join"];
  ask(asked_by(index),
      [context = context_of(client.name), request](GroupMachine& machine, RequestToken token, Now now) {
        return machine.groups().join_group(token, context, request, now);
      });
}

void CoordinatorWorld::sync(std::size_t index) {
  const auto request = clients_[index].sync_request(random_, ++last_value_);
  ask(asked_by(index), [request](GroupMachine& machine, RequestToken token, Now now) {
    return machine.groups().sync_group(token, request, now);
  });
}

void CoordinatorWorld::commit(std::size_t index) {
  const Client& client = clients_[index];
  const std::int64_t value = ++last_value_;
  const bool anonymous = one_in(5);
  protocol::OffsetCommitRequest request;
  request.group_id = anonymous && one_in(2) ? "simple" : client.group;
  request.member_id = anonymous ? "" : client.id;
  request.generation_id_or_member_epoch = anonymous ? -1 : client.generation;
  if (!anonymous) request.group_instance_id = client.instance;
  auto& topic = request.topics.emplace_back();
  topic.name = fmt::format("t{}", below(3));
  auto& partition = topic.partitions.emplace_back();
  partition.partition_index = PartitionIndex(static_cast<std::int32_t>(below(2)));
  partition.committed_offset = Offset(value);
  partition.committed_metadata = std::string(below(40), 'm');
  if (bug_ == Bug::kAnswersBeforeItsSafe) unchecked_.insert(value);
  ask(asked_by(index, value),
      [context = context_of(client.name), request](GroupMachine& machine, RequestToken token, Now now) {
        return machine.groups().offset_commit(token, context, request, now);
      });
}

void CoordinatorWorld::leave(std::size_t index) {
  const auto request = clients_[index].leave_request(random_);
  ask(asked_by(index), [request](GroupMachine& machine, RequestToken token, Now now) {
    return machine.groups().leave_group(token, context_of("leaves"), request, now);
  });
}

ErrorCode CoordinatorWorld::heartbeat(const Client& client) {
  const auto runtime = broker_->coordinator();
  if (!runtime) return ErrorCode::kCoordinatorLoadInProgress;
  const ErrorCode error = runtime->machine().groups().heartbeat(client.heartbeat_request(), runtime->now()).error_code;
  if (!runtime->is_sound()) return ErrorCode::kNotCoordinator;
  mix(static_cast<std::uint64_t>(error));
  const auto group = runtime->machine().groups().classic_group(client.group);
  if (error == ErrorCode::kNone && (group == nullptr || group->generation_id() != client.generation))
    fail("a heartbeat of another generation was accepted");
  return error;
}

// All that the group has committed, and that it is what the log says; what is told must not be lost either.
void CoordinatorWorld::fetch(const std::string& group) {
  const auto runtime = broker_->coordinator();
  if (!runtime) return;
  protocol::OffsetFetchRequest::OffsetFetchRequestGroup request;
  request.group_id = group;
  request.topics.reset();
  const auto answer = runtime->machine().groups().offset_fetch(request, runtime->machine().state(), false);
  if (!runtime->is_sound()) return;
  std::map<coordinator::TopicPartition, Offset> fetched;
  std::map<coordinator::TopicPartition, Offset> expected;
  std::vector<std::int64_t> values;
  for (const auto& topic : answer.topics) {
    for (const auto& partition : topic.partitions) {
      fetched[{topic.name, partition.partition_index.value()}] = partition.committed_offset;
      values.push_back(partition.committed_offset.value());
    }
  }
  history_.state().for_each_offset(
      group, [&](const auto& where, const coordinator::CommittedOffset& offset) { expected[where] = offset.offset; });
  if (fetched != expected) return fail("what is fetched of " + group + " is not what the log says");
  counts_["fetched"] += static_cast<int>(values.size());
  broker_->shard().spawn("fetch", until_committed(*this, runtime, life_, std::move(values)));
}

Task<void> CoordinatorWorld::until_committed(CoordinatorWorld& world, std::shared_ptr<GroupRuntime> runtime, int life,
                                             std::vector<std::int64_t> values) {
  const bool committed = co_await GroupRuntime::until_committed(std::move(runtime));
  if (!committed || world.is_dead() || life != world.life_) co_return;
  world.unchecked_.insert(values.begin(), values.end());
}

// ---- what is answered

void CoordinatorWorld::hear(const Asked& asked, const protocol::JoinGroupResponse& response) {
  mix(static_cast<std::uint64_t>(response.error_code));
  if (!clients_[asked.client].hear(response)) return;
  ++counts_["joined"];
}

void CoordinatorWorld::hear(const Asked& asked, const protocol::SyncGroupResponse& response) {
  mix(static_cast<std::uint64_t>(response.error_code));
  if (!clients_[asked.client].hear(response)) return;
  told_.push_back({asked.group, asked.generation, asked.member_id, std::string(as_text(response.assignment))});
  ++counts_["assigned"];
}

void CoordinatorWorld::hear(const Asked& asked, const protocol::OffsetCommitResponse& response) {
  const ErrorCode error = response.topics.front().partitions.front().error_code;
  mix(static_cast<std::uint64_t>(error));
  if (error == ErrorCode::kNone) {
    unchecked_.insert(asked.value);
    ++counts_["committed"];
  } else {
    clients_[asked.client].wish = Client::Wish::kJoin;
  }
}

}  // namespace kurier::simulation
