#include "protocol/record_summary.h"

#include <algorithm>
#include <limits>

#include "protocol/record.h"

namespace kurier::protocol {
namespace {

// What the summary needs of a record.
struct Skimmed {
  const std::byte* end = nullptr;  // behind the record; null: look at it more closely
  std::int64_t timestamp_delta = 0;
  std::int32_t offset_delta = 0;
  std::uint32_t keys_missing = 0;  // 0 or 1
};

constexpr bool is_negative(std::uint32_t zigzag) { return (zigzag & 1U) != 0; }
constexpr std::int32_t number_of(std::uint32_t zigzag) {
  return static_cast<std::int32_t>((zigzag >> 1) ^ (0U - (zigzag & 1U)));
}

// Varints of up to three bytes, as nearly all are, without a check of bounds: there must be three bytes at `at`.
constexpr std::ptrdiff_t kShortBytesMax = 3;
struct ShortVarints {
  const std::byte* at;
  std::uint32_t third_bytes = 0;  // all of them, or-ed

  [[nodiscard]] bool were_short() const { return (third_bytes & 0x80) == 0; }

  std::uint32_t next() {
    const auto first = static_cast<std::uint32_t>(at[0]);
    if (first < 0x80) {
      at += 1;
      return first;
    }
    const auto second = static_cast<std::uint32_t>(at[1]);
    if (second < 0x80) {
      at += 2;
      return (first & 0x7f) | (second << 7);
    }
    const auto third = static_cast<std::uint32_t>(at[2]);
    third_bytes |= third;
    at += 3;
    return (first & 0x7f) | ((second & 0x7f) << 7) | (third << 14);
  }
};

// A record as nearly all are. Bounds are checked where a length moves the cursor, and once for the numbers in between: these
// stay below `end`, and where they go beyond the record they do not end with it.
Skimmed skim(const std::byte* from, const std::byte* end) {
  constexpr std::ptrdiff_t kUpToKeyMax = 4 * kShortBytesMax + 1;  // length, attributes, two deltas, the key's length
  if (end - from < kUpToKeyMax) return {};
  ShortVarints numbers{from};
  const std::uint32_t length = numbers.next();
  if (is_negative(length) || end - numbers.at < static_cast<std::ptrdiff_t>(length / 2)) return {};
  Skimmed record;
  const std::byte* const record_end = numbers.at + length / 2;
  numbers.at += 1;  // attributes
  record.timestamp_delta = number_of(numbers.next());
  record.offset_delta = number_of(numbers.next());
  const auto skip = [&](std::uint32_t size) {
    if (is_negative(size)) return true;
    if (record_end - numbers.at < static_cast<std::ptrdiff_t>(size / 2)) return false;
    numbers.at += size / 2;
    return true;
  };
  const std::uint32_t key_size = numbers.next();
  record.keys_missing = key_size & 1U;
  if (!skip(key_size) || end - numbers.at < kShortBytesMax) return {};
  if (!skip(numbers.next()) || numbers.at >= record_end || !numbers.were_short()) return {};
  const auto header_count = static_cast<std::uint32_t>(*numbers.at++);
  if (header_count >= 0x80) return {};
  if (header_count == 0 ? numbers.at != record_end
                        : !headers_fit(ByteView(numbers.at, record_end), number_of(header_count))) {
    return {};
  }
  record.end = record_end;
  return record;
}

// Any record.
Skimmed read(const std::byte* from, const std::byte* end) {
  VarintReader reader(ByteView(from, end));
  RecordView record;
  Skimmed skimmed;
  if (!read_record(reader, record, skimmed.timestamp_delta).empty()) return {};
  skimmed.end = reader.rest().data();
  skimmed.offset_delta = record.offset_delta;
  skimmed.keys_missing = record.key ? 0 : 1;
  return skimmed;
}

}  // namespace

std::optional<RecordsSummary> summarize_records(ByteView payload, std::int32_t count) {
  if (count <= 0) return std::nullopt;
  const std::byte* at = payload.data();
  const std::byte* const end = at + payload.size();
  std::int64_t delta_min = std::numeric_limits<std::int64_t>::max();
  std::int64_t delta_max = std::numeric_limits<std::int64_t>::min();
  std::uint32_t keys_missing = 0;
  for (std::int32_t index = 0; index < count; ++index) {
    Skimmed record = skim(at, end);
    if (record.end == nullptr) record = read(at, end);
    if (record.end == nullptr || record.offset_delta != index) return std::nullopt;
    at = record.end;
    delta_min = std::min(delta_min, record.timestamp_delta);
    delta_max = std::max(delta_max, record.timestamp_delta);
    keys_missing |= record.keys_missing;
  }
  if (at != end) return std::nullopt;
  return RecordsSummary{delta_min, delta_max, keys_missing == 0};
}

}  // namespace kurier::protocol
