// What the quorum's leader answers to a Fetch: given request and log, the verdict. No I/O.
#include "replication/raft/leader_fetch.h"

#include <catch2/catch.hpp>

using namespace kurier;
using namespace kurier::replication;
using protocol::ErrorCode;
using protocol::FetchRequest;

namespace {

// Epochs 1 (from 0), 3 (from 10) and 5 (from 40), as leader 1 of epoch 6 sees them; 50 records.
LeaderLog log_of(std::int32_t asked_epoch) {
  LeaderLog log;
  log.leader = BrokerId(1);
  log.epoch = LeaderEpoch(6);
  log.start = Offset(0);
  log.end = Offset(50);
  log.high_watermark = Offset(48);
  log.last_epoch = LeaderEpoch(5);
  const storage::LeaderEpochs epochs(
      {{LeaderEpoch(1), Offset(0)}, {LeaderEpoch(3), Offset(10)}, {LeaderEpoch(5), Offset(40)}});
  log.end_of_asked_epoch = epochs.end_offset_of(LeaderEpoch(asked_epoch), log.end);
  log.earliest_snapshot = log.latest_snapshot = SnapshotId{Offset(0), LeaderEpoch(0)};
  return log;
}

// The same after a snapshot at 40, with the log before it deleted.
LeaderLog short_log_of(std::int32_t asked_epoch) {
  LeaderLog log = log_of(asked_epoch);
  log.start = Offset(40);
  const storage::LeaderEpochs epochs({{LeaderEpoch(3), Offset(40)}, {LeaderEpoch(5), Offset(40)}});
  log.end_of_asked_epoch = epochs.end_offset_of(LeaderEpoch(asked_epoch), log.end);
  log.earliest_snapshot = log.latest_snapshot = SnapshotId{Offset(40), LeaderEpoch(3)};
  return log;
}

FetchRequest request_of(std::int64_t offset, std::int32_t last_epoch, std::int32_t current_epoch = 6) {
  FetchRequest request;
  request.max_wait_ms = 100;
  auto& topic = request.topics.emplace_back();
  topic.topic_id = kMetadataTopicId;
  auto& partition = topic.partitions.emplace_back();
  partition.fetch_offset = Offset(offset);
  partition.last_fetched_epoch = LeaderEpoch(last_epoch);
  partition.current_leader_epoch = LeaderEpoch(current_epoch);
  return request;
}

FetchVerdict decide(std::int64_t offset, std::int32_t last_epoch) {
  return LeaderFetches::decide(request_of(offset, last_epoch), log_of(last_epoch));
}

std::string text_of(const FetchVerdict& verdict) {
  if (verdict.error != ErrorCode::kNone) return protocol::to_string(verdict.error);
  if (verdict.diverging) {
    return "diverges after " + std::to_string(verdict.diverging->epoch.value()) + " at " +
           std::to_string(verdict.diverging->end_offset.value());
  }
  return verdict.snapshot ? "snapshot " + std::to_string(verdict.snapshot->offset.value()) : "read";
}

}  // namespace

TEST_CASE("what a fetch of the metadata log must name") {
  FetchRequest request = request_of(0, 0);
  CHECK(LeaderFetches::check(request, "here") == ErrorCode::kNone);
  request.cluster_id = "here";
  CHECK(LeaderFetches::check(request, "here") == ErrorCode::kNone);
  CHECK(LeaderFetches::check(request, "there") == ErrorCode::kInconsistentClusterId);
  request.topics.front().partitions.front().partition = PartitionIndex(1);
  CHECK(LeaderFetches::check(request, "here") == ErrorCode::kInvalidRequest);
  request = request_of(0, 0);
  request.topics.push_back(request.topics.front());
  CHECK(LeaderFetches::check(request, "here") == ErrorCode::kInvalidRequest);
  request.topics.clear();
  CHECK(LeaderFetches::check(request, "here") == ErrorCode::kInvalidRequest);
  request = request_of(0, 0);
  request.topics.front().topic_id = {};
  CHECK(LeaderFetches::check(request, "here") == ErrorCode::kInvalidRequest);
}

