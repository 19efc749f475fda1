#include "storage/leader_epochs.h"

#include <algorithm>

namespace kurier::storage {

bool LeaderEpochs::assign(LeaderEpoch epoch, Offset start_offset) {
  if (epoch.value() < 0) return false;
  if (!entries_.empty() && entries_.back().epoch == epoch && entries_.back().start_offset <= start_offset) return false;
  while (!entries_.empty() && (entries_.back().epoch >= epoch || entries_.back().start_offset >= start_offset)) {
    entries_.pop_back();
  }
  entries_.push_back({epoch, start_offset});
  return true;
}

bool LeaderEpochs::truncate_from_end(Offset end_offset) {
  const auto first = std::ranges::find_if(entries_, [&](const EpochEntry& e) { return e.start_offset >= end_offset; });
  const bool changed = first != entries_.end();
  entries_.erase(first, entries_.end());
  return changed;
}

bool LeaderEpochs::truncate_from_start(Offset start_offset) {
  auto after = std::ranges::find_if(entries_, [&](const EpochEntry& e) { return e.start_offset > start_offset; });
  if (after == entries_.begin()) return false;
  --after;  // the entry that covers start_offset
  const bool changed = after != entries_.begin() || after->start_offset != start_offset;
  after->start_offset = start_offset;
  entries_.erase(entries_.begin(), after);
  return changed;
}

LeaderEpochs::EndOffset LeaderEpochs::end_offset_of(LeaderEpoch requested, Offset log_end_offset) const {
  if (requested.value() < 0 || entries_.empty() || requested > entries_.back().epoch) return {};
  if (requested == entries_.back().epoch) return {requested, log_end_offset};
  const auto higher = std::ranges::find_if(entries_, [&](const EpochEntry& e) { return e.epoch > requested; });
  // Asked for an epoch before the first one known: it ended where that begins.
  if (higher == entries_.begin()) return {requested, higher->start_offset};
  return {std::prev(higher)->epoch, higher->start_offset};
}

std::optional<LeaderEpoch> LeaderEpochs::latest() const {
  if (entries_.empty()) return std::nullopt;
  return entries_.back().epoch;
}

std::optional<LeaderEpoch> LeaderEpochs::epoch_at(Offset offset) const {
  const auto after = std::ranges::find_if(entries_, [&](const EpochEntry& e) { return e.start_offset > offset; });
  if (after == entries_.begin()) return std::nullopt;
  return std::prev(after)->epoch;
}

}  // namespace kurier::storage
