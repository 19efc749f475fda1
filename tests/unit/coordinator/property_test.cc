// Random histories of groups, and that the checker of them sees what it claims to see.
// One history again: KURIER_SEED=17 unit_coordinator "random histories keep the promises"
#include <catch2/catch.hpp>

#include <cstdlib>
#include <string>

#include "tests/unit/coordinator/world.h"

using namespace kurier::coordinator;

namespace {

constexpr int kSteps = 500;

std::string history(std::uint64_t seed, Bug bug, std::map<std::string, int>* counts = nullptr) {
  World world(seed, bug);
  for (int i = 0; i < kSteps; ++i) {
    if (std::string violation = world.step(); !violation.empty()) return violation;
  }
  std::string violation = world.finish();
  if (counts != nullptr) {
    for (const auto& [what, count] : world.counts()) (*counts)[what] += count;
  }
  return violation;
}

bool is_caught(Bug bug) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    if (!history(seed, bug).empty()) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("random histories keep the promises") {
  const char* only = std::getenv("KURIER_SEED");
  const std::uint64_t first = only == nullptr ? 1 : std::stoull(only);
  const std::uint64_t last = only == nullptr ? 150 : first;
  std::map<std::string, int> counts;
  for (std::uint64_t seed = first; seed <= last; ++seed) {
    INFO("KURIER_SEED=" << seed);
    CHECK(history(seed, Bug::kNone, &counts) == "");
  }
  if (only != nullptr) return;
  // The histories are of the kind that they should be.
  for (const char* what :
       {"join", "joined", "sync", "assigned", "commit", "committed", "heartbeat", "leave", "static restart",
        "failed append", "restart", "part of an expiry", "compared with the log"}) {
    INFO(what);
    CHECK(counts[what] > 100);
  }
}

TEST_CASE("the checker sees records that are lost") { CHECK(is_caught(Bug::kLosesRecords)); }
TEST_CASE("the checker sees commits that are lost after their answer") { CHECK(is_caught(Bug::kForgetsAfterAnswer)); }
TEST_CASE("the checker sees two assignments in one generation") { CHECK(is_caught(Bug::kMixesAssignments)); }
