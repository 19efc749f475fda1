// A log that is cleaned while it grows, on a machine that dies at some change: afterwards the old segments or the new ones are
// there, and nothing that has to survive a cleaning is missing.
//
// KURIER_SEED=<n> runs one seed alone; KURIER_SEEDS=<count> says how many (default 1000).
#include <fmt/core.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <map>
#include <set>

#include "base/log.h"
#include "storage/log.h"
#include "tests/simulation/simulated_file_system.h"
#include "tests/support/compacted_workload.h"

using namespace kurier;
using namespace kurier::storage;
using simulation::Crash;
using simulation::SimulatedFileSystem;
using test::DecodedBatch;
using test::DecodedRecord;
using test::Fate;
using test::WorkloadBatch;

namespace {

constexpr const char* kDirectory = "/data/t-0";

// Planted bugs, to show that the checker sees them.
enum class Bug { kNone, kNoSyncAtAll, kNoSyncBetweenSteps, kForgetsAborted, kTakesGapsForWhole };

struct Outcome {
  std::string fault;  // empty: everything that had to be there was there
  std::uint64_t trace_hash = 0;
  std::uint64_t changes = 0;
  std::uint64_t swaps = 0;
};

class Run {
 public:
  Run(std::uint64_t seed, Crash crash, Bug bug = Bug::kNone, std::uint64_t crash_at = 0)
      : random_(seed), machine_(seed ^ 0x5eed), crash_(crash), bug_(bug), workload_(seed ^ 0xc1ea9) {
    machine_.bugs.sync_does_nothing = bug == Bug::kNoSyncAtAll;
    machine_.crash_at(crash_at != 0 ? crash_at : 60 + random_.below(600));
    config_.compact = true;
    config_.delete_old = false;
    config_.segment_bytes = 700 + random_.below(1200);
    config_.index_interval_bytes = random_.below(400);
    config_.delete_retention_ms = random_.below(2) == 0 ? 50 : std::int64_t{1} << 40;
    cleans_before_recovery_point_ = random_.below(2) == 0;
    turns_off_ = random_.below(3) == 0;
  }

  Outcome run() {
    Outcome outcome;
    for (int life = 0; life < 3 && outcome.fault.empty(); ++life) {
      live();
      machine_.restart(crash_);
      auto log = Log::open(machine_, options(), now_);
      outcome.fault = log ? check(**log) : "recovery failed: " + log.error().context;
      if (log) recovery_point_ = (*log)->recovery_point();
      machine_.crash_at(machine_.changes() + 40 + random_.below(500));
      // What was compacted stays so when the topic is not compacted any more.
      if (turns_off_ && cleaned_to_) config_.compact = false;
    }
    outcome.trace_hash = machine_.trace_hash();
    outcome.changes = machine_.changes();
    outcome.swaps = swaps_;
    return outcome;
  }

 private:
  enum class Stage { kIdle, kRunning, kOffered, kOfferedAndSynced, kTaken, kTakenAndSynced };

  LogOptions options() const {
    return {.directory = kDirectory,
            .config = config_,
            .log_start_offset = start_,
            .recovery_point = recovery_point_,
            .cleaned_to = cleaned_to_,
            .cleaned_before_recovery_point = cleans_before_recovery_point_ && bug_ != Bug::kTakesGapsForWhole};
  }

  void live() {
    auto opened = Log::open(machine_, options(), now_);
    if (!opened) return;
    Log& log = **opened;
    log.high_watermark_is(log.log_end_offset());
    stage_ = Stage::kIdle;
    cleaning_.reset();
    while (!machine_.crashed()) {
      now_ = now_ + 3;
      const std::uint64_t action = random_.below(40);
      if (action < 18) {
        append(log);
      } else if (action < 19) {
        if (!log.roll(now_)) break;
      } else if (action < 21) {
        flush(log);
      } else if (action < 22) {
        retain(log);
      } else {
        clean(log);
      }
    }
    cleaning_.reset();
  }

