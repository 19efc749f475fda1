// Which part of a log is cleaned, and when; which segments become one; the table of keys.
#include "storage/cleaner_plan.h"

#include <catch2/catch.hpp>

#include "storage/cleaner_key_map.h"

using namespace kurier;
using namespace kurier::storage;

namespace {

// Segments of 100 offsets and 1000 bytes each from 0 on, the last one active.
CleanerView view_of(std::size_t segments) {
  CleanerView view;
  for (std::size_t i = 0; i < segments; ++i) {
    const auto at = static_cast<std::int64_t>(i);
    view.segments.push_back({.base_offset = Offset(100 * at),
                             .size_bytes = 1000,
                             .index_bytes = 80,
                             .time_index_bytes = 120,
                             .largest_timestamp = Timestamp(1000 * (at + 1)),
                             .first_batch_timestamp = Timestamp(1000 * at + 1)});
  }
  view.log_end_offset = Offset(static_cast<std::int64_t>(100 * segments));
  view.upper_bound = view.log_end_offset;
  return view;
}

constexpr Timestamp kNow(10'000);

}  // namespace

TEST_CASE("without a checkpoint everything before the active segment is dirty") {
  const CleanerAssessment found = assess(view_of(4), {}, kNow);
  CHECK(found.first_dirty_offset == Offset(0));
  CHECK(found.first_uncleanable_offset == Offset(300));
  CHECK(found.clean_bytes == 0);
  CHECK(found.cleanable_bytes == 3000);
  CHECK(found.is_due);
  CHECK_FALSE(found.checkpoint_is_invalid);
}

TEST_CASE("a log is due when more than min.cleanable.dirty.ratio of it is dirty") {
  CleanerView view = view_of(5);
  view.cleaned_to = Offset(200);
  CHECK(assess(view, {}, kNow).dirty_ratio() == 0.5);
  CHECK_FALSE(assess(view, {.min_cleanable_dirty_ratio = 0.5}, kNow).is_due);
  CHECK(assess(view, {.min_cleanable_dirty_ratio = 0.49}, kNow).is_due);
  view.cleaned_to = Offset(400);
  CHECK_FALSE(assess(view, {.min_cleanable_dirty_ratio = 0}, kNow).is_due);
}

TEST_CASE("a segment that is clean in part counts as clean and as dirty") {
  CleanerView view = view_of(3);
  view.cleaned_to = Offset(150);
  const CleanerAssessment found = assess(view, {}, kNow);
  CHECK(found.first_dirty_offset == Offset(150));
  CHECK(found.clean_bytes == 2000);
  CHECK(found.cleanable_bytes == 1000);
}

TEST_CASE("nothing is cleaned at or behind the upper bound, and only whole segments") {
  CleanerView view = view_of(4);
  view.upper_bound = Offset(250);
  CHECK(assess(view, {}, kNow).first_uncleanable_offset == Offset(200));
  view.upper_bound = Offset(200);
  CHECK(assess(view, {}, kNow).first_uncleanable_offset == Offset(200));
  view.upper_bound = Offset(0);
  CHECK_FALSE(assess(view, {}, kNow).is_due);
}

TEST_CASE("min.compaction.lag.ms keeps what is young") {
  // Segments end at the times 1000, 2000, 3000; now is 10000.
  CHECK(assess(view_of(4), {.min_compaction_lag_ms = 7000}, kNow).first_uncleanable_offset == Offset(300));
  CHECK(assess(view_of(4), {.min_compaction_lag_ms = 7001}, kNow).first_uncleanable_offset == Offset(200));
  CHECK(assess(view_of(4), {.min_compaction_lag_ms = INT64_MAX}, kNow).cleanable_bytes == 0);
}

TEST_CASE("max.compaction.lag.ms makes a log due that is not dirty enough") {
  CleanerView view = view_of(5);
  view.cleaned_to = Offset(300);  // one segment in four is dirty, its first batch is of 3001
  CHECK_FALSE(assess(view, {.max_compaction_lag_ms = 6999}, kNow).is_overdue);
  CHECK(assess(view, {.max_compaction_lag_ms = 6998}, kNow).is_overdue);
  CHECK(assess(view, {.max_compaction_lag_ms = 6998}, kNow).is_due);
  CHECK_FALSE(assess(view, {.max_compaction_lag_ms = INT64_MAX}, kNow).is_due);
  // Overdue, but nothing that could be cleaned.
  view.upper_bound = Offset(300);
  CHECK_FALSE(assess(view, {.max_compaction_lag_ms = 1}, kNow).is_due);
}

TEST_CASE("a checkpoint outside the log is set to the log's start") {
  CleanerView view = view_of(4);
  view.segments.erase(view.segments.begin());
  view.log_start_offset = Offset(120);
  view.cleaned_to = Offset(50);
  CHECK(assess(view, {}, kNow).checkpoint_is_invalid);
  CHECK(assess(view, {}, kNow).first_dirty_offset == Offset(120));
  view.cleaned_to = Offset(401);
  CHECK(assess(view, {}, kNow).first_dirty_offset == Offset(120));
  view.cleaned_to = Offset(400);
  CHECK_FALSE(assess(view, {}, kNow).checkpoint_is_invalid);
}

TEST_CASE("groups are bounded by bytes, index entries and offsets") {
  std::vector<CleanerSegment> segments = view_of(6).segments;
  const Offset end(600);
  CHECK(group_segments(segments, 1 << 20, 1 << 20, end) == std::vector<CleanerGroup>{{0, 6}});
  CHECK(group_segments(segments, 2000, 1 << 20, end) == std::vector<CleanerGroup>{{0, 2}, {2, 2}, {4, 2}});
  CHECK(group_segments(segments, 10, 1 << 20, end).size() == 6);
  CHECK(group_segments(segments, 1 << 20, 360, end) == std::vector<CleanerGroup>{{0, 3}, {3, 3}});
  // The last segment may go up to the first uncleanable offset, which is too far from 0 and from 100.
  CHECK(group_segments(segments, 1 << 20, 1 << 20, Offset(INT32_MAX) + 101) ==
        std::vector<CleanerGroup>{{0, 5}, {5, 1}});
  CHECK(group_segments(segments, 1 << 20, 1 << 20, Offset(INT32_MAX) + 1) == std::vector<CleanerGroup>{{0, 6}});
  // An empty one goes with any.
  segments.back().size_bytes = 0;
  CHECK(group_segments(segments, 1 << 20, 1 << 20, Offset(INT64_MAX)) == std::vector<CleanerGroup>{{0, 6}});
  CHECK(group_segments({}, 1, 1, end).empty());
}

TEST_CASE("the hash is SipHash-2-4 with 128 bits") {
  const HashKey key{0x0706050403020100ULL, 0x0f0e0d0c0b0a0908ULL};
  Bytes input;
  const auto hash = [&](std::size_t size) {
    input.clear();
    for (std::size_t i = 0; i < size; ++i) input.push_back(static_cast<std::byte>(i));
    const Hash128 found = keyed_hash(key, input);
    return std::pair(__builtin_bswap64(found[0]), __builtin_bswap64(found[1]));
  };
  // As OpenSSL computes it.
  CHECK(hash(0) == std::pair<std::uint64_t, std::uint64_t>(0xa3817f04ba25a8e6ULL, 0x6df67214c7550293ULL));
  CHECK(hash(1) == std::pair<std::uint64_t, std::uint64_t>(0xda87c1d86b99af44ULL, 0x347659119b22fc45ULL));
  CHECK(hash(15) == std::pair<std::uint64_t, std::uint64_t>(0x5493e99933b0a811ULL, 0x7e08ec0f97cfc3d9ULL));
  CHECK(hash(16) == std::pair<std::uint64_t, std::uint64_t>(0x6ee2a4ca67b054bbULL, 0xfd3315bf85230577ULL));
  CHECK(hash(63) == std::pair<std::uint64_t, std::uint64_t>(0x5150d1772f50834aULL, 0x503e069a973fbd7cULL));
}

TEST_CASE("the map of keys keeps the last offset of each") {
  CleanerKeyMap map(1 << 20, 100, 0.9, {1, 2});
  REQUIRE(map.put(as_bytes("a"), Offset(0)));
  REQUIRE(map.put(as_bytes(""), Offset(1)));
  REQUIRE(map.put(as_bytes("a"), Offset(7)));
  CHECK(map.get(as_bytes("a")) == Offset(7));
  CHECK(map.get(as_bytes("")) == Offset(1));
  CHECK_FALSE(map.get(as_bytes("b")));
  CHECK(map.size() == 2);
  CHECK(map.last_offset() == Offset(7));
}

TEST_CASE("the map of keys stays within its memory and says when it is full") {
  CleanerKeyMap map(24 * 100, 1'000'000, 0.5, {1, 2});
  CHECK(map.memory_bytes() <= 2400);
  CHECK(map.capacity() == 50);
  for (int i = 0; i < 50; ++i) REQUIRE(map.put(as_bytes(std::to_string(i)), Offset(i)));
  CHECK_FALSE(map.put(as_bytes("one more"), Offset(50)));
  CHECK_FALSE(map.put(as_bytes("7"), Offset(51)));
  CHECK(map.last_offset() == Offset(49));
  for (int i = 0; i < 50; ++i) REQUIRE(map.get(as_bytes(std::to_string(i))) == Offset(i));
  CHECK_FALSE(map.get(as_bytes("one more")));
}

TEST_CASE("the map of keys is no larger than its keys need, and one key always fits") {
  CHECK(CleanerKeyMap(1 << 30, 10, 0.9, {}).memory_bytes() < 400);
  CleanerKeyMap exact(1 << 30, 10, 0.9, {});
  for (int i = 0; i < 10; ++i) REQUIRE(exact.put(as_bytes(std::to_string(i)), Offset(i)));
  CleanerKeyMap tiny(0, 10, 0.9, {});
  REQUIRE(tiny.put(as_bytes("a"), Offset(0)));
  CHECK_FALSE(tiny.put(as_bytes("b"), Offset(1)));
  CHECK_FALSE(tiny.get(as_bytes("b")));
}
