// A log under a seeded workload on a machine that dies at some change: what was acknowledged must be there afterwards.
//
// KURIER_SEED=<n> runs one seed alone; KURIER_SEEDS=<count> says how many (default 2000).
#include <fmt/core.h>

#include <catch2/catch.hpp>
#include <cstdlib>

#include "base/log.h"
#include "protocol/record_batch.h"
#include "storage/log.h"
#include "tests/simulation/simulated_file_system.h"
#include "tests/support/raw_batch.h"
#include "tests/support/segment_indexes.h"

using namespace kurier;
using namespace kurier::storage;
using simulation::Crash;
using simulation::SimulatedFileSystem;

namespace {

constexpr const char* kDirectory = "/data/t-0";

Bytes read_all(Log& log) {
  Bytes all;
  Offset at = log.log_start_offset();
  while (at < log.log_end_offset()) {
    const auto read = log.read(at, 700, log.log_end_offset(), true);
    REQUIRE(read);
    if (read->slice.size_bytes == 0) break;
    Bytes bytes(read->slice.size_bytes);
    REQUIRE(read->slice.file->read_at(read->slice.position, bytes) == bytes.size());
    // What is cut at the end is read again from its beginning.
    std::size_t whole = 0;
    while (whole < bytes.size()) {
      const auto batch = protocol::RecordBatchView::parse(ByteView(bytes).subspan(whole));
      if (!batch) break;
      if (batch->last_offset() >= at) {
        all.insert(all.end(), batch->bytes().begin(), batch->bytes().end());
        at = batch->next_offset();
      }
      whole += batch->size_bytes();
    }
    REQUIRE(whole > 0);
  }
  return all;
}

// What a correct log must hold: each acknowledged batch as it was stamped.
struct Model {
  std::vector<std::pair<Offset, Bytes>> batches;  // by first offset
  Offset start{0};
  Offset durable{0};  // everything before it was flushed
  std::optional<std::pair<Offset, Bytes>> in_doubt;  // the append that failed may be there or not

  void drop_before(Offset offset) {
    start = offset;
    while (!batches.empty() && batches.front().first < offset) batches.erase(batches.begin());
  }
};

struct Outcome {
  std::string fault;  // empty: everything that had to be there was there
  std::uint64_t trace_hash = 0;
  std::uint64_t changes = 0;
  Offset recovered_end{0};
};

class Run {
 public:
  Run(std::uint64_t seed, Crash crash, bool sync_does_nothing, std::uint64_t crash_at)
      : random_(seed), machine_(seed ^ 0x5eed), crash_(crash) {
    machine_.bugs.sync_does_nothing = sync_does_nothing;
    machine_.crash_at(crash_at != 0 ? crash_at : 20 + random_.below(500));
    config_.segment_bytes = 1500 + random_.below(2000);
    config_.index_interval_bytes = random_.below(600);
    config_.retention_ms = -1;
    config_.retention_bytes = random_.below(2) == 0 ? -1 : 6000;
  }

  Outcome run() {
    for (int life = 0; life < 3; ++life) {
      live();
      machine_.restart(crash_);
      auto log = Log::open(machine_, options(), now_);
      if (!log) return {"recovery failed: " + log.error().context, machine_.trace_hash(), machine_.changes(), {}};
      std::string fault = check(**log);
      if (!fault.empty()) return {fault, machine_.trace_hash(), machine_.changes(), (*log)->log_end_offset()};
      recovery_point_ = (*log)->recovery_point();
      log->reset();
      machine_.crash_at(machine_.changes() + 20 + random_.below(400));
    }
    return {"", machine_.trace_hash(), machine_.changes(), model_.batches.empty() ? Offset(0) : model_.batches.back().first};
  }

 private:
  LogOptions options() const {
    return {.directory = kDirectory, .config = config_, .log_start_offset = model_.start, .recovery_point = recovery_point_};
  }

