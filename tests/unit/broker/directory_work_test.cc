// Jobs on directories: how many are under way, whose turn it is, and what follows what on one directory.
#include "broker/directory_work.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "tests/support/manual_pool.h"
#include "tests/support/manual_shard.h"

using namespace kurier;
using broker::DirectoryWork;

namespace {

struct Fixture {
  test::ManualShard shard;
  test::ManualPool pool;
  DirectoryWork work{shard, pool};
  std::vector<std::string> done;  // by the pool
  std::vector<std::string> back;  // on the shard

  void add(DirectoryWork::Batch batch, const std::string& directory, const std::string& what) {
    work.add(batch, directory, job(what));
  }
  DirectoryWork::Job job(std::string what) {
    return [this, what]() -> Callback {
      done.push_back(what);
      return [this, what] { back.push_back(what); };
    };
  }
  void finish() {
    while (pool.run_one()) shard.run_posted();
  }
};

}  // namespace

TEST_CASE("of thousands of jobs a few are under way, and they come back a few at a time") {
  Fixture f;
  const auto batch = f.work.new_batch();
  for (int i = 0; i < 1000; ++i) f.add(batch, std::to_string(i), std::to_string(i));
  std::size_t were_back = 0;
  while (f.pool.size() > 0) {
    REQUIRE(f.pool.size() <= DirectoryWork::kChunksAtOnce);
    f.pool.run_one();
    REQUIRE(f.back.size() == were_back);
    f.shard.run_posted();
    REQUIRE(f.back.size() - were_back <= DirectoryWork::kJobsPerChunk);
    were_back = f.back.size();
  }
  CHECK(f.back.size() == 1000);
  CHECK(f.back == f.done);
  CHECK(f.work.size() == 0);
}

TEST_CASE("a small batch does not wait for a large one") {
  Fixture f;
  const auto large = f.work.new_batch();
  for (int i = 0; i < 1000; ++i) f.add(large, std::to_string(i), "large");
  f.add(f.work.new_batch(), "small", "small");
  std::size_t before = 0;
  for (; std::ranges::find(f.back, "small") == f.back.end(); ++before) {
    REQUIRE(f.pool.run_one());
    f.shard.run_posted();
  }
  CHECK(before <= DirectoryWork::kChunksAtOnce + 2);
  f.finish();
  CHECK(f.back.size() == 1001);
}

TEST_CASE("what is done to one directory is done in the order in which it was given, whatever the batch") {
  Fixture f;
  const auto first = f.work.new_batch();
  for (int i = 0; i < 500; ++i) f.add(first, "other" + std::to_string(i), "other");
  f.add(first, "d", "made");
  f.add(f.work.new_batch(), "d", "renamed");
  f.add(f.work.new_batch(), "d", "made again");
  f.finish();
  std::erase(f.done, "other");
  CHECK(f.done == std::vector<std::string>{"made", "renamed", "made again"});
}

TEST_CASE("what the job that came back still wants of its directory is done before what waits for it") {
  Fixture f;
  const auto batch = f.work.new_batch();
  f.work.add(batch, "d", [&]() -> Callback {
    f.done.emplace_back("made");
    return [&f, batch] { f.work.add_next(batch, "d", f.job("set aside")); };
  });
  f.add(f.work.new_batch(), "d", "made again");
  f.finish();
  CHECK(f.done == std::vector<std::string>{"made", "set aside", "made again"});
}
