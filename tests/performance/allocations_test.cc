// How many allocations a request of the hot ways costs: exactly as many as stand here. More is a failure, and so are fewer:
// the number is then to be lowered, so that it holds what was won. KURIER_LIST_ALLOCATIONS=1 lists them, as does a failure.
#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "protocol/api_table.h"
#include "protocol/messages/fetch_request.h"
#include "protocol/messages/fetch_response.h"
#include "protocol/messages/produce_request.h"
#include "protocol/messages/produce_response.h"
#include "protocol/messages/request_header.h"
#include "protocol/messages/response_header.h"
#include "tests/performance/allocation_counter.h"
#include "tests/performance/one_shard.h"
#include "tests/support/record_batch.h"

using namespace kurier;
using namespace kurier::performance;
using protocol::ErrorCode;
using protocol::FetchRequest;
using protocol::FetchResponse;
using protocol::ProduceRequest;
using protocol::ProduceResponse;

namespace {

constexpr std::int16_t kProduceVersion = ProduceRequest::kMaxVersion;
constexpr std::int16_t kFetchVersion = FetchRequest::kMaxVersion;
constexpr std::size_t kWarmUp = 300;
constexpr std::size_t kMeasured = 101;

template <class Message>
Bytes framed(const Message& message, std::int16_t version) {
  const protocol::ApiInfo* api = protocol::find_api(Message::kApiKey);
  protocol::RequestHeader header;
  header.request_api_key = Message::kApiKey;
  header.request_api_version = version;
  header.client_id = "a-client-id-of-the-usual-length";
  protocol::Writer writer;
  writer.int32(0);
  header.encode(writer, protocol::request_header_version(*api, version));
  message.encode(writer, version);
  writer.patch_int32(0, static_cast<std::int32_t>(writer.size_bytes() - 4));
  return writer.take_bytes();
}

// Of what was written since the last one. The content of slices is not there: a message is read as far as the first of them.
template <class Response>
Response taken_from(MemoryStream& stream, std::int16_t version) {
  const protocol::ApiInfo* api = protocol::find_api(Response::kApiKey);
  Bytes bytes = to_bytes(stream.written().subspan(4));
  bytes.resize(bytes.size() + stream.slice_bytes() + 64);
  protocol::Reader reader(bytes);
  protocol::ResponseHeader header;
  header.decode(reader, protocol::response_header_version(*api, version));
  Response response;
  response.decode(reader, version);
  stream.forget_written();
  return response;
}

Bytes produce_frame(std::int32_t partition, ByteView batch) {
  ProduceRequest request;
  request.acks = 1;
  request.timeout_ms = 30'000;
  auto& topic = request.topic_data.emplace_back();
  topic.topic_id = OneShard::kTopicId;
  auto& data = topic.partition_data.emplace_back();
  data.index = PartitionIndex(partition);
  data.records.is_null = false;
  data.records.view = batch;
  return framed(request, kProduceVersion);
}

Bytes batch_of_records(std::size_t count, std::size_t value_bytes) {
  return test::batch_of(
      std::vector<test::TestRecord>(count, {.key = std::nullopt, .value = std::string(value_bytes, 'v')}));
}

FetchRequest fetch_request(std::int32_t session, std::int32_t epoch) {
  FetchRequest request;
  request.max_wait_ms = 60'000;
  request.min_bytes = 1;
  request.max_bytes = 1 << 20;
  request.session_id = session;
  request.session_epoch = epoch;
  return request;
}

void add_partition(FetchRequest& request, std::int32_t index, Offset offset, std::int32_t bytes_max) {
  auto& topic = request.topics.emplace_back();
  topic.topic_id = OneShard::kTopicId;
  auto& partition = topic.partitions.emplace_back();
  partition.partition = PartitionIndex(index);
  partition.fetch_offset = offset;
  partition.partition_max_bytes = bytes_max;
}

// What one request is made of. Each step has a round of the shard's loop to itself.
struct Case {
  const char* what;
  std::size_t expected;  // allocations of `request`
  std::function<void()> before = [] {};
  std::function<void()> request;
  std::function<void()> after = [] {};
  std::function<void()> check;
};

Task<Allocations> counted(OneShard& shard, const Case& one, bool remember) {
  one.before();
  co_await shard.next_round();
  start_counting(remember);
  one.request();
  co_await shard.next_round();
  const Allocations allocations = stop_counting();
  one.after();
  co_await shard.next_round();
  one.check();
  co_return allocations;
}

// Repeats the case and compares the usual number of allocations with the one expected.
Task<void> compare(OneShard& shard, Case one) {
  if (!is_counting_possible()) {
    WARN(one.what << ": not counted, the sanitizer has its own allocator");
    co_await counted(shard, one, false);
    co_return;
  }
  for (std::size_t i = 0; i < kWarmUp; ++i) co_await counted(shard, one, false);
  std::vector<Allocations> all;
  for (std::size_t i = 0; i < kMeasured; ++i) all.push_back(co_await counted(shard, one, false));
  // What happens now and then, as when a table of the log grows, is not of the request.
  std::ranges::nth_element(all, all.begin() + kMeasured / 2, {}, &Allocations::count);
  const Allocations usual = all[kMeasured / 2];
  std::printf("%s: %zu allocations, %zu bytes\n", one.what, usual.count, usual.bytes);
  if (usual.count != one.expected || std::getenv("KURIER_LIST_ALLOCATIONS") != nullptr) {
    co_await counted(shard, one, true);
    std::printf("%s", description_of_remembered().c_str());
  }
  INFO(one.what << ": more than before is a regression; if there are fewer, lower the number to keep them away");
  CHECK(usual.count == one.expected);
}

void check_produced(MemoryStream& stream) {
  const auto response = taken_from<ProduceResponse>(stream, kProduceVersion);
  CHECK(response.responses.at(0).partition_responses.at(0).error_code == ErrorCode::kNone);
}

// A client's session with one partition, from an offset on.
class Session {
 public:
  Session(MemoryStream& stream, std::int32_t partition, Offset first, std::int32_t bytes_max)
      : stream_(stream), partition_(partition), next_(first), bytes_max_(bytes_max) {
    FetchRequest request = fetch_request(0, 0);
    request.max_wait_ms = 0;
    add_partition(request, partition_, next_, bytes_max_);
    frame_ = framed(request, kFetchVersion);
  }
  // The first request, and after a round its answer.
  void begin() { stream_.deliver(frame_); }
  void has_begun() {
    const auto response = taken_from<FetchResponse>(stream_, kFetchVersion);
    KURIER_CHECK(response.error_code == ErrorCode::kNone && response.session_id != 0);
    id_ = response.session_id;
  }
  // The next request of the client, which has taken one record more: made, and sent.
  void prepare() {
    FetchRequest request = fetch_request(id_, ++epoch_);
    if (epoch_ > 1) next_ = next_ + 1;
    add_partition(request, partition_, next_, bytes_max_);
    frame_ = framed(request, kFetchVersion);
  }
  void send() { stream_.deliver(frame_); }
  void check_waits() { CHECK(stream_.written().empty()); }
  void check_answered() {
    CHECK_FALSE(stream_.written().empty());
    CHECK(stream_.slice_bytes() > 0);
    stream_.forget_written();
  }

