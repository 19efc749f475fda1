// What a topic's configuration means for the batches that clients produce to it. A pure function.
#pragma once

#include <string_view>

#include "config/topic_config.h"
#include "protocol/batch_validation.h"

namespace kurier::broker {

// `topic` is borrowed by the result.
[[nodiscard]] protocol::BatchRules batch_rules(const config::TopicConfig& config, std::string_view topic,
                                               PartitionIndex partition, std::int16_t produce_version);

}  // namespace kurier::broker
