// A server with an echo handler and real sockets on the loopback interface; and a connection alone, whose client takes
// only a part of what is written.
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <future>
#include <list>
#include <thread>

#include "base/bytes.h"
#include "base/check.h"
#include "broker/net/posix_file_system.h"
#include "broker/net/server.h"
#include "broker/net/system_clock.h"
#include "tests/support/manual_shard.h"

using namespace kurier;
using namespace kurier::net;

namespace {

Bytes framed(ByteView body) {
  Bytes frame(4 + body.size());
  store_big_endian(frame.data(), static_cast<std::int32_t>(body.size()));
  std::ranges::copy(body, frame.begin() + 4);
  return frame;
}

// Echoes. The first byte says how: 'x' exclusive, 'o' overlapping and answered when released, 'b' refused,
// 'n' no response, 'f' answered with the slice that was set, 'c' overlapping, and the connection is closed.
class EchoHandler final : public RequestHandler {
 public:
  Result<Concurrency> classify(const ConnectionContext&, ByteView frame) override {
    if (frame.empty() || frame[0] == std::byte{'b'}) return fail(Failure::kMalformed, "not an echo request");
    const bool is_overlapping = frame[0] == std::byte{'o'} || frame[0] == std::byte{'c'};
    return is_overlapping ? Concurrency::kOverlapping : Concurrency::kExclusive;
  }
  Task<Reply> handle(ConnectionContext&, FrameBuffer frame) override {
    ++handled;
    if (frame.view()[0] == std::byte{'n'}) co_return Reply{};
    if (frame.view()[0] == std::byte{'c'}) co_return Reply{.close = true};
    if (frame.view()[0] == std::byte{'f'}) {
      Outgoing reply(1);
      reply[0].bytes.resize(4);
      store_big_endian(reply[0].bytes.data(), static_cast<std::int32_t>(slice.size_bytes));
      reply[0].slice = slice;
      co_return Reply{.parts = std::move(reply)};
    }
    if (frame.view()[0] == std::byte{'o'}) {
      held.push_back(std::make_unique<Event<bool>>());
      Event<bool>& released = *held.back();
      if (held.size() == release_at) release();
      co_await released;
    }
    co_return Reply{.bytes = framed(frame.view())};
  }
  void connection_closed(ConnectionContext&) override { ++closed; }

  // Last first, so that the replies become ready out of order.
  void release() {
    // What is released may bring new requests in at once: they are held anew.
    released_.push_back(std::move(held));
    held.clear();
    const std::vector<std::unique_ptr<Event<bool>>>& batch = released_.back();
    for (auto at = batch.rbegin(); at != batch.rend(); ++at) (*at)->set(true);
  }

  std::vector<std::unique_ptr<Event<bool>>> held;
  std::size_t release_at = SIZE_MAX;
  std::size_t handled = 0;
  std::size_t closed = 0;
  FileSlice slice;

 private:
  std::list<std::vector<std::unique_ptr<Event<bool>>>> released_;
};

class Served {
 public:
  explicit Served(ConnectionLimits limits = {}) : reactor(clock), server(reactor, handler, {.limits = limits}) {
    const auto bound = server.listen("PLAINTEXT", {"127.0.0.1", 0});
    REQUIRE(bound);
    port = bound->port;
    server.start();
    thread = std::thread([this] { reactor.run(); });
  }
  ~Served() {
    std::promise<void> done;
    reactor.post([&] { server.drain([&] { done.set_value(); }); });
    done.get_future().wait();
    reactor.stop();
    thread.join();
  }
  template <class F>
  auto on_reactor(F function) {
    std::promise<decltype(function())> result;
    reactor.post([&] { result.set_value(function()); });
    return result.get_future().get();
  }

  SystemClock clock;
  Reactor reactor;
  EchoHandler handler;
  Server server;
  std::uint16_t port = 0;
  std::thread thread;
};

class Client {
 public:
  explicit Client(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
  }
  ~Client() { ::close(socket_); }
  void send(ByteView bytes) const {
    while (!bytes.empty()) {
      const ssize_t count = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      KURIER_CHECK(count > 0);  // not the framework's: senders are threads of their own
      bytes = bytes.subspan(static_cast<std::size_t>(count));
    }
  }
  void send_frame(std::string_view body) const { send(framed(as_bytes(body))); }
  // Empty at the end of the stream.
  Bytes receive(std::size_t size_bytes) const {
    Bytes all(size_bytes);
    std::size_t done = 0;
    while (done < size_bytes) {
      const ssize_t count = ::recv(socket_, all.data() + done, size_bytes - done, 0);
      if (count <= 0) return {};
      done += static_cast<std::size_t>(count);
    }
    return all;
  }
  std::string receive_frame() const {
    const Bytes length = receive(4);
    if (length.empty()) return "(closed)";
    return std::string(as_text(receive(static_cast<std::size_t>(load_big_endian<std::int32_t>(length.data())))));
  }
  int descriptor() const { return socket_; }

