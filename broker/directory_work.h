// DirectoryWork: what a pool does to the directories of one shard's partitions: they are made, renamed, removed.
//
// A few chunks of a few jobs are under way at a time, taken from the batches in turn: thousands of jobs neither keep those of
// others waiting nor come back to the shard all at once. On one directory one job follows the other, in the order in which
// they were given. On the shard's thread, but for the jobs themselves.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/executor.h"

namespace kurier::broker {

class DirectoryWork {
 public:
  static constexpr std::size_t kChunksAtOnce = 4;
  static constexpr std::size_t kJobsPerChunk = 16;

  // Both outlive it, and it outlives the pool's work.
  DirectoryWork(Executor& shard, WorkPool& pool) : shard_(shard), pool_(pool) {}

  // Runs on a thread of the pool; what it returns is called on the shard, and may be empty.
  using Job = std::move_only_function<Callback()>;
  using Batch = std::uint64_t;
  [[nodiscard]] Batch new_batch() { return ++last_batch_; }

  // `directory`: any name of it that is always the same.
  void add(Batch batch, const std::string& directory, Job job);
  // The same before all that waits for the directory: what belongs to the job that has just come back.
  void add_next(Batch batch, const std::string& directory, Job job);
  // Jobs that have not come back.
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  struct Entry {
    Batch batch;
    std::string directory;
    Job job;
    Callback result;
  };
  using Chunk = std::vector<Entry>;

  void add(Entry entry, bool is_next);
  void start();
  [[nodiscard]] Chunk next_chunk();
  void finish(Chunk& chunk);

  Executor& shard_;
  WorkPool& pool_;
  std::map<Batch, std::deque<Entry>> ready_;
  std::unordered_map<std::string, std::deque<Entry>>
      waiting_;  // for each directory that is at work or ready, what follows
  Batch last_batch_ = 0;
  Batch last_served_ = 0;
  std::size_t chunks_ = 0;  // under way
  std::size_t size_ = 0;
};

}  // namespace kurier::broker
