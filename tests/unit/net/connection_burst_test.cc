// What a connection reads before it waits again: bursts of requests from a stream that brings them in pieces.
#include <array>
#include <catch2/catch.hpp>

#include "base/bytes.h"
#include "broker/net/connection.h"
#include "tests/support/manual_shard.h"

using namespace kurier;
using namespace kurier::net;

namespace {

void append_frame(Bytes& to, ByteView body) {
  std::array<std::byte, 4> length;
  store_big_endian(length.data(), static_cast<std::int32_t>(body.size()));
  to.insert(to.end(), length.begin(), length.end());
  to.insert(to.end(), body.begin(), body.end());
}

// Has `requests` to read, the nth piece of them with the nth read, over and over; then nothing more until it is closed.
class PiecewiseStream final : public Stream {
 public:
  PiecewiseStream(ByteView requests, std::vector<std::size_t> pieces) : unread_(requests), pieces_(std::move(pieces)) {}

  Task<Result<void>> wait_readable() override {
    ++waits;
    if (unread_.empty()) co_await closed_;
    if (closed_.is_set()) co_return fail(Failure::kClosed, "closed here");
    co_return Result<void>{};
  }
  Result<std::size_t> read_some(MutableByteView buffer) override { return read_some(buffer, {}); }
  Result<std::size_t> read_some(MutableByteView first, MutableByteView second) override {
    const std::size_t most =
        std::min({pieces_[reads_++ % pieces_.size()], unread_.size(), first.size() + second.size()});
    const std::size_t of_first = std::min(most, first.size());
    std::ranges::copy(unread_.first(of_first), first.begin());
    std::ranges::copy(unread_.subspan(of_first, most - of_first), second.begin());
    unread_ = unread_.subspan(most);
    return most;
  }
  Task<Result<void>> write(Outgoing outgoing) override {
    for (const OutgoingPart& part : outgoing) written.insert(written.end(), part.bytes.begin(), part.bytes.end());
    co_return Result<void>{};
  }
  Result<std::size_t> write_some(std::span<const ByteView> pieces) override {
    std::size_t count = 0;
    for (const ByteView piece : pieces) {
      written.insert(written.end(), piece.begin(), piece.end());
      count += piece.size();
    }
    return count;
  }
  Task<Result<void>> wait_writable() override { co_return Result<void>{}; }
  void close() override {
    if (!closed_.is_set()) closed_.set(true);
  }
  const Endpoint& peer() const override { return peer_; }
  std::uint64_t written_bytes() const override { return written.size(); }
  [[nodiscard]] bool is_closed() const { return closed_.is_set(); }
  [[nodiscard]] std::size_t unread_bytes() const { return unread_.size(); }

  Bytes written;
  std::size_t waits = 0;

 private:
  ByteView unread_;
  const std::vector<std::size_t> pieces_;
  std::size_t reads_ = 0;
  Event<bool> closed_;
  const Endpoint peer_{"127.0.0.1", 1};
};

// Answers a request with itself: at once if it begins with 'x' or is empty, when `released` if with 'o', never if with 'n'.
class Echo final : public RequestHandler {
 public:
  Result<Concurrency> classify(const ConnectionContext&, ByteView frame) override {
    const bool overlaps = !frame.empty() && frame[0] == std::byte{'o'};
    return overlaps ? Concurrency::kOverlapping : Concurrency::kExclusive;
  }
  Task<Reply> handle(ConnectionContext&, FrameBuffer frame) override {
    ++handled;
    if (!frame.view().empty() && frame.view()[0] == std::byte{'n'}) co_return Reply{};
    if (!frame.view().empty() && frame.view()[0] == std::byte{'o'}) {
      held.push_back(std::make_unique<Event<bool>>());
      Event<bool>& released = *held.back();
      if (!is_released) co_await released;
    }
    Reply reply;
    append_frame(reply.bytes, frame.view());
    co_return reply;
  }
  void connection_closed(ConnectionContext&) override {}
  void release() {
    is_released = true;
    for (std::size_t i = 0; i < held.size(); ++i) {
      if (!held[i]->is_set()) held[i]->set(true);
    }
  }

  std::vector<std::unique_ptr<Event<bool>>> held;
  bool is_released = false;
  std::size_t handled = 0;
};

// A connection whose client has sent all of `requests`.
class Burst {
 public:
  explicit Burst(Bytes requests, std::vector<std::size_t> pieces = {SIZE_MAX}, ConnectionLimits limits = {})
      : requests_(std::move(requests)), shard{manual, manual, manual, manual, handler, limits} {
    auto owned = std::make_unique<PiecewiseStream>(requests_, std::move(pieces));
    stream = owned.get();
    connection = std::make_shared<Connection>(shard, std::move(owned), ConnectionContext{}, [](Connection*) {});
    connection->start();
    manual.run_posted();
  }
  ~Burst() {
    handler.release();
    connection->close();
    manual.run_posted();
  }

 private:
  const Bytes requests_;

