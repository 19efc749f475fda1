// The generated messages: known bytes, versions, tagged fields, bad input. tests/interop/roundtrip compares all of them with
// Apache Kafka's own classes.
#include <catch2/catch.hpp>

#include "protocol/api_table.h"
#include "protocol/messages/api_versions_response.h"
#include "protocol/messages/consumer_group_current_member_assignment_value.h"
#include "protocol/messages/consumer_group_member_metadata_value.h"
#include "protocol/messages/fetch_request.h"
#include "protocol/messages/metadata_request.h"
#include "protocol/messages/produce_request.h"
#include "protocol/messages/request_header.h"
#include "protocol/metadata_record.h"

using namespace kurier;
using namespace kurier::protocol;

namespace {

template <class Message>
Bytes encode(const Message& message, std::int16_t version) {
  Writer writer;
  message.encode(writer, version);
  REQUIRE(writer.ok());
  return writer.take_bytes();
}

template <class Message>
Message decode(ByteView bytes, std::int16_t version) {
  Reader reader(bytes);
  Message message;
  message.decode(reader, version);
  INFO(reader.error());
  REQUIRE(reader.ok());
  REQUIRE(reader.remaining() == 0);
  return message;
}

ByteView literal(std::string_view text) { return as_bytes(text); }

}  // namespace

TEST_CASE("a request header as a client sends it") {
  using namespace std::string_view_literals;
  // api 3, version 12, correlation 7, client "rdkafka" (length of 2 bytes even here), no tagged fields
  const ByteView bytes = literal("\x00\x03\x00\x0c\x00\x00\x00\x07\x00\x07rdkafka\x00"sv);
  const auto header = decode<RequestHeader>(bytes, 2);
  REQUIRE(header.request_api_key == 3);
  REQUIRE(header.correlation_id == 7);
  REQUIRE(header.client_id == "rdkafka");
  REQUIRE(std::ranges::equal(encode(header, 2), bytes));
}

TEST_CASE("every version of a message comes back as it was, unknown tagged fields included") {
  for (std::int16_t version = ProduceRequest::kMinVersion; version <= ProduceRequest::kMaxVersion; ++version) {
    ProduceRequest request;
    request.transactional_id = "t";
    request.acks = -1;
    request.timeout_ms = 30'000;
    auto& topic = request.topic_data.emplace_back();
    if (version < 13) topic.name = "topic";
    if (version >= 13) topic.topic_id = Uuid{1, 2};
    auto& partition = topic.partition_data.emplace_back();
    partition.index = PartitionIndex(3);
    partition.records = records_owned(to_bytes("batch"));
    if (version >= 9) topic.unknown_tagged_fields.push_back({77, to_bytes("kept")});
    const Bytes bytes = encode(request, version);
    REQUIRE(decode<ProduceRequest>(bytes, version) == request);
  }
}

TEST_CASE("null topics in a metadata request mean all of them, an empty list none") {
  MetadataRequest all;
  all.topics.reset();
  REQUIRE_FALSE(decode<MetadataRequest>(encode(all, 12), 12).topics);
  MetadataRequest none;
  none.topics.emplace();
  REQUIRE(decode<MetadataRequest>(encode(none, 12), 12).topics->empty());
  Writer writer;
  all.encode(writer, 0);  // there null cannot be said
  REQUIRE_FALSE(writer.ok());
}

TEST_CASE("bytes that end early or state what cannot be are an error at every place") {
  ProduceRequest request;
  request.topic_data.emplace_back().name = "topic";
  request.topic_data.back().partition_data.emplace_back().records = records_owned(to_bytes("batch"));
  const Bytes whole = encode(request, 9);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    Reader reader(ByteView(whole).first(size));
    ProduceRequest cut;
    cut.decode(reader, 9);
    REQUIRE_FALSE(reader.ok());
  }
  Bytes huge = encode(MetadataRequest{}, 0);
  store_big_endian(huge.data(), std::int32_t{0x7fffffff});
  Reader reader(huge);
  MetadataRequest request_of_millions;
  request_of_millions.decode(reader, 0);
  REQUIRE_FALSE(reader.ok());
}

TEST_CASE("unknown tagged fields are refused where a version has none, and out of order") {
  MetadataRequest request;
  request.unknown_tagged_fields.push_back({5, to_bytes("five")});
  REQUIRE(decode<MetadataRequest>(encode(request, 9), 9).unknown_tagged_fields == request.unknown_tagged_fields);
  const auto refuses = [&](std::int16_t version) {
    Writer writer;
    request.encode(writer, version);
    return !writer.ok();
  };
  REQUIRE(refuses(8));
  request.unknown_tagged_fields.push_back({4, {}});
  REQUIRE(refuses(9));
  request.unknown_tagged_fields = {{0x80000000, {}}};  // Apache Kafka's tags are signed
  REQUIRE(refuses(9));
  request.unknown_tagged_fields = {{0x7fffffff, {}}};  // and the largest means the end
  REQUIRE(refuses(9));
  request.unknown_tagged_fields = {{0x7ffffffe, {}}};
  REQUIRE_FALSE(refuses(9));
}

