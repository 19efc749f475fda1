#include "tests/simulation/simulated_file_system.h"

#include <algorithm>
#include <cstring>

namespace kurier::simulation {
namespace {

std::string parent_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

}  // namespace

class SimulatedFileSystem::SimulatedFile final : public File {
 public:
  SimulatedFile(SimulatedFileSystem& machine, std::string path, std::shared_ptr<Inode> inode)
      : machine_(machine), path_(std::move(path)), inode_(std::move(inode)), generation_(machine.generation_) {}

  Result<void> write_at(std::uint64_t position, std::span<const ByteView> buffers) override {
    Change change{.position = position};
    for (const ByteView buffer : buffers) change.bytes.insert(change.bytes.end(), buffer.begin(), buffer.end());
    return make(std::move(change), "write");
  }
  Result<std::size_t> read_at(std::uint64_t position, MutableByteView buffer) const override {
    if (!alive()) return stopped();
    if (position >= inode_->content.size()) return 0;
    const std::size_t count = std::min<std::size_t>(buffer.size(), inode_->content.size() - position);
    std::memcpy(buffer.data(), inode_->content.data() + position, count);
    return count;
  }
  Result<std::size_t> read_cached_at(std::uint64_t position, MutableByteView buffer) const override {
    return read_at(position, buffer);
  }
  Result<std::uint64_t> size_bytes() const override {
    if (!alive()) return stopped();
    return inode_->content.size();
  }
  Result<void> truncate(std::uint64_t size_bytes) override {
    return make(Change{.is_truncation = true, .position = size_bytes}, "truncate");
  }
  Result<void> sync() override {
    if (!alive() || !machine_.begin_change("sync", path_, 0)) return stopped();
    if (machine_.bugs.sync_does_nothing) return {};
    inode_->durable = inode_->content;
    inode_->unsynced.clear();
    return {};
  }
  const std::string& path() const override { return path_; }

 private:
  [[nodiscard]] bool alive() const { return !machine_.crashed_ && generation_ == machine_.generation_; }

  Result<void> make(Change change, std::string_view what) {
    if (!alive()) return stopped();
    const std::size_t whole = change.bytes.size();
    if (!machine_.begin_change(what, path_, change.position + whole)) {
      // The process died inside the call: any part of it may have reached the page cache.
      const std::size_t part = machine_.random_.below(whole + 1);
      if (!change.is_truncation) {
        change.bytes.resize(part);
        apply(inode_->content, change, part);
        inode_->unsynced.push_back(std::move(change));
      }
      return stopped();
    }
    const std::uint64_t end = change.position + whole;
    const std::uint64_t growth = change.is_truncation || end <= inode_->content.size() ? 0 : end - inode_->content.size();
    const bool fits = growth <= machine_.space_left_bytes_;
    if (!fits) change.bytes.resize(whole - (growth - machine_.space_left_bytes_));
    machine_.space_left_bytes_ -= std::min(growth, machine_.space_left_bytes_);
    apply(inode_->content, change, change.bytes.size());
    inode_->unsynced.push_back(std::move(change));
    return fits ? Result<void>{} : fail(Failure::kNoSpace, path_ + ": the simulated disk is full");
  }

