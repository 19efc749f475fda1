// What the tests of a coordinator's view stand on: a pool that works when it is told to, a log of which only the facts
// count, and the content of a state as a text.
#pragma once

#include <functional>
#include <optional>
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

}  // namespace kurier::coordinator
