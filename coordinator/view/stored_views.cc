#include "coordinator/view/stored_views.h"

#include <cstdint>
#include <optional>

namespace kurier::coordinator {
namespace {

constexpr std::size_t kTopicBytes = 16;

Bytes topic_prefix(const TopicId& topic) {
  Bytes prefix(kTopicBytes);
  store_big_endian(prefix.data(), topic.high);
  store_big_endian(prefix.data() + 8, topic.low);
  return prefix;
}

}  // namespace

Bytes view_prefix(const TopicId& topic, PartitionIndex partition) {
  Bytes prefix = topic_prefix(topic);
  prefix.resize(kTopicBytes + 4);
  store_big_endian(prefix.data() + kTopicBytes, partition.value());
  return prefix;
}

Result<std::size_t> erase_views_of_others(KeyValueStore& store, const std::set<TopicId>& topics) {
  std::size_t erased = 0;
  std::optional<Bytes> from = Bytes{};
  while (from) {
    std::optional<Bytes> found;
    TRY(store.scan({}, *from, [&](ByteView key, ByteView) {
      if (key.size() >= kTopicBytes) found = to_bytes(key.first(kTopicBytes));
      return !found;  // what is shorter is no view
    }));
    if (!found) break;
    const TopicId topic{load_big_endian<std::uint64_t>(found->data()),
                        load_big_endian<std::uint64_t>(found->data() + 8)};
    from = end_of_prefix(*found);
    if (topics.contains(topic) || !from) continue;
    TRY(store.erase_prefix(*found));
    ++erased;
  }
  return erased;
}

}  // namespace kurier::coordinator
