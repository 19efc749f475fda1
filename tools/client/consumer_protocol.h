// What members of a classic group of consumers tell one another through the coordinator: which topics one wants, and
// which partitions it gets (Kafka's consumer protocol, versions 0 to 3). And the range assignor, which whoever leads the
// group runs: Java's and librdkafka's default.
//
// Pure functions. https://kafka.apache.org/documentation/#consumerconfigs_partition.assignment.strategy
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace kurier::client {

inline constexpr const char* kConsumerProtocolType = "consumer";
inline constexpr const char* kRangeAssignor = "range";

// Topic → partitions, in order.
using Assignment = std::map<std::string, std::vector<std::int32_t>>;

[[nodiscard]] Bytes encode_subscription(const std::vector<std::string>& topics, ByteView user_data = {});
// The topics of a subscription. A version from the future is read as the newest that is known, as Java does.
Result<std::vector<std::string>> parse_subscription(ByteView bytes);
[[nodiscard]] Bytes encode_assignment(const Assignment& assignment);
// No bytes are no partitions.
Result<Assignment> parse_assignment(ByteView bytes);

struct Subscriber {
  std::string member_id;
  std::optional<std::string> instance_id;
  std::vector<std::string> topics;
};

// Member id → what it gets. Each topic for itself: its partitions in order, cut into runs as equal as can be, the longer
// ones first; static members come first, by instance id, then the others by member id. A topic that is not in
// `partition_counts` is left out. Every member has an entry.
[[nodiscard]] std::map<std::string, Assignment> assign_ranges(
    const std::vector<Subscriber>& members, const std::map<std::string, std::int32_t>& partition_counts);

}  // namespace kurier::client
