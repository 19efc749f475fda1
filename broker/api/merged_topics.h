// Topics of a request as Apache Kafka sees them, which answers by maps: one that is named twice is one, with the partitions of
// both, and one without partitions is none. Their order is that of the request.
#pragma once

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <utility>
#include <vector>

namespace kurier::broker::api {

// `key_of(topic)` is the same for the same topic; `partitions` is the member that has them.
template <class Topic, class Partition, class KeyOf>
void merge_topics(std::vector<Topic>& topics, std::vector<Partition> Topic::* partitions, KeyOf key_of) {
  std::vector<std::size_t> sorted(topics.size() < 2 ? 0 : topics.size());
  for (std::size_t i = 0; i < sorted.size(); ++i) sorted[i] = i;
  std::ranges::sort(sorted, [&](std::size_t left, std::size_t right) {
    return std::pair(key_of(topics[left]), left) < std::pair(key_of(topics[right]), right);
  });
  for (std::size_t first = 0, i = 1; i < sorted.size(); ++i) {
    if (key_of(topics[sorted[first]]) != key_of(topics[sorted[i]])) {
      first = i;
      continue;
    }
    auto& from = topics[sorted[i]].*partitions;
    auto& to = topics[sorted[first]].*partitions;
    to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
    from.clear();
  }
  std::erase_if(topics, [&](const Topic& topic) { return (topic.*partitions).empty(); });
}

}  // namespace kurier::broker::api
