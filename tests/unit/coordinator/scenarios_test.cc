// Plays every story in scenarios/ and compares what follows with what the file says.
#include <catch2/catch.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

#include "tests/unit/coordinator/scenario.h"

using namespace kurier::coordinator;

namespace {

void write(const std::string& path, const std::vector<ScenarioLine>& lines,
           const std::vector<std::vector<std::string>>& traces) {
  std::ofstream file(path);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    file << lines[i].text << '\n';
    for (const std::string& line : traces[i]) file << "  " << line << '\n';
  }
}

}  // namespace

TEST_CASE("scenarios") {
  std::set<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(KURIER_SCENARIOS)) {
    if (entry.path().extension() == ".txt") files.insert(entry.path().string());
  }
  CHECK_FALSE(files.empty());
  for (const std::string& path : files) {
    INFO(path);
    const auto lines = read_scenario(path);
    const auto traces = play(lines);
    if (std::getenv("UPDATE_SCENARIOS") != nullptr) write(path, lines, traces);
    for (std::size_t i = 0; i < lines.size(); ++i) {
      INFO("line " << lines[i].text);
      CHECK(traces[i] == lines[i].expected);
    }
  }
}
