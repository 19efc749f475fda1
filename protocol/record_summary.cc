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
  std::uint32_t offset_delta = 0;  // zigzag: twice the number
  std::uint32_t key_size = 0;      // zigzag: odd if there is no key
};

constexpr bool is_negative(std::uint32_t zigzag) { return (zigzag & 1U) != 0; }
constexpr std::uint32_t zigzag_of(std::int32_t number) {
  return (static_cast<std::uint32_t>(number) << 1) ^ static_cast<std::uint32_t>(number >> 31);
}
constexpr std::int32_t number_of(std::uint32_t zigzag) {
  return static_cast<std::int32_t>((zigzag >> 1) ^ (0U - (zigzag & 1U)));
}

// Varints of up to three bytes, as nearly all are, without a check of bounds: there must be three bytes at `at`.
constexpr std::ptrdiff_t kShortBytesMax = 3;
constexpr std::ptrdiff_t kUpToKeyMax = 4 * kShortBytesMax + 1;  // length, attributes, two deltas, the key's length

struct ShortVarints {
  const std::byte* at;
  std::uint32_t third_bytes = 0;  // all of them, or-ed

  [[nodiscard]] bool were_short() const { return (third_bytes & 0x80) == 0; }

  std::uint32_t next() {
    const auto first = static_cast<std::uint32_t>(at[0]);
    if (first < 0x80) [[likely]] {
      at += 1;
      return first;
    }
    const auto second = static_cast<std::uint32_t>(at[1]);
    if (second < 0x80) {
      at += 2;
      return first - 0x80 + (second << 7);
    }
    const auto third = static_cast<std::uint32_t>(at[2]);
    third_bytes |= third;
    at += 3;
    return first - 0x80 + ((second - 0x80) << 7) + (third << 14);
  }
};

// Any record. This and `ends_with_headers` are rarely called, and keep the registers of the loop that calls them: without
// preserve_most it would have half of its variables in memory, ten instructions a record.
[[clang::preserve_most, gnu::noinline]] Skimmed read(const std::byte* from, const std::byte* end) {
  VarintReader reader(ByteView(from, end));
  RecordView record;
  Skimmed skimmed;
  if (!read_record(reader, record, skimmed.timestamp_delta).empty()) return {};
  skimmed.end = reader.rest().data();
  skimmed.offset_delta = zigzag_of(record.offset_delta);
  skimmed.key_size = record.key ? 0 : 1;
  return skimmed;
}

// The end of a record: whether it is a number of headers and as many headers.
[[clang::preserve_most, gnu::noinline]] bool ends_with_headers(const std::byte* from, const std::byte* record_end) {
  if (from >= record_end) return false;
  VarintReader reader(ByteView(from, record_end));
  const std::int32_t count = reader.varint();
  return reader.ok() && headers_fit(reader.rest(), count);
}

// A record as nearly all are. Bounds are checked where a length moves the cursor, and once for the numbers in between: these
// stay below `end`, and where they go beyond the record they do not end with it.
Skimmed skim(const std::byte* from, const std::byte* end) {
  if (from > end - kUpToKeyMax) return {};
  ShortVarints numbers{from};
  const std::uint32_t length = numbers.next();
  if (is_negative(length) || end - numbers.at < static_cast<std::ptrdiff_t>(length / 2)) return {};
  Skimmed record;
  const std::byte* const record_end = numbers.at + length / 2;
  numbers.at += 1;  // attributes
  record.timestamp_delta = number_of(numbers.next());
  record.offset_delta = numbers.next();
  const auto skip = [&](std::uint32_t size) {
    if (is_negative(size)) return true;
    if (record_end - numbers.at < static_cast<std::ptrdiff_t>(size / 2)) return false;
    numbers.at += size / 2;
    return true;
  };
  record.key_size = numbers.next();
  if (!skip(record.key_size) || numbers.at > end - kShortBytesMax) return {};
  if (!skip(numbers.next()) || !numbers.were_short()) return {};
  const bool has_no_headers = numbers.at + 1 == record_end && *numbers.at == std::byte{0};
  if (!has_no_headers && !ends_with_headers(numbers.at, record_end)) return {};
  record.end = record_end;
  return record;
}

}  // namespace

std::optional<RecordsSummary> summarize_records(ByteView payload, std::int32_t count) {
  if (count <= 0) return std::nullopt;
  const std::byte* at = payload.data();
  const std::byte* const end = at + payload.size();
  std::int64_t delta_min = std::numeric_limits<std::int64_t>::max();
  std::int64_t delta_max = std::numeric_limits<std::int64_t>::min();
  std::uint32_t key_sizes = 0;  // or-ed
  const bool has_room = payload.size() >= kUpToKeyMax;  // for `skim` to do sums with `end`
  for (std::int32_t index = 0; index < count; ++index) {
    Skimmed record = has_room ? skim(at, end) : Skimmed();
    if (record.end == nullptr) record = read(at, end);
    if (record.end == nullptr || record.offset_delta != zigzag_of(index)) return std::nullopt;
    at = record.end;
    delta_min = std::min(delta_min, record.timestamp_delta);
    delta_max = std::max(delta_max, record.timestamp_delta);
    key_sizes |= record.key_size;
  }
  if (at != end) return std::nullopt;
  return RecordsSummary{delta_min, delta_max, !is_negative(key_sizes)};
}

}  // namespace kurier::protocol
