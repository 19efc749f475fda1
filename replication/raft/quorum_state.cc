#include "replication/raft/quorum_state.h"

#include <fmt/core.h>

#include <charconv>

namespace kurier::replication {
namespace {

constexpr std::string_view kFileName = "/quorum-state";

// The text after `"name":`, or empty. The file is flat and machine-written; arrays (version 0's voters) are not looked at.
std::string_view value_of(std::string_view json, std::string_view name) {
  const std::string key = fmt::format("\"{}\"", name);
  const std::size_t found = json.find(key);
  if (found == std::string_view::npos) return {};
  json.remove_prefix(found + key.size());
  const std::size_t begin = json.find_first_not_of(" \t\r\n:");
  return begin == std::string_view::npos ? std::string_view{} : json.substr(begin);
}

Result<std::int32_t> number_of(std::string_view json, std::string_view name) {
  const std::string_view text = value_of(json, name);
  std::int32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{}) return fail(Failure::kMalformed, fmt::format("no number \"{}\"", name));
  return number;
}

}  // namespace

std::string to_json(const QuorumState& state, std::int16_t kraft_version, const std::vector<BrokerId>& voters) {
  if (kraft_version == 0) {
    std::string list;
    for (BrokerId voter : voters) list += fmt::format(R"({}{{"voterId":{}}})", list.empty() ? "" : ",", voter.value());
    return fmt::format(
        R"({{"clusterId":"","leaderId":{},"leaderEpoch":{},"votedId":{},"appliedOffset":0,"currentVoters":[{}],"data_version":0}})",
        state.leader_id.value(), state.leader_epoch.value(), state.voted_id.value(), list);
  }
  return fmt::format(R"({{"leaderId":{},"leaderEpoch":{},"votedId":{},"votedDirectoryId":"{}","data_version":1}})",
                     state.leader_id.value(), state.leader_epoch.value(), state.voted_id.value(),
                     state.voted_directory_id.to_string());
}

Result<QuorumState> parse_quorum_state(std::string_view json) {
  TRY_ASSIGN(const std::int32_t version, number_of(json, "data_version"));
  if (version < 0 || version > 1) {
    return fail(Failure::kUnsupported, fmt::format("quorum-state has data_version {}; 0 and 1 are known", version));
  }
  QuorumState state;
  TRY_ASSIGN(const std::int32_t leader, number_of(json, "leaderId"));
  TRY_ASSIGN(const std::int32_t epoch, number_of(json, "leaderEpoch"));
  TRY_ASSIGN(const std::int32_t voted, number_of(json, "votedId"));
  state.leader_id = BrokerId(leader);
  state.leader_epoch = LeaderEpoch(epoch);
  state.voted_id = BrokerId(voted);
  if (version >= 1) {
    std::string_view text = value_of(json, "votedDirectoryId");
    if (text.empty() || text.front() != '"' || text.find('"', 1) == std::string_view::npos) {
      return fail(Failure::kMalformed, "no \"votedDirectoryId\"");
    }
    TRY_ASSIGN(state.voted_directory_id, Uuid::parse(text.substr(1, text.find('"', 1) - 1)));
  }
  return state;
}

Result<std::optional<QuorumState>> read_quorum_state(FileSystem& files, const std::string& directory) {
  const std::string path = directory + std::string(kFileName);
  TRY_ASSIGN(const bool there, files.exists(path));
  if (!there) return std::nullopt;
  TRY_ASSIGN(const Bytes content, read_file(files, path, 1 << 20));
  auto state = parse_quorum_state(as_text(content));
  if (!state) return std::unexpected(state.error().within(path));
  return *state;
}

Result<void> write_quorum_state(FileSystem& files, const std::string& directory, const QuorumState& state,
                                std::int16_t kraft_version, const std::vector<BrokerId>& voters) {
  return write_file_atomically(files, directory + std::string(kFileName),
                               as_bytes(to_json(state, kraft_version, voters)));
}

}  // namespace kurier::replication
