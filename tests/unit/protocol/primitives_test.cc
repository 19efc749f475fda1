// Reader against what a sender may invent: lengths, counts, nulls. The bounds are Apache Kafka 4.4's. And a Writer that
// moves.
#include <catch2/catch.hpp>

#include "protocol/primitives.h"

using namespace kurier;
using namespace kurier::protocol;

namespace {

// A number in front of `count` zero bytes, as an array's count is: compact ones count from one.
Bytes counted(std::int64_t number, std::size_t count, bool flexible) {
  Writer writer;
  if (flexible) {
    writer.uvarint(static_cast<std::uint32_t>(number + 1));
  } else {
    writer.int32(static_cast<std::int32_t>(number));
  }
  writer.raw(Bytes(count));
  return writer.take_bytes();
}

Reader reader_of(const Bytes& bytes, bool flexible) {
  Reader reader(bytes);
  reader.set_flexible(flexible);
  return reader;
}

}  // namespace

TEST_CASE("an array has no more elements than bytes are left, nor more than a million") {
  const bool flexible = GENERATE(false, true);
  const auto count_of = [&](std::int64_t number, std::size_t bytes_after) {
    const Bytes bytes = counted(number, bytes_after, flexible);
    Reader reader = reader_of(bytes, flexible);
    const std::size_t count = reader.array_count();
    return reader.ok() ? std::optional(count) : std::nullopt;
  };
  REQUIRE(count_of(0, 0) == 0U);
  REQUIRE(count_of(10, 10) == 10U);
  REQUIRE_FALSE(count_of(11, 10));
  REQUIRE_FALSE(count_of(0x7ffffffe, 10));
  REQUIRE(count_of(1'000'000, 1'000'001) == 1'000'000U);
  REQUIRE_FALSE(count_of(1'000'001, 1'000'001));
  REQUIRE_FALSE(count_of(-1, 10));  // null
}

TEST_CASE("null is told from empty, and is an error where it may not be") {
  const bool flexible = GENERATE(false, true);
  const Bytes null = counted(-1, 0, flexible);
  const Bytes empty = counted(0, 0, flexible);
  const auto reads = [&](const Bytes& bytes, auto&& read) {
    Reader reader = reader_of(bytes, flexible);
    read(reader);
    return reader.ok();
  };
  const auto each = [&](auto&& may_be_null, auto&& may_not) {
    REQUIRE(reads(null, may_be_null));
    REQUIRE(reads(empty, may_be_null));
    REQUIRE_FALSE(reads(null, may_not));
    REQUIRE(reads(empty, may_not));
  };
  each([](Reader& reader) { static_cast<void>(reader.nullable_bytes()); }, [](Reader& reader) { reader.bytes(); });
  each([](Reader& reader) { reader.nullable_records(); }, [](Reader& reader) { reader.records(); });
  each([](Reader& reader) { static_cast<void>(reader.nullable_array_count()); }, [](Reader& reader) { reader.array_count(); });
  REQUIRE(reads(null, [](Reader& reader) { static_cast<void>(reader.nullable_string()); }));
  REQUIRE_FALSE(reads(null, [](Reader& reader) { reader.string(); }));
  REQUIRE(reads(empty, [](Reader& reader) { reader.string(); }));
}

TEST_CASE("lengths beyond the bytes, and those that a signed number cannot hold") {
  const bool flexible = GENERATE(false, true);
  const Bytes long_bytes = counted(11, 10, flexible);
  Reader bytes = reader_of(long_bytes, flexible);
  REQUIRE(bytes.nullable_bytes()->empty());
  REQUIRE_FALSE(bytes.ok());
  Reader records = reader_of(long_bytes, flexible);
  REQUIRE(records.nullable_records().size_bytes() == 0);
  REQUIRE_FALSE(records.ok());
  const Bytes long_string = counted(0x8000, 0x8000, true);  // it is all there, but strings end at 32767 bytes
  Reader string = reader_of(long_string, true);
  REQUIRE(string.string().empty());
  REQUIRE_FALSE(string.ok());
  for (const std::int64_t number : {0x80000000LL, 0xfffffffeLL}) {
    const Bytes invented = counted(number, 10, true);
    Reader array = reader_of(invented, true);
    REQUIRE_FALSE(array.nullable_array_count());
    REQUIRE(array.error().starts_with(kNegativeLength));
    Reader text = reader_of(invented, true);
    REQUIRE_FALSE(text.nullable_string());
    REQUIRE(text.error().starts_with(kNegativeLength));
  }
}