  void append(Log& log) {
    auto next = workload_.next(now_);
    const auto appended = log.append(next.bytes, LeaderEpoch(1), now_, AppendOrigin::kCoordinator);
    if (!appended) {
      REQUIRE(machine_.crashed());
      in_doubt_ = std::move(next);
      return;
    }
    workload_.appended(next);
    log.high_watermark_is(log.log_end_offset());
  }

  void flush(Log& log) {
    const auto job = log.begin_flush(false);
    if (!job || !job->run()) return;
    log.complete_flush(*job);
    durable_ = log.durable_end();
    if (random_.below(2) == 0) recovery_point_ = log.recovery_point();
  }

  void retain(Log& log) {
    if (random_.below(4) != 0 || log.segment_count() < 4) return;
    const Offset stable = log.first_unstable_offset().value_or(log.log_end_offset());
    const Offset to = std::min(stable, log.log_start_offset() + static_cast<std::int64_t>(random_.below(20)));
    if (!log.set_log_start_offset(to)) return;
    const auto renamed = log.delete_old_segments(now_, log.log_end_offset());
    if (!renamed) {
      REQUIRE(machine_.crashed());
      start_may_be_ = log.log_start_offset();
      return;
    }
    start_ = start_may_be_ = log.log_start_offset();
    for (const std::string& path : *renamed) {
      if (!machine_.remove(path)) return;
    }
  }

  // One step of a cleaning; other things happen between two.
  void clean(Log& log) {
    switch (stage_) {
      case Stage::kIdle: return begin(log);
      case Stage::kRunning: {
        const auto progress = cleaning_->run(random_.below(2) == 0 ? 400 : UINT64_MAX);
        if (!progress) {
          REQUIRE((machine_.crashed() || progress.error().failure == Failure::kCancelled));
          return end();
        }
        if (*progress == Cleaning::Progress::kMore) return;
        if (*progress == Cleaning::Progress::kFinished) {
          log.cleaning_has_reached(cleaning_->cleaned_to());
          cleaned_to_ = log.cleaned_to();
          return end();
        }
        const auto offered = log.offer_cleaned(cleaning_->take_group());
        if (!offered || !*offered) return end();
        stage_ = Stage::kOffered;
        return;
      }
      case Stage::kOffered: return sync(Stage::kOfferedAndSynced);
      case Stage::kOfferedAndSynced: {
        const auto old = log.take_cleaned();
        if (!old) return;
        ++swaps_;
        for (const std::string& path : *old) to_remove_.push_back(path);
        stage_ = Stage::kTaken;
        return;
      }
      case Stage::kTaken: return sync(Stage::kTakenAndSynced);
      case Stage::kTakenAndSynced: {
        if (!log.settle_cleaned()) return;
        stage_ = Stage::kRunning;
        if (!machine_.sync_directory(kDirectory)) return;
        for (const std::string& path : to_remove_) {
          if (!machine_.remove(path)) break;
        }
        to_remove_.clear();
        return;
      }
    }
  }

  void sync(Stage then) {
    if (bug_ != Bug::kNoSyncBetweenSteps && !machine_.sync_directory(kDirectory)) return;
    stage_ = then;
  }

  void begin(Log& log) {
    if (!config_.compact) return;
    // What a power cut takes away must not have been the reason why something else could go.
    if (crash_ == Crash::kPowerCut || cleans_before_recovery_point_) flush(log);
    if (cleans_before_recovery_point_) recovery_point_ = log.recovery_point();
    const Offset stable = log.first_unstable_offset().value_or(log.log_end_offset());
    const auto assessment = log.assess_cleaning(stable, now_);
    if (!assessment || assessment->cleanable_bytes == 0) return;
    auto job = log.begin_cleaning(*assessment, now_);
    if (!job) return;
    if (bug_ == Bug::kForgetsAborted) job->aborted.clear();
    CleaningLimits limits;
    if (random_.below(3) == 0) limits.map_bytes = 24 * (3 + random_.below(10));
    cleanable_to_ = std::max(cleanable_to_, assessment->first_uncleanable_offset);
    cleaning_ = std::make_unique<Cleaning>(std::move(*job), limits);
    stage_ = Stage::kRunning;
    to_remove_.clear();
  }