  void live() {
    auto opened = Log::open(machine_, options(), now_);
    if (!opened) return;
    Log& log = **opened;
    while (!machine_.crashed()) {
      now_ = now_ + 7;
      const std::uint64_t action = random_.below(20);
      if (action < 14) {
        append(log);
      } else if (action < 17) {
        flush(log);
      } else if (action < 18) {
        if (!log.roll(now_)) return;
      } else if (action < 19) {
        retain(log);
      } else {
        truncate(log);
      }
    }
  }

  void append(Log& log) {
    const ProducerId producer(static_cast<std::int64_t>(random_.below(4)) - 1);
    const auto records = static_cast<std::int32_t>(1 + random_.below(5));
    const auto known = log.producers().producers().find(producer);
    std::int32_t sequence = producer.value() < 0 ? -1 : 0;
    if (known != log.producers().producers().end() && !known->second.batches.empty()) {
      sequence = known->second.batches.back().last_sequence + 1;
    }
    Bytes batch = test::raw_batch({.records = records,
                                   .producer_id = producer,
                                   .producer_epoch = ProducerEpoch(static_cast<std::int16_t>(producer.value() < 0 ? -1 : 0)),
                                   .base_sequence = sequence,
                                   .timestamp = now_,
                                   .payload_bytes = random_.below(400),
                                   .fill = random_.next()});
    const Offset expected = log.log_end_offset();
    const auto appended = log.append(batch, LeaderEpoch(epoch_), now_);
    if (!appended) {
      REQUIRE(machine_.crashed());
      model_.in_doubt = {expected, std::move(batch)};
      return;
    }
    REQUIRE(appended->appended());
    REQUIRE(appended->first_offset == expected);
    model_.batches.emplace_back(expected, std::move(batch));
    if (random_.below(15) == 0) ++epoch_;
  }

  void flush(Log& log) {
    const auto job = log.begin_flush(random_.below(2) == 0);
    if (!job || !job->run()) return;
    log.complete_flush(*job);
    model_.durable = log.durable_end();
    // The checkpoint that the broker writes now and then may lag behind.
    if (random_.below(2) == 0) recovery_point_ = log.recovery_point();
  }

  void retain(Log& log) {
    const auto renamed = log.delete_old_segments(now_, log.log_end_offset());
    if (!renamed) {
      REQUIRE(machine_.crashed());
      retaining_ = true;  // some of it may have happened
      return;
    }
    // The broker records the new start before the files go for good.
    model_.drop_before(log.log_start_offset());
    for (const std::string& path : *renamed) {
      if (!machine_.remove(path)) return;
    }
  }

  void truncate(Log& log) {
    if (model_.batches.size() < 3) return;
    const Offset to = model_.batches[model_.batches.size() - 2].first;
    // From here on the end is in doubt until the truncation has been flushed, so it is flushed at once.
    const Offset durable = std::min(model_.durable, to);
    const std::vector<std::pair<Offset, Bytes>> tail(model_.batches.end() - 2, model_.batches.end());
    model_.batches.resize(model_.batches.size() - 2);
    model_.durable = durable;
    recovery_point_ = std::min(recovery_point_, to);
    truncating_ = tail;
    if (!log.truncate_to(to)) {
      REQUIRE(machine_.crashed());
      return;
    }
    REQUIRE(log.log_end_offset() == to);
    const auto job = log.begin_flush(false);
    if (!job || !job->run()) return;
    log.complete_flush(*job);
    model_.durable = log.durable_end();
    truncating_.clear();
  }

