#include "broker/api/fetch_read.h"

#include <algorithm>
#include <utility>

#include "broker/api/handlers.h"
#include "broker/api/topic_views.h"

namespace kurier::broker::api {
namespace {

using protocol::ErrorCode;
using protocol::FetchResponse;
using replication::FetchBound;

FetchBound bound_of(const FetchScope& scope) {
  return scope.committed_only ? FetchBound::kLastStableOffset : FetchBound::kHighWatermark;
}

// What is left of the limit, and whether anything has been found yet.
class Budget {
 public:
  explicit Budget(std::uint64_t bytes_max) : left_bytes_(bytes_max) {}
  [[nodiscard]] std::uint64_t left_bytes() const { return left_bytes_; }
  [[nodiscard]] bool nothing_yet() const { return nothing_yet_; }
  // How much of a slice may be returned: nothing rather than a part of its first batch, but for the very first.
  std::uint64_t take(std::uint64_t slice_bytes, std::uint64_t first_batch_bytes, std::int32_t partition_max_bytes) {
    std::uint64_t bytes = std::min({slice_bytes, left_bytes_, static_cast<std::uint64_t>(std::max(0, partition_max_bytes))});
    if (bytes < first_batch_bytes) bytes = nothing_yet_ ? std::min(first_batch_bytes, slice_bytes) : 0;
    if (bytes > 0) nothing_yet_ = false;
    left_bytes_ -= std::min(left_bytes_, bytes);
    return bytes;
  }