  void end() {
    cleaning_.reset();
    stage_ = Stage::kIdle;
  }

  std::string check(Log& log) {
    const Offset end = log.log_end_offset();
    const Offset acknowledged = workload_.batches().empty() ? start_ : workload_.batches().back().content.last + 1;
    const Offset must_reach = crash_ == Crash::kKill ? acknowledged : durable_;
    if (end < must_reach) return fmt::format("the log ends at {}, it must reach {}", end.value(), must_reach.value());
    if (log.log_start_offset() > start_may_be_) return "the log's start has moved";
    if (in_doubt_ && protocol::RecordBatchView::parse(in_doubt_->bytes)->base_offset() < end)
      workload_.appended(*in_doubt_);
    in_doubt_.reset();
    workload_.forget([&](const DecodedBatch& batch) { return batch.last >= end; });
    start_ = start_may_be_ = log.log_start_offset();
    if (cleaned_to_ && *cleaned_to_ > end) return "the cleaner's checkpoint lies behind the log's end";
    std::string fault = check_batches(log);
    // Of what was not flushed a power cut may take any part, where nobody can say which gaps are compaction's; else the end.
    std::set<Offset> there;
    for (const DecodedBatch& batch : content_) there.insert(batch.base);
    const Offset safe = crash_ == Crash::kKill || cleans_before_recovery_point_ ? end : durable_;
    workload_.forget([&](const DecodedBatch& batch) { return batch.base >= safe && !there.contains(batch.base); });
    durable_ = std::min(durable_, end);
    if (fault.empty()) fault = check_records(log);
    if (fault.empty()) fault = check_transactions(log);
    if (fault.empty()) fault = check_producers(log);
    if (!fault.empty() && std::getenv("KURIER_TELL") != nullptr) tell(log);
    return fault;
  }

  // What is there was appended, once, in order.
  std::string check_batches(Log& log) {
    found_.clear();
    try {
      content_ = test::content_of(log);
    } catch (const std::runtime_error& error) {
      return error.what();
    }
    std::map<Offset, const DecodedBatch*> appended;
    for (const WorkloadBatch& batch : workload_.batches()) appended[batch.content.base] = &batch.content;
    Offset at = log.first_segment_base_offset();
    for (const DecodedBatch& batch : content_) {
      if (batch.base < at) return fmt::format("offset {} follows {}", batch.base.value(), at.value());
      at = batch.last + 1;
      const auto original = appended.find(batch.base);
      if (original == appended.end() || original->second->last != batch.last ||
          original->second->producer != batch.producer || original->second->base_sequence != batch.base_sequence ||
          original->second->control != batch.control) {
        return fmt::format("the batch at {} was never appended so", batch.base.value());
      }
      for (const DecodedRecord& record : batch.records) {
        if (std::ranges::find(original->second->records, record) == original->second->records.end()) {
          return fmt::format("the record at {} was never appended so", record.offset.value());
        }
        found_[record.offset] = &record;
      }
    }
    return "";
  }