TEST_CASE("a tag that is known, in a version that does not have it") {
  FetchRequest request;
  request.replica_state.replica_id = BrokerId(3);
  const Bytes bytes = encode(request, 15);
  REQUIRE(decode<FetchRequest>(bytes, 15) == request);
  FetchRequest older;
  older.unknown_tagged_fields.push_back({1, to_bytes("x")});  // replica_state's
  const Bytes as_unknown = encode(older, 14);
  Reader at_14(as_unknown);
  FetchRequest refused;
  refused.decode(at_14, 14);
  REQUIRE_FALSE(at_14.ok());
}

TEST_CASE("a null where the version does not allow it is an error when read") {
  using namespace std::string_view_literals;
  const auto reads = [](auto message, std::string_view bytes, std::int16_t version) {
    Reader reader(literal(bytes));
    message.decode(reader, version);
    return reader.ok();
  };
  REQUIRE_FALSE(reads(MetadataRequest{}, "\xff\xff\xff\xff"sv, 0));  // topics
  REQUIRE(reads(MetadataRequest{}, "\xff\xff\xff\xff"sv, 1));
  REQUIRE_FALSE(reads(MetadataRequest{}, "\x00\x00\x00\x01\xff\xff"sv, 1));  // a topic's name
  REQUIRE(reads(MetadataRequest{}, "\x00\x00\x00\x01\x00\x01t"sv, 1));
  REQUIRE_FALSE(reads(ProduceRequest{}, "\x00\x00\x00\x00\x00\x00\x00\x00\x00"sv, 9));  // topic_data, compact
  REQUIRE(reads(ProduceRequest{}, "\x00\x00\x00\x00\x00\x00\x00\x01\x00"sv, 9));
}

TEST_CASE("tagged fields that may be null and whose default is not") {
  using namespace std::string_view_literals;
  // Apache Kafka's generator does not take JSON's null for a default: a new value has an empty one, and null is written.
  ConsumerGroupCurrentMemberAssignmentValue::TopicPartitions topic;
  REQUIRE(topic.assignment_epochs);
  ConsumerGroupMemberMetadataValue member;
  REQUIRE(member.classic_member_metadata);
  const Bytes whole = encode(member, 0);
  REQUIRE(whole.back() == std::byte{0});  // no tagged field
  member.classic_member_metadata.reset();
  const Bytes with_null = encode(member, 0);
  REQUIRE(as_text(ByteView(with_null).last(4)) == "\x01\x00\x01\x00"sv);  // one: tag 0, one byte, null
  REQUIRE(decode<ConsumerGroupMemberMetadataValue>(with_null, 0) == member);
  member.classic_member_metadata = ConsumerGroupMemberMetadataValue::ClassicMemberMetadata{};
  member.classic_member_metadata->session_timeout_ms = 7;
  const Bytes with_value = encode(member, 0);
  REQUIRE(as_text(ByteView(with_value).last(10)) == "\x01\x00\x07\x01\x00\x00\x00\x07\x01\x00"sv);  // present: 1
  REQUIRE(decode<ConsumerGroupMemberMetadataValue>(with_value, 0) == member);
}

TEST_CASE("the headers that go with a version") {
  const ApiInfo* produce = find_api(0);
  REQUIRE(produce != nullptr);
  REQUIRE(request_header_version(*produce, 8) == 1);
  REQUIRE(request_header_version(*produce, 9) == 2);
  REQUIRE(response_header_version(*produce, 9) == 1);
  const ApiInfo* versions = find_api(18);
  REQUIRE(request_header_version(*versions, 3) == 2);
  REQUIRE(response_header_version(*versions, 3) == 0);
  REQUIRE(find_api(4) == nullptr);
  REQUIRE(find_api(9999) == nullptr);
}

TEST_CASE("metadata records are framed, and those from the future are refused") {
  TopicRecord topic;
  topic.name = "t";
  topic.topic_id = Uuid{1, 2};
  const auto bytes = encode_metadata_record(topic, 0);
  REQUIRE(bytes);
  REQUIRE((*bytes)[0] == std::byte{1});
  REQUIRE((*bytes)[1] == std::byte{2});
  const auto decoded = decode_metadata_record(*bytes);
  REQUIRE(decoded);
  REQUIRE(std::get<TopicRecord>(decoded->record) == topic);
  Bytes future = *bytes;
  future[2] = std::byte{99};
  REQUIRE(decode_metadata_record(future).error().failure == Failure::kUnsupported);
  future = *bytes;
  future[1] = std::byte{100};
  REQUIRE(decode_metadata_record(future).error().failure == Failure::kUnsupported);
  REQUIRE(decode_metadata_record(ByteView(*bytes).first(5)).error().failure == Failure::kMalformed);
}

TEST_CASE("secrets do not get into texts") {
  ConfigRecord record;
  record.resource_name = "t";
  record.value = "password";
  REQUIRE(to_string(record).find("password") == std::string::npos);
}
