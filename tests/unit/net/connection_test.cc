// A server with an echo handler and real sockets on the loopback interface.
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