 private:
  std::uint64_t left_bytes_;
  bool nothing_yet_ = true;
};

void add_aborted(Partition& partition, Offset from, const storage::LogRead& read, Offset upper, FetchResponse::PartitionData& data) {
  data.aborted_transactions.emplace();
  if (read.slice.size_bytes == 0) return;
  const auto aborted = partition.log().aborted_transactions(from, upper);
  if (!aborted) return;
  for (const storage::AbortedTransaction& transaction : *aborted) {
    auto& entry = data.aborted_transactions->emplace_back();
    entry.producer_id = transaction.producer_id;
    entry.first_offset = transaction.first_offset;
  }
}

// KIP-595: a log that goes on differently after its last epoch is not read but cut. True if it is answered.
bool has_diverged(Partition& partition, const FetchItem& item, FetchResponse::PartitionData& data) {
  const LeaderEpoch last = item.wanted->last_fetched_epoch;
  if (last.value() < 0) return false;
  const auto end = partition.log().offset_for_leader_epoch(last);
  if (end.epoch.value() < 0 || end.end_offset.value() < 0) {
    data.error_code = ErrorCode::kOffsetOutOfRange;
    return true;
  }
  if (end.epoch >= last && end.end_offset >= item.wanted->fetch_offset) return false;
  data.diverging_epoch.epoch = end.epoch;
  data.diverging_epoch.end_offset = end.end_offset;
  return true;
}

// Something after its end is readable already, in another segment: it is not worth a wait.
bool ends_with_segment(const storage::Log& log, const storage::LogRead& read, Offset bound) {
  return read.segment_base_offset < log.active_base_offset() && log.active_base_offset() < bound;
}

void fail_with(FetchResponse::PartitionData& data, ErrorCode error) {
  data.error_code = error;
  data.high_watermark = data.last_stable_offset = data.log_start_offset = Offset(-1);
}

void read_partition(Partition& partition, const FetchScope& scope, Budget& budget, FetchItem& item) {
  FetchResponse::PartitionData& data = item.data;
  data.error_code = check_leader_epoch(partition, item.wanted->current_leader_epoch);
  if (data.error_code == ErrorCode::kNone && scope.replica.value() >= 0 && !partition.leader().is_follower(scope.replica)) {
    const bool knows_leader = item.wanted->current_leader_epoch.value() >= 0;
    data.error_code = knows_leader ? ErrorCode::kUnknownLeaderEpoch : ErrorCode::kNotLeaderOrFollower;
  }
  if (data.error_code != ErrorCode::kNone) return;
  item.bound = partition.leader().bound(bound_of(scope));
  data.high_watermark = partition.leader().high_watermark();
  data.last_stable_offset = partition.leader().last_stable_offset();
  data.log_start_offset = partition.log().log_start_offset();
  if (has_diverged(partition, item, data)) {
    if (data.error_code != ErrorCode::kNone) fail_with(data, data.error_code);
    item.is_complete = true;
    return;
  }
  const std::uint64_t bytes_max =
      std::min(budget.left_bytes(), static_cast<std::uint64_t>(std::max(0, item.wanted->partition_max_bytes)));
  auto read = partition.log().read(item.wanted->fetch_offset, bytes_max, item.bound, budget.nothing_yet());
  if (!read) {
    const bool out_of_range = read.error().failure == Failure::kOutOfRange;
    if (!out_of_range) LOG_ERROR("fetch: {}", read.error().context);
    return fail_with(data, out_of_range ? ErrorCode::kOffsetOutOfRange : ErrorCode::kKafkaStorageError);
  }
  if (item.limit_is_negative && item.wanted->fetch_offset < item.bound)
    return fail_with(data, ErrorCode::kUnknownServerError);
  item.is_complete = ends_with_segment(partition.log(), *read, item.bound);
  if (scope.committed_only) add_aborted(partition, item.wanted->fetch_offset, *read, item.bound, data);
  item.available_bytes = read->slice.size_bytes;
  if (budget.take(read->slice.size_bytes, read->first_batch_bytes, item.wanted->partition_max_bytes) == 0) return;
  item.first_batch_bytes = read->first_batch_bytes;
  data.records.slices.push_back(std::move(read->slice));
}

void reset(FetchItem& item) {
  item.data = FetchResponse::PartitionData{};
  item.data.partition_index = item.wanted->partition;
  item.data.high_watermark = Offset(-1);
  item.data.records.is_null = false;
  item.data.aborted_transactions.reset();  // null, but for READ_COMMITTED
  item.first_batch_bytes = item.available_bytes = 0;
  item.bound = Offset(-1);
  item.is_known = item.is_complete = false;
  item.limit_is_negative = item.wanted->partition_max_bytes < 0;
}

// The topic of an item, which has its error if there is none.
std::shared_ptr<const replication::TopicImage> topic_of(const replication::MetadataImage& image, bool by_id, FetchItem& item) {
  auto topic = item.topic->empty() ? nullptr : image.topic(*item.topic);
  const bool is_there = topic && topic->partitions.contains(item.wanted->partition);
  if (!is_there) {
    item.data.error_code =
        by_id && item.topic->empty() ? ErrorCode::kUnknownTopicId : ErrorCode::kUnknownTopicOrPartition;
    item.data.aborted_transactions.emplace();
    return nullptr;
  }
  item.is_known = true;
  if (!by_id || topic->id == item.topic_id) return topic;
  item.data.error_code = ErrorCode::kInconsistentTopicId;  // a session's topic was deleted, and made again
  return nullptr;
}

// The items that are at an owner of this node; the others have their error.
ByOwner<FetchItem*> distribute(const Broker& broker, const replication::MetadataImage& image, const FetchScope& scope,
                               std::vector<FetchItem>& items) {
  ByOwner<FetchItem*> parts(broker.shards());
  bool is_first = true;
  for (FetchItem& item : items) {
    const auto topic = topic_of(image, scope.by_id, item);
    if (item.is_known && std::exchange(is_first, false) && scope.limit_is_negative) item.limit_is_negative = true;
    if (!topic) continue;
    item.topic_id = topic->id;
    parts.add(broker.shards().owner_of(topic->name, item.wanted->partition), &item);
  }
  return parts;
}

// Rings once, on the shard of the connection that waits, whoever pulls it.
class Bell {
 public:
  explicit Bell(const Shards::Shard& home) : home_(home) {}
  void ring() {
    if (!rung.is_set()) rung.set(true);
  }
  static void ring_from(const Broker& there, const std::shared_ptr<Bell>& bell) {
    if (there.shards().at(there.shard()).executor == bell->home_.executor) return bell->ring();
    bell->home_.executor->defer([bell] { bell->ring(); });
  }

