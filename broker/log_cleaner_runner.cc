#include "broker/log_cleaner_runner.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace kurier::broker {
namespace {

constexpr std::chrono::milliseconds kBackoffMin(10);
constexpr std::chrono::milliseconds kBackoffMax = std::chrono::hours(24 * 365);

}  // namespace

LogCleanerRunner::LogCleanerRunner(CleanerPorts ports, const config::LogDefaults& config, std::vector<Shard> shards)
    : ports_(std::move(ports)), config_(config), rate_(config.cleaner_io_max_bytes_per_second) {
  for (const Shard& shard : shards) shards_.push_back({shard, {}, {}});
}

void LogCleanerRunner::start() {
  if (!config_.cleaner_enable || config_.cleaner_threads <= 0) return;
  look();
}

// Asks all shards; when all have answered, the dirtiest log of all is begun.
void LogCleanerRunner::look() {
  if (searching_ || waiting_ || running_ >= static_cast<std::size_t>(config_.cleaner_threads)) return;
  searching_ = true;
  const auto search = std::make_shared<Search>(Search{shards_.size(), std::nullopt});
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    shards_[i].executor->post([this, i, search] {
      ports_.home.post([this, search, candidate = dirtiest(i)] {
        if (candidate && (!search->best || candidate->dirty_ratio > search->best->dirty_ratio))
          search->best = candidate;
        if (--search->shards_left == 0) found(search);
      });
    });
  }
}

void LogCleanerRunner::look_later() {
  if (waiting_) return;
  waiting_ = true;
  ports_.timers.start(ports_.clock.monotonic() + std::clamp(config_.cleaner_backoff, kBackoffMin, kBackoffMax), [this] {
    waiting_ = false;
    look();
  });
}

std::optional<LogCleanerRunner::Candidate> LogCleanerRunner::dirtiest(std::size_t shard) {
  ShardState& state = shards_[shard];
  const Timestamp now = ports_.clock.wall();
  std::optional<Candidate> best;
  for (const auto& [id, topic] : state.partitions->topics()) {
    for (const auto& partition : topic.partitions) {
      if (!partition || partition->is_offline() || !partition->log().config().is_cleaned()) continue;
      const PartitionKey key{id, partition->index()};
      if (state.busy.contains(key) || state.uncleanable.contains(key)) continue;
      const auto assessment = partition->log().assess_cleaning(partition->leader().last_stable_offset(), now);
      if (!assessment && is_passing(assessment.error().failure)) {
        LOG_WARN("{} is not looked at by the cleaner now: {}", partition->log().directory(),
                 assessment.error().context);
        continue;
      }
      if (!assessment) {
        LOG_ERROR("{} is not cleaned until the next start: {}", partition->log().directory(),
                  assessment.error().context);
        state.uncleanable.insert(key);
        continue;
      }
      const double ratio = assessment->dirty_ratio();
      if (!assessment->is_due || (best && best->dirty_ratio >= ratio)) continue;
      best = Candidate{shard, partition, key, ratio};
    }
  }
  return best;
}

void LogCleanerRunner::found(const std::shared_ptr<Search>& search) {
  searching_ = false;
  if (!search->best) return look_later();
  ++running_;
  const std::size_t shard = search->best->shard;
  shards_[shard].executor->post(
      [this, candidate = std::move(*search->best)]() mutable { begin(std::move(candidate)); });
  look();  // its question comes to that shard after this
}

storage::Log* LogCleanerRunner::log_of(const Work& work) const {
  const auto partition = work.candidate.partition.lock();
  return partition && !partition->is_offline() ? &partition->log() : nullptr;
}

