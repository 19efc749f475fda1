#include "tools/commands/group_views.h"

#include <catch2/catch.hpp>

using namespace kurier;
using namespace kurier::commands;

namespace {

client::GroupDescription group() {
  client::GroupDescription group{.id = "g",
                                 .type = "classic",
                                 .state = "Stable",
                                 .protocol_type = "consumer",
                                 .assignor = "range",
                                 .coordinator = BrokerId(1),
                                 .coordinator_address = {"127.0.0.1", 9092},
                                 .members = {}};
  group.members.push_back({"m-1", std::nullopt, "client", "/127.0.0.1", {{"t", {0, 1}}}});
  return group;
}

}  // namespace

TEST_CASE("partitions: what is committed, what is assigned, or both; the lag where both ends are known") {
  const client::CommittedOffsets committed{{{"gone", PartitionIndex(0)}, {Offset(5), LeaderEpoch(-1), ""}},
                                           {{"t", PartitionIndex(1)}, {Offset(7), LeaderEpoch(-1), ""}}};
  const auto views = partition_views(group(), committed,
                                     {{{"t", PartitionIndex(0)}, Offset(10)}, {{"t", PartitionIndex(1)}, Offset(10)}});
  REQUIRE(views.size() == 3);
  REQUIRE(views[0].partition.first == "gone");
  REQUIRE_FALSE(views[0].lag());
  REQUIRE(views[0].member.empty());
  REQUIRE_FALSE(views[1].committed);
  REQUIRE_FALSE(views[1].lag());
  REQUIRE(views[1].member == "m-1");
  REQUIRE(*views[2].lag() == 3);
}

TEST_CASE("a group as JSON and as text") {
  const client::CommittedOffsets committed{{{"t", PartitionIndex(1)}, {Offset(7), LeaderEpoch(-1), "note"}}};
  const auto views = partition_views(group(), committed, {{{"t", PartitionIndex(1)}, Offset(10)}});
  REQUIRE(
      to_json(group(), views).text() ==
      R"({"group": "g", "type": "classic", "protocol_type": "consumer", "state": "Stable", "assignor": "range", )"
      R"("coordinator": {"id": 1, "host": "127.0.0.1", "port": 9092}, "members": [{"id": "m-1", "instance_id": null, )"
      R"("client_id": "client", "host": "/127.0.0.1", "assignment": [{"topic": "t", "partitions": [0, 1]}]}], )"
      R"("offsets": [{"topic": "t", "partition": 0, "committed": null, "log_end": null, "lag": null, "member": "m-1"}, )"
      R"({"topic": "t", "partition": 1, "committed": 7, "log_end": 10, "lag": 3, "metadata": "note", "member": "m-1"}]})");
  REQUIRE(to_text(group(), views) ==
          "group g: classic, Stable, assignor range, 1 members, coordinator 1 at 127.0.0.1:9092\n\n"
          "MEMBER  INSTANCE  CLIENT  HOST        ASSIGNMENT\n"
          "m-1     -         client  /127.0.0.1  t:0,1\n\n"
          "TOPIC  PARTITION  COMMITTED  LOG-END  LAG  MEMBER\n"
          "t      0          -          -        -    m-1\n"
          "t      1          7          10       3    m-1\n");
}
