// Keys whose order as bytes is the order of what they are made of: texts as bytes, numbers as numbers. Pure functions.
//
// A text ends with 00 01, a zero in it is 00 ff; a number is big-endian with its sign bit turned.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/bytes.h"

namespace kurier::coordinator {

class OrderedKey {
 public:
  OrderedKey& tag(std::uint8_t value) {
    bytes_.push_back(std::byte{value});
    return *this;
  }
  OrderedKey& text(std::string_view value) {
    for (const std::byte byte : as_bytes(value)) {
      bytes_.push_back(byte);
      if (byte == std::byte{0}) bytes_.push_back(std::byte{0xff});
    }
    bytes_.push_back(std::byte{0});
    bytes_.push_back(std::byte{1});
    return *this;
  }
  template <std::signed_integral T>
  OrderedKey& number(T value) {
    using Bits = std::make_unsigned_t<T>;
    const std::size_t at = bytes_.size();
    bytes_.resize(at + sizeof(T));
    store_big_endian(bytes_.data() + at, static_cast<Bits>(static_cast<Bits>(value) ^ sign_bit<Bits>()));
    return *this;
  }
  OrderedKey& rest(ByteView bytes) {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    return *this;
  }
  [[nodiscard]] Bytes take() { return std::move(bytes_); }

  template <class Bits>
  static constexpr Bits sign_bit() {
    return static_cast<Bits>(Bits{1} << (sizeof(Bits) * 8 - 1));
  }

 private:
  Bytes bytes_;
};

// After the first part that is not there, everything is empty or 0 and `ok` is false.
class OrderedKeyReader {
 public:
  explicit OrderedKeyReader(ByteView bytes) : rest_(bytes) {}

  std::uint8_t tag() {
    if (!has(1)) return 0;
    const auto value = std::to_integer<std::uint8_t>(rest_.front());
    rest_ = rest_.subspan(1);
    return value;
  }
  std::string text() {
    std::string value;
    while (has(1)) {
      const std::byte byte = rest_.front();
      rest_ = rest_.subspan(1);
      if (byte != std::byte{0}) {
        value.push_back(static_cast<char>(byte));
      } else if (tag() == 1) {
        return value;
      } else {
        value.push_back('\0');
      }
    }
    return {};
  }
  template <std::signed_integral T>
  T number() {
    if (!has(sizeof(T))) return 0;
    using Bits = std::make_unsigned_t<T>;
    const auto bits = load_big_endian<Bits>(rest_.data());
    rest_ = rest_.subspan(sizeof(T));
    return static_cast<T>(static_cast<Bits>(bits ^ OrderedKey::sign_bit<Bits>()));
  }
  [[nodiscard]] ByteView rest() const { return rest_; }
  [[nodiscard]] bool ok() const { return ok_; }

 private:
  bool has(std::size_t bytes) {
    ok_ = ok_ && rest_.size() >= bytes;
    return ok_;
  }
  ByteView rest_;
  bool ok_ = true;
};

}  // namespace kurier::coordinator
