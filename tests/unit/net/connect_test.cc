// Outgoing connections on the loopback interface, against plain sockets.
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <optional>

#include "broker/net/connect.h"
#include "broker/net/system_clock.h"
#include "broker/net/thread_pool.h"

using namespace kurier;
using namespace kurier::net;

namespace {

using Connected = Result<std::unique_ptr<Stream>>;

// A listening socket; `backlog` 0 and nobody who accepts: it is soon full.
class Listening {
 public:
  explicit Listening(int backlog) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(address);
    REQUIRE(::bind(socket_, reinterpret_cast<const sockaddr*>(&address), length) == 0);
    REQUIRE(::listen(socket_, backlog) == 0);
    REQUIRE(::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &length) == 0);
    port = ntohs(address.sin_port);
  }
  ~Listening() { close(); }
  void close() {
    if (socket_ >= 0) ::close(std::exchange(socket_, -1));
  }
  int accept() const { return ::accept4(socket_, nullptr, nullptr, SOCK_CLOEXEC); }
  std::uint16_t port = 0;

 private:
  int socket_;
};

class Loop {
 public:
  Connected connect(const Endpoint& peer, std::chrono::milliseconds timeout) {
    std::optional<Connected> result;
    reactor.spawn("connect", run(*this, peer, timeout, result));
    reactor.run();
    return std::move(*result);
  }

  SystemClock clock;
  Reactor reactor{clock};
  ThreadPool lookup{"lookup", 1};

 private:
  static Task<void> run(Loop& loop, Endpoint peer, std::chrono::milliseconds timeout,
                        std::optional<Connected>& result) {
    result = co_await net::connect(loop.reactor, loop.lookup, std::move(peer), {}, loop.clock.monotonic() + timeout);
    loop.reactor.post([&loop] { loop.reactor.stop(); });
  }
};

Task<void> exchange(Reactor& reactor, Stream& stream, std::string& received, std::size_t& written) {
  const std::array<ByteView, 3> pieces{as_bytes("one "), ByteView{}, as_bytes("two")};
  const Result<std::size_t> sent = stream.write_some(pieces);
  written = sent ? *sent : 0;
  std::array<std::byte, 100> buffer;
  const Result<void> readable = co_await stream.wait_readable();
  const Result<std::size_t> count = stream.read_some(buffer);
  if (readable && count) received = as_text(ByteView(buffer).first(*count));
  reactor.post([&reactor] { reactor.stop(); });
}

Task<void> fill(Reactor& reactor, Stream& stream, int other_end, bool& filled, bool& writable_again) {
  const Bytes megabyte(1 << 20);
  const std::array<ByteView, 1> piece{megabyte};
  Result<std::size_t> sent = stream.write_some(piece);
  while (sent && *sent > 0) sent = stream.write_some(piece);
  filled = sent && *sent == 0;
  Bytes buffer(1 << 20);
  while (::recv(other_end, buffer.data(), buffer.size(), MSG_DONTWAIT) > 0) {
  }
  const Result<void> writable = co_await stream.wait_writable();
  sent = stream.write_some(piece);
  writable_again = writable && sent && *sent > 0;
  reactor.post([&reactor] { reactor.stop(); });
}

}  // namespace

TEST_CASE("a connection by address carries bytes both ways") {
  const Listening listening(1);
  Loop loop;
  const Connected stream = loop.connect({"127.0.0.1", listening.port}, std::chrono::seconds(10));
  REQUIRE(stream);
  REQUIRE((*stream)->peer().to_string() == "127.0.0.1:" + std::to_string(listening.port));
  const int accepted = listening.accept();
  REQUIRE(::send(accepted, "three", 5, MSG_NOSIGNAL) == 5);
  std::string received;
  std::size_t written = 0;
  loop.reactor.spawn("exchange", exchange(loop.reactor, **stream, received, written));
  loop.reactor.run();
  REQUIRE(written == 7);
  REQUIRE(received == "three");
  std::array<char, 100> buffer{};
  REQUIRE(::recv(accepted, buffer.data(), 7, MSG_WAITALL) == 7);
  REQUIRE(std::string(buffer.data()) == "one two");
  ::close(accepted);
}

TEST_CASE("a writer that keeps its bytes is told when nothing fits and when something does again") {
  const Listening listening(1);
  Loop loop;
  const Connected stream = loop.connect({"127.0.0.1", listening.port}, std::chrono::seconds(10));
  REQUIRE(stream);
  const int accepted = listening.accept();
  bool filled = false;
  bool writable_again = false;
  loop.reactor.spawn("fill", fill(loop.reactor, **stream, accepted, filled, writable_again));
  loop.reactor.run();
  REQUIRE(filled);
  REQUIRE(writable_again);
  ::close(accepted);
}

TEST_CASE("a connection by name tries every address of the name") {
  const Listening listening(1);  // on IPv4 only; localhost may be ::1 first
  Loop loop;
  const Connected stream = loop.connect({"localhost", listening.port}, std::chrono::seconds(10));
  REQUIRE(stream);
  REQUIRE((*stream)->peer().host == "127.0.0.1");
}

TEST_CASE("a connection that is refused says which address refused it") {
  Listening listening(1);
  const std::uint16_t port = listening.port;
  listening.close();
  Loop loop;
  const Connected stream = loop.connect({"127.0.0.1", port}, std::chrono::seconds(10));
  REQUIRE_FALSE(stream);
  REQUIRE(stream.error().failure == Failure::kIo);
  REQUIRE(stream.error().context.find("127.0.0.1:" + std::to_string(port)) == 0);
  REQUIRE(stream.error().context.find("refused") != std::string::npos);
}

TEST_CASE("a peer that does not answer is given up at the deadline") {
  const Listening listening(0);
  Loop loop;
  std::vector<std::unique_ptr<Stream>> streams;  // what fills the queue of the listener
  for (int i = 0; i < 10; ++i) {
    Connected stream = loop.connect({"127.0.0.1", listening.port}, std::chrono::milliseconds(50));
    if (!stream) {
      REQUIRE(stream.error().failure == Failure::kTimeout);
      return;
    }
    streams.push_back(std::move(*stream));
  }
  FAIL("a listener with a queue of none took ten connections");
}

TEST_CASE("a name without an address is not found") {
  Loop loop;
  const Connected stream = loop.connect({"no such host", 9092}, std::chrono::seconds(10));
  REQUIRE_FALSE(stream);
  REQUIRE(stream.error().failure == Failure::kNotFound);
  REQUIRE(stream.error().context.find("no such host") != std::string::npos);
}
