// What members tell one another, and who gets what.
#include <catch2/catch.hpp>

#include "tools/client/address.h"
#include "tools/client/consumer_protocol.h"

using namespace kurier;
using namespace kurier::client;

namespace {

Bytes hex(std::string_view text) {
  Bytes bytes;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    bytes.push_back(static_cast<std::byte>(std::stoi(std::string(text.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
}

using Assigned = std::map<std::string, Assignment>;

}  // namespace

TEST_CASE("a subscription is read in every version, and in one from the future as in the newest that is known") {
  // Topics t and u, user data null; then owned partitions none, generation 5, rack null.
  const std::string fields =
      "00000002"
      "000174"
      "000175"
      "ffffffff";
  const std::vector<std::string> topics{"t", "u"};
  REQUIRE(*parse_subscription(hex("0000" + fields)) == topics);
  REQUIRE(*parse_subscription(hex("0001" + fields + "00000000")) == topics);
  REQUIRE(*parse_subscription(hex("0002" + fields +
                                  "00000000"
                                  "00000005")) == topics);
  REQUIRE(*parse_subscription(hex("0003" + fields +
                                  "00000000"
                                  "00000005"
                                  "ffff")) == topics);
  REQUIRE(*parse_subscription(hex("0009" + fields +
                                  "00000000"
                                  "00000005"
                                  "ffff"
                                  "77")) == topics);
  REQUIRE(*parse_subscription(encode_subscription(topics)) == topics);
  REQUIRE(*parse_subscription(encode_subscription(topics, as_bytes("anything"))) == topics);
  REQUIRE_FALSE(parse_subscription(hex("ffff" + fields)));
  REQUIRE_FALSE(
      parse_subscription(hex("0001"
                             "00000002"
                             "000174")));
  REQUIRE_FALSE(parse_subscription({}));
}

TEST_CASE("an assignment is written as it is read, and no bytes are no partitions") {
  const Assignment assignment{{"t", {0, 2}}, {"u", {1}}};
  REQUIRE(*parse_assignment(encode_assignment(assignment)) == assignment);
  REQUIRE(parse_assignment({})->empty());
  REQUIRE(*parse_assignment(hex("0000"
                                "00000001"
                                "000174"
                                "00000002"
                                "00000002"
                                "00000000"
                                "ffffffff")) == Assignment{{"t", {0, 2}}});
  REQUIRE_FALSE(
      parse_assignment(hex("0000"
                           "00000001"
                           "000174")));
}

TEST_CASE("ranges: the first members get one more, each topic for itself") {
  const std::vector<Subscriber> members{{"b", {}, {"t", "u"}}, {"a", {}, {"u", "t"}}, {"c", {}, {"t"}}};
  REQUIRE(assign_ranges(members, {{"t", 7}, {"u", 3}}) == Assigned{{"a", {{"t", {0, 1, 2}}, {"u", {0, 1}}}},
                                                                   {"b", {{"t", {3, 4}}, {"u", {2}}}},
                                                                   {"c", {{"t", {5, 6}}}}});
}

TEST_CASE("ranges: members without a partition, topics that are not there") {
  const std::vector<Subscriber> members{{"a", {}, {"t"}}, {"b", {}, {"t", "t"}}, {"c", {}, {"gone"}}};
  REQUIRE(assign_ranges(members, {{"t", 1}}) == Assigned{{"a", {{"t", {0}}}}, {"b", {}}, {"c", {}}});
}

TEST_CASE("ranges: static members come first, by instance id, whatever their member ids are") {
  const std::vector<Subscriber> members{{"a", {}, {"t"}}, {"z", "one", {"t"}}, {"b", "two", {"t"}}};
  REQUIRE(assign_ranges(members, {{"t", 3}}) ==
          Assigned{{"z", {{"t", {0}}}}, {"b", {{"t", {1}}}}, {"a", {{"t", {2}}}}});
}

TEST_CASE("addresses: one or several, IPv6 in brackets; what is wrong is named with its option") {
  const auto several = parse_endpoints("a:1,[::1]:9092", "--bootstrap");
  REQUIRE(several);
  REQUIRE(several->size() == 2);
  REQUIRE(several->at(1).host == "::1");
  REQUIRE(several->at(1).port == 9092);
  for (const char* wrong : {"", "a", "a:", ":1", "a:0", "a:65536", "a:1,", "a:1x", "[]:1"}) {
    const auto parsed = parse_endpoints(wrong, "--bootstrap");
    REQUIRE_FALSE(parsed);
    REQUIRE(parsed.error().context.find("--bootstrap") == 0);
  }
}
