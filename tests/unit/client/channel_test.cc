// A channel against a server of our own that answers ApiVersions, and other requests as told.
#include "tools/client/channel.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <optional>

#include "broker/net/server.h"
#include "broker/net/system_clock.h"
#include "broker/net/thread_pool.h"
#include "protocol/messages/api_versions_request.h"
#include "protocol/messages/api_versions_response.h"
#include "protocol/messages/metadata_request.h"
#include "protocol/messages/metadata_response.h"
#include "tools/client/join.h"

using namespace kurier;
using namespace kurier::client;

namespace {

template <class Response>
net::Reply answer(std::int32_t correlation_id, std::int16_t version, const Response& response) {
  protocol::Writer writer;
  writer.int32(0);
  protocol::ResponseHeader header;
  header.correlation_id = correlation_id;
  header.encode(writer, protocol::response_header_version(*protocol::find_api(Response::kApiKey), version));
  response.encode(writer, version);
  writer.patch_int32(0, static_cast<std::int32_t>(writer.size_bytes() - 4));
  return net::Reply{.bytes = writer.take_bytes()};
}

// Offers Metadata 5 to 9, Produce in versions from the future, and nothing else. Metadata's cluster id is as long as
// told, or there is no answer.
class FakeBroker final : public net::RequestHandler {
 public:
  Result<net::Concurrency> classify(const net::ConnectionContext&, ByteView) override {
    return net::Concurrency::kExclusive;
  }
  Task<net::Reply> handle(net::ConnectionContext&, net::FrameBuffer frame) override {
    const auto key = load_big_endian<std::int16_t>(frame.view().data());
    const auto version = load_big_endian<std::int16_t>(frame.view().data() + 2);
    const auto correlation_id = load_big_endian<std::int32_t>(frame.view().data() + 4);
    if (key == protocol::ApiVersionsRequest::kApiKey) {
      protocol::ApiVersionsResponse versions;
      versions.api_keys = {{.api_key = 3, .min_version = 5, .max_version = 9},
                           {.api_key = 0, .min_version = 1000, .max_version = 1001}};
      co_return answer(correlation_id, version, versions);
    }
    if (silent) co_return net::Reply{};
    protocol::MetadataResponse metadata;
    // A string holds at most 32767 bytes, so many brokers make a long answer.
    for (std::size_t left = host_bytes; left > 0;) {
      const std::size_t size = std::min<std::size_t>(left, 30'000);
      metadata.brokers.emplace_back().host = std::string(size, 'h');
      left -= size;
    }
    co_return answer(correlation_id, version, metadata);
  }
  void connection_closed(net::ConnectionContext&) override {}

  bool silent = false;
  std::size_t host_bytes = 10;  // of all brokers together
};

class Fixture {
 public:
  Fixture() : server(reactor, broker, {}) {
    const auto bound = server.listen("PLAINTEXT", {"127.0.0.1", 0});
    REQUIRE(bound);
    address = *bound;
    server.start();
  }
  ~Fixture() {
    reactor.post([this] { server.drain([this] { reactor.stop(); }); });
    reactor.run();
  }
  Fixture(const Fixture&) = delete;
  Fixture& operator=(const Fixture&) = delete;

  // Runs the task to its end on this thread, the server beside it.
  void run(Task<void> task) {
    reactor.spawn("test", and_stop(reactor, std::move(task)));
    reactor.run();
  }
  [[nodiscard]] Loop loop(std::chrono::milliseconds time_left) {
    return Loop{reactor, lookup, clock.monotonic() + time_left};
  }

  net::SystemClock clock;
  net::Reactor reactor{clock};
  net::ThreadPool lookup{"lookup", 1};
  FakeBroker broker;
  net::Server server;
  Endpoint address;

