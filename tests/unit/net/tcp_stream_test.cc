// A connection's socket: the sizes of its buffers (those that grow do from Linux 5.14 on), and reading into two places.
#include "broker/net/tcp_stream.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstring>

#include "base/bytes.h"
#include "broker/net/system_clock.h"

using namespace kurier;
using namespace kurier::net;

namespace {

int option_of(int descriptor, int option) {
  int value = -1;
  socklen_t length = sizeof(value);
  REQUIRE(::getsockopt(descriptor, SOL_SOCKET, option, &value, &length) == 0);
  return value;
}

// Two ends of a connection on the loopback interface.
class Ends {
 public:
  Ends() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(address);
    const int listening = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(::bind(listening, reinterpret_cast<const sockaddr*>(&address), length) == 0);
    REQUIRE(::listen(listening, 1) == 0);
    REQUIRE(::getsockname(listening, reinterpret_cast<sockaddr*>(&address), &length) == 0);
    client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    REQUIRE(::connect(client, reinterpret_cast<const sockaddr*>(&address), length) == 0);
    accepted = ::accept4(listening, nullptr, nullptr, SOCK_CLOEXEC);
    REQUIRE(accepted >= 0);
    ::close(listening);
  }
  ~Ends() { ::close(client); }
  Ends(const Ends&) = delete;
  Ends& operator=(const Ends&) = delete;

  int client = -1;
  int accepted = -1;  // closed by who adopts it
};

bool becomes(int descriptor, short what) {
  pollfd poller{descriptor, what, 0};
  return ::poll(&poller, 1, 10'000) == 1;
}

// What the other end can send before anybody reads.
std::size_t filled_bytes(int descriptor) {
  const Bytes piece(64 * 1024);
  std::size_t sent_bytes = 0;
  while (true) {
    const ssize_t sent = ::send(descriptor, piece.data(), piece.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent <= 0) return sent_bytes;
    sent_bytes += static_cast<std::size_t>(sent);
  }
}

}  // namespace

TEST_CASE("a receive buffer begins as configured, and grows while it is filled; a send buffer stays") {
  const SystemClock clock;
  Reactor reactor(clock);
  const Ends ends;
  const auto stream =
      adopt_socket(reactor, ends.accepted, {.send_buffer_bytes = 102'400, .receive_buffer_bytes = 102'400});
  REQUIRE(stream);
  // The kernel takes twice what it is asked for.
  REQUIRE(option_of(ends.accepted, SO_RCVBUF) == 204'800);
  REQUIRE(option_of(ends.accepted, SO_SNDBUF) == 204'800);

  Bytes buffer(1 << 20);
  for (int round = 0; round < 1'000 && option_of(ends.accepted, SO_RCVBUF) == 204'800; ++round) {
    REQUIRE(becomes(ends.client, POLLOUT));
    REQUIRE(filled_bytes(ends.client) > 0);
    REQUIRE(becomes(ends.accepted, POLLIN));
    while (true) {
      const Result<std::size_t> count = (*stream)->read_some(buffer);
      if (!count || *count == 0) break;
    }
  }
  REQUIRE(option_of(ends.accepted, SO_RCVBUF) > 204'800);
  REQUIRE(option_of(ends.accepted, SO_SNDBUF) == 204'800);
}

TEST_CASE("a receive buffer of the system's size is left to it") {
  const SystemClock clock;
  Reactor reactor(clock);
  const Ends ends;
  const int before = option_of(ends.accepted, SO_RCVBUF);
  const auto stream = adopt_socket(reactor, ends.accepted, {});
  REQUIRE(stream);
  REQUIRE(option_of(ends.accepted, SO_RCVBUF) == before);
}

TEST_CASE("what is read into two places goes on in the second where the first ends") {
  const SystemClock clock;
  Reactor reactor(clock);
  const Ends ends;
  const auto stream = adopt_socket(reactor, ends.accepted, {});
  REQUIRE(stream);
  const auto read = [&] {
    std::array<std::byte, 4> first{};
    std::array<std::byte, 8> second{};
    const Result<std::size_t> count = (*stream)->read_some(first, second);
    if (!count) return std::string(count.error().failure == Failure::kClosed ? "(closed)" : "(failed)");
    return std::string(as_text(ByteView(first).first(std::min<std::size_t>(*count, 4)))) + "|" +
           std::string(as_text(ByteView(second).first(*count - std::min<std::size_t>(*count, 4))));
  };
  REQUIRE(read() == "|");
  for (const auto& [sent, found] : {std::pair{"0123456789", "0123|456789"}, {"01", "01|"}, {"0123", "0123|"}}) {
    REQUIRE(::send(ends.client, sent, std::strlen(sent), MSG_NOSIGNAL) > 0);
    REQUIRE(becomes(ends.accepted, POLLIN));
    REQUIRE(read() == found);
  }
  ::shutdown(ends.client, SHUT_WR);
  REQUIRE(becomes(ends.accepted, POLLIN));
  REQUIRE(read() == "(closed)");
}
