// Scenario: a text that reads like prose, played against a Bench. A line at the margin is what happens; the indented
// lines below it are what follows. scenarios/words.md has the words.
#pragma once

#include <string>
#include <vector>

namespace kurier::coordinator {

struct ScenarioLine {
  std::string text;                   // as it stands: a command, a comment or nothing
  std::vector<std::string> expected;  // the trace below a command
};

[[nodiscard]] std::vector<ScenarioLine> read_scenario(const std::string& path);
// The trace of each line. Throws std::runtime_error for a line that means nothing.
[[nodiscard]] std::vector<std::vector<std::string>> play(const std::vector<ScenarioLine>& lines);

}  // namespace kurier::coordinator
