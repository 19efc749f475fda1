// Reader and Writer: the primitive types of Kafka's wire format. Used by the generated messages and by whoever frames
// them; plain values, any thread.
//
// Both have a sticky error: after the first failure a Reader returns zeros and empty values, a Writer writes on, and
// the caller asks once at the end (`ok()`). A Reader never allocates more than the bytes that it was given can justify.
// `set_flexible` selects the compact lengths and tagged fields of KIP-482; every message sets it for itself.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/transport.h"
#include "base/uuid.h"
#include "protocol/error_code.h"
#include "protocol/records.h"

namespace kurier::protocol {

inline constexpr std::size_t kArrayElementsMax = 1'000'000;  // as Apache Kafka 4.4 bounds them
inline constexpr std::size_t kTaggedFieldsMax = 10'000;
inline constexpr std::size_t kStringBytesMax = 0x7fff;
inline constexpr std::uint32_t kTagMax = 0x7fffffff;
// The error of a Reader that is stricter than Apache Kafka, whose lengths and counts are signed.
inline constexpr const char* kNegativeLength = "a length or count of 2^31 or more";
// The same: what takes the place of malformed bytes is longer than they are, and Apache Kafka refuses to write it
// again.
inline constexpr const char* kTooLongAsUtf8 = "a string is too long as UTF-8";

// A tagged field that this version of the schema does not know; kept and written back.
struct UnknownTaggedField {
  std::uint32_t tag = 0;
  Bytes data;
  bool operator==(const UnknownTaggedField&) const = default;
};

class Reader {
 public:
  // More elements than `elements_max`, in all arrays together, are an error. A KiB that is copied counts as one.
  explicit Reader(ByteView bytes, std::size_t elements_max = SIZE_MAX) : bytes_(bytes), elements_left_(elements_max) {}

  [[nodiscard]] bool ok() const { return error_.empty(); }
  [[nodiscard]] const std::string& error() const { return error_; }
  // Keeps the first reason; everything read afterwards is zero or empty.
  void fail(std::string_view why);
  [[nodiscard]] bool has_too_many_elements() const { return has_too_many_elements_; }

  void set_flexible(bool flexible) { flexible_ = flexible; }
  [[nodiscard]] bool flexible() const { return flexible_; }
  [[nodiscard]] std::size_t remaining() const { return bytes_.size() - position_; }  // none after a failure
  [[nodiscard]] std::size_t position() const { return position_; }

  std::int8_t int8() { return integer<std::int8_t>(); }
  std::int16_t int16() { return integer<std::int16_t>(); }
  std::uint16_t uint16() { return integer<std::uint16_t>(); }
  std::int32_t int32() { return integer<std::int32_t>(); }
  std::uint32_t uint32() { return integer<std::uint32_t>(); }
  std::int64_t int64() { return integer<std::int64_t>(); }
  bool boolean() { return int8() != 0; }
  double float64();
  Uuid uuid();
  std::uint32_t uvarint() {  // at most 5 bytes, mostly one
    if (remaining() == 0 || (std::to_integer<std::uint8_t>(bytes_[position_]) & 0x80U) != 0) return long_uvarint();
    return std::to_integer<std::uint8_t>(bytes_[position_++]);
  }
  std::int32_t varint();    // zigzag
  std::int64_t varlong();   // zigzag, at most 10 bytes

  // The next `count` bytes where they lie; empty and failed if there are fewer.
  ByteView view(std::size_t count) {
    if (count > remaining()) {
      ends_too_early();
      return {};
    }
    const ByteView found(bytes_.data() + position_, count);
    position_ += count;
    return found;
  }

  std::string string();  // UTF-8, whatever was sent (text.h)
  std::optional<std::string> nullable_string();
  Bytes bytes();
  std::optional<Bytes> nullable_bytes();
  Records records();           // a view into the frame
  Records nullable_records();

  // The number of elements that follow; never more than kArrayElementsMax or the bytes that are left.
  std::size_t array_count();
  std::optional<std::size_t> nullable_array_count();

  // Reads the tagged fields at the end of a flexible struct. `known(tag)` reads a field and returns true, or returns
  // false without reading. As Apache Kafka does, it believes the stated length only of a field that it does not know.
  template <class Known>
  void tagged_fields(std::vector<UnknownTaggedField>& unknown, Known&& known) {
    const std::uint32_t count = tagged_field_count();
    for (std::uint32_t i = 0; i < count && ok(); ++i) {
      const std::uint32_t tag = uvarint();
      const std::size_t size = uvarint();
      if (!ok() || known(tag)) continue;
      if (size > remaining()) return fail("a tagged field is longer than what is left");
      unknown.push_back({tag, to_bytes(view(size))});
    }
  }

