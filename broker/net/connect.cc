#include "broker/net/connect.h"

#include <fmt/core.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>
#include <cstring>
#include <vector>

#include "broker/net/reactor_impl.h"

namespace kurier::net {
namespace {

struct PeerAddress {
  sockaddr_storage bytes{};
  socklen_t length = 0;
};
using PeerAddresses = std::vector<PeerAddress>;

// With AI_NUMERICHOST in `flags` this does not block.
Result<PeerAddresses> look_up(const Endpoint& peer, int flags) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int status = ::getaddrinfo(peer.host.c_str(), std::to_string(peer.port).c_str(), &hints, &found);
  if (status != 0) {
    return fail(Failure::kNotFound, fmt::format("no address for host '{}': {}", peer.host, ::gai_strerror(status)));
  }
  PeerAddresses addresses;
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    PeerAddress& address = addresses.emplace_back();
    std::memcpy(&address.bytes, at->ai_addr, at->ai_addrlen);
    address.length = at->ai_addrlen;
  }
  ::freeaddrinfo(found);
  return addresses;
}

// What is awaited here may end in two ways, and the later one finds it gone: so it is shared by both.
struct LookUp {
  Event<Result<PeerAddresses>> done;
};

Task<Result<PeerAddresses>> resolve(Reactor& reactor, WorkPool& pool, const Endpoint& peer, MonotonicTime deadline) {
  Result<PeerAddresses> numeric = look_up(peer, AI_NUMERICHOST);
  if (numeric) co_return numeric;
  const auto state = std::make_shared<LookUp>();
  pool.run([&reactor, state = state, peer]() mutable {
    Result<PeerAddresses> found = look_up(peer, AI_ADDRCONFIG);
    reactor.post([state = std::move(state), found = std::move(found)]() mutable {
      if (!state->done.is_set()) state->done.set(std::move(found));
    });
  });
  const TimerId timer = reactor.start(deadline, [state, host = peer.host] {
    if (!state->done.is_set())
      state->done.set(fail(Failure::kTimeout, fmt::format("looking up '{}' took too long", host)));
  });
  Result<PeerAddresses> addresses = co_await state->done;
  reactor.cancel(timer);
  co_return addresses;
}

struct Attempt {
  Attempt(Reactor& reactor, int descriptor) : socket(reactor.impl().context, descriptor) {}
  boost::asio::posix::stream_descriptor socket;
  Event<Result<void>> done;
};

Result<void> connected(int descriptor) {
  int error_number = 0;
  socklen_t length = sizeof(error_number);
  if (::getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error_number, &length) != 0) error_number = errno;
  if (error_number != 0) return std::unexpected(error_from_errno(error_number, "connect"));
  return {};
}

Task<Result<std::unique_ptr<Stream>>> connect_to(Reactor& reactor, const PeerAddress& address,
                                                 const SocketOptions& options, MonotonicTime deadline) {
  const int descriptor = ::socket(address.bytes.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (descriptor < 0) co_return std::unexpected(error_from_errno(errno, "socket"));
  const auto attempt = std::make_shared<Attempt>(reactor, descriptor);
  if (::connect(descriptor, reinterpret_cast<const sockaddr*>(&address.bytes), address.length) != 0) {
    if (errno != EINPROGRESS) co_return std::unexpected(error_from_errno(errno, "connect"));
    attempt->socket.async_wait(boost::asio::posix::descriptor_base::wait_write,
                               [attempt, &reactor](boost::system::error_code error) {
                                 reactor.impl().take_turn();
                                 if (attempt->done.is_set()) return;  // the deadline was first
                                 attempt->done.set(error ? fail(Failure::kIo, "connect: " + error.message())
                                                         : connected(attempt->socket.native_handle()));
                               });
    const TimerId timer = reactor.start(deadline, [attempt] {
      if (!attempt->done.is_set()) attempt->done.set(fail(Failure::kTimeout, "connect: no answer in time"));
    });
    const Result<void> outcome = co_await attempt->done;
    reactor.cancel(timer);
    if (!outcome) {
      boost::system::error_code ignored;
      attempt->socket.close(ignored);
      co_return std::unexpected(outcome.error());
    }
  }
  co_return adopt_socket(reactor, attempt->socket.release(), options);
}

}  // namespace

Task<Result<std::unique_ptr<Stream>>> connect(Reactor& reactor, WorkPool& lookup, Endpoint peer, SocketOptions options,
                                              MonotonicTime deadline) {
  Result<PeerAddresses> addresses = co_await resolve(reactor, lookup, peer, deadline);
  if (!addresses) co_return std::unexpected(addresses.error());
  Result<std::unique_ptr<Stream>> stream = fail(Failure::kNotFound, fmt::format("no address for host '{}'", peer.host));
  for (const PeerAddress& address : *addresses) {
    stream = co_await connect_to(reactor, address, options, deadline);
    if (stream || stream.error().failure == Failure::kTimeout) break;
  }
  if (!stream) co_return std::unexpected(stream.error().within(peer.to_string()));
  co_return stream;
}

}  // namespace kurier::net
