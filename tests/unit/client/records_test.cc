// Records on their way out, and JSON of what may be anything.
#include "tools/client/records.h"

#include <catch2/catch.hpp>

#include "protocol/compression.h"
#include "protocol/record.h"
#include "tools/client/json.h"

using namespace kurier;
using namespace kurier::client;

TEST_CASE("a key goes to the partition to which Java's producer sends it") {
  // From org.apache.kafka.common.utils.Utils.toPositive(Utils.murmur2(key)) % 1000.
  REQUIRE(partition_for_key(as_bytes("21"), 1000) == 340);
  REQUIRE(partition_for_key(as_bytes("foobar"), 1000) == 166);
  REQUIRE(partition_for_key(as_bytes("a-little-bit-long-string"), 1000) == 112);
  REQUIRE(partition_for_key(as_bytes("a-little-bit-longer-string"), 1000) == 819);
  REQUIRE(partition_for_key(as_bytes("abc"), 1000) == 107);
  REQUIRE(partition_for_key(as_bytes("anything"), 1) == 0);
}

TEST_CASE("a batch holds its records in every codec, with and without a producer") {
  std::vector<OutgoingRecord> records;
  records.push_back({.key = to_bytes("k"), .value = to_bytes("v"), .headers = {{"h", to_bytes("x")}, {"h", {}}}});
  records.push_back({.key = std::nullopt, .value = std::nullopt, .headers = {}});
  for (const auto codec : {protocol::Codec::kNone, protocol::Codec::kGzip, protocol::Codec::kSnappy,
                           protocol::Codec::kLz4, protocol::Codec::kZstd}) {
    const Bytes bytes =
        encode_batch(records, Timestamp(1234), codec, ProducerPlace{ProducerId(7), ProducerEpoch(1), 42});
    const auto batch = protocol::RecordBatchView::parse(bytes);
    REQUIRE(batch);
    REQUIRE(batch->size_bytes() == bytes.size());
    REQUIRE(batch->crc_is_valid());
    REQUIRE(batch->codec() == codec);
    REQUIRE(batch->record_count() == 2);
    REQUIRE(batch->last_offset_delta() == 1);
    REQUIRE(batch->producer_id() == ProducerId(7));
    REQUIRE(batch->base_sequence() == 42);
    const Bytes payload = codec == protocol::Codec::kNone ? to_bytes(batch->payload())
                                                          : *protocol::decompress(codec, batch->payload(), 1000);
    protocol::RecordReader reader(*batch, payload);
    const protocol::RecordView* first = reader.next();
    REQUIRE(first != nullptr);
    REQUIRE(as_text(*first->key) == "k");
    REQUIRE(as_text(*first->value) == "v");
    REQUIRE(first->timestamp == Timestamp(1234));
    protocol::HeaderReader headers(*first);
    REQUIRE(as_text(*headers.next()->value) == "x");
    REQUIRE(headers.next()->value->empty());
    REQUIRE_FALSE(headers.next());
    const protocol::RecordView* second = reader.next();
    REQUIRE(second != nullptr);
    REQUIRE_FALSE(second->key);
    REQUIRE_FALSE(second->value);
    REQUIRE(reader.next() == nullptr);
    REQUIRE(reader.ok());
  }
  const Bytes simple = encode_batch(records, Timestamp(0), protocol::Codec::kNone, std::nullopt);
  REQUIRE_FALSE(protocol::RecordBatchView::parse(simple)->has_producer_id());
}

TEST_CASE("JSON: bytes that are no UTF-8 are said in base64") {
  REQUIRE(base64(as_bytes("")) == "");
  REQUIRE(base64(as_bytes("f")) == "Zg==");
  REQUIRE(base64(as_bytes("fo")) == "Zm8=");
  REQUIRE(base64(as_bytes("foobar")) == "Zm9vYmFy");
  for (const char* text : {"", "a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf"}) {
    REQUIRE(is_utf8(as_bytes(text)));
  }
  // A lone continuation, cut short, too long (3 ways), a surrogate, beyond Unicode.
  for (const char* text :
       {"\x80", "\xc3", "\xc0\xaf", "\xe0\x80\xaf", "\xf0\x80\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80"}) {
    REQUIRE_FALSE(is_utf8(as_bytes(text)));
  }
  JsonObject json;
  json.add_bytes("key", as_bytes("\xff"));
  json.add_bytes("value", as_bytes("a\"b"));
  json.add("list", std::vector<std::string>{"x", "y"});
  json.add("numbers", std::vector<std::int32_t>{});
  REQUIRE(json.text() == R"({"key_base64": "/w==", "value": "a\"b", "list": ["x", "y"], "numbers": []})");
}
