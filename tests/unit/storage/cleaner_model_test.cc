// Random compacted logs, cleaned again and again, against a naive compactor that works on decoded batches.
//
// KURIER_SEED=<n> runs one seed alone; KURIER_SEEDS=<count> says how many (default 150).
#include <catch2/catch.hpp>
#include <cstdlib>
#include <set>

#include "tests/simulation/simulated_file_system.h"
#include "tests/support/cleaning.h"
#include "tests/support/compacted_workload.h"

using namespace kurier;
using namespace kurier::storage;
using test::DecodedBatch;
using test::Fate;
using test::WorkloadBatch;

namespace {

constexpr const char* kDirectory = "/d/t-0";

// The rules in the words of a reader who has the whole log in memory.
class NaiveCompactor {
 public:
  NaiveCompactor(const test::CompactedWorkload& workload, std::vector<WorkloadBatch>& log)
      : workload_(workload), log_(log) {}

  struct Round {
    Offset segments_end;  // the segments before it were cleaned
    Offset keys_end;      // the keys before it were known
    Offset high_watermark;
    Timestamp now;
    std::int64_t delete_retention_ms;
  };
  void clean(const Round& round) {
    std::map<std::string, Offset> latest;
    std::map<ProducerId, Offset> last_data;
    std::set<int> has_data;
    for (const WorkloadBatch& batch : log_) {
      if (batch.content.control) continue;
      if (batch.content.producer.value() >= 0) last_data[batch.content.producer] = batch.content.last;
      if (batch.transaction >= 0) has_data.insert(batch.transaction);
      if (workload_.fate(batch) == Fate::kAborted) continue;
      for (const auto& record : batch.content.records) {
        if (record.key && record.offset < round.keys_end) latest[*record.key] = record.offset;
      }
    }
    std::vector<WorkloadBatch> kept;
    for (WorkloadBatch batch : log_) {
      DecodedBatch& content = batch.content;
      if (content.base >= round.segments_end) {
        kept.push_back(batch);
        continue;
      }
      const bool passed = content.delete_horizon && *content.delete_horizon <= round.now.value();
      const bool marker_is_free = content.control && !has_data.contains(batch.transaction);
      const bool aborted = !content.control && workload_.fate(batch) == Fate::kAborted;
      if (aborted || (marker_is_free && passed)) content.records.clear();
      std::erase_if(content.records, [&](const test::DecodedRecord& record) {
        if (content.control || record.offset >= round.keys_end) return false;
        if (!record.key || record.offset < latest[*record.key]) return true;
        return !record.value && passed;
      });
      if (content.records.empty()) {
        const auto last = last_data.find(content.producer);
        const bool stays =
            content.last + 1 == round.high_watermark || (last != last_data.end() && last->second == content.last);
        if (!stays) continue;
        content.codec = protocol::Codec::kNone;
        content.delete_horizon.reset();
        kept.push_back(batch);
        continue;
      }
      const bool tombstone = std::ranges::any_of(content.records, [](const auto& record) { return !record.value; });
      const bool gets_horizon = !content.delete_horizon && (tombstone || marker_is_free);
      if (gets_horizon) content.delete_horizon = round.now.value() + round.delete_retention_ms;
      const bool rewritten = gets_horizon || content.records.size() < original_count(content);
      if (rewritten && !is_append_time(content)) {
        content.max_timestamp = -1;
        for (const auto& record : content.records)
          content.max_timestamp = std::max(content.max_timestamp, record.timestamp.value());
      }
      kept.push_back(batch);
    }
    log_ = std::move(kept);
  }

 private:
  // How many records the batch had before this round.
  std::size_t original_count(const DecodedBatch& content) const {
    const auto found =
        std::ranges::find(log_, content.base, [](const WorkloadBatch& batch) { return batch.content.base; });
    return found->content.records.size();
  }
  // All records of a batch with log append time have the batch's time.
  bool is_append_time(const DecodedBatch& content) const {
    const auto found = std::ranges::find(workload_.batches(), content.base,
                                         [](const WorkloadBatch& batch) { return batch.content.base; });
    return std::ranges::all_of(found->content.records, [&](const auto& record) {
      return record.timestamp.value() == found->content.max_timestamp;
    });
  }

  const test::CompactedWorkload& workload_;
  std::vector<WorkloadBatch>& log_;
};

std::string differences(const std::vector<DecodedBatch>& found, const std::vector<DecodedBatch>& wanted) {
  const auto text = [](const DecodedBatch& batch) {
    std::string all = std::to_string(batch.base.value()) + ".." + std::to_string(batch.last.value()) + " producer " +
                      std::to_string(batch.producer.value()) + "/" + std::to_string(batch.base_sequence) + " codec " +
                      std::to_string(static_cast<int>(batch.codec)) + " horizon " +
                      std::to_string(batch.delete_horizon.value_or(-1)) + " max " +
                      std::to_string(batch.max_timestamp) + (batch.control ? " control" : "") + ":";
    for (const auto& record : batch.records) {
      all += " " + std::to_string(record.offset.value()) + (record.key ? batch.control ? "marker" : *record.key : "") +
             (record.value ? "=" : "") + "@" + std::to_string(record.timestamp.value());
    }
    return all;
  };
  std::string all;
  for (std::size_t i = 0; i < std::max(found.size(), wanted.size()); ++i) {
    const std::string left = i < found.size() ? text(found[i]) : "nothing";
    const std::string right = i < wanted.size() ? text(wanted[i]) : "nothing";
    if (i < found.size() && i < wanted.size() && found[i] == wanted[i]) continue;
    all += "\n  found  " + left + "\n  wanted " + right;
    if (all.size() > 2000) break;
  }
  return all;
}

class Run {
 public:
  explicit Run(std::uint64_t seed) : random_(seed), workload_(seed ^ 0xc1ea9) {
    config_.compact = true;
    config_.delete_old = false;
    config_.index_interval_bytes = random_.below(300);
    config_.segment_bytes = 600 + random_.below(1500);
    config_.delete_retention_ms = static_cast<std::int64_t>(random_.below(200));
    open(std::nullopt);
  }

