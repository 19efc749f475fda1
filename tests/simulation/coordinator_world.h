// CoordinatorWorld: members of a few groups that join, sync, commit, leave, die and are deleted against a broker whose
// machine dies at some change, comes up again and goes on; and the checker over all of it. One seed, one history.
//
// Checked while it lives: what is answered is in the log and committed before; the view has what the log says; an offset
// fetched is the one committed. After each start: the log has everything that had to survive, and replayed from empty it gives
// the state that its history has; so does the view, whether it was used, lost or stale; groups with members are as stable as their last
// record says, and their members' heartbeats and assignments are accepted or not as Apache Kafka would.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/simulation/coordinator_history.h"
#include "tests/simulation/simulated_broker.h"
#include "tests/support/group_member.h"

namespace kurier::simulation {

// How the machine dies, and what it has promised.
enum class Death {
  kKill,  // whatever was written stays
  kFlushed,  // a power cut, with flush.messages=1: whatever was answered stays
  kPowerCut,  // a power cut: whatever was flushed stays
};

// Planted, to see that the checker sees them.
enum class Bug {
  kNone,
  kViewAheadOfItsLog,  // the view says that it has more of the log than it has
  kAnswersBeforeItsSafe,  // clients take a commit for done when they have sent it
  kDiskThatDoesNotSync,
  kForgetsMembers,  // a member's heartbeat is refused after a start
};

class CoordinatorWorld {
 public:
  struct Outcome {
    std::string fault;  // empty: all is well
    std::uint64_t trace_hash = 0;
    std::uint64_t changes = 0;
  };
  // The machine dies at the change `crash_at` for the first time; 0: at a random one.
  CoordinatorWorld(std::uint64_t seed, Death death, Bug bug = Bug::kNone, std::uint64_t crash_at = 0);
  Outcome run();
  [[nodiscard]] const std::map<std::string, int>& counts() const { return counts_; }  // what happened how often

 private:
  using Client = test::GroupMember;
  struct Asked {
    int life = 0;
    std::size_t client = 0;
    std::string group;
    std::int32_t generation = -1;
    std::string member_id;
    std::int64_t value = -1;  // of a commit
  };
  struct Told {  // an assignment
    std::string group;
    std::int32_t generation = -1;
    std::string member_id;
    std::string assignment;
  };

  std::uint64_t below(std::uint64_t bound) { return random_.below(bound); }
  bool one_in(std::uint64_t count) { return below(count) == 0; }
  void fail(std::string what) {
    if (fault_.empty()) fault_ = std::move(what);
  }
  void mix(std::uint64_t value) { hash_ = (hash_ ^ value) * 1099511628211ULL; }
  [[nodiscard]] bool is_dead() const { return machine_.crashed(); }

  // A life and what is between two.
  void live();
  bool start();
  // Compaction has written the batch that ends before `offset` anew, which a crash may have kept from being written down: the view
  // that knew it is no longer borne out.
  [[nodiscard]] bool is_compacted_before(Offset offset);
  void step();
  void stop();
  void come_up_again();
  void tamper();
  void another_program_leads();

  // What happens.
  void do_what_is_due(std::size_t client);
  void anything(std::size_t client);
  void happen_to_the_broker();
  [[nodiscard]] Asked asked_by(std::size_t client, std::int64_t value = -1) const;
  void ask(Asked asked, broker::GroupRuntime::Operation operation);
  static Task<void> request(CoordinatorWorld& world, std::shared_ptr<broker::GroupRuntime> runtime,
                            broker::GroupRuntime::Operation operation, Asked asked);
  static Task<void> until_committed(CoordinatorWorld& world, std::shared_ptr<broker::GroupRuntime> runtime, int life,
                                    std::vector<std::int64_t> values);
  void join(std::size_t client);
  void sync(std::size_t client);
  void commit(std::size_t client);
  void leave(std::size_t client);
  void fetch(const std::string& group);
  protocol::ErrorCode heartbeat(const Client& client);

  // What is answered.
  void hear(const Asked& asked, const protocol::JoinGroupResponse& response);
  void hear(const Asked& asked, const protocol::SyncGroupResponse& response);
  void hear(const Asked& asked, const protocol::OffsetCommitResponse& response);
  template <class Other>
  void hear(const Asked&, const Other&) {}

  // The checker.
  void look();
  void check_promises(Offset safe_end);
  void check_view();
  void check_log(storage::Log& log, bool knows_its_gaps);
  void check_loaded();
  void check_group(const std::string& group, const protocol::GroupMetadataValue& record);
  void check_member(Client& client);

  const Death death_;
  const Bug bug_;
  SeededRandom random_;
  SimulatedFileSystem machine_;
  SimulatedKeyValueStore store_;
  SimulatedBroker::Options options_;
  std::unique_ptr<SimulatedBroker> broker_;
  std::shared_ptr<broker::GroupRuntime> seen_;  // whose load has been checked
  int life_ = 0;
  std::vector<Client> clients_;
  CoordinatorHistory history_;
  Offset durable_{0};  // everything before it was flushed
  std::optional<Offset> cleaned_to_;
  std::set<std::int64_t> kept_;  // values of commits that were answered without error, or fetched
  std::set<std::int64_t> unchecked_;  // the newest of them
  std::vector<Told> told_;
  std::int64_t last_value_ = 0;
  bool reading_fails_ = false;
  bool view_must_last_ = false;  // what the store has is used by the next start
  bool must_stop_ = false;  // this life ends with a clean stop
  std::vector<std::map<Bytes, Bytes>> old_stores_;
  std::map<std::string, int> counts_;
  std::string fault_;
  std::uint64_t hash_ = 14695981039346656037ULL;
};

}  // namespace kurier::simulation
