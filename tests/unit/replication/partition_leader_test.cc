// The partition leader's decisions: given state and event, the actions. No I/O, virtual time.
#include "replication/partition/partition_leader.h"

#include <catch2/catch.hpp>

using namespace kurier;
using namespace kurier::replication;
using namespace std::chrono_literals;
using protocol::ErrorCode;

namespace {

const MonotonicTime kStart{1h};

PartitionLeader leader_of(std::vector<std::int32_t> replicas, std::vector<std::int32_t> isr, std::int32_t min_isr = 1,
                          Offset end = Offset(10)) {
  PartitionLeaderState state;
  state.self = BrokerId(1);
  state.leader_epoch = LeaderEpoch(5);
  state.partition_epoch = PartitionEpoch(7);
  for (auto id : replicas) state.replicas.emplace_back(id);
  for (auto id : isr) state.isr.emplace_back(id);
  state.min_insync_replicas = min_isr;
  return PartitionLeader(state, {end, end, Offset(0), std::nullopt}, kStart);
}

}  // namespace

TEST_CASE("with one replica everything is committed at once") {
  auto leader = leader_of({1}, {1});
  CHECK(leader.high_watermark() == Offset(10));
  const auto actions = leader.log_advanced(Offset(15), Offset(15), std::nullopt, kStart);
  CHECK(actions.high_watermark_advanced);
  CHECK(leader.high_watermark() == Offset(15));
  const auto waited = leader.wait_for_replication(1, Offset(15), kStart + 1s);
  CHECK(waited.produce == std::vector<ProduceCompletion>{{1, ErrorCode::kNone}});
  CHECK_FALSE(leader.next_deadline());
}

TEST_CASE("what is not durable does not count when every append is flushed") {
  auto leader = leader_of({1}, {1});
  CHECK_FALSE(leader.log_advanced(Offset(15), Offset(10), std::nullopt, kStart).high_watermark_advanced);
  CHECK(leader.wait_for_replication(1, Offset(12), kStart + 1s).produce.empty());
  CHECK(leader.wait_for_replication(2, Offset(15), kStart + 1s).produce.empty());
  CHECK(leader.log_advanced(Offset(15), Offset(13), std::nullopt, kStart).produce ==
        std::vector<ProduceCompletion>{{1, ErrorCode::kNone}});
  CHECK(leader.log_advanced(Offset(15), Offset(15), std::nullopt, kStart).produce ==
        std::vector<ProduceCompletion>{{2, ErrorCode::kNone}});
}

TEST_CASE("producers are answered in the order of their offsets and time out by their deadlines") {
  auto leader = leader_of({1, 2}, {1, 2});
  leader.log_advanced(Offset(20), Offset(20), std::nullopt, kStart);
  leader.wait_for_replication(7, Offset(20), kStart + 1s);
  leader.wait_for_replication(8, Offset(15), kStart + 3s);
  leader.wait_for_replication(9, Offset(14), kStart + 2s);
  CHECK(leader.next_deadline() == kStart + 1s);
  const auto fetched = leader.follower_fetched({BrokerId(2), BrokerEpoch(1), Offset(16)}, true, kStart);
  CHECK(fetched.produce == std::vector<ProduceCompletion>{{9, ErrorCode::kNone}, {8, ErrorCode::kNone}});
  CHECK(leader.tick(kStart + 999ms).produce.empty());
  CHECK(leader.tick(kStart + 1s).produce == std::vector<ProduceCompletion>{{7, ErrorCode::kRequestTimedOut}});
  CHECK(leader.tick(kStart + 2s).produce.empty());
}

TEST_CASE("the last stable offset stays before an open transaction") {
  auto leader = leader_of({1}, {1});
  leader.log_advanced(Offset(15), Offset(15), Offset(12), kStart);
  CHECK(leader.high_watermark() == Offset(15));
  CHECK(leader.last_stable_offset() == Offset(12));
  leader.wait_for_data(1, FetchBound::kLastStableOffset, Offset(12));
  leader.wait_for_data(2, FetchBound::kHighWatermark, Offset(15));
  leader.wait_for_data(3, FetchBound::kLogEnd, Offset(15));
  CHECK(leader.log_advanced(Offset(16), Offset(15), Offset(12), kStart).fetch == std::vector<WaiterId>{3});
  CHECK(leader.log_advanced(Offset(16), Offset(16), Offset(12), kStart).fetch == std::vector<WaiterId>{2});
  CHECK(leader.log_advanced(Offset(16), Offset(16), std::nullopt, kStart).fetch == std::vector<WaiterId>{1});
}

