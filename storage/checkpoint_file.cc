#include "storage/checkpoint_file.h"

#include <fmt/core.h>

#include <charconv>
#include <optional>
#include <string_view>

namespace kurier::storage {
namespace {

template <class T>
std::optional<T> number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// The fields of each entry's line. `fields` of them are expected.
Result<std::vector<std::vector<std::string>>> read_lines(FileSystem& files, const std::string& path, std::size_t fields) {
  std::vector<std::vector<std::string>> entries;
  auto content = read_file(files, path);
  if (!content) {
    if (content.error().failure == Failure::kNotFound) return entries;
    return std::unexpected(content.error());
  }
  const auto malformed = [&](std::size_t line, std::string_view why) {
    return fail(Failure::kMalformed, fmt::format("{}:{}: {}", path, line, why));
  };
  std::string_view rest = as_text(*content);
  if (rest.empty()) return entries;  // Apache Kafka creates the file before it has anything to say
  std::size_t line_number = 0;
  const auto next_line = [&]() -> std::optional<std::string_view> {
    if (rest.empty()) return std::nullopt;
    const std::size_t end = rest.find('\n');
    const std::string_view line = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    ++line_number;
    return line;
  };
  const auto version = next_line();
  if (!version || number<int>(*version) != 0) return malformed(1, "expected version 0 of a checkpoint");
  const auto count_line = next_line();
  const auto count = count_line ? number<std::size_t>(*count_line) : std::nullopt;
  if (!count) return malformed(2, "expected the number of entries");
  while (const auto line = next_line()) {
    if (line->empty()) continue;
    std::vector<std::string> values;
    for (std::string_view left = *line; !left.empty();) {
      const std::size_t space = left.find(' ');
      values.emplace_back(left.substr(0, space));
      left = space == std::string_view::npos ? std::string_view() : left.substr(space + 1);
    }
    if (values.size() != fields) return malformed(line_number, fmt::format("expected {} fields", fields));
    entries.push_back(std::move(values));
  }
  if (entries.size() != *count) {
    return malformed(2, fmt::format("{} entries announced, {} found", *count, entries.size()));
  }
  return entries;
}

}  // namespace

Result<OffsetCheckpoint> read_offset_checkpoint(FileSystem& files, const std::string& path) {
  TRY_ASSIGN(const auto lines, read_lines(files, path, 3));
  OffsetCheckpoint offsets;
  for (const auto& line : lines) {
    const auto partition = number<std::int32_t>(line[1]);
    const auto offset = number<std::int64_t>(line[2]);
    if (!partition || !offset) {
      return fail(Failure::kMalformed, fmt::format("{}: '{} {} {}' is no topic, partition and offset", path, line[0],
                                                   line[1], line[2]));
    }
    offsets[{line[0], PartitionIndex(*partition)}] = Offset(*offset);
  }
  return offsets;
}

Result<void> write_offset_checkpoint(FileSystem& files, const std::string& path, const OffsetCheckpoint& offsets) {
  std::string text = fmt::format("0\n{}\n", offsets.size());
  for (const auto& [topic_partition, offset] : offsets) {
    text += fmt::format("{} {} {}\n", topic_partition.first, topic_partition.second.value(), offset.value());
  }
  return write_file_atomically(files, path, as_bytes(text));
}

Result<std::vector<EpochEntry>> read_epoch_checkpoint(FileSystem& files, const std::string& path) {
  TRY_ASSIGN(const auto lines, read_lines(files, path, 2));
  std::vector<EpochEntry> entries;
  for (const auto& line : lines) {
    const auto epoch = number<std::int32_t>(line[0]);
    const auto offset = number<std::int64_t>(line[1]);
    if (!epoch || !offset) {
      return fail(Failure::kMalformed, fmt::format("{}: '{} {}' is no epoch and offset", path, line[0], line[1]));
    }
    entries.push_back({LeaderEpoch(*epoch), Offset(*offset)});
  }
  return entries;
}

Result<void> write_epoch_checkpoint(FileSystem& files, const std::string& path, const std::vector<EpochEntry>& entries) {
  std::string text = fmt::format("0\n{}\n", entries.size());
  for (const EpochEntry& entry : entries) {
    text += fmt::format("{} {}\n", entry.epoch.value(), entry.start_offset.value());
  }
  return write_file_atomically(files, path, as_bytes(text));
}

}  // namespace kurier::storage
