#include "protocol/primitives.h"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <utility>

#include "base/check.h"
#include "protocol/text.h"

namespace kurier::protocol {
namespace {
constexpr std::size_t kZeroedAtOnceBytes = 1024;  // behind what a Writer has written
}  // namespace

void Reader::fail(std::string_view why) {
  if (!error_.empty()) return;
  error_ = std::string(why) + " (at byte " + std::to_string(position_) + " of " + std::to_string(bytes_.size()) + ")";
  bytes_ = bytes_.first(position_);
}

void Reader::ends_too_early() { fail("the message ends too early"); }

bool Reader::take_elements(std::size_t count) {
  if (count <= elements_left_) {
    elements_left_ -= count;
    return true;
  }
  has_too_many_elements_ = ok();
  fail("too many elements");
  return false;
}

double Reader::float64() { return std::bit_cast<double>(int64()); }

Uuid Reader::uuid() {
  Uuid value;
  value.high = static_cast<std::uint64_t>(int64());
  value.low = static_cast<std::uint64_t>(int64());
  return value;
}

std::uint32_t Reader::long_uvarint() {
  std::uint32_t value = 0;
  for (unsigned shift = 0; shift < 35; shift += 7) {
    const auto byte = static_cast<std::uint8_t>(int8());
    value |= static_cast<std::uint32_t>(byte & 0x7fU) << shift;
    if ((byte & 0x80U) == 0) return ok() ? value : 0;
  }
  fail("a variable-length integer has more than 5 bytes");
  return 0;
}

std::int32_t Reader::varint() {
  const std::uint32_t value = uvarint();
  return static_cast<std::int32_t>((value >> 1) ^ (0U - (value & 1U)));
}

std::int64_t Reader::varlong() {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 70; shift += 7) {
    const auto byte = static_cast<std::uint8_t>(int8());
    value |= static_cast<std::uint64_t>(byte & 0x7fU) << shift;
    if ((byte & 0x80U) == 0) return ok() ? static_cast<std::int64_t>((value >> 1) ^ (0ULL - (value & 1ULL))) : 0;
  }
  fail("a variable-length long has more than 10 bytes");
  return 0;
}

// Compact lengths count from one, with zero for null. Apache Kafka takes those of 2^31 and more for null too; nobody
// who means null writes that.
std::int64_t Reader::compact_length() {
  const std::int64_t length = static_cast<std::int64_t>(uvarint()) - 1;
  if (length > std::numeric_limits<std::int32_t>::max()) {
    fail(kNegativeLength);
    return -1;
  }
  return length;
}

std::int64_t Reader::string_length() {
  const std::int64_t length = flexible_ ? compact_length() : int16();
  if (!ok()) return -1;
  if (length > static_cast<std::int64_t>(kStringBytesMax)) {
    fail("a string has an invalid length");
    return -1;
  }
  return std::max<std::int64_t>(length, -1);
}

std::int64_t Reader::bytes_length() {
  const std::int64_t length = flexible_ ? compact_length() : int32();
  return ok() ? std::max<std::int64_t>(length, -1) : -1;
}

std::string Reader::string() {
  auto value = nullable_string();
  if (!value) fail("a string that may not be null is null");
  return value ? std::move(*value) : std::string();
}

std::optional<std::string> Reader::nullable_string() {
  const std::int64_t length = string_length();
  if (length < 0) return std::nullopt;
  std::string text = java_text(as_text(view(static_cast<std::size_t>(length))));
  if (text.size() > kStringBytesMax) fail(kTooLongAsUtf8);
  return ok() ? std::move(text) : std::string();
}

Bytes Reader::bytes() {
  auto value = nullable_bytes();
  if (!value) fail("a byte array that may not be null is null");
  return value ? std::move(*value) : Bytes();
}

std::optional<Bytes> Reader::nullable_bytes() {
  const std::int64_t length = bytes_length();
  if (length < 0 || !take_elements(static_cast<std::size_t>(length) >> 10)) return std::nullopt;
  return to_bytes(view(static_cast<std::size_t>(length)));
}

Records Reader::records() {
  Records value = nullable_records();
  if (value.is_null) fail("records that may not be null are null");
  return value;
}

