// World: members of a few groups that join, sync, commit, leave, die and restart at random against a Bench, and the
// checker that watches them. After each step `violation` says what is wrong, or nothing. One seed gives one history.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/support/group_member.h"
#include "tests/unit/coordinator/bench.h"

namespace kurier::coordinator {

// Planted in the runtime or in the answers, to see that the checker sees them.
enum class Bug { kNone, kLosesRecords, kForgetsAfterAnswer, kMixesAssignments };

class World {
 public:
  explicit World(std::uint64_t seed, Bug bug = Bug::kNone);

  // One random event and its check; empty if all is well.
  std::string step();
  // The coordinator resigns: nobody may still wait.
  std::string finish();
  [[nodiscard]] const std::map<std::string, int>& counts() const { return counts_; }  // what happened how often

 private:
  using Client = test::GroupMember;
  struct Asked {
    std::size_t client = 0;
    std::string group;
    std::int32_t generation = -1;
    std::string member_id;
    std::int64_t value = -1;  // of a commit
  };

  std::uint64_t below(std::uint64_t bound) { return random_.below(bound); }
  bool one_in(std::uint64_t count) { return below(count) == 0; }
  RequestToken ask(std::size_t client, std::int64_t value = -1);
  void join(std::size_t client);
  void sync(std::size_t client);
  void commit(std::size_t client);
  void heartbeat(std::size_t client);
  void do_what_is_due(std::size_t client);
  void anything(std::size_t client);
  void log_event();
  void expire_some();
  void look(const std::string& why);
  void hear(RequestToken token, const protocol::JoinGroupResponse& response);
  void hear(RequestToken token, const protocol::SyncGroupResponse& response);
  void hear(RequestToken token, const protocol::OffsetCommitResponse& response);
  void hear(RequestToken token, const protocol::TxnOffsetCommitResponse& response);
  template <class Other>
  void hear(RequestToken, const Other&) {}
  void check_state();
  void check_log();
  void check_group_against_log(const std::string& id, const GroupCoordinator& shadow);
  void fail(std::string what) {
    if (violation_.empty()) violation_ = std::move(what);
  }

  Bug bug_;
  SeededRandom random_;
  GroupOptions options_;
  Bench bench_;
  OffsetSweep sweep_;
  std::vector<Client> clients_;
  std::map<RequestToken, Asked> asked_;
  std::set<std::int64_t> kept_;                       // values of commits that were answered without error
  std::int64_t last_value_ = 0;
  std::map<std::pair<std::string, std::int32_t>, std::string> assignment_of_generation_;
  std::map<std::string, std::string> assignment_of_member_;  // group, generation and member
  std::set<std::string> unsure_;                      // groups that are ahead of the log, since an append failed
  // What the log says, and a coordinator that loaded it; made anew when the log has changed.
  MemoryGroupState replayed_;
  SeededRandom unused_{1};
  std::unique_ptr<GroupCoordinator> shadow_;
  std::uint64_t checked_changes_ = 0;
  bool holding_ = false;
  std::map<std::string, int> counts_;
  std::string violation_;
};

}  // namespace kurier::coordinator