 private:
  static Task<void> and_stop(net::Reactor& reactor, Task<void> task) {
    co_await std::move(task);
    reactor.post([&reactor] { reactor.stop(); });
  }
};

struct Findings {
  std::optional<Result<std::int16_t>> metadata_version;
  std::optional<Result<std::int16_t>> produce_version;
  std::optional<Result<std::int16_t>> fetch_version;
  std::vector<std::size_t> host_bytes;
  std::optional<Error> last_error;
};

Task<void> explore(Fixture& fixture, std::vector<std::size_t> sizes, bool silent_at_last, Findings& findings) {
  const auto channel =
      co_await Channel::open(fixture.loop(std::chrono::milliseconds(silent_at_last ? 100 : 30'000)), fixture.address);
  if (!channel) {
    findings.last_error = channel.error();
    co_return;
  }
  findings.metadata_version = (*channel)->version_of(3);
  findings.produce_version = (*channel)->version_of(0);
  findings.fetch_version = (*channel)->version_of(1);
  for (const std::size_t size : sizes) {
    fixture.broker.host_bytes = size;
    const auto metadata = co_await (*channel)->ask<protocol::MetadataResponse>(protocol::MetadataRequest{});
    std::size_t host_bytes = 0;
    for (std::size_t i = 0; metadata && i < metadata->brokers.size(); ++i)
      host_bytes += metadata->brokers[i].host.size();
    findings.host_bytes.push_back(host_bytes);
  }
  if (!silent_at_last) co_return;
  fixture.broker.silent = true;
  const auto metadata = co_await (*channel)->ask<protocol::MetadataResponse>(protocol::MetadataRequest{});
  if (!metadata) findings.last_error = metadata.error();
}

Task<Result<void>> end_with(Result<void> outcome) { co_return outcome; }

Task<Result<void>> end_when(Signal& signal, Result<void> outcome) {
  co_await signal;
  co_return outcome;
}

Task<void> join_some(net::Reactor& reactor, int& aborts, Result<void>& outcome) {
  Signal signal;
  Join join(reactor, [&] {
    ++aborts;
    signal.notify();
  });
  join.start("waits", end_when(signal, fail(Failure::kClosed, "the second failure")));
  join.start("succeeds", end_with({}));
  join.start("fails", end_with(fail(Failure::kInvalid, "the first failure")));
  outcome = co_await join.wait();
}

}  // namespace

TEST_CASE("a channel takes the newest version that both sides know, and says what is not offered") {
  Fixture fixture;
  Findings findings;
  fixture.run(explore(fixture, {}, false, findings));
  REQUIRE_FALSE(findings.last_error);
  REQUIRE(*findings.metadata_version == std::int16_t{9});
  REQUIRE(findings.produce_version->error().context.find("1000") != std::string::npos);
  REQUIRE(findings.fetch_version->error().context.find("does not offer Fetch") != std::string::npos);
}

TEST_CASE("frames of every length arrive whole, one after the other") {
  Fixture fixture;
  Findings findings;
  const std::vector<std::size_t> sizes{1, 30'000, 65'500, 65'536, 70'000, 2, 1'000'000, 3};
  fixture.run(explore(fixture, sizes, false, findings));
  REQUIRE(findings.host_bytes == sizes);
}

TEST_CASE("a broker that does not answer is given up at the deadline") {
  Fixture fixture;
  Findings findings;
  fixture.run(explore(fixture, {5}, true, findings));
  REQUIRE(findings.host_bytes == std::vector<std::size_t>{5});
  REQUIRE(findings.last_error);
  REQUIRE(findings.last_error->failure == Failure::kTimeout);
}

TEST_CASE("a join aborts once, at the first failure, waits for all and returns that failure") {
  Fixture fixture;
  int aborts = 0;
  Result<void> outcome;
  fixture.run(join_some(fixture.reactor, aborts, outcome));
  REQUIRE(aborts == 1);
  REQUIRE_FALSE(outcome);
  REQUIRE(outcome.error().context == "the first failure");
}
