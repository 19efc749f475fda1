// cleaner_tool: what kurier's log and cleaner make of the scripts that CleanerCases.java has written.
//   cleaner_tool DIRECTORY
// performs DIRECTORY/<case>/script in DIRECTORY/<case>/kurier for every case; what is there after each `clean` step is kept
// in DIRECTORY/<case>/kurier.<step>. The steps are described in CleanerCases.java.
#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "broker/net/posix_file_system.h"
#include "storage/checkpoint_file.h"
#include "storage/log.h"
#include "tests/support/cleaning.h"

using namespace kurier;
using namespace kurier::storage;
namespace fs = std::filesystem;

namespace {

constexpr const char* kPartition = "cleaned-0";

std::int64_t number(const std::string& text) { return std::stoll(text); }

Bytes from_hex(const std::string& text) {
  Bytes bytes(text.size() / 2);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::uint8_t value = 0;
    std::from_chars(text.data() + 2 * i, text.data() + 2 * i + 2, value, 16);
    bytes[i] = std::byte{value};
  }
  return bytes;
}

class Case {
 public:
  explicit Case(fs::path directory)
      : directory_(std::move(directory)), logs_(directory_ / "kurier"), trace_(directory_ / "trace.kurier") {}

  Result<void> perform() {
    std::ifstream script(directory_ / "script");
    int count = 0;
    for (std::string line; std::getline(script, line);) {
      ++count;
      std::istringstream words(line);
      std::string step, first, second;
      words >> step >> first >> second;
      if (step == "set") {
        set(first, second);
        continue;
      }
      now_ = Timestamp(number(first));
      if (!log_) TRY(open(Offset(0), Offset(0), std::nullopt));
      TRY(perform_step(step, second, count));
      TRY(trace(step, count));
    }
    return log_->close_clean();
  }

 private:
  void set(const std::string& name, const std::string& value) {
    if (name == "segment.bytes") config_.segment_bytes = static_cast<std::uint64_t>(number(value));
    if (name == "segment.index.bytes") config_.index_bytes_max = static_cast<std::uint64_t>(number(value));
    if (name == "index.interval.bytes") config_.index_interval_bytes = static_cast<std::uint64_t>(number(value));
    if (name == "delete.retention.ms") config_.delete_retention_ms = number(value);
    if (name == "min.compaction.lag.ms") config_.min_compaction_lag_ms = number(value);
    if (name == "max.compaction.lag.ms") config_.max_compaction_lag_ms = number(value);
    if (name == "min.cleanable.dirty.ratio") config_.min_cleanable_dirty_ratio = std::stod(value);
    if (name == "retention.bytes") config_.retention_bytes = number(value);
    if (name == "cleanup.policy") {
      config_.compact = value.find("compact") != std::string::npos;
      config_.delete_old = value.find("delete") != std::string::npos;
    }
    if (name == "map.bytes") limits_.map_bytes = static_cast<std::uint64_t>(number(value));
    if (name == "load.factor") limits_.map_load_factor = std::stod(value);
    if (name == "buffer.bytes") limits_.buffer_bytes = static_cast<std::uint64_t>(number(value));
  }

  Result<void> open(Offset start, Offset recovered, std::optional<Offset> cleaned_to) {
    LogOptions options{(logs_ / kPartition).string(), config_, start, recovered, true, cleaned_to};
    TRY_ASSIGN(log_, Log::open(files_, std::move(options), now_));
    log_->high_watermark_is(log_->log_end_offset());
    return {};
  }

