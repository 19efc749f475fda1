// The small files of a log directory. Input: which reader (1 byte), the file.
#include "base/check.h"
#include "base/log.h"
#include "replication/metadata/record.h"
#include "replication/raft/quorum_state.h"
#include "replication/raft/snapshot.h"
#include "storage/checkpoint_file.h"
#include "storage/log.h"
#include "storage/log_directory.h"
#include "storage/producer_state.h"
#include "tests/simulation/simulated_file_system.h"

using namespace kurier;
using simulation::SimulatedFileSystem;

namespace {

constexpr const char* kPath = "/data/file";

// What was read can be written, and reads as itself.
template <class Read, class Write>
void twice(Read read, Write write) {
  const auto value = read();
  if (!value) return;
  KURIER_CHECK(write(*value).has_value());
  const auto again = read();
  KURIER_CHECK_MESSAGE(again.has_value(), "what was written cannot be read");
  KURIER_CHECK(*again == *value);
}

void read_one(std::uint8_t which, SimulatedFileSystem& files, ByteView content) {
  switch (which % 8) {
    case 0:
      return twice([&] { return storage::read_offset_checkpoint(files, kPath); },
                   [&](const auto& value) { return storage::write_offset_checkpoint(files, kPath, value); });
    case 1:
      return twice([&] { return storage::read_epoch_checkpoint(files, kPath); },
                   [&](const auto& value) { return storage::write_epoch_checkpoint(files, kPath, value); });
    case 2: {
      const auto read = storage::read_meta_properties(files, kPath);
      if (!read || !*read) return;
      KURIER_CHECK(storage::write_meta_properties(files, kPath, **read).has_value());
      KURIER_CHECK(storage::read_meta_properties(files, kPath).value() == *read);
      return;
    }
    case 3: {
      const auto state = storage::ProducerState::from_snapshot(content);
      if (!state) return;
      const Bytes bytes = state->to_snapshot();
      const auto again = storage::ProducerState::from_snapshot(bytes);
      KURIER_CHECK(again.has_value());
      KURIER_CHECK(again->to_snapshot() == bytes);
      return;
    }
    case 4: {
      const auto state = replication::parse_quorum_state(as_text(content));
      if (state) KURIER_CHECK(replication::parse_quorum_state(replication::to_json(*state, 1, {})).value() == *state);
      return;
    }
    case 5: {
      static_cast<void>(files.rename(kPath, "/data/partition.metadata"));
      const auto id = storage::read_partition_metadata(files, "/data");
      if (!id || !*id) return;
      KURIER_CHECK(storage::write_partition_metadata(files, "/data", **id).has_value());
      KURIER_CHECK(storage::read_partition_metadata(files, "/data").value() == *id);
      return;
    }
    case 6: {
      static_cast<void>(
          replication::read_snapshot(files, kPath, [](const replication::RaftRecord& record) -> Result<void> {
            if (!record.control) static_cast<void>(replication::decode_record(record.value));
            return {};
          }));
      return;
    }
    default: {
      const std::string name(as_text(content));
      static_cast<void>(storage::parse_partition_directory(name));
      static_cast<void>(replication::parse_snapshot_file_name(name));
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* /*argc*/, char*** /*argv*/) {
  log::set_level(log::Level::kError);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const ByteView content = std::as_bytes(std::span(data, size)).subspan(1);
  SimulatedFileSystem files(1);
  KURIER_CHECK(files.make_directories("/data").has_value());
  const auto file = files.open(kPath, OpenMode::kCreate);
  KURIER_CHECK(file.has_value());
  KURIER_CHECK((*file)->write_at(0, content).has_value());
  read_one(data[0], files, content);
  return 0;
}
