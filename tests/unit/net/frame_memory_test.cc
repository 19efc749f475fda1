#include "broker/net/frame_memory.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <set>
#include <thread>
#include <vector>

#include "base/recycled_memory.h"

using namespace kurier;
using net::FrameMemory;

namespace {

// Writes into all of them, so that a sanitizer sees a block that is too short.
std::vector<void*> take(std::size_t count, std::size_t bytes) {
  std::vector<void*> blocks;
  for (std::size_t i = 0; i < count; ++i) {
    blocks.push_back(FrameMemory::take(bytes));
    std::memset(blocks.back(), static_cast<int>(i), bytes);
  }
  return blocks;
}

void leave(const std::vector<void*>& blocks, std::size_t bytes) {
  for (void* const block : blocks) FrameMemory::leave(block, bytes);
}

void trim_all() {
  FrameMemory::trim();
  FrameMemory::trim();
}

}  // namespace

TEST_CASE("every size that is kept has room") {
  for (const std::size_t bytes :
       {1UL, 4'096UL, 4'097UL, 5'120UL, 5'121UL, 8'191UL, 8'192UL, 8'193UL, 16'500UL, 65'630UL, 1'000'100UL, 1UL << 20,
        (1UL << 20) + 1, FrameMemory::kBytesMax - 1, FrameMemory::kBytesMax}) {
    CAPTURE(bytes);
    leave(take(3, bytes), bytes);
  }
  trim_all();
  CHECK(FrameMemory::kept_bytes() == 0);
}

#ifndef KURIER_RECYCLES_NOTHING
TEST_CASE("a block that was left is taken again, also for a size near it") {
  const auto blocks = take(2, 1'000'000);
  leave(blocks, 1'000'000);
  CHECK(FrameMemory::has_kept(1'000'000));
  CHECK(FrameMemory::has_kept(1'048'576));
  CHECK(!FrameMemory::has_kept(700'000));
  const auto again = take(2, 1'048'576);
  CHECK(std::set(blocks.begin(), blocks.end()) == std::set(again.begin(), again.end()));
  CHECK(!FrameMemory::has_kept(1'000'000));
  leave(again, 1'048'576);
  trim_all();
}

TEST_CASE("a thread that takes none keeps none") {
  const auto blocks = take(3, 100'000);
  std::thread other([&] {
    leave(blocks, 100'000);
    CHECK(FrameMemory::kept_bytes() == 0);
  });
  other.join();
}

TEST_CASE("no more is kept than a thread may, and what was not needed goes") {
  constexpr std::size_t kBytes = 1 << 20;
  constexpr std::size_t kFit = FrameMemory::kKeptBytesMax / kBytes;
  leave(take(kFit + 3, kBytes), kBytes);
  CHECK(FrameMemory::kept_bytes() == FrameMemory::kKeptBytesMax);

  FrameMemory::trim();  // all were in use since the time before
  CHECK(FrameMemory::kept_bytes() == FrameMemory::kKeptBytesMax);
  leave(take(5, kBytes), kBytes);
  FrameMemory::trim();
  CHECK(FrameMemory::kept_bytes() == 5 * kBytes);
  FrameMemory::trim();
  CHECK(FrameMemory::kept_bytes() == 0);
}
#endif
