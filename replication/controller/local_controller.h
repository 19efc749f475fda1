// LocalController: the controller of a node that is a quorum of its own: the shell around Controller and MetadataLog.
//
// `start` blocks and is called before anything serves. Afterwards everything runs on the control thread (`control`);
// methods that say so may be called from any thread. Operations are taken one after the other, decided on the image that
// contains everything decided before, appended, and answered on the control thread when the fsync that covers them is done
// (on `sync_pool`; one fsync serves all that wait) and whoever was told of the new image has followed it.
// NoOpRecords (metadata.max.idle.interval.ms) are not written: they exist for observers, and there are none.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "replication/controller/controller.h"
#include "replication/raft/metadata_log.h"

namespace kurier::replication {

using ImagePointer = std::shared_ptr<const MetadataImage>;
// On the control thread, once a commit, in order. `followed` is called there when everybody has followed: the answer waits
// for it.
using ImagePublisher = std::function<void(ImagePointer, MetadataDelta::Changes, Callback followed)>;

struct LocalControllerOptions {
  MetadataLogOptions log;
  ControllerOptions controller;
  Uuid incarnation_id;  // of this process
  std::vector<protocol::RegisterControllerRecord::ControllerEndpoint> controller_endpoints;
  BrokerStart broker;
  // Asked of what is on the disk before anything is written: what this node cannot serve without harm stops the start.
  std::function<Result<void>(const MetadataImage&)> accept;
};

struct LocalControllerPorts {
  FileSystem& files;
  Clock& clock;
  Random& random;
  Executor& control;
  WorkPool& sync_pool;
  ImagePublisher publish;
  // On the control thread: the log has grown, or more of it is committed. May be empty.
  std::function<void(bool high_watermark_advanced)> log_changed;
  // The disk is too full for the metadata log. True: there is more room now. May be empty.
  std::function<bool()> make_room;
  // The metadata log cannot be written any more. The node has to stop; nothing that waits is answered.
  std::function<void(const Error&)> failed;
};

class LocalController {
 public:
  // Opens the log, leads, writes what a new log or a new incarnation needs and waits until it is durable. The broker is
  // registered and fenced: call `unfence` when it serves.
  static Result<std::unique_ptr<LocalController>> start(LocalControllerPorts ports, LocalControllerOptions options);

  // Whether `start` would refuse what is on the disk. Writes nothing; fine if there is nothing yet.
  static Result<void> check(FileSystem& files, const LocalControllerOptions& options);

  template <class Response>
  using Answer = std::move_only_function<void(Response)>;

  // Any thread. The answers come on the control thread.
  void create_topics(protocol::CreateTopicsRequest request, Answer<protocol::CreateTopicsResponse> answer);
  void delete_topics(protocol::DeleteTopicsRequest request, Answer<protocol::DeleteTopicsResponse> answer);
  void create_partitions(protocol::CreatePartitionsRequest request, Answer<protocol::CreatePartitionsResponse> answer);
  void allocate_producer_ids(protocol::AllocateProducerIdsRequest request,
                             Answer<protocol::AllocateProducerIdsResponse> answer);
  void unfence(Callback done);
  // Of this node's broker.
  void assign_directories(std::vector<DirectoryAssignment> assignments);
  void directories_failed(std::vector<DirectoryId> failed);
  // Controlled shutdown of the broker: its partitions have no leader and it is fenced when `done` is called.
  void shut_down_broker(Callback done);

  // Control thread. Decides on the image given, may append records, answers when they are committed.
  struct Operation {
    std::vector<MetadataRecord> records;
    Callback answer;
  };
  void perform(std::move_only_function<Operation(const MetadataImage&)> decide);

  // Control thread, or the starting thread before anything runs. What is committed.
  [[nodiscard]] ImagePointer image() const { return committed_; }
  [[nodiscard]] BrokerEpoch broker_epoch() const { return broker_epoch_; }
  [[nodiscard]] std::int16_t kraft_version() const { return log_->kraft_version(); }
  // For DescribeQuorum.
  struct Quorum {
    BrokerId leader;
    LeaderEpoch epoch;
    Offset high_watermark;
    Offset log_end_offset;
    std::vector<Voter> voters;
    std::vector<LeaderFetches::Observer> observers;
  };
  [[nodiscard]] Quorum quorum();
  // Control thread. A replica's fetch of the log, which has passed LeaderFetches::check: what there is now.
  [[nodiscard]] protocol::FetchResponse fetch(const protocol::FetchRequest& request, std::int16_t version, const std::string& listener,
                                              bool is_shutting_down);
  // A snapshot if metadata.log.max.snapshot.interval.ms is over; otherwise only what is appended leads to one.
  void maintain() { if (!failed_) maybe_snapshot(); }

  // After everything that was submitted has been answered; blocks for the last fsync.
  Result<void> close();

 private:
  LocalController(LocalControllerPorts ports, LocalControllerOptions options)
      : ports_(std::move(ports)), options_(std::move(options)), controller_(options_.controller, ports_.random), fetches_(options_.log.self.id) {}

  Result<void> begin();
  Result<void> append_now(const std::vector<MetadataRecord>& records);
  Result<MetadataDelta> replayed(const std::vector<MetadataRecord>& records) const;
  Result<void> append(const std::vector<MetadataRecord>& records);
  void start_flush();
  void flushed(const storage::FlushJob& job, const Result<void>& result);
  void maybe_snapshot();
  void give_up(const Error& error);

  struct Pending {
    Offset end;
    ImagePointer image;  // none: no records, waits for what came before
    MetadataDelta::Changes changes;
    Callback answer;
  };

  LocalControllerPorts ports_;
  LocalControllerOptions options_;
  Controller controller_;
  LeaderFetches fetches_;
  std::unique_ptr<MetadataLog> log_;
  MetadataImage latest_;  // with what is appended but not committed
  ImagePointer committed_;
  BrokerEpoch broker_epoch_{-1};
  std::deque<Pending> pending_;
  bool flush_runs_ = false;
  bool failed_ = false;
};

}  // namespace kurier::replication