Records Reader::nullable_records() {
  Records value;
  const std::int64_t length = bytes_length();
  if (length < 0) return value;
  value.is_null = false;
  value.view = view(static_cast<std::size_t>(length));
  return value;
}

std::size_t Reader::array_count() {
  const auto count = nullable_array_count();
  if (!count) fail("an array that may not be null is null");
  return count.value_or(0);
}

std::optional<std::size_t> Reader::nullable_array_count() {
  const std::int64_t count = bytes_length();
  if (count < 0) return std::nullopt;
  // Every element takes at least one byte, so a larger count is an invention of the sender's.
  if (static_cast<std::size_t>(count) > std::min(remaining(), kArrayElementsMax)) {
    fail("an array states " + std::to_string(count) + " elements with " + std::to_string(remaining()) + " bytes left");
    return std::nullopt;
  }
  if (!take_elements(static_cast<std::size_t>(count))) return std::nullopt;
  return static_cast<std::size_t>(count);
}

std::uint32_t Reader::checked_tagged_fields(std::uint32_t count) {
  if (count > kTaggedFieldsMax) {
    // Apache Kafka takes 2^31 and more for none.
    fail(count > kTagMax ? kNegativeLength : "there are more than 10000 tagged fields");
    return 0;
  }
  return take_elements(count) ? count : 0;
}

// Nothing of the other stays: a count of bytes that left with their buffer would have the next ones written beyond its
// end.
Writer& Writer::operator=(Writer&& other) noexcept {
  parts_ = std::exchange(other.parts_, {});
  finished_bytes_ = std::exchange(other.finished_bytes_, 0);
  buffer_ = std::exchange(other.buffer_, {});
  written_bytes_ = std::exchange(other.written_bytes_, 0);
  flexible_ = std::exchange(other.flexible_, false);
  error_ = std::exchange(other.error_, {});
  return *this;
}

void Writer::fail(std::string_view why) {
  if (error_.empty()) error_ = why;
}

void Writer::float64(double value) { int64(std::bit_cast<std::int64_t>(value)); }

void Writer::uuid(const Uuid& value) {
  integer(value.high);
  integer(value.low);
}

void Writer::varint(std::int32_t value) {
  uvarint((static_cast<std::uint32_t>(value) << 1) ^ static_cast<std::uint32_t>(value >> 31));
}

void Writer::varlong(std::int64_t value) {
  auto bits = (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
  while (bits >= 0x80) {
    *more(1) = static_cast<std::byte>(bits | 0x80U);
    bits >>= 7;
  }
  *more(1) = static_cast<std::byte>(bits);
}

void Writer::raw(ByteView bytes) {
  if (bytes.size() <= kZeroedAtOnceBytes) {
    std::ranges::copy(bytes, more(bytes.size()));
    return;
  }
  // What is long is copied to where there were no zeros.
  buffer_.resize(written_bytes_);
  buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
  written_bytes_ = buffer_.size();
}

// A vector has to be told of each byte that it gets: not one after the other, nor of so many that memory is touched in
// vain.
void Writer::grow(std::size_t count) {
  const std::size_t wanted = written_bytes_ + count;
  if (wanted > buffer_.capacity()) buffer_.reserve(std::max(wanted, 2 * buffer_.capacity()));
  buffer_.resize(std::max(wanted, std::min(buffer_.capacity(), written_bytes_ + kZeroedAtOnceBytes)));
}

void Writer::string_length(std::size_t length) {
  if (length > kStringBytesMax) {
    fail("a string of " + std::to_string(length) + " bytes is too long");
    length = 0;
  }
  if (flexible_) {
    uvarint(static_cast<std::uint32_t>(length + 1));
  } else {
    int16(static_cast<std::int16_t>(length));
  }
}

void Writer::bytes_length(std::size_t length) {
  if (length > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max()) - 1) {
    fail("a field of " + std::to_string(length) + " bytes is too long");
    length = 0;
  }
  if (flexible_) {
    uvarint(static_cast<std::uint32_t>(length + 1));
  } else {
    int32(static_cast<std::int32_t>(length));
  }
}