 private:
  template <class T>
  T integer() {
    const ByteView from = view(sizeof(T));
    return from.empty() ? T{} : load_big_endian<T>(from.data());
  }
  void ends_too_early();
  std::uint32_t long_uvarint();
  bool take_elements(std::size_t count);  // false, and failed, if there are too many
  std::uint32_t tagged_field_count() {
    const std::uint32_t count = uvarint();
    return count == 0 ? 0 : checked_tagged_fields(count);
  }
  std::uint32_t checked_tagged_fields(std::uint32_t count);
  std::int64_t compact_length();
  std::int64_t string_length();  // -1: null
  std::int64_t bytes_length();   // -1: null

  ByteView bytes_;  // after a failure those before it
  std::size_t position_ = 0;
  std::size_t elements_left_;
  bool flexible_ = false;
  bool has_too_many_elements_ = false;
  std::string error_;
};

class Writer {
 public:
  Writer() = default;
  // With room for so many bytes before it has to grow.
  explicit Writer(std::size_t room_bytes) { buffer_.reserve(room_bytes); }
  // What was moved from is as one that nothing was written to.
  Writer(Writer&& other) noexcept { *this = std::move(other); }
  Writer& operator=(Writer&& other) noexcept;
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  ~Writer() = default;

  [[nodiscard]] bool ok() const { return error_.empty(); }
  [[nodiscard]] const std::string& error() const { return error_; }
  // Keeps the first reason. What was written must then not be sent.
  void fail(std::string_view why);

  void set_flexible(bool flexible) { flexible_ = flexible; }
  [[nodiscard]] bool flexible() const { return flexible_; }

  void int8(std::int8_t value) { integer(value); }
  void int16(std::int16_t value) { integer(value); }
  void uint16(std::uint16_t value) { integer(value); }
  void int32(std::int32_t value) { integer(value); }
  void uint32(std::uint32_t value) { integer(value); }
  void int64(std::int64_t value) { integer(value); }
  void boolean(bool value) { integer(static_cast<std::int8_t>(value ? 1 : 0)); }
  void float64(double value);
  void uuid(const Uuid& value);
  void uvarint(std::uint32_t value) {
    for (; value >= 0x80; value >>= 7) *more(1) = static_cast<std::byte>(value | 0x80U);
    *more(1) = static_cast<std::byte>(value);
  }
  void varint(std::int32_t value);
  void varlong(std::int64_t value);
  void raw(ByteView bytes);  // no length in front

  void string(std::string_view value);
  void nullable_string(const std::optional<std::string>& value);
  void bytes(ByteView value);
  void nullable_bytes(const std::optional<Bytes>& value);
  void records(const Records& value);
  void nullable_records(const Records& value);
  void array_count(std::size_t count);
  void null_array();

  // A tagged field: `begin_tagged(tag)`, the value, `end_tagged(what begin returned)`.
  std::size_t begin_tagged(std::uint32_t tag);
  void end_tagged(std::size_t begin);
  // The unknown fields with tags below `tag_limit`, from `*next` on; `*next` moves past them.
  void unknown_tagged(const std::vector<UnknownTaggedField>& fields, std::size_t* next, std::uint64_t tag_limit) {
    if (*next < fields.size()) write_unknown_tagged(fields, next, tag_limit);
  }

  // Everything written so far, slices included.
  [[nodiscard]] std::size_t size_bytes() const { return finished_bytes_ + written_bytes_; }
  // Overwrites four bytes written before, counted as size_bytes() does; typically a length known only at the end.
  void patch_int32(std::size_t position, std::int32_t value);

  // What ends with a file slice, mostly nothing; take_bytes then has the rest.
  [[nodiscard]] Outgoing take_parts();
  [[nodiscard]] Bytes take_bytes();  // where there are no file slices, or they have been taken

 private:
  template <class T>
  void integer(T value) {
    store_big_endian(more(sizeof(T)), value);
  }
  // The next `count` bytes, which are then written.
  std::byte* more(std::size_t count) {
    if (count > buffer_.size() - written_bytes_) grow(count);
    written_bytes_ += count;
    return buffer_.data() + written_bytes_ - count;
  }
  void grow(std::size_t count);
  void string_length(std::size_t length);
  void bytes_length(std::size_t length);
  void null_bytes();
  void write_unknown_tagged(const std::vector<UnknownTaggedField>& fields, std::size_t* next, std::uint64_t tag_limit);
  void slice(const FileSlice& slice);

  Outgoing parts_;  // finished: each ends with a slice
  std::size_t finished_bytes_ = 0;
  Bytes buffer_;  // behind what is written there may be zeros
  std::size_t written_bytes_ = 0;  // of buffer_
  bool flexible_ = false;
  std::string error_;
};

// A strong id or an enumeration from the number on the wire, and back.
template <class T, class Number>
[[nodiscard]] constexpr T from_wire(Number number) {
  if constexpr (std::is_enum_v<T>) {
    return static_cast<T>(number);
  } else {
    return T(number);
  }
}
template <class T>
[[nodiscard]] constexpr auto to_wire(T value) {
  if constexpr (std::is_enum_v<T>) {
    return static_cast<std::underlying_type_t<T>>(value);
  } else {
    return value.value();
  }
}

}  // namespace kurier::protocol