TEST_CASE("ten thousand tagged fields and no more; the length of a known one is not believed") {
  const auto unknown_of = [](const Bytes& bytes) {
    Reader reader(bytes);
    std::vector<UnknownTaggedField> unknown;
    reader.tagged_fields(unknown, [](std::uint32_t) { return false; });
    return reader.ok() ? std::optional(unknown.size()) : std::nullopt;
  };
  const auto fields = [](std::uint32_t stated, std::uint32_t there) {
    Writer writer;
    writer.uvarint(stated);
    for (std::uint32_t tag = 0; tag < there; ++tag) {
      writer.uvarint(tag);
      writer.uvarint(0);
    }
    return writer.take_bytes();
  };
  REQUIRE(unknown_of(fields(10'000, 10'000)) == 10'000U);
  REQUIRE_FALSE(unknown_of(fields(10'001, 10'001)));
  REQUIRE_FALSE(unknown_of(fields(0xffffffff, 1)));
  REQUIRE_FALSE(unknown_of(fields(2, 1)));  // the second is not there
  Writer writer;
  writer.uvarint(1);
  writer.uvarint(0);
  writer.uvarint(100);  // there are four bytes
  writer.int32(7);
  const Bytes bytes = writer.take_bytes();
  REQUIRE_FALSE(unknown_of(bytes));
  Reader reader(bytes);
  std::vector<UnknownTaggedField> unknown;
  std::int32_t value = 0;
  reader.tagged_fields(unknown, [&](std::uint32_t) {
    value = reader.int32();
    return true;
  });
  REQUIRE(reader.ok());
  REQUIRE(value == 7);
  REQUIRE(unknown.empty());
}

TEST_CASE("variable-length numbers end after five and ten bytes") {
  Writer writer;
  writer.uvarint(0xffffffff);
  writer.varint(INT32_MIN);
  writer.varlong(INT64_MIN);
  const Bytes bytes = writer.take_bytes();
  REQUIRE(bytes.size() == 5 + 5 + 10);
  Reader reader(bytes);
  REQUIRE(reader.uvarint() == 0xffffffff);
  REQUIRE(reader.varint() == INT32_MIN);
  REQUIRE(reader.varlong() == INT64_MIN);
  REQUIRE(reader.ok());
  const Bytes endless(20, std::byte{0x80});
  Reader number(endless);
  REQUIRE(number.uvarint() == 0);
  REQUIRE_FALSE(number.ok());
  Reader longer(endless);
  REQUIRE(longer.varlong() == 0);
  REQUIRE_FALSE(longer.ok());
}

TEST_CASE("a reader stops before more elements than it may read") {
  Writer writer;
  writer.array_count(3);
  for (int i = 0; i < 3; ++i) {
    writer.array_count(2);
    writer.int8(1);
    writer.int8(2);
  }
  writer.bytes(Bytes(4096));
  const Bytes bytes = writer.take_bytes();
  const auto read = [&](std::size_t elements_max) {
    Reader reader(bytes, elements_max);
    for (std::size_t left = reader.array_count(); left > 0; --left) {
      for (std::size_t inner = reader.array_count(); inner > 0; --inner) reader.int8();
    }
    reader.bytes();
    return reader;
  };
  constexpr std::size_t kAll = 3 + 3 * 2 + 4;  // and a KiB counts as one
  CHECK(read(kAll).ok());
  CHECK_FALSE(read(kAll).has_too_many_elements());
  for (std::size_t elements_max = 0; elements_max < kAll; ++elements_max) {
    const Reader reader = read(elements_max);
    INFO(elements_max << " elements");
    CHECK_FALSE(reader.ok());
    CHECK(reader.has_too_many_elements());
  }
  // What is malformed is not too large.
  Reader cut(ByteView(bytes).first(5), 3);
  cut.array_count();
  cut.array_count();
  CHECK_FALSE(cut.ok());
  CHECK_FALSE(cut.has_too_many_elements());
}

// tests/interop/roundtrip compares many more with Java.
TEST_CASE("a string is UTF-8, whatever was sent") {
  const auto read = [](std::string_view sent) {
    std::string found;
    for (const bool flexible : {false, true}) {
      Writer writer;
      writer.set_flexible(flexible);
      writer.string(sent);
      const Bytes bytes = writer.take_bytes();
      Reader reader = reader_of(bytes, flexible);
      const std::string text = reader.string();
      REQUIRE(reader.ok());
      REQUIRE((!flexible || text == found));
      found = text;
    }
    return found;
  };
  for (const char* text : {"", "a", "group-17", "\u00e4", "gr\u00fc\u00dfe", "\u20ac and \U0001f600",
                           "\uffff\U0010ffff", "12345678\u00e4"})
    CHECK(read(text) == text);
  CHECK(read(std::string_view("a\0b", 3)) == std::string_view("a\0b", 3));
  CHECK(read("gr\xfc\xdf"
             "e") ==
        "gr\ufffd\ufffd"
        "e");
  CHECK(read("12345678\xff") == "12345678\ufffd");
  CHECK(read("\xff"
             "12345678") ==
        "\ufffd"
        "12345678");
  CHECK(read("\xe2\x82") == "\ufffd");  // cut: one
  CHECK(read("\xe2\x82"
             "x") == "\ufffdx");
  CHECK(read("\xe2x\x82") == "\ufffdx\ufffd");
  CHECK(read("\xc0\x80") == "\ufffd\ufffd");  // too long a form: each byte
  CHECK(read("\xe0\x80\x80") == "\ufffd\ufffd\ufffd");
  CHECK(read("\xed\xa0\x80") == "\ufffd");  // a surrogate: one
  CHECK(read("\xed\xa0") == "\ufffd");
  CHECK(read("\xf0\x9f\x98"
             "x") == "\ufffdx");
  CHECK(read("\xf4\x90\x80\x80") == "\ufffd\ufffd\ufffd\ufffd");
  CHECK(read("\xf5\x80") == "\ufffd\ufffd");
}

TEST_CASE("a string that would be too long to be written again is not read") {
  const auto fits = [](std::size_t malformed) {
    Writer writer;
    const std::string text(malformed, '\xff');
    writer.int16(static_cast<std::int16_t>(text.size()));
    writer.raw(as_bytes(text));
    const Bytes bytes = writer.take_bytes();
    Reader reader(bytes);
    const bool is_long = reader.string().size() == 3 * malformed;
    return reader.ok() && is_long;
  };
  CHECK(fits(kStringBytesMax / 3));
  CHECK_FALSE(fits(kStringBytesMax / 3 + 1));
  CHECK_FALSE(fits(kStringBytesMax));
}

TEST_CASE("a writer that was moved from is empty and can be written to") {
  static_assert(!std::is_copy_constructible_v<Writer> && !std::is_copy_assignable_v<Writer>);
  const auto begun = [] {
    Writer writer;
    writer.set_flexible(true);
    Records records;
    records.is_null = false;
    records.slices.push_back({nullptr, 0, 1000});
    writer.nullable_records(records);
    for (int i = 0; i < 500; ++i) writer.int32(i);
    writer.fail("as planted");
    return writer;
  };
  const auto check_whole = [](Writer& writer) {
    CHECK(writer.flexible());
    CHECK(writer.error() == "as planted");
    CHECK(writer.size_bytes() == 2 + 1000 + 500 * 4);
    CHECK(writer.take_parts().size() == 1);
    const Bytes bytes = writer.take_bytes();
    REQUIRE(bytes.size() == 500 * 4);
    CHECK(load_big_endian<std::int32_t>(bytes.data() + bytes.size() - 4) == 499);
  };
  const auto check_empty = [](Writer& writer) {
    CHECK(writer.ok());
    CHECK_FALSE(writer.flexible());
    CHECK(writer.size_bytes() == 0);
    writer.int32(7);
    writer.string("kept");
    CHECK(writer.take_parts().empty());
    CHECK(writer.take_bytes() == to_bytes(std::string_view("\0\0\0\7\0\4kept", 10)));
  };
  Writer first = begun();
  Writer second(std::move(first));
  check_empty(first);
  Writer third;
  third.int64(1);  // goes
  third = std::move(second);
  check_empty(second);
  Writer& same = third;
  third = std::move(same);
  check_whole(third);
}
