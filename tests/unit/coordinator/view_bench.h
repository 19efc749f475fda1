// What the tests of a coordinator's view stand on: a pool that works when it is told to, a log of which only the facts
// count, and the content of a state as a text.
#pragma once

#include <algorithm>
#include <catch2/catch.hpp>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/runtime/record_log.h"
#include "coordinator/view/viewed_group_state.h"
#include "tests/simulation/simulated_key_value_store.h"
#include "tests/support/group_state_text.h"
#include "tests/support/manual_pool.h"
#include "tests/support/manual_shard.h"

namespace kurier::coordinator {

using test::ManualPool;

struct LogFigures {
  Offset start{0};
  Offset end{0};
  Offset high_watermark{0};
  LeaderEpoch epoch{3};
  std::optional<Offset> cleaned_to;
  std::optional<Offset> bound;
  // Flushes that have been asked for, if they do not come at once.
  bool flushes_wait = false;
  std::vector<std::pair<Offset, std::move_only_function<void(bool)>>> flushes;
};

class FiguresLog final : public RecordLog {
 public:
  explicit FiguresLog(LogFigures& figures) : figures_(figures) {}
  std::expected<Appended, protocol::ErrorCode> append(LeaderEpoch, std::span<const CoordinatorRecord>,
                                                      const std::optional<TransactionOfAppend>&) override {
    return std::unexpected(protocol::ErrorCode::kNotLeaderOrFollower);
  }
  Task<Result<Bytes>> read(Offset, std::size_t) override { co_return Bytes{}; }
  Offset log_start_offset() const override { return figures_.start; }
  Offset high_watermark() const override { return figures_.high_watermark; }
  Offset log_end_offset() const override { return figures_.end; }
  std::optional<LeaderEpoch> epoch_at(Offset) const override { return figures_.epoch; }
  std::optional<Offset> cleaned_to() const override { return figures_.cleaned_to; }
  void never_clean_beyond(std::optional<Offset> bound) override { figures_.bound = bound; }
  void flush_to(Offset end, std::move_only_function<void(bool)> done) override {
    if (!figures_.flushes_wait) return done(true);
    figures_.flushes.emplace_back(end, std::move(done));
  }
  void observe(RecordLogObserver*) override {}

 private:
  LogFigures& figures_;
};

// Whatever `visit` visits, a few at a time, each time from behind the last one.
template <class Place, class Visit>
std::vector<Place> in_parts(Visit visit) {
  std::vector<Place> all;
  std::optional<Place> after;
  for (std::size_t before = 0;; before = all.size()) {
    visit(after, [&](const Place& place) {
      all.push_back(place);
      return all.size() < before + 2;
    });
    if (all.size() == before) return all;
    after = all.back();
  }
}

// That in parts the same is visited as at once.
inline void check_parts(const GroupStateReader& state) {
  std::vector<std::string> groups;
  state.for_each_group([&](const std::string& group) { groups.push_back(group); });
  CHECK(in_parts<std::string>([&](auto& after, auto visit) { state.visit_groups(after, visit); }) == groups);
  std::vector<std::string> with_members;
  state.for_each_group_with_members([&](const std::string& group) { with_members.push_back(group); });
  const auto members_in_parts =
      in_parts<std::string>([&](auto& after, auto visit) { state.visit_groups_with_members(after, visit); });
  CHECK(members_in_parts == with_members);
  for (const std::string& group : groups) {
    std::vector<TopicPartition> places;
    state.for_each_offset(group, [&](const TopicPartition& where, const CommittedOffset&) { places.push_back(where); });
    const auto offsets = in_parts<TopicPartition>([&](auto& after, auto visit) {
      state.visit_offsets(group, after,
                          [&](const TopicPartition& where, const CommittedOffset&) { return visit(where); });
    });
    CHECK(offsets == places);
    places.clear();
    state.for_each_pending(group, [&](ProducerId, const TopicPartition& where, const CommittedOffset&) {
      if (places.empty() || places.back() != where) places.push_back(where);
    });
    auto pending = in_parts<TopicPartition>([&](auto& after, auto visit) {
      state.visit_pending(
          group, after, [&](ProducerId, const TopicPartition& where, const CommittedOffset&) { return visit(where); });
    });
    pending.erase(std::ranges::unique(pending).begin(), pending.end());  // several producers
    CHECK(pending == places);
  }
}

// Its content as a text; and it is the same when it is visited in parts.
inline std::string described_in_parts(const GroupStateReader& state) {
  check_parts(state);
  return described(state);
}

}  // namespace kurier::coordinator