TEST_CASE("the fetcher must know the leader's epoch") {
  CHECK(LeaderFetches::decide(request_of(45, 5, 5), log_of(5)).error == ErrorCode::kFencedLeaderEpoch);
  CHECK(LeaderFetches::decide(request_of(45, 5, 7), log_of(5)).error == ErrorCode::kUnknownLeaderEpoch);
  LeaderLog stopping = log_of(5);
  stopping.is_shutting_down = true;
  CHECK(LeaderFetches::decide(request_of(45, 5), stopping).error == ErrorCode::kBrokerNotAvailable);
  CHECK(LeaderFetches::decide(request_of(45, 5, 5), stopping).error == ErrorCode::kFencedLeaderEpoch);
  CHECK(LeaderFetches::decide(request_of(-1, 0), log_of(0)).error == ErrorCode::kInvalidRequest);
  CHECK(LeaderFetches::decide(request_of(5, -1), log_of(0)).error == ErrorCode::kInvalidRequest);
  CHECK(LeaderFetches::decide(request_of(5, 7), log_of(7)).error == ErrorCode::kInvalidRequest);
  FetchRequest impatient = request_of(5, 1);
  impatient.max_wait_ms = -1;
  CHECK(LeaderFetches::decide(impatient, log_of(1)).error == ErrorCode::kInvalidRequest);
}

TEST_CASE("a log that is another one is told where it parts") {
  CHECK(text_of(decide(0, 0)) == "read");
  CHECK(text_of(decide(10, 1)) == "read");
  CHECK(text_of(decide(11, 1)) == "diverges after 1 at 10");
  CHECK(text_of(decide(20, 2)) == "diverges after 1 at 10");
  CHECK(text_of(decide(40, 3)) == "read");
  CHECK(text_of(decide(45, 4)) == "diverges after 3 at 40");
  CHECK(text_of(decide(50, 5)) == "read");
  CHECK(text_of(decide(51, 5)) == "diverges after 5 at 50");
  CHECK(text_of(decide(50, 6)) == "diverges after 5 at 50");
}

TEST_CASE("what is before the log's beginning is in the snapshot") {
  const auto decide_short = [](std::int64_t offset, std::int32_t epoch) {
    return text_of(LeaderFetches::decide(request_of(offset, epoch), short_log_of(epoch)));
  };
  CHECK(decide_short(0, 0) == "snapshot 40");
  CHECK(decide_short(39, 3) == "snapshot 40");
  CHECK(decide_short(40, 3) == "read");
  CHECK(decide_short(40, 5) == "snapshot 40");
  CHECK(decide_short(45, 1) == "snapshot 40");
  CHECK(decide_short(45, 5) == "read");
  // An empty log is better served with a snapshot even if the whole log is still there.
  LeaderLog whole = log_of(0);
  whole.latest_snapshot = SnapshotId{Offset(30), LeaderEpoch(3)};
  CHECK(text_of(LeaderFetches::decide(request_of(0, 0), whole)) == "snapshot 30");
  whole.end_of_asked_epoch = log_of(1).end_of_asked_epoch;
  CHECK(text_of(LeaderFetches::decide(request_of(10, 1), whole)) == "read");
}

TEST_CASE("an answer without news waits") {
  const LeaderLog log = log_of(5);
  const auto response_to = [&](const FetchRequest& request, const FetchVerdict& verdict, std::size_t bytes = 0) {
    protocol::Records records;
    if (bytes > 0) records = protocol::records_owned(Bytes(bytes));
    return LeaderFetches::may_wait(request, LeaderFetches::respond(verdict, log, std::move(records), 18, nullptr));
  };
  FetchRequest request = request_of(50, 5);
  CHECK(response_to(request, {}));
  CHECK_FALSE(response_to(request, {}, 10));
  CHECK_FALSE(response_to(request, decide(51, 5)));
  CHECK_FALSE(response_to(request, {.error = ErrorCode::kFencedLeaderEpoch}));
  // KIP-1166: a replica that says how far it knows the log to be committed hears of more at once.
  request.topics.front().partitions.front().high_watermark = Offset(47);
  CHECK_FALSE(response_to(request, {}));
  request.topics.front().partitions.front().high_watermark = Offset(48);
  CHECK(response_to(request, {}));
  request.max_wait_ms = 0;
  CHECK_FALSE(response_to(request, {}));
}

