#include "replication/controller/local_controller.h"

#include <fmt/core.h>

#include "base/check.h"
#include "base/log.h"

namespace kurier::replication {
namespace {

// Builds the image from what is on the disk.
class ImageLoader final : public MetadataLoader {
 public:
  explicit ImageLoader(std::function<Result<void>(const MetadataImage&)> accept = {}) : accept_(std::move(accept)) {}
  void begin_snapshot(const SnapshotId& id) override {
    delta_ = MetadataDelta(MetadataImage{});
    last_offset_ = id.offset - 1;
  }
  Result<void> record(Offset offset, ByteView value, bool from_snapshot) override {
    auto decoded = decode_record(value);
    Result<void> result = decoded ? delta_.replay(*decoded) : Result<void>(std::unexpected(decoded.error()));
    if (!result) {
      return std::unexpected(result.error().within(from_snapshot ? "metadata snapshot" : fmt::format("metadata offset {}", offset.value())));
    }
    last_offset_ = offset;
    return {};
  }
  // An interrupted transaction is not part of the state: nothing of it ever took effect.
  Result<void> loaded() override {
    interrupted_ = delta_.in_transaction();
    if (interrupted_) delta_.abort_transaction();
    image_ = delta_.take();
    return accept_ ? accept_(image_) : Result<void>{};
  }
  MetadataImage& image() { return image_; }
  [[nodiscard]] bool was_interrupted() const { return interrupted_; }
  [[nodiscard]] Offset last_offset() const { return last_offset_; }