  std::string check(Log& log) {
    const Bytes content = read_all(log);
    ByteView rest = content;
    std::vector<std::pair<Offset, Bytes>> expected = model_.batches;
    // What was being truncated or appended may be there still.
    for (const auto& batch : truncating_) expected.push_back(batch);
    if (truncating_.empty() && model_.in_doubt) expected.push_back(*model_.in_doubt);
    std::vector<std::pair<Offset, Bytes>> found;
    Offset at = log.log_start_offset();
    if (retaining_) model_.drop_before(log.log_start_offset());
    retaining_ = false;
    for (const auto& [offset, bytes] : expected) {
      if (offset < log.log_start_offset()) {
        if (offset >= model_.start) return fmt::format("offset {} lies before the log's start", offset.value());
        continue;
      }
      if (rest.empty()) break;
      const auto batch = protocol::RecordBatchView::parse(rest);
      if (!batch) return "a batch that cannot be parsed was served";
      if (!batch->crc_is_valid()) return fmt::format("offset {} was served with a wrong crc", offset.value());
      if (batch->base_offset() != at) return fmt::format("offset {} follows {}", batch->base_offset().value(), at.value());
      if (!std::ranges::equal(batch->bytes(), bytes)) {
        const auto wanted = protocol::RecordBatchView::parse(bytes);
        return fmt::format("offset {} has other bytes: {} to {} of epoch {}, {} bytes; appended was {} to {} of epoch {}, {} bytes",
                           offset.value(), batch->base_offset().value(), batch->last_offset().value(),
                           batch->leader_epoch().value(), batch->size_bytes(), wanted->base_offset().value(),
                           wanted->last_offset().value(), wanted->leader_epoch().value(), wanted->size_bytes());
      }
      at = batch->next_offset();
      found.emplace_back(offset, bytes);
      rest = rest.subspan(batch->size_bytes());
    }
    if (!rest.empty()) return fmt::format("{} bytes more than were ever appended", rest.size());
    const Offset must_reach = crash_ == Crash::kKill
                                  ? (model_.batches.empty() ? model_.start : protocol::RecordBatchView::parse(model_.batches.back().second)->next_offset())
                                  : model_.durable;
    if (log.log_end_offset() < must_reach) {
      return fmt::format("the log ends at {}, acknowledged was up to {}", log.log_end_offset().value(), must_reach.value());
    }
    // The producers' state must be what a replay of the log gives, as far as it is still there.
    ProducerState replayed;
    for (const auto& [offset, bytes] : found) replayed.replay(*protocol::RecordBatchView::parse(bytes));
    for (const auto& [producer, entry] : replayed.producers()) {
      const auto known = log.producers().producers().find(producer);
      if (known == log.producers().producers().end()) return fmt::format("producer {} is forgotten", producer.value());
      if (known->second.batches.back() != entry.batches.back()) {
        return fmt::format("producer {} has another last batch", producer.value());
      }
    }
    model_.batches = std::move(found);
    model_.start = log.log_start_offset();
    model_.durable = std::min(model_.durable, log.log_end_offset());
    model_.in_doubt.reset();
    truncating_.clear();
    return "";
  }

  SeededRandom random_;
  SimulatedFileSystem machine_;
  const Crash crash_;
  LogConfig config_;
  Model model_;
  std::vector<std::pair<Offset, Bytes>> truncating_;
  Offset recovery_point_{0};
  bool retaining_ = false;
  Timestamp now_{1'000'000};
  std::int32_t epoch_ = 1;
};

// Goes on from a recovery point, appends and flushes until the power is cut. The recovery point that the checkpoint names then.
Offset write_until_cut(SimulatedFileSystem& machine, const LogConfig& config, SeededRandom& random,
                       Offset recovery_point) {
  Timestamp now{1000};
  auto opened = Log::open(machine, {.directory = kDirectory, .config = config, .recovery_point = recovery_point}, now);
  while (opened && !machine.crashed()) {
    Log& log = **opened;
    now = now + 3;
    Bytes batch = test::raw_batch({.timestamp = now, .payload_bytes = random.below(150)});
    if (!log.append(batch, LeaderEpoch(1), now)) break;
    if (random.below(3) > 0) {
      const auto job = log.begin_flush(false);
      if (!job || !job->run()) break;
      log.complete_flush(*job);
    }
    if (random.below(3) == 0) recovery_point = log.recovery_point();
    if (random.below(20) == 0 && !log.roll(now)) break;
  }
  return recovery_point;
}

// A start and a clean stop. Its recovery point is the end of the log.
Offset stop_clean(SimulatedFileSystem& machine, const LogConfig& config, Offset recovery_point) {
  auto opened = Log::open(machine, {.directory = kDirectory, .config = config, .recovery_point = recovery_point},
                          Timestamp(1000));
  REQUIRE(opened);
  REQUIRE((*opened)->close_clean());
  return (*opened)->recovery_point();
}

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

void run_seeds(Crash crash) {
  log::set_level(log::Level::kError);
  const std::uint64_t only = from_environment("KURIER_SEED", 0);
  const std::uint64_t first = only != 0 ? only : 1;
  const std::uint64_t last = only != 0 ? only : from_environment("KURIER_SEEDS", 2000);
  for (std::uint64_t seed = first; seed <= last; ++seed) {
    const Outcome outcome = Run(seed, crash, false, 0).run();
    if (!outcome.fault.empty()) {
      FAIL("seed " << seed << ": " << outcome.fault << "\n  replay: KURIER_SEED=" << seed << " build/debug/tests/simulation_storage");
    }
  }
  SUCCEED();
}

}  // namespace