  Result<void> perform_step(const std::string& step, const std::string& argument, int count) {
    if (step == "append") {
      TRY(log_->append_as_follower(from_hex(argument), now_));
      log_->high_watermark_is(log_->log_end_offset());
    } else if (step == "roll") {
      TRY(log_->roll(now_));
    } else if (step == "start") {
      TRY(log_->set_log_start_offset(Offset(number(argument))));
    } else if (step == "truncate") {
      // As before a cleaning in a broker: gaps of compaction lie before the recovery point.
      TRY_ASSIGN(const FlushJob job, log_->begin_flush(false));
      TRY(job.run());
      log_->complete_flush(job);
      TRY(log_->truncate_to(std::max(Offset(number(argument)), log_->log_start_offset()), now_));
      log_->high_watermark_is(log_->log_end_offset());
    } else if (step == "expire") {
      log_->expire_producers(now_);
    } else if (step == "retain") {
      TRY_ASSIGN(const auto old, log_->delete_old_segments(now_, log_->log_end_offset()));
      for (const std::string& path : old) TRY(files_.remove(path));
    } else if (step == "restart") {
      TRY(log_->close_clean());
      const Offset start = log_->log_start_offset();
      const Offset end = log_->log_end_offset();
      const auto cleaned_to = log_->cleaned_to();
      TRY(open(start, end, cleaned_to));
    } else if (step == "clean") {
      return clean(count);
    } else {
      return fail(Failure::kInvalid, "unknown step " + step);
    }
    return {};
  }

  // The segments as they are on the disk.
  Result<void> trace(const std::string& step, int count) {
    trace_ << count << ' ' << step << ':';
    TRY_ASSIGN(const auto entries, files_.list((logs_ / kPartition).string()));
    for (const auto& entry : entries) {
      if (entry.name.ends_with(kLogSuffix)) trace_ << ' ' << std::stoll(entry.name);
    }
    trace_ << " to " << log_->log_end_offset().value() << '\n';
    return {};
  }

  // Of a transaction that began before the log's start Apache Kafka takes for the first unstable offset where the next batch
  // begins that is still there.
  Result<Offset> last_stable_offset() {
    const auto unstable = log_->first_unstable_offset();
    if (!unstable || *unstable > log_->log_start_offset()) return unstable.value_or(log_->log_end_offset());
    TRY_ASSIGN(const LogRead next, log_->read(*unstable, 1 << 20, log_->log_end_offset(), true));
    if (next.first_batch_bytes == 0) return log_->log_end_offset();
    Bytes header(protocol::kBatchHeaderBytes);
    TRY(next.slice.file->read_at(next.slice.position, header));
    TRY_ASSIGN(const auto batch, protocol::RecordBatchView::parse_header(header));
    return std::max(*unstable, batch.base_offset());
  }

  Result<void> clean(int count) {
    std::string rounds;
    while (true) {
      TRY_ASSIGN(const Offset stable, last_stable_offset());
      TRY_ASSIGN(const CleanerAssessment assessment, log_->assess_cleaning(stable, now_));
      if (!assessment.is_due) break;
      TRY_ASSIGN(const auto cleaned, test::clean(*log_, files_, now_, stable, limits_));
      if (!cleaned) break;
      rounds += fmt::format("{}\n", cleaned->cleaned_to.value());
    }
    rounds += fmt::format("cleaned to {} of {} to {}\n", log_->cleaned_to().value_or(Offset(-1)).value(),
                          log_->log_start_offset().value(), log_->log_end_offset().value());
    const fs::path kept = directory_ / fmt::format("kurier.{:04}", count);
    fs::create_directories(kept);
    std::ofstream(kept / "rounds") << rounds;
    const std::string active = fmt::format("{:020}", log_->active_base_offset().value());
    for (const auto& each : fs::directory_iterator(logs_ / kPartition)) {
      const std::string name = each.path().filename();
      if (name != active + ".index" && name != active + ".timeindex") fs::copy(each.path(), kept / name);
    }
    if (!log_->cleaned_to()) return {};
    return write_offset_checkpoint(files_, (kept / "cleaner-offset-checkpoint").string(),
                                   {{{"cleaned", PartitionIndex(0)}, *log_->cleaned_to()}});
  }

  const fs::path directory_;
  const fs::path logs_;
  std::ofstream trace_;
  net::PosixFileSystem files_;
  LogConfig config_;
  CleaningLimits limits_{.hash_key = {1, 2}};
  Timestamp now_;
  std::unique_ptr<Log> log_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  int failed = 0;
  for (const auto& each : fs::directory_iterator(argv[1])) {
    if (!fs::exists(each.path() / "script")) continue;
    if (const Result<void> done = Case(each.path()).perform(); !done) {
      fmt::print("FAILED\t{}\tkurier: {}\n", each.path().filename().string(), done.error().context);
      ++failed;
    }
  }
  return failed == 0 ? 0 : 1;
}