void LogCleanerRunner::begin(Candidate candidate) {
  const auto work = std::make_shared<Work>();
  work->candidate = std::move(candidate);
  work->began = ports_.clock.monotonic();
  shards_[work->candidate.shard].busy.insert(work->candidate.key);
  const auto partition = work->candidate.partition.lock();
  storage::Log* log = log_of(*work);
  if (log == nullptr) return failed(work, Error{Failure::kCancelled, "the partition has gone"});
  const Timestamp now = ports_.clock.wall();
  const auto assessment = log->assess_cleaning(partition->leader().last_stable_offset(), now);
  if (!assessment) return failed(work, assessment.error());
  if (assessment->cleanable_bytes == 0) return failed(work, Error{Failure::kCancelled, "nothing is dirty any more"});
  auto job = log->begin_cleaning(*assessment, now);
  if (!job) return failed(work, job.error());
  work->job = std::move(*job);
  const auto threads = static_cast<std::uint64_t>(config_.cleaner_threads);
  work->limits = {.map_bytes = config_.cleaner_dedupe_buffer_bytes / threads,
                  .map_load_factor = config_.cleaner_io_buffer_load_factor,
                  .buffer_bytes = config_.cleaner_io_buffer_bytes / threads / 2,
                  .hash_key = {ports_.random.next(), ports_.random.next()}};
  make_durable(work);
}

// What a power cut takes away must not have been the reason why something older went. And what compaction has made lies before
// the recovery point, on the disk too, so that a recovery can tell its gaps from what was lost.
void LogCleanerRunner::make_durable(const WorkPointer& work) {
  const auto partition = work->candidate.partition.lock();
  partition->flush_to(work->job.first_uncleanable_offset, [this, work](bool is_durable) {
    if (!is_durable) return failed(work, Error{Failure::kCancelled, "the log could not be flushed"});
    ports_.home.post([this, work] {
      ports_.write_recovery_points([this, work](bool is_written) {
        if (is_written) return on_shard(work, &LogCleanerRunner::go_on);
        shards_[work->candidate.shard].executor->post([this, work] {
          failed(work, Error{Failure::kNoSpace, "recovery-point-offset-checkpoint could not be written"});
        });
      });
    });
  });
}

void LogCleanerRunner::run(WorkPointer work) {
  ports_.pool.run([this, work = std::move(work), budget = rate_.slice_bytes()]() mutable {
    if (!work->cleaning) work->cleaning = std::make_unique<storage::Cleaning>(std::move(work->job), work->limits);
    const auto progress = work->cleaning->run(budget);
    if (!progress) {
      work->cleaning.reset();
      shards_[work->candidate.shard].executor->post([this, work, error = progress.error()] { failed(work, error); });
      return;
    }
    ports_.home.post([this, work = std::move(work), progress = *progress]() mutable {
      const std::uint64_t bytes = work->cleaning->last_run_bytes();
      progressed(std::move(work), progress, bytes);
    });
  });
}

void LogCleanerRunner::progressed(WorkPointer work, Progress progress, std::uint64_t bytes) {
  const MonotonicTime now = ports_.clock.monotonic();
  const std::chrono::nanoseconds wait = rate_.moved(bytes, now);
  const auto step = progress == Progress::kFinished ? &LogCleanerRunner::finish
                    : progress == Progress::kGroup  ? &LogCleanerRunner::offer
                                                    : &LogCleanerRunner::go_on;
  if (wait.count() == 0) return on_shard(std::move(work), step);
  // Whatever comes next: many small logs, each cleaned in one slice, are held to the rate too.
  ports_.timers.start(now + wait, [this, work = std::move(work), step]() mutable { on_shard(std::move(work), step); });
}

void LogCleanerRunner::on_shard(WorkPointer work, void (LogCleanerRunner::*step)(const WorkPointer&)) {
  Executor& executor = *shards_[work->candidate.shard].executor;
  executor.post([this, work = std::move(work), step] {
    if (log_of(*work) == nullptr) return failed(work, Error{Failure::kCancelled, "the partition has gone"});
    (this->*step)(work);
  });
}

