// What the broker's configuration says about groups. Property names are Kafka's; the defaults too.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace kurier::coordinator {

struct GroupOptions {
  std::chrono::milliseconds initial_rebalance_delay{3'000};  // group.initial.rebalance.delay.ms
  std::chrono::milliseconds min_session_timeout{6'000};      // group.min.session.timeout.ms
  std::chrono::milliseconds max_session_timeout{1'800'000};  // group.max.session.timeout.ms
  std::size_t max_size = 0x7fff'ffff;                        // group.max.size
  std::size_t offset_metadata_max = 4'096;  // offset.metadata.max.bytes; counted in UTF-16 units, as Kafka does
  std::chrono::milliseconds offsets_retention{std::chrono::minutes(10'080)};  // offsets.retention.minutes
};

}  // namespace kurier::coordinator
