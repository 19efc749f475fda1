// Are the indexes of a segment on the disk those that its records give?
#pragma once

#include <algorithm>
#include <string>

#include "storage/segment.h"
#include "tests/simulation/simulated_file_system.h"

namespace kurier::test {

// An entry may follow in the time index, from when the segment was sealed.
inline bool indexes_are_whole(FileSystem& files, const std::string& directory, Offset base,
                              const storage::LogConfig& config) {
  const auto content = [&](FileSystem& where, std::string_view suffix) {
    return read_file(where, storage::segment_path(directory, base, suffix));
  };
  const auto log = content(files, storage::kLogSuffix);
  const auto index = content(files, storage::kIndexSuffix);
  const auto time_index = content(files, storage::kTimeIndexSuffix);
  if (!log || !index || !time_index) return false;
  simulation::SimulatedFileSystem elsewhere(1);
  if (!elsewhere.make_directories(directory)) return false;
  const auto copy = elsewhere.open(storage::segment_path(directory, base, storage::kLogSuffix), OpenMode::kCreate);
  if (!copy || !(*copy)->write_at(0, *log)) return false;
  storage::Segment segment(elsewhere, directory, base, {.log_bytes = log->size()}, Timestamp(0));
  const auto cut =
      segment.recover(config, [](const protocol::RecordBatchView&, std::uint64_t) -> Result<bool> { return true; });
  if (!cut || *cut != 0) return false;
  const Bytes rebuilt_index = content(elsewhere, storage::kIndexSuffix).value_or(Bytes{});
  const Bytes rebuilt_time_index = content(elsewhere, storage::kTimeIndexSuffix).value_or(Bytes{});
  return rebuilt_index == *index && time_index->size() <= rebuilt_time_index.size() + storage::TimeIndex::kEntryBytes &&
         std::ranges::equal(rebuilt_time_index,
                            ByteView(*time_index).first(std::min(time_index->size(), rebuilt_time_index.size())));
}

}  // namespace kurier::test
