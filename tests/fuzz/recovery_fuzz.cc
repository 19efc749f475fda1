// A log directory that was damaged anywhere. Input: a workload's seed (1 byte), flags (1), then damages of 8 bytes each:
// which file, what is done to it, where (4 bytes, of the file's length), with which value, how often.
// However it looks: the log opens or says why not, nothing that it serves lies outside what it says it has, it takes new
// batches, and opens again at the same end.
#include <algorithm>

#include "base/check.h"
#include "base/log.h"
#include "base/random.h"
#include "protocol/record_batch.h"
#include "storage/log.h"
#include "tests/simulation/simulated_file_system.h"
#include "tests/support/raw_batch.h"

using namespace kurier;
using simulation::SimulatedFileSystem;
using storage::Log;

namespace {

constexpr const char* kDirectory = "/data/t-0";
constexpr Timestamp kNow{1'700'000'000'000};

storage::LogOptions options(bool clean, Offset recovery_point) {
  return {.directory = kDirectory,
          .config = {.segment_bytes = 900, .index_interval_bytes = 100},
          .recovery_point = recovery_point,
          .had_clean_shutdown = clean};
}

// Some segments with all their files, closed cleanly.
void write_log(FileSystem& files, std::uint64_t seed) {
  SeededRandom random(seed);
  auto opened = Log::open(files, options(true, Offset(0)), kNow);
  KURIER_CHECK(opened.has_value());
  Log& log = **opened;
  const std::uint64_t batches = 4 + random.below(8);
  for (std::uint64_t i = 0; i < batches; ++i) {
    const auto producer = static_cast<std::int64_t>(random.below(3)) - 1;
    const bool transactional = producer == 1;
    Bytes batch = test::raw_batch({.records = 1,
                                   .producer_id = ProducerId(producer),
                                   .producer_epoch = ProducerEpoch(producer < 0 ? std::int16_t{-1} : std::int16_t{0}),
                                   .base_sequence = producer < 0 ? -1 : 0,
                                   .timestamp = kNow + static_cast<std::int64_t>(i),
                                   .attributes = transactional ? protocol::kTransactionalMask : std::int16_t{0},
                                   .payload_bytes = random.below(300)});
    const LeaderEpoch epoch(static_cast<std::int32_t>(i / 4));
    KURIER_CHECK(log.append(batch, epoch, kNow, storage::AppendOrigin::kCoordinator).has_value());
    if (transactional) {
      Bytes marker = test::marker_batch(ProducerId(producer), ProducerEpoch(0), random.below(2) == 0, kNow);
      KURIER_CHECK(log.append(marker, epoch, kNow, storage::AppendOrigin::kCoordinator).has_value());
    }
  }
  KURIER_CHECK(log.close_clean().has_value());
}

void damage(FileSystem& files, ByteView how) {
  const auto entries = files.list(kDirectory);
  KURIER_CHECK(entries.has_value());
  if (entries->empty()) return;
  const auto byte = [&](std::size_t i) { return std::to_integer<std::uint8_t>(how[i]); };
  const std::string path = std::string(kDirectory) + "/" + (*entries)[byte(0) % entries->size()].name;
  auto file = files.open(path, OpenMode::kReadWrite);
  KURIER_CHECK(file.has_value());
  const std::uint64_t size = (*file)->size_bytes().value();
  const std::uint64_t at = load_big_endian<std::uint32_t>(how.data() + 2) % (size + 1);
  switch (byte(1) % 5) {
    case 0: static_cast<void>(files.remove(path)); return;
    case 1: static_cast<void>((*file)->truncate(at)); return;
    case 2: static_cast<void>((*file)->write_at(size, Bytes(1 + byte(7), std::byte{byte(6)}))); return;
    case 3: {  // a bit, a byte, a field
      const Bytes value(1 + byte(7) % 8, std::byte{byte(6)});
      static_cast<void>((*file)->write_at(at, value));
      return;
    }
    default: {
      constexpr const char* kSuffixes[] = {".deleted", ".cleaned", ".swap", ".tmp"};
      // Two suffixes nobody ever wrote.
      if (std::ranges::any_of(kSuffixes, [&](const char* suffix) { return path.ends_with(suffix); })) return;
      static_cast<void>(files.rename(path, path + kSuffixes[byte(6) % 4]));
    }
  }
}

// Every batch from start to end, as a consumer would read it. A read may fail: what rots is found by the reader.
void read_all(Log& log) {
  Offset at = log.log_start_offset();
  while (at < log.log_end_offset()) {
    const auto read = log.read(at, 500, log.log_end_offset(), true);
    if (!read || read->slice.size_bytes == 0) break;
    Bytes bytes(read->slice.size_bytes);
    const auto got = read->slice.file->read_at(read->slice.position, bytes);
    KURIER_CHECK(got.has_value());
    KURIER_CHECK(*got == bytes.size());
    const auto batch = protocol::RecordBatchView::parse(bytes);
    if (!batch || batch->next_offset() <= at) break;
    at = batch->next_offset();
  }
  for (std::int64_t t = -1; t < 12; t += 3) static_cast<void>(log.offset_for_timestamp(Timestamp(kNow.value() + t)));
  static_cast<void>(log.offset_of_max_timestamp());
  static_cast<void>(log.aborted_transactions(log.log_start_offset(), log.log_end_offset()));
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* /*argc*/, char*** /*argv*/) {
  log::set_level(log::Level::kError);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  SimulatedFileSystem files(1);
  write_log(files, data[0] % 16);
  ByteView input = std::as_bytes(std::span(data, size)).subspan(2);
  for (int count = 0; input.size() >= 8 && count < 8; ++count, input = input.subspan(8)) damage(files, input.first(8));
  const bool clean = (data[1] & 1) != 0;
  const Offset recovery_point((data[1] >> 1) % 16);
  auto opened = Log::open(files, options(clean, recovery_point), kNow);
  if (!opened) {
    KURIER_CHECK(!opened.error().context.empty());
    return 0;
  }
  Log& log = **opened;
  KURIER_CHECK(log.log_start_offset() <= log.log_end_offset());
  read_all(log);
  if (clean) return 0;  // believed as it lies; what follows is promised after a recovery only
  Bytes batch = test::raw_batch({});
  const auto appended = log.append(batch, LeaderEpoch(100), kNow);
  if (!appended) return 0;
  const Offset end = log.log_end_offset();
  KURIER_CHECK(log.close_clean().has_value());
  opened->reset();
  const auto again = Log::open(files, options(true, end), kNow);
  KURIER_CHECK(again.has_value());
  KURIER_CHECK_MESSAGE((*again)->log_end_offset() == end, "another end after a clean close");
  return 0;
}
