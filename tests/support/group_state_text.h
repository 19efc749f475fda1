// The whole content of a GroupState as a text, to be compared.
#pragma once

#include <fmt/core.h>

#include <string>

#include "coordinator/group/state.h"

namespace kurier::coordinator {

inline std::string described(const CommittedOffset& offset) {
  return fmt::format("{}/{} '{}' {} {} {} @{}", offset.offset.value(), offset.leader_epoch.value(), offset.metadata,
                     offset.commit_timestamp.value(), offset.expire_timestamp.value(), offset.topic_id.to_string(),
                     offset.record_offset.value());
}

// Everything that can be read, in the order in which it is visited.
inline std::string described(const GroupStateReader& state) {
  std::string text;
  state.for_each_group_with_members([&](const std::string& group) { text += fmt::format("with members {}\n", group); });
  state.for_each_group([&](const std::string& group) {
    text += fmt::format("group {} {} {}\n", group, state.has_offsets(group), state.has_any_pending(group));
    if (const auto classic = state.classic_group(group)) {
      protocol::Writer writer;
      classic->encode(writer, 4);
      text += fmt::format("  classic {}\n", as_text(writer.take_bytes()));
    }
    state.for_each_other_record(group, [&](const Bytes& key, const Bytes& value) {
      text += fmt::format("  other {} {}\n", as_text(key), as_text(value));
    });
    state.for_each_offset(group, [&](const TopicPartition& where, const CommittedOffset& offset) {
      text += fmt::format("  offset {}-{} {} {}\n", where.topic, where.partition, described(offset),
                          state.offset(group, where.topic, where.partition) == offset);
    });
    state.for_each_pending(group, [&](ProducerId producer, const TopicPartition& where, const CommittedOffset& offset) {
      text += fmt::format("  pending {} {}-{} {} {}\n", producer.value(), where.topic, where.partition,
                          described(offset), state.has_pending(group, where.topic, where.partition));
    });
  });
  return text;
}

}  // namespace kurier::coordinator
