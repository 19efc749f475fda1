// LeaderEpochs: which leader epoch began at which offset of one log (KIP-101). A core; Log keeps it on disk.
#pragma once

#include <optional>
#include <vector>

#include "storage/checkpoint_file.h"

namespace kurier::storage {

class LeaderEpochs {
 public:
  LeaderEpochs() = default;
  explicit LeaderEpochs(std::vector<EpochEntry> entries) : entries_(std::move(entries)) {}

  // True if that changed anything. An entry that does not lie after those before it replaces them.
  bool assign(LeaderEpoch epoch, Offset start_offset);
  bool truncate_from_end(Offset end_offset);      // entries that begin at or after it go
  bool truncate_from_start(Offset start_offset);  // what lies wholly before it goes; the first entry begins there
  void clear() { entries_.clear(); }

  struct EndOffset {
    LeaderEpoch epoch{-1};
    Offset end_offset{-1};
    friend bool operator==(const EndOffset&, const EndOffset&) = default;
  };
  // The last epoch that is at most `requested` and where it ended; {-1, -1} if that is not known here.
  [[nodiscard]] EndOffset end_offset_of(LeaderEpoch requested, Offset log_end_offset) const;
  [[nodiscard]] std::optional<LeaderEpoch> latest() const;
  [[nodiscard]] std::optional<LeaderEpoch> epoch_at(Offset offset) const;
  [[nodiscard]] const std::vector<EpochEntry>& entries() const { return entries_; }

 private:
  std::vector<EpochEntry> entries_;  // both ascending
};

}  // namespace kurier::storage
