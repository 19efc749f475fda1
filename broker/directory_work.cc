#include "broker/directory_work.h"

#include <algorithm>
#include <utility>

namespace kurier::broker {

void DirectoryWork::add(Batch batch, const std::string& directory, Job job) {
  add({batch, directory, std::move(job), {}}, false);
}

void DirectoryWork::add_next(Batch batch, const std::string& directory, Job job) {
  add({batch, directory, std::move(job), {}}, true);
}

void DirectoryWork::add(Entry entry, bool is_next) {
  ++size_;
  const auto [at, is_free] = waiting_.try_emplace(entry.directory);
  if (is_free) {
    ready_[entry.batch].push_back(std::move(entry));
    start();
  } else if (is_next) {
    at->second.push_front(std::move(entry));
  } else {
    at->second.push_back(std::move(entry));
  }
}

DirectoryWork::Chunk DirectoryWork::next_chunk() {
  auto batch = ready_.upper_bound(last_served_);
  if (batch == ready_.end()) batch = ready_.begin();
  last_served_ = batch->first;
  auto& jobs = batch->second;
  const auto end = jobs.begin() + static_cast<std::ptrdiff_t>(std::min(jobs.size(), kJobsPerChunk));
  Chunk chunk(std::make_move_iterator(jobs.begin()), std::make_move_iterator(end));
  jobs.erase(jobs.begin(), end);
  if (jobs.empty()) ready_.erase(batch);
  return chunk;
}

void DirectoryWork::start() {
  while (chunks_ < kChunksAtOnce && !ready_.empty()) {
    ++chunks_;
    pool_.run([this, chunk = next_chunk()]() mutable {
      for (Entry& entry : chunk) entry.result = std::exchange(entry.job, {})();
      shard_.post([this, chunk = std::move(chunk)]() mutable { finish(chunk); });
    });
  }
}

void DirectoryWork::finish(Chunk& chunk) {
  --chunks_;
  for (Entry& entry : chunk) {
    --size_;
    if (entry.result) entry.result();
    const auto at = waiting_.find(entry.directory);
    if (at->second.empty()) {
      waiting_.erase(at);
      continue;
    }
    Entry next = std::move(at->second.front());
    at->second.pop_front();
    ready_[next.batch].push_front(std::move(next));
  }
  start();
}

}  // namespace kurier::broker