 private:
  int socket_;
};

// Brings requests, and has room for `room` bytes until a task waits to write more; it does until `let_write`.
class NarrowStream final : public Stream {
 public:
  NarrowStream(Bytes requests, std::size_t room) : requests_(std::move(requests)), unread_(requests_), room_(room) {}

  void let_write() {
    if (!may_write_.is_set()) may_write_.set(true);
  }
  Bytes received;  // by the client
  std::size_t written_at_once = 0;  // bytes of that
  std::size_t fails_from_call = SIZE_MAX;  // of write_some, the first being 0
  bool is_broken = false;  // for tasks

  Task<Result<void>> wait_readable() override {
    if (unread_.empty()) co_await closed_;
    if (closed_.is_set()) co_return fail(Failure::kClosed, "closed here");
    co_return Result<void>{};
  }
  Result<std::size_t> read_some(MutableByteView buffer) override {
    const std::size_t count = std::min(buffer.size(), unread_.size());
    std::ranges::copy(unread_.first(count), buffer.begin());
    unread_ = unread_.subspan(count);
    return count;
  }
  Task<Result<void>> write(Outgoing outgoing) override {
    if (!may_write_.is_set()) co_await may_write_;
    if (is_broken) co_return fail(Failure::kClosed, "closed by the peer");
    for (const OutgoingPart& part : outgoing) take(part.bytes);
    co_return Result<void>{};
  }
  Result<std::size_t> write_some(std::span<const ByteView> pieces) override {
    if (calls_++ >= fails_from_call) return fail(Failure::kClosed, "closed by the peer");
    std::size_t count = 0;
    for (const ByteView piece : pieces) {
      const ByteView taken = piece.first(std::min(piece.size(), room_));
      take(taken);
      room_ -= taken.size();
      count += taken.size();
    }
    written_at_once += count;
    return count;
  }
  Task<Result<void>> wait_writable() override { co_return Result<void>{}; }
  void close() override {
    if (!closed_.is_set()) closed_.set(true);
  }
  const Endpoint& peer() const override { return peer_; }
  std::uint64_t written_bytes() const override { return received.size(); }

 private:
  void take(ByteView bytes) { received.insert(received.end(), bytes.begin(), bytes.end()); }

  const Bytes requests_;
  ByteView unread_;
  std::size_t room_;
  std::size_t calls_ = 0;
  Event<bool> may_write_;
  Event<bool> closed_;
  const Endpoint peer_{"127.0.0.1", 1};
};

// The first request is answered with the first reply and so on; one whose reply closes the connection when released.
class ListedReplies final : public RequestHandler {
 public:
  explicit ListedReplies(std::vector<Reply> replies) : replies_(std::move(replies)) {}
  Result<Concurrency> classify(const ConnectionContext&, ByteView) override { return Concurrency::kOverlapping; }
  Task<Reply> handle(ConnectionContext&, FrameBuffer) override {
    Reply& reply = replies_[next_++];
    if (reply.close && !released.is_set()) co_await released;
    co_return std::move(reply);
  }
  void connection_closed(ConnectionContext&) override { ++closed; }

  Event<bool> released;
  std::size_t closed = 0;

 private:
  std::vector<Reply> replies_;
  std::size_t next_ = 0;
};

// One connection whose client has sent as many requests as there are replies, all at once.
class Alone {
 public:
  Alone(const std::vector<Reply>& replies, std::size_t room) : handler(replies) {
    Bytes requests;
    for (std::size_t i = 0; i < replies.size(); ++i)
      std::ranges::copy(framed(as_bytes("r")), std::back_inserter(requests));
    auto owned = std::make_unique<NarrowStream>(std::move(requests), room);
    stream = owned.get();
    connection = std::make_shared<Connection>(shard, std::move(owned), ConnectionContext{}, [](Connection*) {});
  }
  ~Alone() {
    connection->close();
    stream->let_write();
    if (!handler.released.is_set()) handler.released.set(true);
    manual.run_posted();
  }
  void run() const { connection->start(); }

