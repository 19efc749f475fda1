// What a topic's configuration means for one log. Defaults are Apache Kafka 4.4's; names are those of the topic properties.
#pragma once

#include <chrono>
#include <cstdint>

namespace kurier::storage {

struct LogConfig {
  std::uint64_t segment_bytes = 1 << 30;                                        // segment.bytes
  std::chrono::milliseconds segment_time = std::chrono::hours(7 * 24);          // segment.ms
  std::chrono::milliseconds segment_jitter{0};                                  // segment.jitter.ms: taken off, drawn for each segment
  std::uint64_t index_interval_bytes = 4096;                                    // index.interval.bytes
  std::uint64_t index_bytes_max = 10 * 1024 * 1024;                             // segment.index.bytes
  std::int64_t retention_bytes = -1;                                            // retention.bytes; -1: no limit
  std::int64_t retention_ms = std::int64_t{7} * 24 * 60 * 60 * 1000;            // retention.ms; -1: no limit
  bool delete_old = true;                                                       // cleanup.policy has delete
  bool compact = false;                                                         // cleanup.policy has compact
  bool keeps_everything =
      false;  // what was configured cannot be understood: neither retention nor the cleaner removes anything
  std::int64_t delete_retention_ms = 24 * 60 * 60 * 1000;  // delete.retention.ms
  std::int64_t min_compaction_lag_ms = 0;  // min.compaction.lag.ms
  std::int64_t max_compaction_lag_ms = INT64_MAX;  // max.compaction.lag.ms
  double min_cleanable_dirty_ratio = 0.5;  // min.cleanable.dirty.ratio
  std::int64_t producer_expiration_ms = 24 * 60 * 60 * 1000;                    // producer.id.expiration.ms
  std::uint64_t flush_messages = INT64_MAX;                                     // flush.messages
  bool preallocate = false;                                                     // preallocate
  std::uint64_t space_ahead_bytes = 0;  // disk space taken in advance, so that what others fill is not missing here

  [[nodiscard]] bool is_cleaned() const { return compact && !keeps_everything; }
  [[nodiscard]] bool is_retired() const { return delete_old && !keeps_everything; }
};

}  // namespace kurier::storage