  Event<bool> rung;

 private:
  const Shards::Shard& home_;
};

// Who is to ring, by shard: what a shard has registered there it forgets there, at its next visit or when it is told to.
struct Watch {
  explicit Watch(std::size_t shards) : registered(shards), is_watching(shards) {}

  struct Registered {
    std::shared_ptr<Partition> partition;
    replication::WaiterId waiter;
  };
  std::vector<std::vector<Registered>> registered;
  std::vector<char> is_watching;  // whether a shard has any: as each has told with its last visit
  std::shared_ptr<Bell> bell;
};

Task<void> forget(Broker& broker, Watch& watch) {
  auto& registered = watch.registered[broker.shard()];
  Turns turns = turns_of(broker);
  for (const Watch::Registered& one : registered) {
    co_await turns.next();
    one.partition->forget(one.waiter);
  }
  registered.clear();
}

Task<void> forget_later(Broker& broker, std::shared_ptr<Watch> watch) { co_await forget(broker, *watch); }

// One reading of all partitions, in which a shard whose own do not make the answer complete watches them at once: so the wait
// for more costs no further message.
struct Visit {
  const FetchScope& scope;
  const FetchGoal& goal;
  ByOwner<FetchItem*> parts;
  Watch& watch;
  bool may_watch;
};

Task<void> watch_parts(Broker& broker, Visit& visit) {
  auto& registered = visit.watch.registered[broker.shard()];
  const std::shared_ptr<Bell>& bell = visit.watch.bell;
  Turns turns = turns_of(broker);
  for (const FetchItem* item : visit.parts.of(broker.shard())) {
    co_await turns.next();
    const auto partition = broker.partition(item->topic_id, item->wanted->partition);
    const FetchBound bound = bound_of(visit.scope);
    if (!partition || (*partition)->leader().bound(bound) != item->bound) {
      Bell::ring_from(broker, bell);  // it has changed since it was read
      continue;
    }
    const auto waiter =
        (*partition)->wake_when_beyond(bound, item->bound, [&broker, bell] { Bell::ring_from(broker, bell); });
    registered.push_back({*partition, waiter});
  }
}

// Whether what has been read lets the answer be given before the time is up.
class Enough {
 public:
  void add(const FetchItem& item) {
    nothing_would_change_it_ |= item.is_complete || item.data.error_code != ErrorCode::kNone;
    bytes_ += item.available_bytes;
  }
  [[nodiscard]] bool is_reached(std::uint64_t min_bytes) const {
    return nothing_would_change_it_ || bytes_ >= min_bytes;
  }

