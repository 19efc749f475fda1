// CoordinatorHistory: what the partition of __consumer_offsets was given, record by record, and what follows from it: the
// state that every coordinator over it must have, the commits, the assignments of each generation.
//
// Compaction takes nothing from it: it knows what the log began with. Its own rules say what a log must never hold: a second
// assignment in one generation, a generation that goes back.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <string>

#include "coordinator/group/memory_state.h"
#include "tests/support/log_content.h"

namespace kurier::simulation {

class CoordinatorHistory {
 public:
  // Batches as they follow each other; those that are known are compared. What is wrong, or nothing. `may_have_gaps`: also among
  // those that are not known.
  std::string learn(const std::vector<test::DecodedBatch>& batches, bool may_have_gaps = false);
  // The log ends there, or later: the rest of it is a gap.
  void reaches(Offset end) { end_ = std::max(end_, end); }
  // The log ends there now: what came later is as if it had never been.
  void forget_from(Offset end);
  // What is not in `batches` is as if it had never been, from `from` on.
  void forget_missing(Offset from, const std::vector<test::DecodedBatch>& batches);

  [[nodiscard]] Offset end() const { return end_; }
  [[nodiscard]] const coordinator::MemoryGroupState& state() const { return state_; }
  // Where the commit of this value is; each value is committed once.
  [[nodiscard]] std::optional<Offset> commit_of(std::int64_t value) const;
  // Where a record says that the member has the assignment in that generation of the group.
  [[nodiscard]] std::optional<Offset> assignment_of(const std::string& group, std::int32_t generation,
                                                    const std::string& member, const std::string& assignment) const;

 private:
  struct Entry {
    test::DecodedRecord record;
    ProducerId producer{-1};  // of a transaction
    bool is_marker = false;
  };
  std::string add(const Entry& entry);
  std::string add_group(Offset at, const std::string& group, const std::optional<protocol::GroupMetadataValue>& value);

  std::map<Offset, Entry> entries_;
  Offset end_{0};
  coordinator::MemoryGroupState state_;
  std::map<std::int64_t, Offset> commits_;
  using Assignment = std::pair<std::string, std::string>;  // member and what it was given
  std::map<std::pair<std::string, std::int32_t>, std::map<Assignment, Offset>> assignments_;
  struct Newest {
    std::int32_t generation = 0;
    std::string serial;  // of the assignment of that generation
  };
  std::map<std::string, Newest> newest_;  // of the groups that are not deleted
};

// The state that the log says, replayed from empty.
[[nodiscard]] coordinator::MemoryGroupState replayed(const std::vector<test::DecodedBatch>& batches);

}  // namespace kurier::simulation
