#include "tools/bench/loopback.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>

namespace kurier::bench {

Result<std::pair<Descriptor, Descriptor>> connect_loopback() {
  const Descriptor listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(listener.number(), generic, length) != 0 || ::listen(listener.number(), 1) != 0 ||
      ::getsockname(listener.number(), generic, &length) != 0) {
    return std::unexpected(error_from_errno(errno, "listening on loopback"));
  }
  Descriptor client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (::connect(client.number(), generic, length) != 0) {
    return std::unexpected(error_from_errno(errno, "connecting to loopback"));
  }
  Descriptor server(::accept4(listener.number(), nullptr, nullptr, SOCK_CLOEXEC));
  if (server.number() < 0) return std::unexpected(error_from_errno(errno, "accepting on loopback"));
  const int one = 1;
  for (const Descriptor* end : {&client, &server})
    ::setsockopt(end->number(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
  return std::pair(std::move(client), std::move(server));
}

}  // namespace kurier::bench