 private:
  MemoryStream& stream_;
  std::int32_t partition_;
  Offset next_;
  std::int32_t bytes_max_;
  std::int32_t id_ = 0;
  std::int32_t epoch_ = 0;
  Bytes frame_;
};

Task<void> count_produce(OneShard& shard) {
  MemoryStream& producer = shard.connect();
  const Bytes one_record = produce_frame(0, batch_of_records(1, 1000));
  co_await compare(shard, {.what = "Produce of one record, acks=1",
                           .expected = 6,
                           .request = [&] { producer.deliver(one_record); },
                           .check = [&] { check_produced(producer); }});
  const Bytes large = produce_frame(1, batch_of_records(64, 1000));
  co_await compare(shard, {.what = "Produce of 64 KiB, acks=1",
                           .expected = 6,
                           .request = [&] { producer.deliver(large); },
                           .check = [&] { check_produced(producer); }});
}

// Of partition 0, where count_produce has left records enough.
Task<void> count_fetch(OneShard& shard) {
  MemoryStream& consumer = shard.connect();
  Session session(consumer, 0, Offset(0), 1);
  session.begin();
  co_await shard.next_round();
  session.has_begun();
  co_await compare(shard, {.what = "Fetch of a session, with records",
                           .expected = 24,
                           .before = [&] { session.prepare(); },
                           .request = [&] { session.send(); },
                           .check = [&] { session.check_answered(); }});
}

Task<void> count_waiting_fetch(OneShard& shard) {
  MemoryStream& producer = shard.connect();
  MemoryStream& consumer = shard.connect();
  const Bytes waking = produce_frame(2, batch_of_records(1, 1000));
  Session session(consumer, 2, Offset(0), 1 << 20);
  session.begin();
  co_await shard.next_round();
  session.has_begun();
  co_await compare(shard, {.what = "Fetch of a session that waits",
                           .expected = 23,
                           .before = [&] { session.prepare(); },
                           .request = [&] { session.send(); },
                           .after =
                               [&] {
                                 session.check_waits();
                                 producer.deliver(waking);
                               },
                           .check =
                               [&] {
                                 session.check_answered();
                                 check_produced(producer);
                               }});
  co_await compare(shard, {.what = "Produce of one record that wakes a Fetch",
                           .expected = 18,
                           .before =
                               [&] {
                                 session.prepare();
                                 session.send();
                               },
                           .request = [&] { producer.deliver(waking); },
                           .check =
                               [&] {
                                 session.check_answered();
                                 check_produced(producer);
                               }});
}

Task<void> count_all(OneShard& shard) {
  co_await count_produce(shard);
  co_await count_fetch(shard);
  co_await count_waiting_fetch(shard);
}

}  // namespace

TEST_CASE("allocations of a request") {
  OneShard shard;
  shard.run([&] { return count_all(shard); });
}
