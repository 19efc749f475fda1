#include "protocol/compression.h"

#include <catch2/catch.hpp>

#include <array>
#include <random>
#include <string>

using namespace kurier;
using namespace kurier::protocol;

namespace {

constexpr std::array kCodecs{Codec::kNone, Codec::kGzip, Codec::kSnappy, Codec::kLz4, Codec::kZstd};
constexpr std::size_t kNoBound = kDecompressedBytesMax;

Bytes text(std::size_t size) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>("a man had to be arrested "[i % 25]);
  return bytes;
}
Bytes noise(std::size_t size, std::uint64_t seed = 1) {
  std::mt19937_64 random(seed);
  Bytes bytes(size);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}
Bytes packed(Codec codec, const Bytes& data) { return compress(codec, data, default_level(codec)); }

Bytes operator+(Bytes left, const Bytes& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

Bytes of(std::string_view bytes) { return to_bytes(bytes); }

}  // namespace

TEST_CASE("what was compressed comes back, whatever its size") {
  for (const Codec codec : kCodecs) {
    for (const std::size_t size : {0U, 1U, 100U, 32768U, 32769U, 65536U, 65537U, 1'000'000U}) {
      CAPTURE(to_string(codec), size);
      REQUIRE(decompress(codec, packed(codec, text(size)), kNoBound).value() == text(size));
      REQUIRE(decompress(codec, packed(codec, noise(size)), kNoBound).value() == noise(size));
    }
    if (codec != Codec::kNone) REQUIRE(packed(codec, text(100'000)).size() < 10'000);
  }
}

TEST_CASE("the levels of a topic's configuration") {
  for (const int level : {-1, 1, 9})
    REQUIRE(decompress(Codec::kGzip, compress(Codec::kGzip, text(5000), level), kNoBound).value() == text(5000));
  for (const int level : {1, 9, 12, 17})
    REQUIRE(decompress(Codec::kLz4, compress(Codec::kLz4, text(5000), level), kNoBound).value() == text(5000));
  for (const int level : {-131072, -5, 1, 3, 22}) {
    REQUIRE(decompress(Codec::kZstd, compress(Codec::kZstd, text(5000), level), kNoBound).value() == text(5000));
  }
  REQUIRE(compress(Codec::kGzip, text(50'000), 9).size() < compress(Codec::kGzip, text(50'000), 1).size());
}

TEST_CASE("the framing is the one that Java's clients read") {
  const Bytes snappy = packed(Codec::kSnappy, text(40'000));
  REQUIRE(as_text(snappy).substr(0, 16) == std::string_view("\x82SNAPPY\0\0\0\0\1\0\0\0\1", 16));
  // Magic; version 1, blocks independent, no checksums; blocks of 64 KiB.
  REQUIRE(as_text(packed(Codec::kLz4, text(100))).substr(0, 6) == std::string_view("\x04\x22\x4d\x18\x60\x40", 6));
  REQUIRE(as_text(packed(Codec::kZstd, text(100))).substr(0, 4) == "\x28\xb5\x2f\xfd");
  REQUIRE(as_text(packed(Codec::kGzip, text(100))).substr(0, 3) == "\x1f\x8b\x08");
}

TEST_CASE("snappy without a frame, as some clients write it") {
  // Length 5, a literal of 5 bytes.
  REQUIRE(decompress(Codec::kSnappy, of("\x05\x10hello"), kNoBound).value() == of("hello"));
}

TEST_CASE("not more comes out than the bound, and a bound that is just reached is none") {
  for (const Codec codec : kCodecs) {
    if (codec == Codec::kNone) continue;
    for (const std::size_t size : {1U, 4096U, 100'000U}) {
      CAPTURE(to_string(codec), size);
      const Bytes data = packed(codec, text(size));
      REQUIRE(decompress(codec, data, size).value() == text(size));
      REQUIRE(decompress(codec, data, size - 1).error().failure == Failure::kExhausted);
    }
  }
  REQUIRE(decompress(Codec::kZstd, packed(Codec::kZstd, Bytes(kDecompressedBytesMax + 1)), SIZE_MAX).error().failure ==
          Failure::kExhausted);
}

TEST_CASE("a size that is only announced reserves nothing") {
  // Raw snappy that says 4 GB, and a xerial block of 2 GB.
  REQUIRE(decompress(Codec::kSnappy, of("\xff\xff\xff\xff\x0f\x10hello"), kNoBound).error().failure ==
          Failure::kMalformed);
  REQUIRE(decompress(Codec::kSnappy,
                     of(std::string_view("\x82SNAPPY\0\0\0\0\1\0\0\0\1\x7f\xff\xff\xff"
                                         "abc",
                                         23)),
                     kNoBound)
              .error()
              .failure == Failure::kMalformed);
}

TEST_CASE("damaged and truncated data is an error") {
  for (const Codec codec : kCodecs) {
    if (codec == Codec::kNone) continue;
    CAPTURE(to_string(codec));
    REQUIRE_FALSE(decompress(codec, of("garbage, not a frame"), kNoBound));
    Bytes cut = packed(codec, noise(1000));
    cut.resize(cut.size() - 6);
    REQUIRE_FALSE(decompress(codec, cut, kNoBound));
    if (codec != Codec::kZstd) REQUIRE_FALSE(decompress(codec, {}, kNoBound));
  }
  REQUIRE(decompress(Codec::kZstd, {}, kNoBound).value().empty());
}

TEST_CASE("what follows the compressed data is treated as Apache Kafka treats it") {
  const Bytes one = text(100);
  const Bytes two = one + one;
  REQUIRE(decompress(Codec::kGzip, packed(Codec::kGzip, one) + packed(Codec::kGzip, one), kNoBound).value() == two);
  REQUIRE(decompress(Codec::kSnappy, packed(Codec::kSnappy, one) + packed(Codec::kSnappy, one), kNoBound).value() ==
          two);
  REQUIRE(decompress(Codec::kZstd, packed(Codec::kZstd, one) + packed(Codec::kZstd, one), kNoBound).value() == two);
  REQUIRE(decompress(Codec::kLz4, packed(Codec::kLz4, one) + packed(Codec::kLz4, one), kNoBound).value() == one);
  for (const Codec codec : {Codec::kGzip, Codec::kSnappy, Codec::kLz4}) {
    REQUIRE(decompress(codec, packed(codec, one) + of("x"), kNoBound).value() == one);
  }
  REQUIRE_FALSE(decompress(Codec::kZstd, packed(Codec::kZstd, one) + of("x"), kNoBound));
}

TEST_CASE("random damage does no harm", "[property]") {
  const auto seed = GENERATE(range(0U, 100U));
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  for (const Codec codec : kCodecs) {
    const Bytes data = packed(codec, random() % 2 == 0 ? text(random() % 3000) : noise(random() % 3000, seed));
    for (int damage = 0; damage < 20 && !data.empty(); ++damage) {
      Bytes damaged = data;
      for (auto changes = 1 + random() % 4; changes > 0; --changes)
        damaged[random() % damaged.size()] = static_cast<std::byte>(random());
      if (random() % 4 == 0) damaged.resize(random() % damaged.size());
      const auto result = decompress(codec, damaged, 10'000);
      REQUIRE((!result || result->size() <= 10'000));
    }
  }
}