 private:
  std::uint64_t bytes_ = 0;
  bool nothing_would_change_it_ = false;
};

Task<void> visit_parts(Broker& broker, Visit& visit) {
  constexpr std::size_t kElementsOfOne = 4;
  co_await forget(broker, visit.watch);
  const auto& parts = visit.parts.of(broker.shard());
  Turns turns = turns_of(broker);
  Budget budget(visit.scope.bytes_max);
  Enough enough;
  for (FetchItem* item : parts) {
    co_await turns.next(kElementsOfOne);
    const auto partition = broker.partition(item->topic_id, item->wanted->partition);
    if (partition) {
      read_partition(**partition, visit.scope, budget, *item);
    } else {
      item->data.error_code = partition.error();
    }
    enough.add(*item);
  }
  if (visit.may_watch && !enough.is_reached(visit.goal.min_bytes)) co_await watch_parts(broker, visit);
  visit.watch.is_watching[broker.shard()] = visit.watch.registered[broker.shard()].empty() ? 0 : 1;
}

// Each shard knew only its own share of the limit.
void cut_to_limit(std::vector<FetchItem>& items, std::uint64_t bytes_max) {
  Budget budget(bytes_max);
  for (FetchItem& item : items) {
    auto& slices = item.data.records.slices;
    if (slices.empty()) continue;
    slices.front().size_bytes =
        budget.take(slices.front().size_bytes, item.first_batch_bytes, item.wanted->partition_max_bytes);
    if (slices.front().size_bytes == 0) slices.clear();
  }
}

bool is_complete(const std::vector<FetchItem>& items, std::uint64_t min_bytes) {
  Enough enough;
  bool any_known = false;
  for (const FetchItem& item : items) {
    if (!item.is_known) continue;
    any_known = true;
    enough.add(item);
  }
  return !any_known || enough.is_reached(min_bytes);
}

// The shards of the parts, and those that still watch what is asked for no longer.
std::vector<ShardIndex> shards_to_visit(const ByOwner<FetchItem*>& parts, const Watch& watch) {
  std::vector<ShardIndex> shards(parts.owners().begin(), parts.owners().end());
  for (ShardIndex shard = 0; shard < watch.is_watching.size(); ++shard) {
    if (watch.is_watching[shard] != 0 && std::ranges::find(shards, shard) == shards.end()) shards.push_back(shard);
  }
  return shards;
}

// Nobody waits for it.
void end_watch(Broker& broker, const std::shared_ptr<Watch>& watch) {
  for (ShardIndex shard = 0; shard < watch->is_watching.size(); ++shard) {
    if (watch->is_watching[shard] == 0) continue;
    const Shards::Shard& there = broker.shards().at(shard);
    there.executor->defer(
        [&there, watch] { there.spawner->spawn("end of a watch", forget_later(*there.broker, watch)); });
  }
}

Task<void> wait_for_bell(Broker& broker, std::shared_ptr<Bell> bell, MonotonicTime deadline) {
  const TimerId timer = broker.ports().timers.start(deadline, [bell] { bell->ring(); });
  const Broker::WakeId on_shutdown = broker.on_shutdown([bell] { bell->ring(); });
  co_await bell->rung;
  broker.ports().timers.cancel(timer);
  broker.forget_shutdown(on_shutdown);
}

}  // namespace

ShardIndex shard_to_read_on(const Broker& broker, const replication::MetadataImage& image,
                            const std::vector<FetchItem>& items) {
  std::optional<ShardIndex> only;
  for (const FetchItem& item : items) {
    const auto topic = item.topic->empty() ? nullptr : image.topic(*item.topic);
    if (!topic) continue;
    const ShardIndex owner = broker.shards().owner_of(topic->name, item.wanted->partition);
    if (only && *only != owner) return broker.shard();
    only = owner;
  }
  return only.value_or(broker.shard());
}

Task<void> read_until_enough(Broker& broker, const FetchScope& scope, const FetchGoal& goal,
                             std::vector<FetchItem>& items, LargeRequests::Ticket& ticket) {
  const auto watch = std::make_shared<Watch>(broker.shards().count());
  while (true) {
    const bool is_last =
        !goal.may_wait || broker.ports().clock.monotonic() >= goal.deadline || broker.is_shutting_down();
    watch->bell = std::make_shared<Bell>(broker.shards().at(broker.shard()));
    Visit visit{scope, goal,
                co_await aside(broker, scope.is_large,
                               [&, image = broker.image()] {
                                 for (FetchItem& item : items) reset(item);
                                 return distribute(broker, *image, scope, items);
                               }),
                *watch, !is_last};
    co_await on_shards(broker.shards(), broker.shard(), shards_to_visit(visit.parts, *watch), visit_parts, visit);
    const bool complete = co_await aside(broker, scope.is_large, [&] {
      cut_to_limit(items, scope.bytes_max);
      return is_last || is_complete(items, goal.min_bytes);
    });
    // Looked at again: the visit may have let the shutdown begin, which rings only those who wait already.
    if (complete || broker.is_shutting_down()) break;
    ticket.give_up();
    co_await wait_for_bell(broker, watch->bell, goal.deadline);
  }
  end_watch(broker, watch);
}

}  // namespace kurier::broker::api
