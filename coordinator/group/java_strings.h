// What Java's strings say about ours (UTF-8): Kafka's rules depend on it where a group is hashed to a partition, where
// a length is limited, and where a tie is broken by the order of a hash map. Pure functions. Bytes that are no UTF-8
// count as U+FFFD.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace kurier::coordinator {

[[nodiscard]] std::int32_t java_hash(std::string_view text);    // String.hashCode
[[nodiscard]] std::size_t java_length(std::string_view text);  // String.length: UTF-16 units

// The partition of __consumer_offsets that a group belongs to; partitions > 0.
[[nodiscard]] std::int32_t group_partition(std::string_view group_id, std::int32_t partitions);

}  // namespace kurier::coordinator
