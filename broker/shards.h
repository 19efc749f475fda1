// Shards: which shard owns a partition, and how a request reaches the owners of its partitions: one message for each
// (request, shard), whatever the number of partitions and records.
//
// Filled at the start before any shard runs, read by all of them afterwards. A shard is an Executor (a thread, for which another
// may stand in: broker/net/reactor.h) with its Broker; everything that belongs to a partition happens on its owner.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "base/executor.h"
#include "base/ids.h"
#include "base/recycled_vector.h"
#include "base/spawner.h"
#include "base/task.h"

namespace kurier::broker {

class Broker;

using ShardIndex = std::uint32_t;

class Shards {
 public:
  struct Shard {
    Executor* executor = nullptr;
    Spawner* spawner = nullptr;
    Broker* broker = nullptr;
  };

  void add(Shard shard) { shards_.push_back(shard); }
  [[nodiscard]] const Shard& at(ShardIndex index) const { return shards_[index]; }
  [[nodiscard]] ShardIndex count() const { return static_cast<ShardIndex>(shards_.size()); }

  // The partitions of one topic go round all shards, so that a topic with many of them uses every core. By its name and not
  // its id, because the directory has the name: when a topic is deleted and made again, one shard does both, in this order.
  [[nodiscard]] ShardIndex owner_of(std::string_view topic, PartitionIndex partition) const {
    return owner_of(topic, partition, count());
  }
  [[nodiscard]] static ShardIndex owner_of(std::string_view topic, PartitionIndex partition, ShardIndex shards) {
    if (shards == 1) return 0;
    std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a: the same everywhere, so that a simulation is repeatable
    for (const char c : topic) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    return static_cast<ShardIndex>((hash + static_cast<std::uint64_t>(partition.value())) % shards);
  }

 private:
  std::vector<Shard> shards_;
};

// The parts of a request by the shard that owns them. Most requests have one owner, which costs one vector.
template <class Part>
class ByOwner {
 public:
  explicit ByOwner(const Shards& shards) : shards_(shards.count()) {}
  void add(ShardIndex owner, Part part) {
    if (of_first_.empty()) first_ = owner;
    if (owner == first_) return of_first_.push_back(std::move(part));
    if (owners_.empty()) {
      owners_.push_back(first_);
      of_others_.resize(shards_);
    }
    if (of_others_[owner].empty()) owners_.push_back(owner);
    of_others_[owner].push_back(std::move(part));
  }
  // Views of this object.
  [[nodiscard]] std::span<const ShardIndex> owners() const {
    if (!owners_.empty()) return owners_;
    return {&first_, of_first_.empty() ? std::size_t{0} : std::size_t{1}};
  }
  // None where it owns nothing.
  [[nodiscard]] std::span<Part> of(ShardIndex owner) {
    if (owner == first_) return of_first_;
    return of_others_.empty() ? std::span<Part>() : std::span<Part>(of_others_[owner]);
  }

 private:
  ShardIndex shards_;
  ShardIndex first_ = 0;
  RecycledVector<Part> of_first_;
  std::vector<RecycledVector<Part>> of_others_;  // by shard, from the second owner on
  std::vector<ShardIndex> owners_;  // the same
};

namespace detail {

template <class Context>
using ShardWork = Task<void> (*)(Broker& there, Context& context);

// What the shards that are at work share; counts those that still are, on the shard that asked. Small messages refer to it: what does
// not fit into one would be allocated on one thread and freed on another.
template <class Context>
struct Errand {
  const Shards::Shard& home;
  ShardWork<Context> work;
  Context& context;
  std::size_t left;
  Event<bool> done;
  void one_has_finished() {
    if (--left == 0) done.set(true);
  }
};

template <class Context>
Task<void> work_here(Errand<Context>& errand) {
  co_await errand.work(*errand.home.broker, errand.context);
  errand.one_has_finished();
}

template <class Context>
Task<void> work_there(Broker& there, Errand<Context>& errand) {
  co_await errand.work(there, errand.context);
  errand.home.executor->defer([&errand] { errand.one_has_finished(); });
}

template <class Context>
Task<void> on_several_shards(const Shards& shards, ShardIndex here, std::span<const ShardIndex> owners,
                             ShardWork<Context> work, Context& context) {
  if (owners.empty()) co_return;
  Errand<Context> errand{shards.at(here), work, context, owners.size(), {}};
  const bool also_here = std::ranges::find(owners, here) != owners.end();
  for (const ShardIndex owner : owners) {
    if (owner == here) continue;
    const Shards::Shard& there = shards.at(owner);
    auto message = [&there, &errand] { there.spawner->spawn("request part", work_there(*there.broker, errand)); };
    also_here ? there.executor->post(std::move(message)) : there.executor->defer(std::move(message));
  }
  if (also_here) errand.home.spawner->spawn("request part", work_here(errand));
  co_await errand.done;
}

}  // namespace detail

// Runs work(broker of the shard, context) on each of `owners` (no shard twice) and returns when all have finished. Each of the others
// gets the work that one shard gives out in the order in which it was given. `owners` views what outlives the task. `context` is shared by all without a lock: each shard writes only what is its own.
template <class Context>
Task<void> on_shards(const Shards& shards, ShardIndex here, std::span<const ShardIndex> owners,
                     detail::ShardWork<Context> work, Context& context) {
  // Mostly all of it is this shard's own.
  if (owners.size() == 1 && owners.front() == here) return work(*shards.at(here).broker, context);
  return detail::on_several_shards(shards, here, owners, work, context);
}

}  // namespace kurier::broker
