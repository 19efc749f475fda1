// What does a process cost? Figures of /proc/PID, this process's own, and a program that is started, watched and
// stopped.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "tools/bench/client.h"

namespace kurier::bench {

struct ProcessUsage {
  double user_s = 0;  // the kernel counts in ticks of 10 ms and scales them to the exact sum
  double system_s = 0;
  std::uint64_t minor_faults = 0;
  std::uint64_t major_faults = 0;
  std::uint64_t voluntary_switches = 0;  // of the threads that live
  std::uint64_t involuntary_switches = 0;
  std::uint64_t threads = 0;
  std::uint64_t rss_bytes = 0;
  std::uint64_t rss_peak_bytes = 0;
  std::uint64_t pss_bytes = 0;  // 0 where the kernel does not tell us
};

// kNotFound: there is no such process (any more).
Result<ProcessUsage> usage_of(pid_t pid);
// Of /proc/PID/stat's text: the fields are counted from behind the name, which may contain anything.
Result<ProcessUsage> parse_stat(const std::string& text, double ticks_per_second, std::uint64_t page_bytes);

// What was used between two readings, and what is held at the later one.
[[nodiscard]] ProcessUsage difference(const ProcessUsage& before, const ProcessUsage& after);

// As members of an object; `gigabytes` and `requests` give the costs of one of each, 0 leaves them out.
[[nodiscard]] JsonObject to_json(const ProcessUsage& used, double gigabytes, double requests);

// A program started with its standard output and error thrown away (or going to `output`). The destructor kills it if
// it is still there.
class ChildProcess {
 public:
  static Result<ChildProcess> start(const std::vector<std::string>& command, const std::string& output);
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&&) = delete;
  ~ChildProcess();

  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] bool has_ended();
  // The exit status, 128 and the signal's number if one ended it; kTimeout: it had to be killed.
  Result<int> wait(std::chrono::milliseconds timeout);
  void terminate();  // SIGTERM

 private:
  ChildProcess(pid_t pid, int pid_descriptor) : pid_(pid), pid_descriptor_(pid_descriptor) {}
  pid_t pid_;           // 0: ended and waited for
  int pid_descriptor_;  // readable when it ends
  int status_ = 0;
};

}  // namespace kurier::bench