TEST_CASE("a fetch that was cancelled is not woken") {
  auto leader = leader_of({1}, {1});
  leader.wait_for_data(1, FetchBound::kLogEnd, Offset(10));
  leader.wait_for_data(2, FetchBound::kLogEnd, Offset(12));
  leader.cancel_fetch(1);
  CHECK(leader.log_advanced(Offset(11), Offset(11), std::nullopt, kStart).fetch.empty());
  CHECK(leader.log_advanced(Offset(13), Offset(13), std::nullopt, kStart).fetch == std::vector<WaiterId>{2});
}

TEST_CASE("min.insync.replicas: refused before the append, and told after it") {
  auto leader = leader_of({1, 2, 3}, {1, 2}, 2);
  CHECK(leader.check_acks_all() == ErrorCode::kNone);
  leader.follower_fetched({BrokerId(2), BrokerEpoch(1), Offset(10)}, true, kStart);
  CHECK(leader.high_watermark() == Offset(10));
  leader.log_advanced(Offset(11), Offset(11), std::nullopt, kStart);
  leader.wait_for_replication(1, Offset(11), kStart + 1s);
  CHECK(leader.isr_changed({BrokerId(1)}, PartitionEpoch(8), kStart).produce.empty());
  CHECK(leader.check_acks_all() == ErrorCode::kNotEnoughReplicas);
  CHECK(leader.high_watermark() == Offset(10));  // KIP-966
  // A producer whose records were committed already hears that the promise was not kept.
  CHECK(leader.wait_for_replication(2, Offset(10), kStart + 1s).produce ==
        std::vector<ProduceCompletion>{{2, ErrorCode::kNotEnoughReplicasAfterAppend}});
  CHECK(leader.min_insync_replicas_changed(1, kStart).produce == std::vector<ProduceCompletion>{{1, ErrorCode::kNone}});
}

TEST_CASE("min.insync.replicas beyond the number of replicas asks for all of them") {
  auto leader = leader_of({1}, {1}, 2);
  CHECK(leader.check_acks_all() == ErrorCode::kNone);
}

TEST_CASE("a follower that has caught up is wished into the ISR, once, and counts when metadata says so") {
  auto leader = leader_of({1, 2}, {1});
  CHECK(leader.high_watermark() == Offset(10));
  CHECK_FALSE(leader.follower_fetched({BrokerId(2), BrokerEpoch(1), Offset(9)}, true, kStart).wish);
  CHECK_FALSE(leader.follower_fetched({BrokerId(2), BrokerEpoch(1), Offset(10)}, false, kStart).wish);
  const auto actions = leader.follower_fetched({BrokerId(2), BrokerEpoch(1), Offset(10)}, true, kStart);
  CHECK(actions.wish == AlterPartitionWish{{BrokerId(1), BrokerId(2)}, PartitionEpoch(7)});
  CHECK_FALSE(leader.follower_fetched({BrokerId(2), BrokerEpoch(1), Offset(10)}, true, kStart).wish);
  // It may be in the ISR already as far as the controller knows: the high watermark waits for it.
  CHECK_FALSE(leader.log_advanced(Offset(12), Offset(12), std::nullopt, kStart).high_watermark_advanced);
  leader.isr_changed({BrokerId(1), BrokerId(2)}, PartitionEpoch(8), kStart);
  CHECK(leader.high_watermark() == Offset(10));
  CHECK(leader.follower_fetched({BrokerId(2), BrokerEpoch(1), Offset(12)}, true, kStart).high_watermark_advanced);
}

TEST_CASE("a follower that stays behind for replica.lag.time.max.ms is wished out") {
  auto leader = leader_of({1, 2}, {1, 2});
  CHECK_FALSE(leader.tick(kStart + 30s).wish);
  CHECK(leader.tick(kStart + 31s).wish == AlterPartitionWish{{BrokerId(1)}, PartitionEpoch(7)});
  CHECK_FALSE(leader.tick(kStart + 32s).wish);
  leader.wish_failed();
  CHECK(leader.tick(kStart + 33s).wish);
}

TEST_CASE("a leader that resigns answers everybody") {
  auto leader = leader_of({1, 2}, {1, 2});
  leader.wait_for_replication(1, Offset(10), kStart + 1s);
  leader.wait_for_data(2, FetchBound::kHighWatermark, Offset(0));
  const auto actions = leader.resign();
  CHECK(actions.produce == std::vector<ProduceCompletion>{{1, ErrorCode::kNotLeaderOrFollower}});
  CHECK(actions.fetch == std::vector<WaiterId>{2});
  CHECK_FALSE(leader.next_deadline());
}