 private:
  std::function<Result<void>(const MetadataImage&)> accept_;
  MetadataImage image_;
  bool interrupted_ = false;
  MetadataDelta delta_{MetadataImage{}};
  Offset last_offset_{-1};
};

// Apache Kafka up to 4.3 kept the bootstrap records beside the log. Empty if there is no such file.
Result<MetadataImage> read_old_bootstrap(FileSystem& files, const std::string& log_directory) {
  const std::string path = log_directory + "/bootstrap.checkpoint";
  TRY_ASSIGN(const bool there, files.exists(path));
  if (!there) return MetadataImage{};
  ImageLoader loader;
  const auto read = read_snapshot(files, path, [&](const RaftRecord& r) { return loader.record(r.offset, r.value, true); });
  if (!read) return std::unexpected(read.error().within(path));
  TRY(loader.loaded());
  return std::move(loader.image());
}

}  // namespace

Result<void> LocalController::check(FileSystem& files, const LocalControllerOptions& options) {
  TRY_ASSIGN(const MetadataImage bootstrap, read_old_bootstrap(files, options.log.log_directory));
  static_cast<void>(bootstrap);
  ImageLoader loader(options.accept);
  return MetadataLog::check(files, options.log, loader);
}

Result<std::unique_ptr<LocalController>> LocalController::start(LocalControllerPorts ports,
                                                                LocalControllerOptions options) {
  std::unique_ptr<LocalController> controller(new LocalController(std::move(ports), std::move(options)));
  TRY(controller->begin());
  return controller;
}

Result<void> LocalController::begin() {
  FileSystem& files = ports_.files;
  ImageLoader loader(options_.accept);
  TRY_ASSIGN(MetadataImage bootstrap, read_old_bootstrap(files, options_.log.log_directory));
  TRY_ASSIGN(log_, MetadataLog::open(files, options_.log, loader, ports_.clock.wall()));
  const bool interrupted = loader.was_interrupted();
  latest_ = std::move(loader.image());
  if (log_->is_new() && !latest_.features().empty()) bootstrap = latest_;
  if (log_->is_new() && bootstrap.feature("metadata.version") == 0) {
    return fail(Failure::kInvalid, fmt::format("{} has neither records nor bootstrap records; the directory was not formatted",
                                               log_->directory()));
  }
  TRY(log_->become_leader(ports_.clock.wall()));
  if (interrupted) {
    const Bytes abort = encode_record(protocol::AbortTransactionRecord{}, latest_.record_versions());
    TRY(log_->append({&abort, 1}, ports_.clock.wall()));
  }
  if (log_->is_new()) {
    latest_ = bootstrap;  // the record versions of the records that follow are those of its features
    TRY(append(controller_.bootstrap(bootstrap)));
  }
  TRY(append(controller_.register_controller(latest_, options_.log.self.id, options_.incarnation_id,
                                             options_.controller_endpoints)));
  const Offset first = log_->log_end_offset();
  TRY(append(controller_.register_broker(latest_, options_.broker, first)));
  broker_epoch_ = BrokerEpoch(first.value());
  TRY_ASSIGN(const storage::FlushJob job, log_->begin_flush());
  TRY(job.run());
  log_->complete_flush(job);
  committed_ = std::make_shared<const MetadataImage>(latest_);
  return {};
}

// Replays the records into the latest image and appends them as one batch.
Result<void> LocalController::append(const std::vector<MetadataRecord>& records) {
  if (records.empty()) return {};
  TRY_ASSIGN(MetadataDelta delta, replayed(records));
  latest_ = delta.take();
  return append_now(records);
}

Result<MetadataDelta> LocalController::replayed(const std::vector<MetadataRecord>& records) const {
  MetadataDelta delta(latest_);
  for (const MetadataRecord& record : records) TRY(delta.replay(record));
  return delta;
}

Result<void> LocalController::append_now(const std::vector<MetadataRecord>& records) {
  std::vector<Bytes> values;
  values.reserve(records.size());
  for (const MetadataRecord& record : records) values.push_back(encode_record(record, latest_.record_versions()));
  auto appended = log_->append(values, ports_.clock.wall());
  if (!appended && appended.error().failure == Failure::kNoSpace && ports_.make_room && ports_.make_room()) {
    appended = log_->append(values, ports_.clock.wall());
  }
  TRY(appended);
  latest_.last_offset = log_->log_end_offset() - 1;
  return {};
}

void LocalController::perform(std::move_only_function<Operation(const MetadataImage&)> decide) {
  if (failed_) return;
  Operation operation = decide(latest_);
  if (operation.records.empty()) {
    // It may speak of what is not committed yet ("already exists"): answered in its turn.
    if (pending_.empty()) return operation.answer();
    pending_.push_back({log_->log_end_offset(), nullptr, {}, std::move(operation.answer)});
    return;
  }
  auto delta = replayed(operation.records);
  KURIER_CHECK_MESSAGE(delta.has_value(), delta.error().context);
  MetadataDelta::Changes changes = delta->changes();
  latest_ = delta->take();
  if (auto appended = append_now(operation.records); !appended) return give_up(appended.error());
  pending_.push_back({log_->log_end_offset(), std::make_shared<const MetadataImage>(latest_), std::move(changes),
                      std::move(operation.answer)});
  if (ports_.log_changed) ports_.log_changed(false);
  start_flush();
}

void LocalController::start_flush() {
  if (flush_runs_ || pending_.empty() || failed_) return;
  auto job = log_->begin_flush();
  if (!job) return give_up(job.error());
  flush_runs_ = true;
  ports_.sync_pool.run([this, flush = std::move(*job)]() mutable {
    Result<void> result = flush.run();
    ports_.control.post([this, flush = std::move(flush), result = std::move(result)] { flushed(flush, result); });
  });
}

void LocalController::flushed(const storage::FlushJob& job, const Result<void>& result) {
  flush_runs_ = false;
  if (!result) return give_up(result.error());
  log_->complete_flush(job);
  if (ports_.log_changed) ports_.log_changed(true);
  std::vector<Callback> answers;
  while (!pending_.empty() && pending_.front().end <= log_->high_watermark()) {
    Pending done = std::move(pending_.front());
    pending_.pop_front();
    if (done.image) {
      committed_ = std::move(done.image);
      if (ports_.publish) {
        ports_.publish(committed_, std::move(done.changes), std::move(done.answer));
        continue;
      }
    }
    answers.push_back(std::move(done.answer));
  }
  start_flush();
  maybe_snapshot();
  for (Callback& answer : answers) answer();
}

void LocalController::maybe_snapshot() {
  const Timestamp now = ports_.clock.wall();
  if (!log_->wants_snapshot(now)) return;
  std::vector<Bytes> values;
  for (const MetadataRecord& record : to_records(*committed_)) values.push_back(encode_record(record, committed_->record_versions()));
  Result<void> written = log_->write_snapshot(values, now);
  if (written) written = log_->delete_old(now);
  // The log is still whole: a snapshot that cannot be written now is written later.
  if (!written) LOG_ERROR("metadata snapshot: {}", written.error().context);
}

void LocalController::give_up(const Error& error) {
  failed_ = true;
  LOG_ERROR("the metadata log cannot be written, the node has to stop: {}", error.context);
  if (ports_.failed) ports_.failed(error);
}

void LocalController::create_topics(protocol::CreateTopicsRequest request, Answer<protocol::CreateTopicsResponse> answer) {
  ports_.control.post([this, request = std::move(request), answer = std::move(answer)]() mutable {
    perform([&](const MetadataImage& image) {
      auto decision = controller_.create_topics(image, request);
      return Operation{std::move(decision.records), [answer = std::move(answer), response = std::move(decision.response)]() mutable {
                         answer(std::move(response));
                       }};
    });
  });
}

void LocalController::delete_topics(protocol::DeleteTopicsRequest request, Answer<protocol::DeleteTopicsResponse> answer) {
  ports_.control.post([this, request = std::move(request), answer = std::move(answer)]() mutable {
    perform([&](const MetadataImage& image) {
      auto decision = controller_.delete_topics(image, request);
      return Operation{std::move(decision.records), [answer = std::move(answer), response = std::move(decision.response)]() mutable {
                         answer(std::move(response));
                       }};
    });
  });
}

void LocalController::create_partitions(protocol::CreatePartitionsRequest request,
                                        Answer<protocol::CreatePartitionsResponse> answer) {
  ports_.control.post([this, request = std::move(request), answer = std::move(answer)]() mutable {
    perform([&](const MetadataImage& image) {
      auto decision = controller_.create_partitions(image, request);
      return Operation{std::move(decision.records), [answer = std::move(answer), response = std::move(decision.response)]() mutable {
                         answer(std::move(response));
                       }};
    });
  });
}

void LocalController::allocate_producer_ids(protocol::AllocateProducerIdsRequest request,
                                            Answer<protocol::AllocateProducerIdsResponse> answer) {
  ports_.control.post([this, request = std::move(request), answer = std::move(answer)]() mutable {
    perform([&](const MetadataImage& image) {
      auto decision = controller_.allocate_producer_ids(image, request);
      return Operation{std::move(decision.records), [answer = std::move(answer), response = std::move(decision.response)]() mutable {
                         answer(std::move(response));
                       }};
    });
  });
}

void LocalController::unfence(Callback done) {
  ports_.control.post([this, done = std::move(done)]() mutable {
    const BrokerId id = options_.broker.id;
    perform([&](const MetadataImage& image) { return Operation{controller_.announce_log_dirs(image, id), [] {}}; });
    perform([&](const MetadataImage& image) { return Operation{controller_.unfence(image, options_.broker.id), std::move(done)}; });
  });
}

void LocalController::assign_directories(std::vector<DirectoryAssignment> assignments) {
  ports_.control.post([this, assignments = std::move(assignments)] {
    perform([&](const MetadataImage& image) {
      return Operation{controller_.assign_directories(image, options_.broker.id, assignments), [] {}};
    });
  });
}

void LocalController::directories_failed(std::vector<DirectoryId> failed) {
  ports_.control.post([this, failed = std::move(failed)] {
    perform([&](const MetadataImage& image) {
      return Operation{controller_.directories_failed(image, options_.broker.id, failed), [] {}};
    });
  });
}

void LocalController::shut_down_broker(Callback done) {
  ports_.control.post([this, done = std::move(done)]() mutable {
    const BrokerId id = options_.broker.id;
    perform([&](const MetadataImage& image) { return Operation{controller_.begin_controlled_shutdown(image, id), [] {}}; });
    perform([&](const MetadataImage& image) { return Operation{controller_.fence(image, id), std::move(done)}; });
  });
}

LocalController::Quorum LocalController::quorum() {
  return {options_.log.self.id, log_->epoch(), log_->high_watermark(), log_->log_end_offset(), log_->voters(),
          fetches_.observers(ports_.clock.wall())};
}

protocol::FetchResponse LocalController::fetch(const protocol::FetchRequest& request, std::int16_t version, const std::string& listener,
                                               bool is_shutting_down) {
  const auto& asked = request.topics.front().partitions.front();
  LeaderLog log = log_->leader_log(asked.last_fetched_epoch);
  log.is_shutting_down = is_shutting_down;
  FetchVerdict verdict = LeaderFetches::decide(request, log);
  protocol::Records records;
  if (verdict.is_to_be_read()) {
    auto read = request.max_bytes < 0 ? Result<storage::LogRead>(fail(Failure::kInvalid, "max_bytes below 0"))
                                      : log_->read(asked.fetch_offset, static_cast<std::uint64_t>(request.max_bytes));
    verdict.error = read ? fetches_.noted(request, version, log, ports_.clock.wall()) : protocol::ErrorCode::kUnknownServerError;
    if (!read) LOG_ERROR("a fetch of the metadata log at offset {}: {}", asked.fetch_offset.value(), read.error().context);
    if (verdict.is_to_be_read() && read->slice.size_bytes > 0) records.slices.push_back(std::move(read->slice));
  }
  const auto& endpoints = log_->voters().front().endpoints;
  const auto own = std::ranges::find(endpoints, listener, &VoterEndpoint::name);
  return LeaderFetches::respond(verdict, log, std::move(records), version, own == endpoints.end() ? nullptr : &*own);
}

Result<void> LocalController::close() { return log_->close(); }

}  // namespace kurier::replication
