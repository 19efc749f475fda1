#include "tools/commands/lines.h"

#include <catch2/catch.hpp>

#include "protocol/record_batch.h"
#include "tools/commands/command.h"

using namespace kurier;
using namespace kurier::commands;

namespace {

// Reads back what a batch of one record becomes.
template <class Use>
void with_record(const client::OutgoingRecord& record, Use use) {
  const Bytes bytes = client::encode_batch({record}, Timestamp(99), protocol::Codec::kNone, std::nullopt);
  const auto batch = protocol::RecordBatchView::parse(bytes);
  protocol::RecordReader reader(*batch, batch->payload());
  const client::TopicPartition partition{"t", PartitionIndex(3)};
  use(client::FetchedRecord{partition, *reader.next(), batch->timestamp_type()});
}

}  // namespace

TEST_CASE("lines come out whole, however they came in") {
  LineSplitter lines;
  REQUIRE_FALSE(lines.next());
  lines.add("on");
  REQUIRE_FALSE(lines.next());
  lines.add("e\ntwo\r\n\nrest");
  REQUIRE(*lines.next() == "one");
  REQUIRE(*lines.next() == "two");
  REQUIRE(*lines.next() == "");
  REQUIRE_FALSE(lines.next());
  REQUIRE(*lines.rest() == "rest");
  REQUIRE_FALSE(lines.rest());
}

TEST_CASE("a line is a value, or a key and a value") {
  InputFormat format;
  REQUIRE(as_text(*parse_line("a:b", format, 1)->value) == "a:b");
  REQUIRE_FALSE(parse_line("a:b", format, 1)->key);
  REQUIRE(set_property(format, "key.separator=:"));
  REQUIRE(set_property(format, "null.marker=NULL"));
  format.headers = {{"h", to_bytes("x")}};
  const auto record = parse_line("a:b:c", format, 1);
  REQUIRE(as_text(*record->key) == "a");
  REQUIRE(as_text(*record->value) == "b:c");
  REQUIRE(record->headers.size() == 1);
  REQUIRE_FALSE(parse_line("a:NULL", format, 1)->value);
  REQUIRE(parse_line("a:", format, 1)->value->empty());
  const auto wrong = parse_line("abc", format, 17);
  REQUIRE_FALSE(wrong);
  REQUIRE(wrong.error().context.find("line 17") != std::string::npos);
}

TEST_CASE("properties are known by name, and a wrong one lists them") {
  InputFormat input;
  REQUIRE(set_property(input, "parse.key=true"));
  REQUIRE(*input.key_separator == "\t");
  REQUIRE_FALSE(set_property(input, "parse.key=yes"));
  REQUIRE_FALSE(set_property(input, "key.separator="));
  REQUIRE(set_property(input, "parse.keys=true").error().context.find("parse.key,") != std::string::npos);
  OutputFormat output;
  REQUIRE(set_property(output, "print.key=true"));
  REQUIRE(output.key);
  REQUIRE_FALSE(set_property(output, "print.key"));
  REQUIRE(set_property(output, "print.keys=true").error().context.find("print.key,") != std::string::npos);
}

TEST_CASE("a record is printed as kafka-console-consumer prints it") {
  client::OutgoingRecord record{
      .key = to_bytes("k"), .value = to_bytes("v"), .headers = {{"h", to_bytes("x")}, {"i", {}}}};
  OutputFormat format;
  with_record(record, [&](const client::FetchedRecord& fetched) { REQUIRE(to_text(fetched, format) == "v\n"); });
  for (const char* name : {"timestamp", "partition", "offset", "headers", "key"}) {
    REQUIRE(set_property(format, "print." + std::string(name) + "=true"));
  }
  with_record(record, [&](const client::FetchedRecord& fetched) {
    REQUIRE(to_text(fetched, format) == "CreateTime:99\tPartition:3\tOffset:0\th:x,i:\tk\tv\n");
  });
  record = {};
  with_record(record, [&](const client::FetchedRecord& fetched) {
    REQUIRE(to_text(fetched, format) == "CreateTime:99\tPartition:3\tOffset:0\tNO_HEADERS\tnull\tnull\n");
  });
}

TEST_CASE("a record as JSON tells null from empty") {
  const client::OutgoingRecord record{.key = std::nullopt, .value = Bytes{}, .headers = {{"h", to_bytes("x")}}};
  with_record(record, [&](const client::FetchedRecord& fetched) {
    REQUIRE(to_json(fetched).text() == R"({"topic": "t", "partition": 3, "offset": 0, "timestamp": 99, )"
                                       R"("timestamp_type": "CreateTime", "key": null, "value": "", )"
                                       R"("headers": [{"name": "h", "value": "x"}]})");
  });
}

TEST_CASE("a table's columns are as wide as their longest cell") {
  REQUIRE(format_table({{"A", "B", "C"}, {"long", "", "x"}}) == "A     B  C\nlong  -  x\n");
}
