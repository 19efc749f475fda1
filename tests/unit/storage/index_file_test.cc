// The indexes find what a search from the front finds, whatever is in the file and what still in memory.
#include "storage/index_file.h"

#include <catch2/catch.hpp>
#include <random>
#include <vector>

#include "tests/simulation/simulated_file_system.h"

using namespace kurier;
using namespace kurier::storage;

namespace {

constexpr std::int64_t kBase = 1'000'000;

struct Case {
  std::uint64_t entries;
  std::uint64_t in_file;  // those that are written out, and a few more where an append has done so by itself
};

// Around the stretch that is read at once (512 and 341 entries), and twice and more of it.
const std::vector<Case> kCases = {{0, 0},     {1, 0},     {1, 1},       {40, 17},     {341, 341},
                                  {512, 512}, {513, 513}, {2000, 1990}, {5003, 5000}, {20'000, 20'000}};

}  // namespace

TEST_CASE("an offset index finds the last entry at or before an offset") {
  std::minstd_rand random(7);
  for (const Case& one : kCases) {
    CAPTURE(one.entries, one.in_file);
    simulation::SimulatedFileSystem files(1);
    REQUIRE(files.make_directories("/d"));
    OffsetIndex index(files, "/d/0.index", Offset(kBase), std::nullopt);
    std::vector<OffsetIndex::Entry> entries;
    for (std::uint64_t i = 0; i < one.entries; ++i) {
      const std::int64_t previous = entries.empty() ? kBase : entries.back().offset.value();
      entries.push_back(
          {Offset(previous + 1 + static_cast<std::int64_t>(random() % 5)), static_cast<std::uint32_t>(i * 70)});
      REQUIRE(index.append(entries.back()));
      if (i + 1 == one.in_file) REQUIRE(index.entries().write_out());
    }
    const std::int64_t end = entries.empty() ? kBase : entries.back().offset.value();
    REQUIRE(index.last()->offset.value() == end);
    for (int i = 0; i < 300; ++i) {
      const Offset offset(kBase - 2 +
                          static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(end - kBase + 5)));
      OffsetIndex::Entry expected{Offset(kBase), 0};
      for (const auto& entry : entries) {
        if (entry.offset <= offset) expected = entry;
      }
      const auto found = index.lookup(offset);
      REQUIRE(found);
      REQUIRE(found->offset == expected.offset);
      REQUIRE(found->position == expected.position);
    }
    const Offset cut(kBase + (end - kBase) / 2);
    REQUIRE(index.truncate(cut));
    std::erase_if(entries, [&](const auto& entry) { return entry.offset >= cut; });
    REQUIRE(index.entries().count() == entries.size());
  }
}

TEST_CASE("a time index finds the last entry at or before a time") {
  std::minstd_rand random(8);
  for (const Case& one : kCases) {
    CAPTURE(one.entries, one.in_file);
    simulation::SimulatedFileSystem files(1);
    REQUIRE(files.make_directories("/d"));
    TimeIndex index(files, "/d/0.timeindex", Offset(kBase), std::nullopt);
    std::vector<TimeIndex::Entry> entries;
    for (std::uint64_t i = 0; i < one.entries; ++i) {
      const std::int64_t previous = entries.empty() ? 500 : entries.back().timestamp.value();
      entries.push_back({Timestamp(previous + 1 + static_cast<std::int64_t>(random() % 5)),
                         Offset(kBase + static_cast<std::int64_t>(i) * 3)});
      REQUIRE(index.maybe_append(entries.back()));
      if (i + 1 == one.in_file) REQUIRE(index.entries().write_out());
    }
    const std::int64_t end = entries.empty() ? 500 : entries.back().timestamp.value();
    for (int i = 0; i < 300; ++i) {
      const Timestamp timestamp(498 + static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(end - 500 + 5)));
      TimeIndex::Entry expected{Timestamp(-1), Offset(kBase)};
      for (const auto& entry : entries) {
        if (entry.timestamp <= timestamp) expected = entry;
      }
      const auto found = index.lookup(timestamp);
      REQUIRE(found);
      REQUIRE(found->timestamp == expected.timestamp);
      REQUIRE(found->offset == expected.offset);
    }
  }
}

TEST_CASE("an index whose bytes are no ascending entries is searched without an end or a read outside") {
  std::minstd_rand random(9);
  for (int round = 0; round < 50; ++round) {
    simulation::SimulatedFileSystem files(1);
    REQUIRE(files.make_directories("/d"));
    Bytes bytes(8 * (random() % 3000));
    for (auto& byte : bytes) byte = static_cast<std::byte>(random());
    auto file = files.open("/d/0.index", OpenMode::kCreate);
    REQUIRE(file);
    REQUIRE((*file)->write_at(0, bytes));
    OffsetIndex index(files, "/d/0.index", Offset(0), bytes.size());
    for (int i = 0; i < 20; ++i) REQUIRE(index.lookup(Offset(static_cast<std::int64_t>(random()))));
    // Shorter than was said: an error, not what lies behind the buffer.
    OffsetIndex longer(files, "/d/0.index", Offset(0), bytes.size() + 8);
    REQUIRE(!longer.lookup(Offset(INT64_MAX)));
  }
}

TEST_CASE("an index is taken for syncing when something was written to its file, and not again until more is") {
  simulation::SimulatedFileSystem files(1);
  REQUIRE(files.make_directories("/d"));
  OffsetIndex index(files, "/d/0.index", Offset(0), std::nullopt);
  IndexFile& entries = index.entries();
  const auto is_taken = [&] {
    const auto taken = entries.take_unsynced();
    REQUIRE(taken);
    return *taken != nullptr;
  };
  REQUIRE(is_taken());  // new, so that it is created
  REQUIRE(!is_taken());
  REQUIRE(index.append({Offset(1), 0}));
  REQUIRE(!is_taken());  // still in memory
  REQUIRE(entries.write_out());
  REQUIRE(is_taken());
  REQUIRE(!is_taken());
  REQUIRE(entries.write_out());  // nothing
  REQUIRE(!is_taken());
  REQUIRE(entries.truncate(0));
  REQUIRE(is_taken());
  entries.sync_again();
  REQUIRE(is_taken());
}
