// YAML by its events, so that places are known and what a configuration must not contain is seen.
#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <map>
#include <optional>
#include <sstream>

#include "config/source.h"
#include "config/text.h"

namespace kurier::config {
namespace {

class SettingsBuilder final : public YAML::EventHandler {
 public:
  SettingsBuilder(std::string_view path, std::string_view content, ReadSettings& result)
      : path_(path), content_(content), result_(result) {}

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override {
    if (stack_.empty()) return;  // an empty file
    const std::string name = stack_.back().is_list ? stack_.back().prefix : joined();
    result_.faults.push_back(no_value(mark.line + 1, name));
    if (!stack_.back().is_list) stack_.back().has_key = false;
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    fault(mark, "an alias (*name) is not allowed; write the value itself");
    if (!stack_.empty() && !stack_.back().is_list) stack_.back().has_key = false;
  }

  void OnScalar(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor, const std::string& value) override {
    refuse_anchor(mark, anchor);
    if (!is_quote_closed(mark)) return fault(mark, "this text has an opening quote and no closing one");
    if (stack_.empty()) return fault(mark, "expected `name: value` lines");
    Level& level = stack_.back();
    if (level.is_list) {
      if (level.is_valid) level.items += (level.count++ == 0 ? "" : ",") + value;
    } else if (!level.has_key) {
      level.key = value;
      ++level.count;
      level.key_line = mark.line + 1;
      level.has_key = true;
    } else {
      add(joined(), value, level.key_line);
      level.has_key = false;
    }
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    refuse_anchor(mark, anchor);
    begin(mark, true);
  }
  void OnSequenceEnd() override {
    const Level level = stack_.back();
    stack_.pop_back();
    if (level.is_valid) add(level.prefix, level.items, level.key_line);
    end();
  }

  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    refuse_anchor(mark, anchor);
    begin(mark, false);
  }
  void OnMapEnd() override {
    const Level level = stack_.back();
    stack_.pop_back();
    if (level.is_valid && level.count == 0 && !level.prefix.empty()) {
      result_.faults.push_back(no_value(level.key_line, level.prefix));
    }
    end();
  }

 private:
  struct Level {
    std::string prefix;  // a list: its name; a map: what its keys follow
    std::string key;
    std::string items;
    int count = 0;  // of items, or of keys
    int key_line = 0;
    bool has_key = false;
    bool is_list = false;
    bool is_valid = true;
  };

  // yaml-cpp takes the rest of the file for the text when the closing quote is missing.
  [[nodiscard]] bool is_quote_closed(const YAML::Mark& mark) const {
    const auto start = static_cast<std::size_t>(mark.pos);
    if (mark.pos < 0 || start >= content_.size()) return true;
    const char quote = content_[start];
    if (quote != '"' && quote != '\'') return true;
    for (std::size_t i = start + 1; i < content_.size(); ++i) {
      if (quote == '"' && content_[i] == '\\') {
        ++i;
      } else if (content_[i] == quote) {
        return true;
      }
    }
    return false;
  }

  [[nodiscard]] std::string joined() const {
    const Level& level = stack_.back();
    return level.prefix.empty() ? level.key : level.prefix + "." + level.key;
  }

  void begin(const YAML::Mark& mark, bool is_list) {
    Level level;
    level.is_list = is_list;
    level.key_line = mark.line + 1;
    if (stack_.empty()) {
      level.is_valid = !is_list;
      if (is_list) fault(mark, "expected `name: value` lines, not a list");
    } else if (stack_.back().is_list) {
      fault(mark, fmt::format("{}: a list may hold only plain values", stack_.back().prefix));
      stack_.back().is_valid = false;
      level.is_valid = false;
      level.prefix = stack_.back().prefix;
    } else if (!stack_.back().has_key) {
      fault(mark, "a name must be plain text");
      stack_.back().has_key = true;  // this map or list stands where the name should be
      stack_.back().key = "?";
      key_is_wrong_ = stack_.size();
      level.is_valid = false;
    } else {
      level.prefix = joined();
      level.key_line = stack_.back().key_line;
      level.is_valid = stack_.back().is_valid;
    }
    stack_.push_back(std::move(level));
  }

  void end() {
    if (stack_.empty() || stack_.back().is_list) return;
    if (key_is_wrong_ == stack_.size()) {
      key_is_wrong_ = 0;  // its value is still to come, and belongs to nobody
      return;
    }
    stack_.back().has_key = false;
  }

  void add(const std::string& name, const std::string& value, int line) {
    if (!stack_.empty() && !stack_.back().is_valid) return;
    const auto [first, is_new] = lines_.emplace(name, line);
    if (!is_new) {
      result_.faults.push_back(
          fmt::format("{}:{}: {}: set twice; line {} sets it too", path_, line, name, first->second));
      return;
    }
    result_.settings.push_back({name, value, fmt::format("{}:{}", path_, line)});
  }

  [[nodiscard]] std::string no_value(int line, std::string_view name) const {
    return fmt::format("{}:{}: {}: no value; write \"\" for an empty one", path_, line, name);
  }
  void fault(const YAML::Mark& mark, std::string_view what) {
    result_.faults.push_back(fmt::format("{}:{}: {}", path_, mark.line + 1, what));
  }
  void refuse_anchor(const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (anchor != 0) fault(mark, "an anchor (&name) is not allowed; write the value where it is needed");
  }

  std::string path_;
  std::string_view content_;
  ReadSettings& result_;
  std::vector<Level> stack_;
  std::size_t key_is_wrong_ = 0;
  std::map<std::string, int> lines_;
};

// yaml-cpp makes something of every byte: of what is no UTF-8 the replacement character, of some control characters the end.
std::optional<std::string> fault_of_bytes(std::string_view path, std::string_view content) {
  const auto is_control = [](char c) {
    return (static_cast<unsigned char>(c) < ' ' && c != '\n' && c != '\r' && c != '\t') || c == '\x7f';
  };
  const auto control = static_cast<std::size_t>(std::ranges::find_if(content, is_control) - content.begin());
  const std::size_t at = std::min(utf8_prefix(content), control);
  if (at == content.size()) return std::nullopt;
  const auto line = 1 + std::ranges::count(content.substr(0, at), '\n');
  return fmt::format("{}:{}: the byte 0x{:02x} is {}; a configuration is text in UTF-8", path, line,
                     static_cast<unsigned char>(content[at]), at == control ? "a control character" : "not UTF-8");
}

}  // namespace

ReadSettings read_yaml(std::string_view path, const std::string& content) {
  ReadSettings result;
  if (auto why = fault_of_bytes(path, content)) {
    result.faults.push_back(*std::move(why));
    return result;
  }
  // yaml-cpp reports faults of form by exception; they end here.
  try {
    std::istringstream input(content);
    YAML::Parser parser(input);
    SettingsBuilder builder(path, content, result);
    parser.HandleNextDocument(builder);
    if (parser.HandleNextDocument(builder)) {
      result.faults.push_back(fmt::format("{}: more than one YAML document; write one, without `---`", path));
    }
  } catch (const YAML::Exception& error) {
    result.faults.push_back(fmt::format("{}:{}: not YAML: {}", path, error.mark.line + 1, error.msg));
  }
  return result;
}

}  // namespace kurier::config