 public:
  test::ManualShard manual;
  Echo handler;
  ConnectionShard shard;
  PiecewiseStream* stream = nullptr;
  std::shared_ptr<Connection> connection;
};

std::string body(char kind, std::size_t nth, std::size_t size_bytes) {
  std::string text = kind + std::to_string(nth);
  text.resize(std::max(text.size(), size_bytes), static_cast<char>('a' + nth % 26));
  return text;
}

}  // namespace

TEST_CASE("requests of all sizes arrive whole and in order, however they are cut") {
  constexpr std::array<std::size_t, 10> kSizes{1, 200, 4'088, 4'092, 4'096, 4'097, 16'500, 65'536, 131'072, 1'300'000};
  Bytes requests;
  Bytes answers;
  for (std::size_t i = 0; i < 100; ++i) {
    const std::size_t size_bytes = i == 50 ? 5'000'000 : kSizes[i * i % 83 % kSizes.size()];
    const std::string text = body("xon"[i % 3], i, size_bytes);
    append_frame(requests, as_bytes(text));
    if (text[0] != 'n') append_frame(answers, as_bytes(text));
    if (i % 7 == 0) {
      append_frame(requests, {});
      append_frame(answers, {});
    }
  }
  const std::vector<std::vector<std::size_t>> cuts{{SIZE_MAX}, {1, 3, 5'000, 70'000}, {4'096},
                                                   {4'100, 1}, {65'540, 4'095},       {200'000}};
  for (const std::vector<std::size_t>& pieces : cuts) {
    Burst burst(requests, pieces);
    // An exclusive request waits for those before it, so these have to be let go as they come.
    while (burst.handler.handled < 115 && !burst.stream->is_closed()) {
      const std::size_t before = burst.handler.handled;
      burst.handler.release();
      burst.handler.is_released = false;
      burst.manual.run_posted();
      if (burst.handler.handled == before) break;
    }
    burst.handler.release();
    burst.manual.run_posted();
    REQUIRE(burst.handler.handled == 115);
    REQUIRE(burst.stream->written == answers);
  }
}

TEST_CASE("a connection reads 128 KiB, or 32 small requests, before others have their turn") {
  Bytes requests;
  for (std::size_t i = 0; i < 64; ++i) append_frame(requests, as_bytes(body('n', i, 16'384)));
  const Burst large(requests);
  REQUIRE(large.handler.handled == 64);
  REQUIRE(large.stream->waits == 8 + 1);  // of 64 × 16 KiB; then for more

  requests.clear();
  for (std::size_t i = 0; i < 640; ++i) append_frame(requests, as_bytes(body('n', i, 1'020)));
  const Burst small(requests);
  REQUIRE(small.handler.handled == 640);
  REQUIRE(small.stream->waits == 20 + 1);  // four with each read of 4 KiB
}

TEST_CASE("of pipelined requests no more are read than there is memory for, and one") {
  Bytes requests;
  for (std::size_t i = 0; i < 20; ++i) append_frame(requests, as_bytes(body('o', i, 20'000)));
  Burst burst(requests, {SIZE_MAX}, {.shard_bytes_max = 50'000});
  REQUIRE(burst.handler.handled == 3);
  REQUIRE(burst.shard.request_bytes == 60'000);
  REQUIRE(burst.shard.wait_for_memory.size() == 1);
  burst.handler.release();
  burst.manual.run_posted();
  REQUIRE(burst.handler.handled == 20);
  REQUIRE(burst.stream->written == requests);
  REQUIRE(burst.shard.request_bytes == 0);
}

TEST_CASE(
    "the memory for requests holds where each read ends within a length, and who waits for it is woken by another") {
  Bytes requests;
  append_frame(requests, as_bytes(body('o', 0, 4'090)));
  for (std::size_t i = 1; i < 100; ++i) append_frame(requests, as_bytes(body('o', i, 4'092)));
  Burst burst(requests, {SIZE_MAX}, {.shard_bytes_max = 50'000});
  REQUIRE(burst.handler.handled == 13);
  REQUIRE(burst.shard.request_bytes == 4'090 + 12 * 4'092);

  auto owned = std::make_unique<PiecewiseStream>(ByteView(requests), std::vector<std::size_t>{SIZE_MAX});
  const PiecewiseStream& second = *owned;
  const auto other =
      std::make_shared<Connection>(burst.shard, std::move(owned), ConnectionContext{}, [](Connection*) {});
  other->start();
  REQUIRE(second.unread_bytes() == requests.size());
  burst.handler.release();
  burst.manual.run_posted();
  REQUIRE(burst.stream->written == requests);
  REQUIRE(second.written == requests);
  REQUIRE(burst.shard.request_bytes == 0);
  other->close();
}

TEST_CASE("what came before something that is no frame is answered, wherever that stands in a burst") {
  for (const std::size_t size_bytes : std::to_array<std::size_t>({10, 5'000, 20'000})) {
    Bytes requests;
    for (std::size_t i = 0; i < 3; ++i) append_frame(requests, as_bytes(body('x', i, size_bytes)));
    const Bytes answers = requests;
    requests.resize(requests.size() + 4, std::byte{0xff});
    const Burst burst(requests);
    REQUIRE(burst.stream->is_closed());
    REQUIRE(burst.stream->written == answers);
    REQUIRE(burst.shard.malformed == 1);
  }
}
