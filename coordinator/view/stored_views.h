// Which views there are in a store: all keys of one begin with its topic's id and its partition. On a pool.
#pragma once

#include <set>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/key_value_store.h"
#include "base/uuid.h"

namespace kurier::coordinator {

[[nodiscard]] Bytes view_prefix(const TopicId& topic, PartitionIndex partition);

// The views of all partitions of topics other than these, which are no more. How many topics it were. It looks at one key of
// each topic, however many there are.
Result<std::size_t> erase_views_of_others(KeyValueStore& store, const std::set<TopicId>& topics);

}  // namespace kurier::coordinator
