// LeaderFetches: what the leader of the metadata quorum answers to a Fetch of __cluster_metadata-0, and which replicas
// have fetched (KIP-595; snapshots: KIP-630; directories: KIP-853; high watermark: KIP-1166).
//
// A core: no I/O, no clock; used on the control thread. One attempt is: `check`, `decide`, read what the verdict says,
// `noted` if something was to be read, `respond`. Whether the answer is given or waits for the log to grow says
// `may_wait`. The order of the checks is Apache Kafka's, and so is what the answer to a mistake contains.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "protocol/messages/fetch_request.h"
#include "protocol/messages/fetch_response.h"
#include "replication/raft/raft_records.h"
#include "replication/raft/snapshot.h"
#include "storage/leader_epochs.h"

namespace kurier::replication {

// The log at the moment of an attempt.
struct LeaderLog {
  BrokerId leader;
  LeaderEpoch epoch;
  Offset start;
  Offset end;
  Offset high_watermark;
  LeaderEpoch last_epoch;  // of the last batch, or of the snapshot that the log begins with
  storage::LeaderEpochs::EndOffset end_of_asked_epoch;  // of the request's last fetched epoch
  std::optional<SnapshotId> earliest_snapshot;
  std::optional<SnapshotId> latest_snapshot;
  bool is_shutting_down = false;
};

struct FetchVerdict {
  protocol::ErrorCode error = protocol::ErrorCode::kNone;
  std::optional<storage::LeaderEpochs::EndOffset> diverging;  // the fetcher's log is another one from here on
  std::optional<SnapshotId> snapshot;                         // to be fetched instead of the log
  [[nodiscard]] bool is_to_be_read() const { return error == protocol::ErrorCode::kNone && !diverging && !snapshot; }
};

class LeaderFetches {
 public:
  explicit LeaderFetches(BrokerId self) : self_(self) {}

  // An error of the whole request; nothing else is then in the answer.
  [[nodiscard]] static protocol::ErrorCode check(const protocol::FetchRequest& request, const std::string& cluster_id);
  // `request` has passed `check`.
  [[nodiscard]] static FetchVerdict decide(const protocol::FetchRequest& request, const LeaderLog& log);
  // The fetch was valid at its offset. kUnknownServerError for a replica that says that it is this one.
  [[nodiscard]] protocol::ErrorCode noted(const protocol::FetchRequest& request, std::int16_t version,
                                          const LeaderLog& log, Timestamp now);

  // `leader`: its endpoint for the listener of the request, if it has one.
  [[nodiscard]] static protocol::FetchResponse respond(const FetchVerdict& verdict, const LeaderLog& log,
                                                       protocol::Records records, std::int16_t version,
                                                       const VoterEndpoint* leader);
  // There is no error and nothing new in it.
  [[nodiscard]] static bool may_wait(const protocol::FetchRequest& request, const protocol::FetchResponse& response);

  struct Observer {
    BrokerId id;
    Uuid directory_id;
    Offset log_end_offset;
    Timestamp last_fetch{-1};
    Timestamp last_caught_up{-1};
  };
  // Those that have fetched within the last five minutes.
  [[nodiscard]] std::vector<Observer> observers(Timestamp now);

 private:
  struct Replica {
    Observer state;
    Offset leader_end_at_last_fetch{-1};
  };

  const BrokerId self_;
  std::map<std::pair<BrokerId, Uuid>, Replica> replicas_;
};

}  // namespace kurier::replication