  SimulatedFileSystem& machine_;
  const std::string path_;
  const std::shared_ptr<Inode> inode_;
  const std::uint64_t generation_;
};

bool SimulatedFileSystem::begin_change(std::string_view what, const std::string& path, std::uint64_t size) {
  if (crashed_) return false;
  const auto mix = [&](std::uint64_t value) { trace_hash_ = (trace_hash_ ^ value) * 1099511628211ULL; };
  for (const char c : what) mix(static_cast<unsigned char>(c));
  for (const char c : path) mix(static_cast<unsigned char>(c));
  mix(size);
  if (++changes_ >= crash_at_) crashed_ = true;
  return !crashed_;
}

void SimulatedFileSystem::apply(Bytes& content, const Change& change, std::size_t bytes) {
  if (change.is_truncation) {
    content.resize(change.position);
    return;
  }
  if (bytes == 0) return;
  if (content.size() < change.position + bytes) content.resize(change.position + bytes);
  std::memcpy(content.data() + change.position, change.bytes.data(), bytes);
}

void SimulatedFileSystem::restart(Crash crash) {
  crashed_ = false;
  crash_at_ = UINT64_MAX;
  ++generation_;
  locks_.clear();
  if (crash == Crash::kKill) return;
  // Names: each one that changed since its directory was synced is as it was or as it is.
  std::set<std::string> all;
  for (const auto& [path, inode] : names_) all.insert(path);
  for (const auto& [path, inode] : durable_names_) all.insert(path);
  Names kept;
  for (const std::string& path : all) {
    const auto now = names_.find(path);
    const auto then = durable_names_.find(path);
    const bool same = now != names_.end() && then != durable_names_.end() && now->second == then->second;
    const bool take_now = same || random_.below(2) == 0;
    if (take_now && now != names_.end()) kept[path] = now->second;
    if (!take_now && then != durable_names_.end()) kept[path] = then->second;
  }
  // A rename is one entry of the file system's journal: what had a name and has one now is not lost between the two.
  std::set<Inode*> had_name;
  for (const auto& [path, inode] : durable_names_) had_name.insert(inode.get());
  for (bool changed = true; changed;) {
    changed = false;
    std::set<Inode*> placed;
    for (const auto& [path, inode] : kept) placed.insert(inode.get());
    for (const auto& [path, inode] : names_) {
      if (!had_name.contains(inode.get()) || placed.contains(inode.get())) continue;
      kept[path] = inode;
      changed = true;
      break;
    }
  }
  std::set<Inode*> seen;
  for (const auto& [path, inode] : kept) {
    if (!seen.insert(inode.get()).second) continue;
    Bytes content = inode->durable;
    for (const Change& change : inode->unsynced) {
      const std::uint64_t fate = random_.below(3);
      if (fate == 0) continue;
      apply(content, change, fate == 1 ? change.bytes.size() : random_.below(change.bytes.size() + 1));
    }
    inode->content = inode->durable = content;
    inode->unsynced.clear();
  }
  names_ = durable_names_ = kept;
}

Result<std::unique_ptr<File>> SimulatedFileSystem::open(const std::string& path, OpenMode mode) {
  if (crashed_) return stopped();
  auto found = names_.find(path);
  if (found == names_.end()) {
    if (mode == OpenMode::kRead || mode == OpenMode::kReadWrite) return fail(Failure::kNotFound, "open " + path);
    if (!begin_change("create", path, 0)) return stopped();
    found = names_.emplace(path, std::make_shared<Inode>()).first;
  } else if (mode == OpenMode::kTruncate) {
    if (!begin_change("empty", path, 0)) return stopped();
    found->second->content.clear();
    found->second->unsynced.push_back(Change{.is_truncation = true, .bytes = {}});
  }
  return std::make_unique<SimulatedFile>(*this, path, found->second);
}

Result<void> SimulatedFileSystem::rename(const std::string& from, const std::string& to) {
  if (crashed_) return stopped();
  if (directories_.contains(from)) {
    if (!begin_change("rename", to, 1)) return stopped();
    Names moved;
    for (auto& [path, inode] : names_) {
      moved[path.starts_with(from + "/") ? to + path.substr(from.size()) : path] = inode;
    }
    names_ = durable_names_ = std::move(moved);
    directories_.erase(from);
    directories_.insert(to);
    return {};
  }
  const auto found = names_.find(from);
  if (found == names_.end()) return fail(Failure::kNotFound, "rename " + from);
  if (!begin_change("rename", to, 0)) return stopped();
  names_[to] = found->second;
  names_.erase(from);
  return {};
}

Result<void> SimulatedFileSystem::remove(const std::string& path) {
  if (crashed_) return stopped();
  if (!names_.contains(path)) return fail(Failure::kNotFound, "unlink " + path);
  if (!begin_change("remove", path, 0)) return stopped();
  names_.erase(path);
  return {};
}

Result<void> SimulatedFileSystem::remove_tree(const std::string& path) {
  if (!begin_change("remove_tree", path, 0)) return stopped();
  std::erase_if(names_, [&](const auto& entry) { return entry.first.starts_with(path + "/"); });
  std::erase_if(directories_, [&](const auto& name) { return name == path || name.starts_with(path + "/"); });
  return {};
}

Result<void> SimulatedFileSystem::make_directories(const std::string& path) {
  if (crashed_) return stopped();
  for (std::string at = path; !at.empty(); at = parent_of(at)) directories_.insert(at);
  return {};
}

Result<void> SimulatedFileSystem::sync_directory(const std::string& path) {
  if (!begin_change("sync_directory", path, 0)) return stopped();
  if (bugs.sync_does_nothing) return {};
  std::erase_if(durable_names_, [&](const auto& entry) { return parent_of(entry.first) == path; });
  for (const auto& [name, inode] : names_) {
    if (parent_of(name) == path) durable_names_[name] = inode;
  }
  return {};
}

Result<std::vector<FileSystem::Entry>> SimulatedFileSystem::list(const std::string& path) {
  if (crashed_) return stopped();
  std::map<std::string, Entry> entries;
  for (const std::string& directory : directories_) {
    if (parent_of(directory) == path && directory != path) {
      const std::string name = directory.substr(path.size() + 1);
      entries[name] = Entry{.name = name, .is_directory = true};
    }
  }
  for (const auto& [file, inode] : names_) {
    if (parent_of(file) != path) continue;
    const std::string name = file.substr(path.size() + 1);
    entries[name] = Entry{.name = name, .size_bytes = inode->content.size(), .modified = Timestamp(0)};
  }
  std::vector<Entry> all;
  for (auto& [name, entry] : entries) all.push_back(std::move(entry));
  return all;
}

Result<bool> SimulatedFileSystem::exists(const std::string& path) {
  if (crashed_) return stopped();
  return names_.contains(path) || directories_.contains(path);
}

Result<std::unique_ptr<FileLock>> SimulatedFileSystem::lock(const std::string& path) {
  struct Held final : FileLock {
    Held(std::set<std::string>& locks, std::string its_path) : held(locks), path(std::move(its_path)) {}
    ~Held() override { held.erase(path); }
    std::set<std::string>& held;
    std::string path;
  };
  if (crashed_) return stopped();
  if (!locks_.insert(path).second) return fail(Failure::kInUse, path + " is locked");
  return std::make_unique<Held>(locks_, path);
}

Result<std::uint64_t> SimulatedFileSystem::free_bytes(const std::string&) { return std::uint64_t{1} << 40; }

}  // namespace kurier::simulation