TEST_CASE("the answer names the leader, and its endpoint from version 17 on") {
  const VoterEndpoint endpoint{"CONTROLLER", "somewhere", 9093};
  const auto response = LeaderFetches::respond({}, log_of(5), {}, 17, &endpoint);
  const auto& data = response.responses.front().partitions.front();
  CHECK(data.current_leader.leader_id == BrokerId(1));
  CHECK(data.current_leader.leader_epoch == LeaderEpoch(6));
  CHECK(data.high_watermark == Offset(48));
  REQUIRE(response.node_endpoints.size() == 1);
  CHECK(response.node_endpoints.front().host == "somewhere");
  CHECK(LeaderFetches::respond({}, log_of(5), {}, 16, &endpoint).node_endpoints.empty());
  CHECK(LeaderFetches::respond({}, log_of(5), {}, 17, nullptr).node_endpoints.empty());
  const auto refused = LeaderFetches::respond({.error = ErrorCode::kFencedLeaderEpoch}, log_of(5), {}, 17, &endpoint);
  CHECK(refused.responses.front().partitions.front().high_watermark == Offset(-1));
}

TEST_CASE("who fetches is an observer until it has been silent for five minutes") {
  LeaderFetches fetches(BrokerId(1));
  FetchRequest request = request_of(45, 5);
  CHECK(fetches.noted(request, 17, log_of(5), Timestamp(1000)) == ErrorCode::kNone);
  CHECK(fetches.observers(Timestamp(1000)).empty());  // it is no replica
  request.replica_state.replica_id = BrokerId(1);
  CHECK(fetches.noted(request, 17, log_of(5), Timestamp(1000)) == ErrorCode::kUnknownServerError);
  request.replica_state.replica_id = BrokerId(7);
  CHECK(fetches.noted(request, 17, log_of(5), Timestamp(1000)) == ErrorCode::kNone);
  REQUIRE(fetches.observers(Timestamp(1000)).size() == 1);
  CHECK(fetches.observers(Timestamp(1000)).front().last_caught_up == Timestamp(-1));
  // It has what the leader had when it fetched before.
  request.topics.front().partitions.front().fetch_offset = Offset(50);
  LeaderLog longer = log_of(5);
  longer.end = Offset(60);
  CHECK(fetches.noted(request, 17, longer, Timestamp(2000)) == ErrorCode::kNone);
  CHECK(fetches.observers(Timestamp(2000)).front().last_caught_up == Timestamp(1000));
  CHECK(fetches.observers(Timestamp(2000)).front().log_end_offset == Offset(50));
  request.replica_state.replica_id = BrokerId(-1);
  request.replica_id = BrokerId(8);
  CHECK(fetches.noted(request, 14, longer, Timestamp(2500)) == ErrorCode::kNone);
  CHECK(fetches.observers(Timestamp(2500)).size() == 2);
  CHECK(fetches.observers(Timestamp(302'000)).size() == 1);
  CHECK(fetches.observers(Timestamp(302'500)).empty());
}

TEST_CASE("there are no more observers than an honest quorum has") {
  LeaderFetches fetches(BrokerId(1));
  FetchRequest request = request_of(45, 5);
  for (std::int32_t id = 2; id < 5000; ++id) {
    request.replica_state.replica_id = BrokerId(id);
    CHECK(fetches.noted(request, 17, log_of(5), Timestamp(1000)) == ErrorCode::kNone);
  }
  CHECK(fetches.observers(Timestamp(1000)).size() == 1000);
}
