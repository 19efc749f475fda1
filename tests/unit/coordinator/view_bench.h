// What the tests of a coordinator's view stand on: a pool that works when it is told to, a log of which only the facts
// count, and the whole content of a GroupState as a text.
#pragma once

#include <fmt/core.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/group/state.h"
#include "coordinator/view/viewed_group_state.h"
#include "tests/simulation/simulated_key_value_store.h"
#include "tests/support/manual_shard.h"

namespace kurier::coordinator {

class ManualPool final : public WorkPool {
 public:
  void run(Callback work) override { works_.push_back(std::move(work)); }
  bool run_one() {
    if (works_.empty()) return false;
    Callback work = std::move(works_.front());
    works_.pop_front();
    work();
    return true;
  }
  void forget_all() { works_.clear(); }

 private:
  std::deque<Callback> works_;
};

struct LogFigures {
  Offset start{0};
  Offset end{0};
  Offset high_watermark{0};
  LeaderEpoch epoch{3};
  std::optional<Offset> cleaned_to;
  std::optional<Offset> bound;
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
  void observe(RecordLogObserver*) override {}

 private:
  LogFigures& figures_;
};

inline std::string described(const CommittedOffset& offset) {
  return fmt::format("{}/{} '{}' {} {} {} @{}", offset.offset.value(), offset.leader_epoch.value(), offset.metadata,
                     offset.commit_timestamp.value(), offset.expire_timestamp.value(), offset.topic_id.to_string(),
                     offset.record_offset.value());
}

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

// Everything that can be read, in the order in which it is visited.
inline std::string described(const GroupStateReader& state) {
  std::string text;
  check_parts(state);
  state.for_each_group_with_members([&](const std::string& group) { text += fmt::format("with members {}\n", group); });
  state.for_each_group([&](const std::string& group) {
    text += fmt::format("group {} {} {}\n", group, state.has_offsets(group), state.has_any_pending(group));
    if (const auto classic = state.classic_group(group)) {
      protocol::Writer writer;
      classic->encode(writer, 4);
      text += fmt::format("  classic {}\n", as_text(writer.take_bytes()));
    }
    state.for_each_other_record(group, [&](const Bytes& key, const Bytes& value) {
      text += fmt::format("  other {} {}\n", as_text(key), as_text(value));
    });
    state.for_each_offset(group, [&](const TopicPartition& where, const CommittedOffset& offset) {
      text += fmt::format("  offset {}-{} {} {}\n", where.topic, where.partition, described(offset),
                          state.offset(group, where.topic, where.partition) == offset);
    });
    state.for_each_pending(group, [&](ProducerId producer, const TopicPartition& where, const CommittedOffset& offset) {
      text += fmt::format("  pending {} {}-{} {} {}\n", producer.value(), where.topic, where.partition,
                          described(offset), state.has_pending(group, where.topic, where.partition));
    });
  });
  return text;
}

}  // namespace kurier::coordinator
