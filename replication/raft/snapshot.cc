#include "replication/raft/snapshot.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>

namespace kurier::replication {
namespace {

constexpr std::string_view kSuffix = ".checkpoint";
constexpr std::size_t kBatchBytesMax = 8 << 20;
constexpr std::size_t kBatchRecordsMax = 65'536;

}  // namespace

std::string snapshot_file_name(const SnapshotId& id) {
  return fmt::format("{:020}-{:010}{}", id.offset.value(), id.epoch.value(), kSuffix);
}

std::optional<SnapshotId> parse_snapshot_file_name(std::string_view name) {
  if (name.size() != 31 + kSuffix.size() || name[20] != '-' || !name.ends_with(kSuffix)) return std::nullopt;
  std::int64_t offset = 0;
  std::int32_t epoch = 0;
  const auto offset_parsed = std::from_chars(name.data(), name.data() + 20, offset);
  const auto epoch_parsed = std::from_chars(name.data() + 21, name.data() + 31, epoch);
  if (offset_parsed.ec != std::errc{} || offset_parsed.ptr != name.data() + 20) return std::nullopt;
  if (epoch_parsed.ec != std::errc{} || epoch_parsed.ptr != name.data() + 31) return std::nullopt;
  return SnapshotId{Offset(offset), LeaderEpoch(epoch)};
}

Result<std::vector<SnapshotFile>> list_snapshots(FileSystem& files, const std::string& directory) {
  std::vector<SnapshotFile> snapshots;
  TRY_ASSIGN(const bool there, files.exists(directory));
  if (!there) return snapshots;
  TRY_ASSIGN(const auto entries, files.list(directory));
  for (const FileSystem::Entry& entry : entries) {
    if (const auto id = parse_snapshot_file_name(entry.name)) snapshots.push_back({*id, entry.size_bytes});
  }
  std::ranges::sort(snapshots, {}, &SnapshotFile::id);
  return snapshots;
}

Result<SnapshotContent> read_snapshot(FileSystem& files, const std::string& path,
                                      const std::function<Result<void>(const RaftRecord&)>& visit) {
  TRY_ASSIGN(const Bytes bytes, read_file(files, path, std::uint64_t{4} << 30));
  SnapshotContent content;
  bool has_header = false;
  bool has_footer = false;
  const auto read_one = [&](const RaftRecord& record) -> Result<void> {
    if (!record.control) return visit(record);
    switch (*record.control) {
      case ControlType::kSnapshotHeader: {
        TRY_ASSIGN(content.last_contained, parse_snapshot_header(record.value));
        has_header = true;
        return {};
      }
      case ControlType::kKRaftVersion: {
        TRY_ASSIGN(content.kraft_version, parse_kraft_version(record.value));
        return {};
      }
      case ControlType::kVoters: {
        TRY_ASSIGN(content.voters, parse_voters(record.value));
        return {};
      }
      case ControlType::kSnapshotFooter: has_footer = true; return {};
      case ControlType::kLeaderChange: break;
    }
    return fail(Failure::kUnsupported, fmt::format("control record of type {} in a snapshot, written by a newer Kafka",
                                                   static_cast<int>(*record.control)));
  };
  auto walked = walk_batches(bytes, read_one);
  if (!walked) return std::unexpected(walked.error().within(path));
  if (*walked != bytes.size() || !has_header || !has_footer) {
    return fail(Failure::kCorrupt, fmt::format("{}: the snapshot is damaged after {} of {} bytes (header {}, footer {})", path,
                                               *walked, bytes.size(), has_header, has_footer));
  }
  return content;
}

Result<void> write_snapshot(FileSystem& files, const std::string& directory, const SnapshotId& id,
                            const SnapshotContent& content, std::span<const Bytes> values, Timestamp now) {
  std::vector<ControlRecord> header{snapshot_header_record(content.last_contained)};
  if (content.kraft_version >= 1) {
    header.push_back(kraft_version_record(content.kraft_version));
    header.push_back(voters_record(content.voters));
  }
  Bytes out = build_control_batch(header, Offset(0), id.epoch, now);
  Offset next(static_cast<std::int64_t>(header.size()));
  while (!values.empty()) {
    std::size_t count = 0;
    std::size_t bytes = 0;
    while (count < values.size() && count < kBatchRecordsMax && (count == 0 || bytes + values[count].size() <= kBatchBytesMax)) {
      bytes += values[count++].size();
    }
    const Bytes batch = build_batch(values.first(count), next, id.epoch, now);
    out.insert(out.end(), batch.begin(), batch.end());
    next += static_cast<std::int64_t>(count);
    values = values.subspan(count);
  }
  const ControlRecord footer = snapshot_footer_record();
  const Bytes last = build_control_batch({&footer, 1}, next, id.epoch, now);
  out.insert(out.end(), last.begin(), last.end());
  return write_file_atomically(files, directory + "/" + snapshot_file_name(id), out);
}

}  // namespace kurier::replication