void LogCleanerRunner::sync_and_then(WorkPointer work, void (LogCleanerRunner::*step)(const WorkPointer&)) {
  const std::string& directory = log_of(*work)->directory();
  ports_.pool.run([this, work = std::move(work), step, directory]() mutable {
    const Result<void> synced = ports_.files.sync_directory(directory);
    if (synced) return on_shard(std::move(work), step);
    shards_[work->candidate.shard].executor->post([this, work, error = synced.error()] { failed(work, error); });
  });
}

// Between two steps of a swap nothing but the end of the partition stops it; here the topic's policy does too.
void LogCleanerRunner::go_on(const WorkPointer& work) {
  if (!log_of(*work)->config().is_cleaned())
    return failed(work, Error{Failure::kCancelled, "the topic is not compacted any more"});
  run(work);
}

void LogCleanerRunner::offer(const WorkPointer& work) {
  const auto offered = log_of(*work)->offer_cleaned(work->cleaning->take_group());
  if (!offered) return failed(work, offered.error());
  if (!*offered) return failed(work, Error{Failure::kCancelled, "the log has changed meanwhile"});
  sync_and_then(work, &LogCleanerRunner::take);
}

void LogCleanerRunner::take(const WorkPointer& work) {
  auto old = log_of(*work)->take_cleaned();
  if (!old) return failed(work, old.error());
  work->old_files = std::move(*old);
  sync_and_then(work, &LogCleanerRunner::settle);
}

void LogCleanerRunner::settle(const WorkPointer& work) {
  const Result<void> settled = log_of(*work)->settle_cleaned();
  if (!settled) return failed(work, settled.error());
  const auto partition = work->candidate.partition.lock();
  ShardState& shard = shards_[work->candidate.shard];
  shard.logs->remove_later(std::exchange(work->old_files, {}), partition->config().file_delete_delay);
  sync_and_then(work, &LogCleanerRunner::go_on);
}

void LogCleanerRunner::finish(const WorkPointer& work) {
  storage::Log& log = *log_of(*work);
  const storage::CleaningStats stats = work->cleaning->stats();
  log.cleaning_has_reached(work->cleaning->cleaned_to());
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(ports_.clock.monotonic() - work->began);
  LOG_INFO(
      "{}: cleaned up to offset {} in {} ms: {} of {} records and {} of {} bytes are left, {} keys were looked for",
      log.directory(), work->cleaning->cleaned_to().value(), took.count(), stats.records.records_kept,
      stats.records.records_read, stats.bytes_written, stats.bytes_read, stats.keys);
  if (stats.records.records_without_key > 0) {
    LOG_WARN("{}: {} records without a key were removed from a compacted log", log.directory(),
             stats.records.records_without_key);
  }
  shards_[work->candidate.shard].busy.erase(work->candidate.key);
  ports_.home.post([this] {
    ports_.write_checkpoints();
    ended(true);
  });
}

void LogCleanerRunner::failed(const WorkPointer& work, const Error& error) {
  ShardState& shard = shards_[work->candidate.shard];
  shard.busy.erase(work->candidate.key);
  const auto partition = work->candidate.partition.lock();
  const std::string name = partition ? partition->log().directory() : "a partition";
  const bool is_gone = log_of(*work) == nullptr;
  switch (is_gone ? Failure::kCancelled : error.failure) {
    case Failure::kCancelled: LOG_DEBUG("cleaning of {} ended: {}", name, error.context); break;
    case Failure::kNoSpace:
    case Failure::kExhausted: LOG_ERROR("{} cannot be cleaned now: {}", name, error.context); break;
    case Failure::kIo:
      if (partition) shard.logs->disk_failed(name, error);
      break;
    default:
      LOG_ERROR("{} is not cleaned until the next start: {}", name, error.context);
      shard.uncleanable.insert(work->candidate.key);
  }
  ports_.home.post([this] { ended(false); });
}

// After something went wrong not at once, so that it does not go wrong all the time.
void LogCleanerRunner::ended(bool at_once) {
  --running_;
  if (at_once) {
    look();
  } else {
    look_later();
  }
}

}  // namespace kurier::broker