  // For KURIER_TELL: what was appended and what is there.
  void tell(Log& log) {
    for (const WorkloadBatch& batch : workload_.batches()) {
      std::string text = fmt::format("{}..{} producer {} fate {}{}:", batch.content.base.value(),
                                     batch.content.last.value(), batch.content.producer.value(),
                                     static_cast<int>(workload_.fate(batch)), batch.content.control ? " control" : "");
      for (const auto& record : batch.content.records) {
        text += fmt::format(" {}{}{}", batch.content.control ? "" : record.key.value_or("-"),
                            record.value ? "" : "(tombstone)", found_.contains(record.offset) ? "+" : "");
      }
      fmt::print(stderr, "{}\n", text);
    }
    for (const auto& entry : *machine_.list(kDirectory)) fmt::print(stderr, "{} {}\n", entry.name, entry.size_bytes);
    for (const auto& one : *log.aborted_transactions(log.log_start_offset(), log.log_end_offset())) {
      fmt::print(stderr, "aborted: producer {} {}..{}\n", one.producer_id.value(), one.first_offset.value(),
                 one.last_offset.value());
    }
  }

  // What is not there has a reason.
  std::string check_records(Log& log) {
    std::map<std::string, Offset> latest;
    for (const WorkloadBatch& batch : workload_.batches()) {
      const Fate fate = workload_.fate(batch);
      if (batch.content.control || fate == Fate::kAborted || fate == Fate::kOpen) continue;
      for (const DecodedRecord& record : batch.content.records) {
        if (record.key && record.offset < cleanable_to_) latest[*record.key] = record.offset;
      }
    }
    for (const WorkloadBatch& batch : workload_.batches()) {
      if (batch.content.control || workload_.fate(batch) == Fate::kAborted) continue;
      for (const DecodedRecord& record : batch.content.records) {
        if (found_.contains(record.offset) || record.offset < start_) continue;
        const bool clean = record.offset < cleanable_to_;
        const bool superseded = record.key && latest.contains(*record.key) && latest[*record.key] > record.offset;
        const bool old_tombstone = record.key && !record.value && config_.delete_retention_ms < 1000;
        if (clean && (!record.key || superseded || old_tombstone)) continue;
        return fmt::format("the record at {} ({}) is missing: cleanable to {}, start {}, end {}, fate {}",
                           record.offset.value(), record.key.value_or("without key"), cleanable_to_.value(),
                           start_.value(), log.log_end_offset().value(), static_cast<int>(workload_.fate(batch)));
      }
    }
    return "";
  }

  std::string check_transactions(Log& log) {
    const auto aborted = log.aborted_transactions(log.log_start_offset(), log.log_end_offset());
    if (!aborted) return "the index of aborted transactions cannot be read";
    std::set<int> with_marker;
    for (const WorkloadBatch& batch : workload_.batches()) {
      if (batch.content.control && found_.contains(batch.content.base)) with_marker.insert(batch.transaction);
    }
    for (const WorkloadBatch& batch : workload_.batches()) {
      const Fate fate = workload_.fate(batch);
      if (batch.content.control || (fate != Fate::kAborted && fate != Fate::kCommitted)) continue;
      const bool is_there = std::ranges::any_of(batch.content.records,
                                                [&](const auto& record) { return found_.contains(record.offset); });
      if (!is_there || batch.content.base < start_) continue;
      if (!with_marker.contains(batch.transaction))
        return fmt::format("the marker for the batch at {} is missing", batch.content.base.value());
      const bool is_known = std::ranges::any_of(*aborted, [&](const AbortedTransaction& one) {
        return one.producer_id == batch.content.producer && one.first_offset <= batch.content.base &&
               one.last_offset > batch.content.last;
      });
      if (is_known != (fate == Fate::kAborted)) {
        return fmt::format("the batch at {} is {}, and the index says otherwise", batch.content.base.value(),
                           fate == Fate::kAborted ? "aborted" : "committed");
      }
    }
    return "";
  }

  std::string check_producers(Log& log) {
    std::map<ProducerId, const DecodedBatch*> last;
    for (const WorkloadBatch& batch : workload_.batches()) {
      if (!batch.content.control && batch.content.producer.value() >= 0) last[batch.content.producer] = &batch.content;
    }
    for (const auto& [producer, batch] : last) {
      if (batch->base < start_) continue;
      const auto known = log.producers().producers().find(producer);
      if (known == log.producers().producers().end() || known->second.batches.empty())
        return fmt::format("producer {} is forgotten", producer.value());
      if (known->second.batches.back().last_offset != batch->last)
        return fmt::format("producer {} has another last batch", producer.value());
    }
    return "";
  }

