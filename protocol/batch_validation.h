// What must a client's batch be before it may be appended, and what does the topic's configuration change in it?
//
// Pure functions on bytes, any thread; a produce request asks once a partition. The rules, their order, the error codes
// and the texts are those of Apache Kafka 4.4's ProduceRequest, UnifiedLog and LogValidator.
// tests/interop/produce_rules.py sends the same batches to both and names the few differences; the main one: a
// compressed batch is decompressed only where the rules demand it (`must_look_inside` in the .cc), its header is
// believed otherwise.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "protocol/error_code.h"
#include "protocol/record_batch.h"
#include "protocol/record_summary.h"

namespace kurier::protocol {

// Of a topic's configuration and of the request, what the rules depend on.
struct BatchRules {
  std::string_view topic;  // for the texts
  PartitionIndex partition;
  std::int16_t produce_version = 13;
  bool has_transactional_id = false;
  std::size_t batch_bytes_max = 1'048'588;                    // max.message.bytes
  std::size_t decompressed_bytes_max = 2'147'483'639;         // max.decompressed.message.bytes
  std::size_t segment_bytes = 1'073'741'824;                  // segment.bytes: a batch must fit
  bool compact = false;                                       // cleanup.policy has compact: records need keys
  TimestampType timestamp_type = TimestampType::kCreateTime;  // message.timestamp.type
  std::int64_t before_ms_max = std::numeric_limits<std::int64_t>::max();  // message.timestamp.before.max.ms
  std::int64_t after_ms_max = 3'600'000;                                  // message.timestamp.after.max.ms
  std::optional<Codec> codec;  // compression.type; none: as the producer has it
  int level = 0;               // of `codec`
};

inline constexpr std::size_t kRecordErrorsMax = 1000;  // are listed in an answer; all are counted

struct BatchVerdict {
  struct RecordError {
    std::int32_t index = 0;  // of the record in the batch
    std::string message;
  };
  ErrorCode error = ErrorCode::kNone;
  std::string message;                     // for the client; mostly there is none
  std::vector<RecordError> record_errors;  // KIP-467
  bool tells_log_start = false;            // whether the answer with the error has the log start offset
  std::string reason;                      // for our own log

  // Accepted: what is to be appended, in the client's bytes, stamped, or in `rebuilt`.
  MutableByteView batch;
  Bytes rebuilt;

  [[nodiscard]] bool accepted() const { return error == ErrorCode::kNone; }
};

// What the bytes of the first batch say whatever the rules are. For who has received them, while they are in its core's cache,
// where the rules are known to another.
struct BatchReading {
  std::uint32_t crc = 0;  // of what a batch's crc covers
  std::optional<RecordsSummary> records;  // of an uncompressed batch
};
// None if there is no whole batch, or one of more than `records_max` records: each costs some eighty instructions.
// `records`: the field of the request.
[[nodiscard]] std::optional<BatchReading> read_batch(ByteView records, std::int32_t records_max);

// `records`: the field of the request. `now`: the log append time. `reading`: of the same bytes, if they have been read before.
[[nodiscard]] BatchVerdict validate_batch(MutableByteView records, const BatchRules& rules, Timestamp now,
                                          const std::optional<BatchReading>& reading = std::nullopt);

// The part of it that a request has to pass before its acks are looked at: that there is one batch of format 2.
[[nodiscard]] BatchVerdict validate_framing(ByteView records, const BatchRules& rules);

}  // namespace kurier::protocol