  test::ManualShard manual;
  ListedReplies handler;
  ConnectionShard shard{manual, manual, manual, manual, handler, {}};
  NarrowStream* stream = nullptr;
  std::shared_ptr<Connection> connection;
};

// Of these sizes, and no byte as the ones around it.
std::vector<Reply> replies_of(std::span<const std::size_t> sizes) {
  std::vector<Reply> replies;
  std::size_t next = 0;
  for (const std::size_t size_bytes : sizes) {
    Bytes bytes(size_bytes);
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(next++ % 251);
    replies.push_back({.bytes = std::move(bytes)});
  }
  return replies;
}

Bytes all_bytes(const std::vector<Reply>& replies) {
  Bytes all;
  for (const Reply& reply : replies) all.insert(all.end(), reply.bytes.begin(), reply.bytes.end());
  return all;
}

}  // namespace

TEST_CASE("requests that overlap are answered in their order, whichever is ready first") {
  Served served;
  constexpr std::size_t kRequests = 200;
  served.on_reactor([&] { return served.handler.release_at = kRequests; });
  const Client client(served.port);
  Bytes all;
  for (std::size_t i = 0; i < kRequests; ++i) {
    const Bytes frame = framed(as_bytes("o" + std::to_string(i)));
    all.insert(all.end(), frame.begin(), frame.end());
  }
  client.send(all);
  for (std::size_t i = 0; i < kRequests; ++i) REQUIRE(client.receive_frame() == "o" + std::to_string(i));
}

