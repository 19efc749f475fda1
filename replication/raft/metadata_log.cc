#include "replication/raft/metadata_log.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/check.h"
#include "base/log.h"
#include "storage/log_directory.h"

namespace kurier::replication {
namespace {

std::string path_of(const std::string& directory, std::string_view name) { return directory + "/" + std::string(name); }

storage::LogConfig log_config(const MetadataLogOptions& options) {
  storage::LogConfig config;
  config.segment_bytes = options.segment_bytes;
  config.segment_time = options.segment_time;
  config.retention_bytes = -1;  // segments go with the snapshots, never by themselves
  config.retention_ms = -1;
  // A disk that records have filled must not stop the node: topics can still be deleted.
  config.space_ahead_bytes = 1 << 20;
  return config;
}

}  // namespace

MetadataLog::MetadataLog(FileSystem& files, MetadataLogOptions options)
    : files_(files), options_(std::move(options)), directory_(path_of(options_.log_directory, kMetadataDirectory)) {}

Result<std::unique_ptr<MetadataLog>> MetadataLog::open(FileSystem& files, MetadataLogOptions options,
                                                       MetadataLoader& loader, Timestamp now) {
  std::unique_ptr<MetadataLog> log(new MetadataLog(files, std::move(options)));
  // First everything is read, so that what we do not understand is left as it is.
  TRY(log->load(loader));
  const Offset start = log->snapshots_.empty() ? Offset(0) : log->snapshots_.back().id.offset;
  TRY_ASSIGN(log->log_, storage::Log::open(files, {.directory = log->directory_, .config = log_config(log->options_)}, now));
  if (log->log_->log_end_offset() < start) TRY(log->log_->truncate_fully_and_start_at(start));
  if (log->log_->log_end_offset() != std::max(log->loaded_end_, start)) {
    return fail(Failure::kCorrupt, fmt::format("{}: {} records were read but the log ends at {}", log->directory_,
                                               log->loaded_end_.value(), log->log_->log_end_offset().value()));
  }
  TRY_ASSIGN(const auto topic_id, storage::read_partition_metadata(files, log->directory_));
  if (!topic_id) TRY(storage::write_partition_metadata(files, log->directory_, kMetadataTopicId));
  log->high_watermark_ = log->log_->log_end_offset();
  log->last_snapshot_at_ = now;
  return log;
}

Result<void> MetadataLog::check(FileSystem& files, MetadataLogOptions options, MetadataLoader& loader) {
  return MetadataLog(files, std::move(options)).load(loader);
}

Result<void> MetadataLog::load(MetadataLoader& loader) {
  TRY_ASSIGN(const auto quorum, read_quorum_state(files_, directory_));
  if (quorum) quorum_ = *quorum;
  TRY(load_snapshot(loader));
  TRY(scan_segments(loader));
  TRY(check_whole());
  TRY(check_voters());
  return loader.loaded();
}

Result<void> MetadataLog::check_voters() const {
  if (voters_.empty() || (voters_.size() == 1 && voters_.front().id == options_.self.id)) return {};
  return fail(Failure::kUnsupported,
              fmt::format("{} belongs to a quorum of {} voters (the first is node {}); this node is {} and leads alone",
                          directory_, voters_.size(), voters_.front().id.value(), options_.self.id.value()));
}

Result<void> MetadataLog::load_snapshot(MetadataLoader& loader) {
  TRY_ASSIGN(snapshots_, list_snapshots(files_, directory_));
  if (snapshots_.empty()) return {};
  const SnapshotId id = snapshots_.back().id;
  loader.begin_snapshot(id);
  const bool is_bootstrap = id.offset == Offset(0);
  const auto visit = [&](const RaftRecord& record) { return loader.record(id.offset - 1, record.value, true); };
  TRY_ASSIGN(const SnapshotContent content, read_snapshot(files_, path_of(directory_, snapshot_file_name(id)), visit));
  voters_ = content.voters;
  kraft_version_ = content.kraft_version;
  last_timestamp_ = content.last_contained;
  last_epoch_ = id.epoch;
  loaded_end_ = id.offset;
  is_new_ = is_bootstrap;
  voters_in_log_ = !is_bootstrap;
  return {};
}

Result<void> MetadataLog::note_control(const RaftRecord& record) {
  switch (*record.control) {
    case ControlType::kLeaderChange: return {};
    case ControlType::kKRaftVersion: {
      TRY_ASSIGN(kraft_version_, parse_kraft_version(record.value));
      return {};
    }
    case ControlType::kVoters: {
      TRY_ASSIGN(voters_, parse_voters(record.value));
      voters_in_log_ = true;
      return {};
    }
    case ControlType::kSnapshotHeader:
    case ControlType::kSnapshotFooter: break;
  }
  return fail(Failure::kUnsupported, fmt::format("control record of type {} at offset {}, written by a newer Kafka",
                                                 static_cast<int>(*record.control), record.offset.value()));
}

Result<void> MetadataLog::scan_segments(MetadataLoader& loader) {
  TRY_ASSIGN(const bool there, files_.exists(directory_));
  if (!there) return {};
  TRY_ASSIGN(const auto entries, files_.list(directory_));
  for (const FileSystem::Entry& entry : entries) {  // by name, and so by base offset
    if (entry.is_directory || !entry.name.ends_with(".log") || entry.name.size() != 24) continue;
    const std::string path = path_of(directory_, entry.name);
    TRY_ASSIGN(const Bytes bytes, read_file(files_, path, std::uint64_t{4} << 30));
    const auto visit = [&](const RaftRecord& record) -> Result<void> {
      if (record.offset < loaded_end_) return {};  // in the snapshot already
      last_epoch_ = record.epoch;
      last_timestamp_ = record.timestamp;
      loaded_end_ = record.offset + 1;
      if (record.control) return note_control(record);
      is_new_ = false;
      bytes_since_snapshot_ += record.value.size();
      return loader.record(record.offset, record.value, false);
    };
    auto walked = walk_batches(bytes, visit);
    if (!walked) return std::unexpected(walked.error().within(path));
    if (*walked == bytes.size()) continue;
    damage_ =
        fmt::format("{}: the {} bytes from position {} on are no whole batch", path, bytes.size() - *walked, *walked);
  }
  return {};
}

// After a crash what the last write left is cut off. After a clean stop everything was whole and on the disk: going on without it
// would forget topics that are there.
Result<void> MetadataLog::check_whole() const {
  TRY_ASSIGN(const bool was_clean, storage::LogDirectory::has_clean_shutdown_mark(files_, options_.log_directory));
  const bool is_lost = was_clean && loaded_end_ == Offset(0);
  if (was_clean && (is_lost || !damage_.empty())) {
    return fail(
        Failure::kCorrupt,
        fmt::format(
            "{}, though the node was stopped cleanly: restore the directory {} from a copy, or remove "
            "{}/.kafka_cleanshutdown to start with the metadata up to offset {} and without later topics and changes",
            damage_.empty() ? directory_ + ": the metadata log has no record" : damage_, directory_,
            options_.log_directory, loaded_end_.value()));
  }
  if (!damage_.empty()) LOG_WARN("{}; recovery cuts them", damage_);
  return {};
}

Result<void> MetadataLog::become_leader(Timestamp now) {
  if (voters_.empty()) voters_ = {options_.self};
  TRY(check_voters());
  quorum_ = {.leader_id = options_.self.id,
             .leader_epoch = std::max(quorum_.leader_epoch, last_epoch_) + 1,
             .voted_id = BrokerId(-1),
             .voted_directory_id = {}};
  std::vector<BrokerId> voters;
  for (const Voter& voter : voters_) voters.push_back(voter.id);
  TRY(write_quorum_state(files_, directory_, quorum_, kraft_version_, voters));

  std::vector<ControlRecord> records{leader_change_record(options_.self.id, {&options_.self.id, 1})};
  // KIP-853: the voters of the bootstrap snapshot enter the log with its first leader. Endpoints that changed since are
  // written anew, as a voter tells its leader with UpdateRaftVoter.
  const bool endpoints_changed = kraft_version_ >= 1 && !options_.self.endpoints.empty() &&
                                 voters_.front().endpoints != options_.self.endpoints;
  if (endpoints_changed) voters_.front().endpoints = options_.self.endpoints;
  if (kraft_version_ >= 1 && !voters_in_log_) records.push_back(kraft_version_record(kraft_version_));
  if (kraft_version_ >= 1 && (!voters_in_log_ || endpoints_changed)) records.push_back(voters_record(voters_));
  voters_in_log_ = true;
  Bytes batch = build_control_batch(records, log_end_offset(), quorum_.leader_epoch, now);
  TRY(log_->append(batch, quorum_.leader_epoch, now, storage::AppendOrigin::kCoordinator));
  last_timestamp_ = now;
  return {};
}

Result<Offset> MetadataLog::append(std::span<const Bytes> values, Timestamp now) {
  KURIER_CHECK(!values.empty());
  Bytes batch = build_batch(values, log_end_offset(), quorum_.leader_epoch, now);
  TRY_ASSIGN(const auto appended, log_->append(batch, quorum_.leader_epoch, now, storage::AppendOrigin::kCoordinator));
  bytes_since_snapshot_ += batch.size();
  last_timestamp_ = now;
  is_new_ = false;
  return appended.first_offset;
}

void MetadataLog::complete_flush(const storage::FlushJob& job) {
  log_->complete_flush(job);
  high_watermark_ = std::max(high_watermark_, job.up_to);
  log_->high_watermark_is(high_watermark_);
}

std::optional<SnapshotId> MetadataLog::latest_snapshot() const {
  if (snapshots_.empty()) return std::nullopt;
  return snapshots_.back().id;
}

LeaderLog MetadataLog::leader_log(LeaderEpoch asked) const {
  LeaderLog log;
  log.leader = options_.self.id;
  log.epoch = quorum_.leader_epoch;
  log.start = log_start_offset();
  log.end = log_end_offset();
  log.high_watermark = high_watermark_;
  log.latest_snapshot = latest_snapshot();
  if (!snapshots_.empty()) log.earliest_snapshot = snapshots_.front().id;
  const LeaderEpoch of_snapshot = log.latest_snapshot ? log.latest_snapshot->epoch : LeaderEpoch(0);
  log.last_epoch = log_->latest_epoch().value_or(of_snapshot);
  log.end_of_asked_epoch = log_->offset_for_leader_epoch(asked);
  return log;
}

bool MetadataLog::wants_snapshot(Timestamp now) const {
  if (bytes_since_snapshot_ == 0 || high_watermark_ != log_end_offset()) return false;
  if (bytes_since_snapshot_ >= options_.snapshot_bytes) return true;
  return options_.snapshot_interval.count() > 0 && now - last_snapshot_at_ >= options_.snapshot_interval.count();
}

Result<void> MetadataLog::write_snapshot(std::span<const Bytes> values, Timestamp now) {
  const SnapshotId id{high_watermark_, quorum_.leader_epoch};
  if (!snapshots_.empty() && snapshots_.back().id >= id) return {};
  const SnapshotContent content{last_timestamp_, kraft_version_, voters_};
  TRY(replication::write_snapshot(files_, directory_, id, content, values, now));
  TRY_ASSIGN(snapshots_, list_snapshots(files_, directory_));
  bytes_since_snapshot_ = 0;
  last_snapshot_at_ = now;
  return {};
}

Result<void> MetadataLog::delete_old(Timestamp now) {
  std::uint64_t total = log_->size_bytes();
  for (const SnapshotFile& snapshot : snapshots_) total += snapshot.size_bytes;
  while (snapshots_.size() > 1) {
    // One that has a successor goes when there is too much, or when the successor itself is old enough.
    const std::string next = path_of(directory_, snapshot_file_name(snapshots_[1].id));
    TRY_ASSIGN(const SnapshotContent content, read_snapshot(files_, next, [](const RaftRecord&) { return Result<void>{}; }));
    const bool too_much = options_.retention_bytes >= 0 && total > static_cast<std::uint64_t>(options_.retention_bytes);
    const bool too_old = options_.retention_ms >= 0 && now - content.last_contained > options_.retention_ms;
    if (!too_much && !too_old) break;
    TRY(log_->set_log_start_offset(std::max(log_start_offset(), snapshots_[1].id.offset)));
    TRY_ASSIGN(const auto retired, log_->delete_old_segments(now, high_watermark_));
    for (const std::string& path : retired) TRY(files_.remove(path));
    TRY(files_.remove(path_of(directory_, snapshot_file_name(snapshots_.front().id))));
    total -= std::min(total, snapshots_.front().size_bytes);
    snapshots_.erase(snapshots_.begin());
  }
  return {};
}

Result<void> MetadataLog::close() { return log_->close_clean(); }

}  // namespace kurier::replication