  void run() {
    for (int step = 0; step < 120; ++step) {
      now_ = now_ + static_cast<std::int64_t>(random_.below(20));
      const std::uint64_t action = random_.below(12);
      if (action < 10) {
        auto next = workload_.next(now_);
        const auto result = log_->append(next.bytes, LeaderEpoch(step / 40), now_, AppendOrigin::kCoordinator);
        REQUIRE(result);
        workload_.appended(next);
        expected_.push_back(workload_.batches().back());
      } else if (action == 10) {
        REQUIRE(log_->roll(now_));
        clean();
      } else {
        if (random_.below(2) == 0) REQUIRE(log_->close_clean());
        open(log_->cleaned_to());
      }
      if (action >= 10) check();
    }
  }

 private:
  void open(std::optional<Offset> cleaned_to) {
    log_.reset();
    auto opened = Log::open(files_, {.directory = kDirectory, .config = config_, .cleaned_to = cleaned_to}, now_);
    REQUIRE(opened);
    log_ = std::move(*opened);
    log_->high_watermark_is(log_->log_end_offset());
  }

  std::vector<Offset> segment_bases() {
    std::vector<Offset> bases;
    for (const auto& entry : *files_.list(kDirectory)) {
      if (entry.name.ends_with(".log")) bases.push_back(Offset(std::stoll(entry.name)));
    }
    return bases;
  }

  void clean() {
    log_->high_watermark_is(log_->log_end_offset());
    CleaningLimits limits;
    if (random_.below(2) == 0) limits.map_bytes = 24 * (2 + random_.below(12));
    limits.hash_key = {random_.next(), random_.next()};
    limits.buffer_bytes = 16 * 1024;
    const std::vector<Offset> bases = segment_bases();
    const Offset stable = log_->first_unstable_offset().value_or(log_->log_end_offset());
    const auto assessment = log_->assess_cleaning(stable, now_);
    REQUIRE(assessment);
    const auto cleaned = test::clean(*log_, files_, now_, stable, limits, random_.below(2) == 0 ? UINT64_MAX : 500);
    if (!cleaned) FAIL(cleaned.error().context);
    if (!cleaned->has_value()) return;
    const Offset end = (*cleaned)->cleaned_to;
    REQUIRE(end > assessment->first_dirty_offset);
    REQUIRE(end <= assessment->first_uncleanable_offset);
    if (limits.map_bytes > 24 * 100) REQUIRE(end == assessment->first_uncleanable_offset);
    const auto next = std::ranges::lower_bound(bases, end);
    NaiveCompactor(workload_, expected_)
        .clean({next == bases.end() ? log_->log_end_offset() : *next, end, log_->log_end_offset(), now_,
                config_.delete_retention_ms});
  }

  void check() {
    std::vector<DecodedBatch> wanted;
    for (const WorkloadBatch& batch : expected_) wanted.push_back(batch.content);
    const std::string found = differences(test::content_of(*log_), wanted);
    if (!found.empty()) FAIL("the log is not as expected" << found);
    // Every offset can be read from, and answers with the batch that has it or the next one.
    for (Offset at = log_->log_start_offset(); at < log_->log_end_offset(); ++at) {
      const auto read = log_->read(at, 1, log_->log_end_offset(), true);
      REQUIRE(read);
      Bytes bytes(read->slice.size_bytes);
      REQUIRE(read->slice.file->read_at(read->slice.position, bytes) == bytes.size());
      const auto batch = protocol::RecordBatchView::parse(bytes);
      REQUIRE(batch);
      const auto next = std::ranges::find_if(wanted, [&](const DecodedBatch& one) { return one.last >= at; });
      REQUIRE(batch->base_offset() == next->base);
    }
    // What a reader with read_committed must leave out is in the index.
    const auto aborted = log_->aborted_transactions(log_->log_start_offset(), log_->log_end_offset());
    REQUIRE(aborted);
    for (const WorkloadBatch& batch : expected_) {
      if (batch.content.control || batch.content.records.empty() || workload_.fate(batch) != Fate::kAborted) continue;
      REQUIRE(std::ranges::any_of(*aborted, [&](const AbortedTransaction& one) {
        return one.producer_id == batch.content.producer && one.first_offset <= batch.content.base &&
               one.last_offset > batch.content.last;
      }));
    }
  }

  SeededRandom random_;
  simulation::SimulatedFileSystem files_{1};
  LogConfig config_;
  std::unique_ptr<Log> log_;
  test::CompactedWorkload workload_;
  std::vector<WorkloadBatch> expected_;
  Timestamp now_{1000};
};

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

}  // namespace

TEST_CASE("random logs are cleaned as a naive compactor cleans them") {
  const std::uint64_t only = from_environment("KURIER_SEED", 0);
  const std::uint64_t last = only != 0 ? only : from_environment("KURIER_SEEDS", 150);
  for (std::uint64_t seed = only != 0 ? only : 1; seed <= last; ++seed) {
    INFO("seed " << seed << "; replay: KURIER_SEED=" << seed << " build/release/tests/unit_storage 'random logs*'");
    Run(seed).run();
  }
}