TEST_CASE("an exclusive request waits for those before it, and 10,000 pipelined ones keep their order") {
  Served served;
  const Client client(served.port);
  std::thread sender([&] {
    for (std::size_t i = 0; i < 10'000; ++i) client.send_frame((i % 100 == 99 ? "n" : "x") + std::to_string(i));
  });
  for (std::size_t i = 0; i < 10'000; ++i) {
    if (i % 100 == 99) continue;  // no response
    REQUIRE(client.receive_frame() == "x" + std::to_string(i));
  }
  sender.join();
}

TEST_CASE("frames arrive whole, however the bytes are cut") {
  Served served;
  const Client client(served.port);
  const std::string body = "x" + std::string(10'000, 'y');
  const Bytes frame = framed(as_bytes(body));
  for (std::size_t i = 0; i < 16; ++i) client.send(ByteView(frame).subspan(i, 1));
  client.send(ByteView(frame).subspan(16));
  client.send(frame);
  REQUIRE(client.receive_frame() == body);
  REQUIRE(client.receive_frame() == body);
}

TEST_CASE("what is no frame closes its connection and nobody else's") {
  ConnectionLimits limits;
  limits.frame_bytes_max = 1000;
  Served served(limits);
  const Client bystander(served.port);
  const std::array<std::byte, 4> negative{std::byte{0xff}, std::byte{0xff}, std::byte{0xff}, std::byte{0xff}};
  const std::array<std::byte, 4> too_long{std::byte{0}, std::byte{0}, std::byte{4}, std::byte{0}};
  for (const auto& bytes : {negative, too_long}) {
    const Client client(served.port);
    client.send(bytes);
    REQUIRE(client.receive_frame() == "(closed)");
  }
  const Client refused(served.port);
  refused.send_frame("b");
  REQUIRE(refused.receive_frame() == "(closed)");
  bystander.send_frame("x still here");
  REQUIRE(bystander.receive_frame() == "x still here");
  REQUIRE(served.on_reactor([&] { return served.server.malformed(); }) == 3);
}

TEST_CASE("a client that does not read is not read from, and memory stays bounded") {
  ConnectionLimits limits;
  limits.in_flight_max = 8;
  Served served(limits);
  served.on_reactor([&] { return served.handler.release_at = 8; });
  const Client client(served.port);
  // Eight are held; what is sent after them stays in the sockets' buffers until those are answered.
  const std::string big = "o" + std::string(100'000, 'z');
  std::thread sender([&] {
    for (int i = 0; i < 100; ++i) client.send_frame(big);
  });
  std::size_t read = 0;
  for (; read < 8; ++read) REQUIRE(client.receive_frame().size() == big.size());
  REQUIRE(served.on_reactor([&] { return served.handler.held.size(); }) <= 16);
  while (read < 100) {
    served.on_reactor([&] {
      served.handler.release_at = 0;
      served.handler.release();
      return 0;
    });
    pollfd ready{client.descriptor(), POLLIN, 0};
    while (read < 100 && ::poll(&ready, 1, 0) > 0) {
      REQUIRE(client.receive_frame().size() == big.size());
      ++read;
    }
  }
  sender.join();
}

TEST_CASE("a slice of a file of many pieces arrives byte for byte") {
  const std::string path = "/tmp/kurier_net_slice_" + std::to_string(::getpid());
  PosixFileSystem files;
  auto file = files.open(path, OpenMode::kTruncate);
  REQUIRE(file);
  Bytes content(5'000'000);
  for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<std::byte>(i * 2654435761U >> 13);
  REQUIRE((*file)->write_at(0, content));
  Served served;
  served.on_reactor([&] {
    served.handler.slice = FileSlice{std::shared_ptr<const File>(std::move(*file)), 1000, content.size() - 1000};
    return 0;
  });
  const Client client(served.port);
  client.send_frame("f");
  REQUIRE(client.receive_frame() == as_text(ByteView(content).subspan(1000)));
  REQUIRE(files.remove(path));
}

TEST_CASE("requests that are answered behind one that closes the connection end with it") {
  Served served;
  Bytes together;
  for (const std::string_view body : {"c1", "c2", "c3"}) {
    const Bytes frame = framed(as_bytes(body));
    together.insert(together.end(), frame.begin(), frame.end());
  }
  const Client closed(served.port);
  closed.send(together);
  REQUIRE(closed.receive_frame() == "(closed)");
  const Client other(served.port);
  other.send_frame("x");
  REQUIRE(other.receive_frame() == "x");
}

TEST_CASE("replies that are cut anywhere arrive whole and in order") {
  std::vector<Reply> replies = replies_of(std::array<std::size_t, 4>{7, 0, 12, 5});
  replies.back().close = true;
  constexpr std::size_t kReadyAtOnce = 7 + 0 + 12;  // the last one is ready while those wait, or have been written
  for (std::size_t room = 0; room <= kReadyAtOnce; ++room) {
    INFO("cut after " << room << " bytes");
    const Bytes expected = all_bytes(replies);
    Alone alone(replies, room);
    alone.run();
    REQUIRE(alone.stream->received == Bytes(expected.begin(), expected.begin() + static_cast<std::ptrdiff_t>(room)));
    REQUIRE(alone.stream->written_at_once == room);
    alone.handler.released.set(true);
    alone.manual.run_posted();
    REQUIRE(alone.stream->received.size() == room);
    REQUIRE(alone.handler.closed == 0);
    alone.stream->let_write();
    REQUIRE(alone.stream->received == expected);
    REQUIRE(alone.handler.closed == 1);
    REQUIRE(alone.manual.running() == 0);
  }
}

TEST_CASE("more replies than are written at once are cut anywhere, too") {
  std::vector<std::size_t> sizes;
  for (std::size_t i = 0; i < 40; ++i) sizes.push_back(i % 5);  // 32 of them have bytes
  const std::vector<Reply> replies = replies_of(sizes);
  const Bytes expected = all_bytes(replies);
  for (std::size_t room = 0; room <= expected.size(); ++room) {
    INFO("cut after " << room << " bytes");
    Alone alone(replies, room);
    alone.run();
    REQUIRE(alone.stream->written_at_once == room);
    alone.stream->let_write();
    REQUIRE(alone.stream->received == expected);
    REQUIRE(alone.handler.closed == 0);
  }
}

TEST_CASE("what could not be written at once is for a task, and a client that is gone is found out by it") {
  const std::vector<Reply> replies = replies_of(std::vector<std::size_t>(20, 3));
  const Bytes expected = all_bytes(replies);
  for (const std::size_t fails_from_call : {0U, 1U}) {
    for (const bool is_broken : {false, true}) {
      INFO("call " << fails_from_call << " fails" << (is_broken ? ", and so does the task" : ""));
      Alone alone(replies, SIZE_MAX);
      alone.stream->fails_from_call = fails_from_call;
      alone.stream->is_broken = is_broken;
      alone.run();
      const std::size_t before = fails_from_call * 16 * 3;
      REQUIRE(alone.stream->written_at_once == before);
      alone.stream->let_write();
      REQUIRE(alone.handler.closed == (is_broken ? 1 : 0));
      const auto end = is_broken ? expected.begin() + static_cast<std::ptrdiff_t>(before) : expected.end();
      REQUIRE(alone.stream->received == Bytes(expected.begin(), end));
    }
  }
}

TEST_CASE("replies of more than 64 KiB together are for a task from their first byte") {
  constexpr std::size_t kMax = 64 * 1024;
  const auto written_at_once = [](std::span<const std::size_t> sizes, std::size_t room) {
    const std::vector<Reply> replies = replies_of(sizes);
    Alone alone(replies, room);
    alone.run();
    const std::size_t at_once = alone.stream->written_at_once;
    alone.stream->let_write();
    REQUIRE(alone.stream->received == all_bytes(replies));
    return at_once;
  };
  REQUIRE(written_at_once(std::array{kMax}, SIZE_MAX) == kMax);
  REQUIRE(written_at_once(std::array{kMax}, 1000) == 1000);
  REQUIRE(written_at_once(std::array{kMax + 1}, SIZE_MAX) == 0);
  REQUIRE(written_at_once(std::array<std::size_t, 3>{10, kMax - 20, 10}, SIZE_MAX) == kMax);
  REQUIRE(written_at_once(std::array<std::size_t, 3>{10, kMax - 20, 11}, SIZE_MAX) == 0);
  std::vector<std::size_t> sizes(16, 3);
  sizes.push_back(kMax + 1);  // not with those before it
  REQUIRE(written_at_once(sizes, SIZE_MAX) == 16 * 3);
}

TEST_CASE("an idle connection is closed, after connections.max.idle.ms") {
  ConnectionLimits limits;
  limits.idle_max = std::chrono::milliseconds(50);
  Served served(limits);
  const Client client(served.port);
  client.send_frame("x");
  REQUIRE(client.receive_frame() == "x");
  REQUIRE(client.receive_frame() == "(closed)");
}

TEST_CASE("a client that takes nothing of its answer is idle too; one that takes it slowly is not") {
  ConnectionLimits limits;
  limits.idle_max = std::chrono::seconds(1);
  Served served(limits);
  const std::string large = "x" + std::string(32 << 20, '.');  // more than sockets hold
  const Bytes frame = framed(as_bytes(large));
  {
    const Client slow(served.port);
    std::thread sender([&] { slow.send(frame); });
    const auto until = std::chrono::steady_clock::now() + 2 * limits.idle_max;
    Bytes answer;
    for (auto next = std::chrono::steady_clock::now(); std::chrono::steady_clock::now() < until;) {
      const Bytes piece = slow.receive(1 << 16);
      REQUIRE(piece.size() == 1 << 16);
      answer.insert(answer.end(), piece.begin(), piece.end());
      next += std::chrono::milliseconds(20);
      std::this_thread::sleep_until(next);  // being slow is what is tested
    }
    const Bytes rest = slow.receive(frame.size() - answer.size());
    sender.join();
    answer.insert(answer.end(), rest.begin(), rest.end());
    REQUIRE(answer == frame);
  }
  const Client silent(served.port);
  std::thread sender([&] { silent.send(frame); });
  sender.join();
  while (served.on_reactor([&] { return served.handler.closed; }) < 2) {
  }
  SUCCEED("both are gone, the second by the server's decision");
}

TEST_CASE("an address in use is named") {
  Served served;
  Server second(served.reactor, served.handler, {});
  const auto bound = second.listen("PLAINTEXT", {"127.0.0.1", served.port});
  REQUIRE_FALSE(bound);
  REQUIRE(bound.error().failure == Failure::kInUse);
  REQUIRE(bound.error().context.find(std::to_string(served.port)) != std::string::npos);
}

TEST_CASE("timers fire in the order of their deadlines, and not when cancelled") {
  SystemClock clock;
  Reactor reactor(clock);
  std::string trace;
  const MonotonicTime now = clock.monotonic();
  reactor.start(now + std::chrono::milliseconds(3), [&] {
    trace += "c";
    reactor.stop();
  });
  reactor.start(now + std::chrono::milliseconds(1), [&] { trace += "a"; });
  const TimerId cancelled = reactor.start(now + std::chrono::milliseconds(2), [&] { trace += "b"; });
  REQUIRE(reactor.cancel(cancelled));
  REQUIRE_FALSE(reactor.cancel(cancelled));
  reactor.run();
  REQUIRE(trace == "ac");
}

TEST_CASE("a lock is held against others and against ourselves") {
  PosixFileSystem files;
  const std::string path = "/tmp/kurier_net_lock_" + std::to_string(::getpid());
  {
    const auto held = files.lock(path);
    REQUIRE(held);
    const auto again = files.lock(path);
    REQUIRE_FALSE(again);
    REQUIRE(again.error().failure == Failure::kInUse);
  }
  REQUIRE(files.lock(path));
  REQUIRE(files.remove(path));
}
