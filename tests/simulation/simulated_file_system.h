// A FileSystem in memory that crashes when told to, and then keeps only what a real disk may keep.
//
// Every change is counted. `crash_at(n)` lets the n-th change happen in part or not at all and fails every call after it;
// `restart` says what is left: after a kill everything that was written (the page cache outlives a process), after a power
// cut what was synced, and of the rest what chance kept: each write wholly, in part or not at all; each name or not.
// Deterministic for a seed: containers are ordered, and a running hash over all changes says whether two runs were equal.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/file_system.h"
#include "base/random.h"

namespace kurier::simulation {

enum class Crash { kKill, kPowerCut };

class SimulatedFileSystem final : public FileSystem {
 public:
  explicit SimulatedFileSystem(std::uint64_t seed) : random_(seed) {}

  void crash_at(std::uint64_t change) { crash_at_ = change; }
  [[nodiscard]] bool crashed() const { return crashed_; }
  [[nodiscard]] std::uint64_t changes() const { return changes_; }
  [[nodiscard]] std::uint64_t trace_hash() const { return trace_hash_; }
  void restart(Crash crash);
  // Counts a change; also of other devices of this machine. False: the machine has stopped before it.
  bool begin_change(std::string_view what, const std::string& path, std::uint64_t size);

  // From now on files may grow by so many bytes; a write beyond leaves what fits and is answered kNoSpace.
  void space_left_is(std::uint64_t bytes) { space_left_bytes_ = bytes; }

  // Planted bugs, to show that the checkers see them.
  struct Bugs {
    bool sync_does_nothing = false;
  };
  Bugs bugs;

  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override;
  Result<void> rename(const std::string& from, const std::string& to) override;
  Result<void> remove(const std::string& path) override;
  Result<void> remove_tree(const std::string& path) override;
  Result<void> make_directories(const std::string& path) override;
  Result<void> sync_directory(const std::string& path) override;
  Result<std::vector<Entry>> list(const std::string& path) override;
  [[nodiscard]] Result<bool> exists(const std::string& path) override;
  Result<std::unique_ptr<FileLock>> lock(const std::string& path) override;
  [[nodiscard]] Result<std::uint64_t> free_bytes(const std::string& path) override;

 private:
  struct Change {  // of a file's content, not synced yet
    bool is_truncation = false;
    std::uint64_t position = 0;  // or the new size
    Bytes bytes;
  };
  struct Inode {
    Bytes content;
    Bytes durable;
    std::vector<Change> unsynced;
  };
  using Names = std::map<std::string, std::shared_ptr<Inode>>;
  class SimulatedFile;

  static void apply(Bytes& content, const Change& change, std::size_t bytes);
  [[nodiscard]] static std::unexpected<Error> stopped() { return fail(Failure::kIo, "the simulated machine has stopped"); }

  SeededRandom random_;
  Names names_;
  Names durable_names_;
  std::set<std::string> directories_;
  std::set<std::string> locks_;
  std::uint64_t changes_ = 0;
  std::uint64_t crash_at_ = UINT64_MAX;
  bool crashed_ = false;
  std::uint64_t space_left_bytes_ = UINT64_MAX;
  std::uint64_t generation_ = 0;  // handles of an earlier life do nothing
  std::uint64_t trace_hash_ = 14695981039346656037ULL;
};

}  // namespace kurier::simulation
