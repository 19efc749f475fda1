// Reading where readers are: behind what they have read, back, and in a log that is cut and goes on differently.
#include <array>
#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <optional>
#include <random>

#include "storage/log.h"
#include "tests/simulation/simulated_file_system.h"
#include "tests/support/raw_batch.h"

using namespace kurier;
using namespace kurier::storage;
using kurier::test::raw_batch;

namespace {

// A log, and what it must hold: the size of each batch by its first offset.
struct Model {
  explicit Model(std::uint64_t seed) : random(seed) {
    config.segment_bytes = 4'000 + random() % 20'000;
    config.index_interval_bytes = 100 + random() % 1'000;
    open(true);
  }

  void open(bool clean) {
    if (log && clean) REQUIRE(log->close_clean());
    log.reset();
    auto opened = Log::open(files, {.directory = "/d/t-0", .config = config, .had_clean_shutdown = clean}, now);
    REQUIRE(opened);
    log = std::move(*opened);
    REQUIRE(log->log_end_offset() == end);
  }

  void append() {
    const auto records = static_cast<std::int32_t>(1 + random() % 4);
    Bytes batch = raw_batch({.records = records, .payload_bytes = random() % 200});
    sizes[end] = batch.size();
    REQUIRE(log->append(batch, LeaderEpoch(0), now));
    end = end + records;
  }

  // The offset behind the batch that was read; none at the end.
  std::optional<Offset> read(Offset offset) {
    const auto read = log->read(offset, 1, end, true);
    REQUIRE(read);
    if (offset == end) {
      REQUIRE(read->slice.size_bytes == 0);
      return std::nullopt;
    }
    const auto next = sizes.upper_bound(offset);
    const auto [base, size] = *std::prev(next);
    const Offset behind = next == sizes.end() ? end : next->first;
    CAPTURE(offset.value(), base.value());
    // A batch that goes beyond the bound is not readable yet.
    const Offset bound = offset + static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(end - offset + 1));
    const auto bounded = log->read(offset, 1, bound, true);
    REQUIRE(bounded);
    REQUIRE(bounded->slice.size_bytes == (behind <= bound ? size : 0));
    REQUIRE(read->first_batch_bytes == size);
    REQUIRE(read->slice.size_bytes == size);
    Bytes bytes(size);
    REQUIRE(read->slice.file->read_at(read->slice.position, bytes) == size);
    const auto batch = protocol::RecordBatchView::parse(bytes);
    REQUIRE(batch);
    REQUIRE(batch->base_offset() == base);
    return behind;
  }

  void truncate() {
    const Offset to(static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(end.value() + 1)));
    REQUIRE(log->truncate_to(to));
    while (!sizes.empty() && std::prev(sizes.end())->first >= to) sizes.erase(std::prev(sizes.end()));
    if (!sizes.empty() && log->log_end_offset() <= std::prev(sizes.end())->first) sizes.erase(std::prev(sizes.end()));
    end = log->log_end_offset();
    REQUIRE(end <= to);
  }

  std::mt19937_64 random;
  simulation::SimulatedFileSystem files{1};
  LogConfig config;
  std::unique_ptr<Log> log;
  Timestamp now{1000};
  std::map<Offset, std::size_t> sizes;
  Offset end{0};
};

}  // namespace

TEST_CASE("whoever reads on, goes back or begins again is given the batch that holds the offset", "[property]") {
  const auto seed = GENERATE(range(0U, 40U));
  CAPTURE(seed);
  Model model(seed);
  std::array<Offset, 3> readers{Offset(0), Offset(0), Offset(0)};
  for (int step = 0; step < 300; ++step) {
    const auto what = model.random() % 100;
    if (what < 40) {
      for (auto count = model.random() % 20; count > 0; --count) model.append();
    } else if (what < 90) {
      Offset& reader = readers[model.random() % readers.size()];
      if (reader > model.end || model.random() % 10 == 0) {
        reader = Offset(static_cast<std::int64_t>(model.random() % static_cast<std::uint64_t>(model.end.value() + 1)));
      }
      for (auto count = model.random() % 30; count > 0; --count) {
        const auto next = model.read(reader);
        if (!next) break;
        reader = *next;
      }
    } else if (what < 95) {
      model.truncate();
    } else {
      model.open(model.random() % 2 == 0);
    }
  }
}

TEST_CASE("what is behind the batch that was found last is not what was there before the log was cut") {
  Model model(0);
  model.config.segment_bytes = 1'000'000;
  model.open(true);
  const auto append = [&](std::size_t bytes) {
    Bytes batch = raw_batch({.records = 1, .payload_bytes = bytes - protocol::kBatchHeaderBytes});
    REQUIRE(batch.size() == bytes);
    model.sizes[model.end] = bytes;
    REQUIRE(model.log->append(batch, LeaderEpoch(0), model.now));
    model.end = model.end + 1;
  };
  for (int i = 0; i < 100; ++i) append(200);
  for (Offset offset{0}; offset < Offset(20);) offset = model.read(offset).value();
  REQUIRE(model.log->truncate_to(Offset(5)));
  model.sizes.erase(model.sizes.find(Offset(5)), model.sizes.end());
  model.end = Offset(5);
  // Batches begin where others began; more of them than are remembered.
  for (int i = 0; i < 200; ++i) append(100);
  REQUIRE(model.read(Offset(6)) == Offset(7));
}