TEST_CASE("after a kill at any change everything acknowledged is served") { run_seeds(Crash::kKill); }

TEST_CASE("after a power cut at any change everything flushed is served") { run_seeds(Crash::kPowerCut); }

// They are not looked at by the start: who is served from them must be.
TEST_CASE("after a power cut the indexes are whole of every segment before that of the recovery point") {
  log::set_level(log::Level::kError);
  std::size_t checked = 0;
  for (std::uint64_t seed = 1; seed <= 500; ++seed) {
    SeededRandom random(seed);
    SimulatedFileSystem machine(seed);
    LogConfig config;
    config.segment_bytes = 400 + random.below(1500);
    config.index_interval_bytes = random.below(200);
    Offset recovery_point{0};
    for (int life = 1; life <= 3; ++life) {
      machine.crash_at(machine.changes() + 20 + random.below(400));
      recovery_point = write_until_cut(machine, config, random, recovery_point);
      machine.restart(Crash::kPowerCut);
      std::vector<Offset> bases;  // of what lies at or before the recovery point
      for (const auto& entry : machine.list(kDirectory).value_or(std::vector<FileSystem::Entry>{})) {
        if (!entry.name.ends_with(kLogSuffix)) continue;
        const Offset base(std::stoll(entry.name));
        if (base <= recovery_point) bases.push_back(base);
      }
      for (std::size_t i = 0; i + 1 < bases.size(); ++i, ++checked) {
        INFO("seed " << seed << ", life " << life << ", segment " << bases[i].value() << ", recovery point "
                     << recovery_point.value());
        REQUIRE(test::indexes_are_whole(machine, kDirectory, bases[i], config));
      }
      if (random.below(3) == 0) recovery_point = stop_clean(machine, config, recovery_point);
    }
  }
  REQUIRE(checked > 500);
}

TEST_CASE("a crash at each single change of one workload") {
  log::set_level(log::Level::kError);
  for (std::uint64_t change = 1; change <= 400; ++change) {
    for (const Crash crash : {Crash::kKill, Crash::kPowerCut}) {
      const Outcome outcome = Run(77, crash, false, change).run();
      INFO("crash at change " << change);
      REQUIRE(outcome.fault == "");
    }
  }
}

TEST_CASE("the same seed gives the same trace") {
  log::set_level(log::Level::kError);
  for (const std::uint64_t seed : {1U, 2U, 3U}) {
    const Outcome first = Run(seed, Crash::kPowerCut, false, 0).run();
    const Outcome second = Run(seed, Crash::kPowerCut, false, 0).run();
    REQUIRE(first.trace_hash == second.trace_hash);
    REQUIRE(first.changes == second.changes);
  }
  REQUIRE(Run(1, Crash::kPowerCut, false, 0).run().trace_hash != Run(2, Crash::kPowerCut, false, 0).run().trace_hash);
}

TEST_CASE("the checker sees a disk that does not sync") {
  log::set_level(log::Level::kError);
  std::size_t caught = 0;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    if (!Run(seed, Crash::kPowerCut, true, 0).run().fault.empty()) ++caught;
  }
  REQUIRE(caught > 10);
}