void Writer::null_bytes() {
  if (flexible_) {
    uvarint(0);
  } else {
    int32(-1);
  }
}

void Writer::string(std::string_view value) {
  string_length(value.size());
  raw(as_bytes(value));
}

void Writer::nullable_string(const std::optional<std::string>& value) {
  if (value) {
    string(*value);
  } else if (flexible_) {
    uvarint(0);
  } else {
    int16(-1);
  }
}

void Writer::bytes(ByteView value) {
  bytes_length(value.size());
  raw(value);
}

void Writer::nullable_bytes(const std::optional<Bytes>& value) {
  if (value) {
    bytes(*value);
  } else {
    null_bytes();
  }
}

void Writer::records(const Records& value) {
  if (value.is_nothing()) return fail("records that may not be null are null");
  nullable_records(value);
}

void Writer::nullable_records(const Records& value) {
  if (value.is_nothing()) return null_bytes();
  bytes_length(value.size_bytes());
  raw(value.view);
  raw(value.owned);
  for (const FileSlice& part : value.slices) slice(part);
}

void Writer::array_count(std::size_t count) { bytes_length(count); }
void Writer::null_array() { null_bytes(); }

void Writer::slice(const FileSlice& slice) {
  if (slice.size_bytes == 0) return;
  finished_bytes_ += written_bytes_ + slice.size_bytes;
  buffer_.resize(std::exchange(written_bytes_, 0));
  parts_.push_back({std::exchange(buffer_, {}), slice});
  constexpr std::size_t kBetweenSlicesBytes = 64;  // what a partition of a Fetch takes, mostly
  buffer_.reserve(kBetweenSlicesBytes);
}

std::size_t Writer::begin_tagged(std::uint32_t tag) {
  uvarint(tag);
  return size_bytes();
}

void Writer::end_tagged(std::size_t begin) {
  KURIER_CHECK_COMPARE(begin, >=, finished_bytes_);  // no tagged field carries file slices
  const std::size_t length = size_bytes() - begin;
  Writer size;
  size.uvarint(static_cast<std::uint32_t>(length));
  const auto at = buffer_.begin() + static_cast<std::ptrdiff_t>(begin - finished_bytes_);
  const ByteView front = ByteView(size.buffer_).first(size.written_bytes_);
  buffer_.insert(at, front.begin(), front.end());
  written_bytes_ += front.size();
}

void Writer::write_unknown_tagged(const std::vector<UnknownTaggedField>& fields, std::size_t* next,
                                  std::uint64_t tag_limit) {
  while (*next < fields.size() && fields[*next].tag < tag_limit) {
    const UnknownTaggedField& field = fields[*next];
    // As in Apache Kafka, whose tags are signed and which takes the largest one for the end, these can be read, not
    // written.
    const bool is_in_order = *next == 0 || fields[*next - 1].tag < field.tag;
    if (!is_in_order || field.tag >= kTagMax) fail("unknown tagged fields are not in the order of their tags");
    uvarint(field.tag);
    uvarint(static_cast<std::uint32_t>(field.data.size()));
    raw(field.data);
    ++*next;
  }
}

void Writer::patch_int32(std::size_t position, std::int32_t value) {
  std::size_t begin = 0;
  for (OutgoingPart& part : parts_) {
    if (position < begin + part.bytes.size()) {
      KURIER_CHECK_COMPARE(position - begin + 4, <=, part.bytes.size());
      return store_big_endian(part.bytes.data() + (position - begin), value);
    }
    begin += part.bytes.size() + part.slice.size_bytes;
  }
  KURIER_CHECK_COMPARE(position, >=, begin);
  KURIER_CHECK_COMPARE(position - begin + 4, <=, written_bytes_);
  store_big_endian(buffer_.data() + (position - begin), value);
}

Outgoing Writer::take_parts() {
  finished_bytes_ = 0;
  return std::exchange(parts_, {});
}

Bytes Writer::take_bytes() {
  KURIER_CHECK(parts_.empty());
  buffer_.resize(std::exchange(written_bytes_, 0));
  return std::exchange(buffer_, {});
}

}  // namespace kurier::protocol
