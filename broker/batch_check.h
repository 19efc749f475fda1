// What a client's batch must be before it may be appended, and what the topic's configuration changes in it.
//
// The rules are those of Apache Kafka's produce path (one batch a partition, magic 2, no control batches, sizes,
// timestamps). A pure function; the batch is stamped in place.
#pragma once

#include <string>

#include "base/bytes.h"
#include "config/topic_config.h"
#include "protocol/error_code.h"
#include "protocol/record_batch.h"

namespace kurier::broker {

struct BatchVerdict {
  protocol::ErrorCode error = protocol::ErrorCode::kNone;
  std::string message;
  bool of_a_record = false;  // listed in the response's record errors (KIP-467)
};

// `produce_version`: of the request, since zstd is allowed from 7 on. `now` is the log append time.
BatchVerdict check_batch(MutableByteView records, const config::TopicConfig& config, std::int16_t produce_version, Timestamp now);

}  // namespace kurier::broker
