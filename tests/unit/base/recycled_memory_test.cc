#include "base/recycled_memory.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <set>
#include <thread>
#include <vector>

using kurier::RecycledMemory;

#ifndef KURIER_RECYCLES_NOTHING

TEST_CASE("a block that was left is the next of its size") {
  void* const block = RecycledMemory::take(1000);
  RecycledMemory::leave(block, 1000);
  void* const other = RecycledMemory::take(100);
  CHECK(other != block);
  CHECK(RecycledMemory::take(1001) == block);  // as long as before, when both are rounded up
  RecycledMemory::leave(block, 1001);
  RecycledMemory::leave(other, 100);
}

TEST_CASE("a block is kept by the thread that left it") {
  void* const block = RecycledMemory::take(500);
  bool is_reused = false;
  std::thread([&] {
    RecycledMemory::leave(block, 500);
    void* const again = RecycledMemory::take(500);
    is_reused = again == block;
    RecycledMemory::leave(again, 500);
  }).join();
  CHECK(is_reused);
}

#endif

TEST_CASE("blocks that are taken at the same time are different, and as long as asked for") {
  for (const std::size_t bytes :
       {std::size_t{1}, std::size_t{64}, std::size_t{65}, RecycledMemory::kBytesMax, RecycledMemory::kBytesMax + 1}) {
    for (int round = 0; round < 2; ++round) {
      std::vector<void*> blocks;
      for (int i = 0; i < 100; ++i) {  // more than are kept
        blocks.push_back(RecycledMemory::take(bytes));
        std::memset(blocks.back(), i, bytes);
      }
      CHECK(std::set<void*>(blocks.begin(), blocks.end()).size() == blocks.size());
      for (int i = 0; i < 100; ++i) {
        const auto* const content = static_cast<const unsigned char*>(blocks[static_cast<std::size_t>(i)]);
        CHECK(std::vector<unsigned char>(content, content + bytes) ==
              std::vector<unsigned char>(bytes, static_cast<unsigned char>(i)));
      }
      for (void* const block : blocks) RecycledMemory::leave(block, bytes);
    }
  }
}
