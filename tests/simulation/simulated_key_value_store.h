// A KeyValueStore in memory that crashes when told to, and then keeps what a real one may keep: what was flushed, and of the
// writes that came later as many of the first as chance says. Every write, erasure and flush is counted, by the machine that
// it stands on if there is one: it dies with that.
#pragma once

#include <algorithm>
#include <map>
#include <vector>

#include "base/key_value_store.h"
#include "base/random.h"
#include "tests/simulation/simulated_file_system.h"

namespace kurier::simulation {

class SimulatedKeyValueStore final : public KeyValueStore {
 public:
  explicit SimulatedKeyValueStore(std::uint64_t seed, SimulatedFileSystem* machine = nullptr)
      : random_(seed), machine_(machine) {}

  void crash_at(std::uint64_t change) { crash_at_ = change; }
  [[nodiscard]] bool crashed() const { return crashed_; }
  [[nodiscard]] std::uint64_t changes() const { return changes_; }
  void restart() {
    std::uint64_t kept = random_.below(history_.size() + 1);
    for (Write& write : history_) {
      if (kept-- == 0) break;
      if (bugs.tears_writes) write.changes.erase(write.changes.begin(), write.changes.begin() + half(write));
      apply(durable_, write);
    }
    history_.clear();
    newest_ = durable_;
    crashed_ = false;
    crash_at_ = UINT64_MAX;
  }
  // From now on no key can be read.
  void reading_fails(bool fails) { reading_fails_ = fails; }
  [[nodiscard]] const std::map<Bytes, Bytes>& content() const { return newest_; }
  // For what somebody else did to it.
  void put_durably(Bytes key, Bytes value) {
    durable_[key] = value;
    newest_[std::move(key)] = std::move(value);
  }
  void become(std::map<Bytes, Bytes> content) {
    history_.clear();
    durable_ = std::move(content);
    newest_ = durable_;
  }

  // Planted, to see that the checkers see it.
  struct Bugs {
    bool tears_writes = false;
    bool flush_does_nothing = false;
  };
  Bugs bugs;

  Result<std::optional<Bytes>> get(ByteView key) const override {
    if (reading_fails_) return fail(Failure::kCorrupt, "the simulated store cannot be read");
    const auto found = newest_.find(to_bytes(key));
    return found == newest_.end() ? std::nullopt : std::optional(found->second);
  }
  Result<void> scan(ByteView prefix, ByteView from, const Visit& visit) const override {
    if (reading_fails_) return fail(Failure::kCorrupt, "the simulated store cannot be read");
    for (auto at = newest_.lower_bound(std::max(to_bytes(prefix), to_bytes(from))); at != newest_.end(); ++at) {
      const ByteView key = at->first;
      if (key.size() < prefix.size() || !std::ranges::equal(key.first(prefix.size()), prefix)) break;
      if (!visit(key, at->second)) break;
    }
    return {};
  }
  Result<void> write(std::span<const Change> changes) override {
    if (!begin_change("store write", changes.size())) return stopped();
    record({{changes.begin(), changes.end()}, std::nullopt});
    return {};
  }
  Result<void> erase_prefix(ByteView prefix) override {
    if (!begin_change("store erase", prefix.size())) return stopped();
    record({{}, to_bytes(prefix)});
    return {};
  }
  Result<void> flush() override {
    if (!begin_change("store flush", history_.size())) return stopped();
    if (bugs.flush_does_nothing) return {};
    for (const auto& write : history_) apply(durable_, write);
    history_.clear();
    return {};
  }

 private:
  struct Write {
    std::vector<Change> changes;
    std::optional<Bytes> erased_prefix;
  };
  static void apply(std::map<Bytes, Bytes>& content, const Write& write) {
    if (write.erased_prefix) {
      const auto end = end_of_prefix(*write.erased_prefix);
      content.erase(content.lower_bound(*write.erased_prefix), end ? content.lower_bound(*end) : content.end());
    }
    for (const Change& change : write.changes) {
      if (change.value) {
        content[change.key] = *change.value;
      } else {
        content.erase(change.key);
      }
    }
  }
  static std::ptrdiff_t half(const Write& write) { return static_cast<std::ptrdiff_t>(write.changes.size() / 2); }
  void record(Write write) {
    apply(newest_, write);
    history_.push_back(std::move(write));
  }
  bool begin_change(std::string_view what, std::uint64_t size) {
    if (machine_ != nullptr) return machine_->begin_change(what, "store", size);
    if (crashed_) return false;
    if (++changes_ < crash_at_) return true;
    crashed_ = true;
    return false;
  }
  [[nodiscard]] static std::unexpected<Error> stopped() {
    return fail(Failure::kIo, "the simulated machine has stopped");
  }

  SeededRandom random_;
  SimulatedFileSystem* const machine_;
  std::map<Bytes, Bytes> durable_;
  std::map<Bytes, Bytes> newest_;
  std::vector<Write> history_;  // not flushed
  std::uint64_t changes_ = 0;
  std::uint64_t crash_at_ = UINT64_MAX;
  bool crashed_ = false;
  bool reading_fails_ = false;
};

}  // namespace kurier::simulation