  SeededRandom random_;
  SimulatedFileSystem machine_;
  const Crash crash_;
  const Bug bug_;
  LogConfig config_;
  test::CompactedWorkload workload_;
  std::optional<test::CompactedWorkload::Next> in_doubt_;
  std::unique_ptr<Cleaning> cleaning_;
  Stage stage_ = Stage::kIdle;
  std::vector<std::string> to_remove_;
  std::vector<DecodedBatch> content_;
  std::map<Offset, const DecodedRecord*> found_;
  Offset start_{0};
  Offset start_may_be_{0};
  Offset durable_{0};
  Offset recovery_point_{0};
  Offset cleanable_to_{0};
  std::optional<Offset> cleaned_to_;
  bool cleans_before_recovery_point_ = false;
  bool turns_off_ = false;
  std::uint64_t swaps_ = 0;
  Timestamp now_{1'000'000};
};

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

void run_seeds(Crash crash) {
  log::set_level(log::Level::kError);
  const std::uint64_t only = from_environment("KURIER_SEED", 0);
  const std::uint64_t last = only != 0 ? only : from_environment("KURIER_SEEDS", 1000);
  std::uint64_t swaps = 0;
  for (std::uint64_t seed = only != 0 ? only : 1; seed <= last; ++seed) {
    INFO("seed " << seed << "; replay: KURIER_SEED=" << seed << " build/release/tests/simulation/simulation_cleaner");
    const Outcome outcome = Run(seed, crash).run();
    REQUIRE(outcome.fault == "");
    swaps += outcome.swaps;
  }
  // The workload does what it is for.
  REQUIRE(swaps > 2 * (last - (only != 0 ? only : 1)));
}

std::size_t caught(Bug bug, Crash crash) {
  log::set_level(log::Level::kError);
  std::size_t count = 0;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    if (!Run(seed, crash, bug).run().fault.empty()) ++count;
  }
  return count;
}

}  // namespace

TEST_CASE("a cleaned log after a kill at any change") { run_seeds(Crash::kKill); }

TEST_CASE("a cleaned log after a power cut at any change") { run_seeds(Crash::kPowerCut); }

TEST_CASE("a crash at each single change of one cleaning workload") {
  log::set_level(log::Level::kError);
  for (std::uint64_t change = 1; change <= 400; ++change) {
    for (const Crash crash : {Crash::kKill, Crash::kPowerCut}) {
      INFO("crash at change " << change);
      REQUIRE(Run(77, crash, Bug::kNone, change).run().fault == "");
    }
  }
}

TEST_CASE("the same seed of a cleaning workload gives the same trace") {
  log::set_level(log::Level::kError);
  const Outcome first = Run(3, Crash::kPowerCut).run();
  const Outcome second = Run(3, Crash::kPowerCut).run();
  REQUIRE(first.trace_hash == second.trace_hash);
  REQUIRE(first.changes == second.changes);
}

TEST_CASE("the checker sees a cleaner on a disk that does not sync") {
  REQUIRE(caught(Bug::kNoSyncAtAll, Crash::kPowerCut) > 20);
}

TEST_CASE("the checker sees a swap without syncs between its steps") {
  REQUIRE(caught(Bug::kNoSyncBetweenSteps, Crash::kPowerCut) > 0);
}

TEST_CASE("the checker sees a cleaner that takes aborted data for committed") {
  REQUIRE(caught(Bug::kForgetsAborted, Crash::kKill) > 20);
}

TEST_CASE("the checker sees a lost end of a segment that is taken for a gap of compaction") {
  REQUIRE(caught(Bug::kTakesGapsForWhole, Crash::kPowerCut) > 0);
}
