#include "tools/bench/process.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

extern char** environ;

namespace kurier::bench {
namespace {

Result<std::string> read_text(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  if (!file || !(text << file.rdbuf()))
    return fail(Failure::kNotFound, "cannot read " + path + ": there is no such process, or it is not ours");
  return text.str();
}

// "Name:   123 kB" → 123
std::uint64_t field_of(const std::string& text, const std::string& name) {
  const std::size_t at = text.find("\n" + name + ":");
  if (at == std::string::npos) return 0;
  return std::strtoull(text.c_str() + at + name.size() + 2, nullptr, 10);
}

}  // namespace

Result<ProcessUsage> parse_stat(const std::string& text, double ticks_per_second, std::uint64_t page_bytes) {
  const std::size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return fail(Failure::kMalformed, "a stat line without a name: " + text);
  std::istringstream rest(text.substr(name_end + 1));
  std::vector<std::string> fields;  // fields[0] is the state, field 3 of proc(5)
  for (std::string field; rest >> field;) fields.push_back(field);
  if (fields.size() < 22) return fail(Failure::kMalformed, "a stat line that is too short: " + text);
  const auto number = [&](std::size_t field) { return std::strtoull(fields[field - 3].c_str(), nullptr, 10); };
  ProcessUsage usage;
  usage.minor_faults = number(10);
  usage.major_faults = number(12);
  usage.user_s = static_cast<double>(number(14)) / ticks_per_second;
  usage.system_s = static_cast<double>(number(15)) / ticks_per_second;
  usage.threads = number(20);
  usage.rss_bytes = number(24) * page_bytes;
  return usage;
}

Result<ProcessUsage> usage_of(pid_t pid) {
  const std::string directory = fmt::format("/proc/{}", pid);
  TRY_ASSIGN(const std::string stat, read_text(directory + "/stat"));
  TRY_ASSIGN(ProcessUsage usage, parse_stat(stat, static_cast<double>(::sysconf(_SC_CLK_TCK)),
                                            static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE))));
  TRY_ASSIGN(const std::string status, read_text(directory + "/status"));
  usage.rss_peak_bytes = field_of(status, "VmHWM") * 1024;
  if (const auto rollup = read_text(directory + "/smaps_rollup")) usage.pss_bytes = field_of(*rollup, "Pss") * 1024;
  std::error_code error;
  for (const auto& task : std::filesystem::directory_iterator(directory + "/task", error)) {
    const auto text = read_text(task.path() / "status");
    if (!text) continue;  // a thread that has ended meanwhile
    usage.voluntary_switches += field_of(*text, "voluntary_ctxt_switches");
    usage.involuntary_switches += field_of(*text, "nonvoluntary_ctxt_switches");
  }
  return usage;
}

ProcessUsage difference(const ProcessUsage& before, const ProcessUsage& after) {
  const auto grown = [](std::uint64_t from, std::uint64_t to) { return to > from ? to - from : 0; };
  ProcessUsage used = after;
  used.user_s -= before.user_s;
  used.system_s -= before.system_s;
  used.minor_faults = grown(before.minor_faults, after.minor_faults);
  used.major_faults = grown(before.major_faults, after.major_faults);
  used.voluntary_switches = grown(before.voluntary_switches, after.voluntary_switches);
  used.involuntary_switches = grown(before.involuntary_switches, after.involuntary_switches);
  return used;
}

JsonObject to_json(const ProcessUsage& used, double gigabytes, double requests) {
  JsonObject json;
  json.add("user_s", used.user_s);
  json.add("system_s", used.system_s);
  if (gigabytes > 0) {
    json.add("user_s_per_gb", used.user_s / gigabytes);
    json.add("system_s_per_gb", used.system_s / gigabytes);
  }
  if (requests > 0) {
    json.add("user_us_per_request", used.user_s * 1e6 / requests);
    json.add("system_us_per_request", used.system_s * 1e6 / requests);
  }
  json.add("rss_bytes", used.rss_bytes);
  json.add("rss_peak_bytes", used.rss_peak_bytes);
  json.add("pss_bytes", used.pss_bytes);
  json.add("minor_faults", used.minor_faults);
  json.add("major_faults", used.major_faults);
  json.add("voluntary_switches", used.voluntary_switches);
  json.add("involuntary_switches", used.involuntary_switches);
  json.add("threads", used.threads);
  return json;
}

Result<ChildProcess> ChildProcess::start(const std::vector<std::string>& command, const std::string& output) {
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  ::posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
  pid_t pid = 0;
  const int error_number = ::posix_spawnp(&pid, arguments[0], &actions, nullptr, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error_number != 0) return std::unexpected(error_from_errno(error_number, "starting " + command[0]));
  const auto descriptor = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  ChildProcess child(pid, descriptor);
  if (descriptor < 0) return std::unexpected(error_from_errno(errno, "pidfd_open"));
  return child;
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, 0)),
      pid_descriptor_(std::exchange(other.pid_descriptor_, -1)),
      status_(other.status_) {}

ChildProcess::~ChildProcess() {
  if (pid_ != 0 && !has_ended()) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  if (pid_descriptor_ >= 0) ::close(pid_descriptor_);
}

bool ChildProcess::has_ended() {
  if (pid_ != 0 && ::waitpid(pid_, &status_, WNOHANG) == pid_) pid_ = 0;
  return pid_ == 0;
}

void ChildProcess::terminate() {
  if (!has_ended()) ::kill(pid_, SIGTERM);
}

Result<int> ChildProcess::wait(std::chrono::milliseconds timeout) {
  pollfd ends{pid_descriptor_, POLLIN, 0};
  if (!has_ended() && ::poll(&ends, 1, static_cast<int>(timeout.count())) == 0) {
    ::kill(pid_, SIGKILL);
    ::waitpid(std::exchange(pid_, 0), &status_, 0);
    return fail(Failure::kTimeout, fmt::format("the program did not end within {} ms", timeout.count()));
  }
  if (pid_ != 0) ::waitpid(std::exchange(pid_, 0), &status_, 0);
  return WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_);
}

}  // namespace kurier::bench
