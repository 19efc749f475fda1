#include "broker/net/server.h"

#include <fmt/core.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>
#include <mutex>

#include "base/log.h"
#include "broker/net/reactor_impl.h"

namespace kurier::net {
namespace {

struct Socket {
  int descriptor = -1;
  explicit Socket(int its_descriptor) : descriptor(its_descriptor) {}
  Socket(Socket&& other) noexcept : descriptor(std::exchange(other.descriptor, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(descriptor, other.descriptor);
    return *this;
  }
  ~Socket() {
    if (descriptor >= 0) ::close(descriptor);
  }
  int release() { return std::exchange(descriptor, -1); }
};

Result<Socket> bind_to(const addrinfo& address, const std::string& text, int backlog) {
  Socket socket(::socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (socket.descriptor < 0) return std::unexpected(error_from_errno(errno, "socket for " + text));
  const int one = 1;
  const int zero = 0;
  ::setsockopt(socket.descriptor, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
  if (address.ai_family == AF_INET6) ::setsockopt(socket.descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
  if (::bind(socket.descriptor, address.ai_addr, address.ai_addrlen) != 0 || ::listen(socket.descriptor, backlog) != 0) {
    if (errno == EADDRINUSE) return fail(Failure::kInUse, fmt::format("address {} is in use by another process", text));
    return std::unexpected(error_from_errno(errno, "listening on " + text));
  }
  return socket;
}

std::uint16_t port_of(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6&>(address).sin6_port);
  return ntohs(reinterpret_cast<const sockaddr_in&>(address).sin_port);
}

}  // namespace

namespace {

// The connections of all shards, for the limits that hold for the node.
class ConnectionCounts {
 public:
  struct Counted {
    std::size_t all = 0;
    std::size_t of_ip = 0;
    std::size_t of_listener = 0;
  };
  // False, and nothing counted, where a limit is reached. `before` is how many there were.
  bool add(const std::string& ip, const std::string& listener, const ServerOptions& options, Counted* before) {
    const std::lock_guard lock(mutex_);
    const auto found = per_ip_.find(ip);
    *before = {all_, found == per_ip_.end() ? 0 : found->second, per_listener_[listener]};
    const auto own = options.connections_of_ip_max.find(ip);
    const std::size_t of_ip_max = own == options.connections_of_ip_max.end() ? options.connections_per_ip_max : own->second;
    const auto limited = options.of_listener.find(listener);
    const std::size_t of_listener_max =
        limited == options.of_listener.end() ? SIZE_MAX : limited->second.connections_max;
    if (all_ >= options.connections_max || before->of_ip >= of_ip_max || before->of_listener >= of_listener_max)
      return false;
    ++all_;
    ++per_ip_[ip];
    ++per_listener_[listener];
    return true;
  }
  void remove(const std::string& ip, const std::string& listener) {
    const std::lock_guard lock(mutex_);
    --all_;
    --per_listener_[listener];
    const auto found = per_ip_.find(ip);
    if (found != per_ip_.end() && --found->second == 0) per_ip_.erase(found);
  }

 private:
  std::mutex mutex_;
  std::size_t all_ = 0;
  std::unordered_map<std::string, std::size_t> per_ip_;
  std::unordered_map<std::string, std::size_t> per_listener_;
};

// max.connection.creation.rate: a second's worth may come at once.
class ConnectionRate {
 public:
  ConnectionRate(std::uint32_t per_second, MonotonicTime now)
      : per_second_(per_second), may_come_(per_second), counted_at_(now) {}

  // How long the next connection has to wait.
  MonotonicClock::duration pause(MonotonicTime now) {
    if (per_second_ == UINT32_MAX) return {};
    const double rate = per_second_;
    may_come_ = std::min(rate, may_come_ + std::chrono::duration<double>(now - counted_at_).count() * rate);
    counted_at_ = now;
    if (may_come_ >= 1) return {};
    constexpr std::chrono::hours kNever(24 * 365);
    if (per_second_ == 0) return kNever;
    return std::chrono::ceil<std::chrono::milliseconds>(std::chrono::duration<double>((1 - may_come_) / rate));
  }
  void one_has_come() { may_come_ -= 1; }

 private:
  std::uint32_t per_second_;
  double may_come_;  // connections
  MonotonicTime counted_at_;
};

}  // namespace

struct Server::Impl {
  struct Listener {
    Listener(Reactor& reactor, int descriptor, std::string its_name, Endpoint its_local,
             std::uint32_t connections_per_second_max)
        : socket(reactor.impl().context, descriptor),
          name(std::move(its_name)),
          local(std::move(its_local)),
          rate(connections_per_second_max, reactor.clock().monotonic()) {}
    boost::asio::posix::stream_descriptor socket;
    std::string name;
    Endpoint local;
    ConnectionRate rate;
  };

  Impl(Reactor& its_reactor, RequestHandler& handler, ServerOptions its_options)
      : reactor(its_reactor),
        options(std::move(its_options)),
        shard{its_reactor.clock(), its_reactor, its_reactor, its_reactor, handler, options.limits},
        rate(options.new_connections_per_second_max, its_reactor.clock().monotonic()) {}

  void accept_when_ready(Listener& listener) {
    listener.socket.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                               [this, &listener](boost::system::error_code error) {
                                 reactor.impl().take_turn();
                                 if (error || draining) return;
                                 accept_all(listener);
                               });
  }

  void accept_all(Listener& listener) {
    while (true) {
      // Beyond the rate, connections wait in the backlog.
      const MonotonicTime now = reactor.clock().monotonic();
      if (const auto pause = std::max(rate.pause(now), listener.rate.pause(now)); pause.count() > 0) {
        reactor.start(reactor.clock().monotonic() + pause, [this, &listener] {
          if (!draining) accept_when_ready(listener);
        });
        return;
      }
      const int descriptor =
          ::accept4(listener.socket.native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (descriptor >= 0) {
        rate.one_has_come();
        listener.rate.one_has_come();
        hand_out(listener, descriptor);
        continue;
      }
      if (errno == EINTR || errno == ECONNABORTED) continue;
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        // What would accept without a descriptor left would spin: wait for some to be closed.
        LOG_ERROR("listener {} cannot accept: {}; trying again in 100 ms", listener.name,
                  error_from_errno(errno, "accept").context);
        reactor.start(reactor.clock().monotonic() + std::chrono::milliseconds(100), [this, &listener] {
          if (!draining) accept_when_ready(listener);
        });
        return;
      }
      accept_when_ready(listener);
      return;
    }
  }

  // The next server in turn gets it.
  void hand_out(const Listener& listener, int descriptor) {
    if (static_cast<std::size_t>(descriptor) >= options.descriptors_max) {
      LOG_WARN("refusing a connection on listener {}: too few descriptors are left (RLIMIT_NOFILE)", listener.name);
      const Socket refused(descriptor);
      return;
    }
    Impl& next = *servers[next_server++ % servers.size()];
    if (&next == this) return add(listener.name, listener.local, Socket(descriptor));
    next.reactor.post([&next, name = listener.name, local = listener.local, socket = Socket(descriptor)]() mutable {
      next.add(name, local, std::move(socket));
    });
  }

  void add(const std::string& listener_name, const Endpoint& local, Socket socket) {
    if (draining) return;
    auto stream = adopt_socket(reactor, socket.release(), options.socket, options.slice_mode);
    if (!stream) return;
    const std::string ip = (*stream)->peer().host;
    ConnectionCounts::Counted counted;
    if (!counts->add(ip, listener_name, options, &counted)) {
      LOG_WARN(
          "refusing a connection of {}: {} connections, {} on listener {}, {} from this address (max.connections, "
          "listener.name.*.max.connections, max.connections.per.ip)",
          ip, counted.all, counted.of_listener, listener_name, counted.of_ip);
      (*stream)->close();
      return;
    }
    ConnectionContext context;
    context.id = ++last_id;
    context.listener_name = listener_name;
    context.peer = (*stream)->peer();
    context.local = local;
    auto connection = std::make_shared<Connection>(shard, std::move(*stream), std::move(context),
                                                   [this](Connection* gone) { remove(*gone); });
    connections.emplace(last_id, connection);
    connection->start();
  }

  void remove(Connection& gone) {
    counts->remove(gone.context().peer.host, gone.context().listener_name);
    connections.erase(gone.context().id);
    if (draining && connections.empty() && drained) reactor.post(std::exchange(drained, nullptr));
  }

  // connections.max.idle.ms
  void sweep_idle() {
    const MonotonicTime now = reactor.clock().monotonic();
    for (const auto& connection : snapshot()) connection->close_if_idle_since(now - options.limits.idle_max);
    const auto pause = std::clamp<MonotonicClock::duration>(options.limits.idle_max / 4, std::chrono::milliseconds(10),
                                                            std::chrono::seconds(10));
    sweep_timer = reactor.start(now + pause, [this] { sweep_idle(); });
  }

  [[nodiscard]] std::vector<std::shared_ptr<Connection>> snapshot() const {
    std::vector<std::shared_ptr<Connection>> all;
    all.reserve(connections.size());
    for (const auto& [id, connection] : connections) all.push_back(connection);
    return all;
  }

  void stop_listening() {
    draining = true;
    for (const auto& listener : listeners) {
      boost::system::error_code ignored;
      listener->socket.close(ignored);
    }
    if (sweep_timer != 0) reactor.cancel(std::exchange(sweep_timer, 0));
  }

  Reactor& reactor;
  ServerOptions options;
  ConnectionShard shard;
  std::vector<std::unique_ptr<Listener>> listeners;
  std::map<std::uint64_t, std::shared_ptr<Connection>> connections;
  std::shared_ptr<ConnectionCounts> counts = std::make_shared<ConnectionCounts>();
  std::vector<Impl*> servers{this};
  std::size_t next_server = 0;
  ConnectionRate rate;
  std::uint64_t last_id = 0;
  TimerId sweep_timer = 0;
  bool draining = false;
  Callback drained;
};

Server::Server(Reactor& reactor, RequestHandler& handler, ServerOptions options)
    : impl_(std::make_unique<Impl>(reactor, handler, std::move(options))) {}
Server::~Server() = default;

Result<std::map<std::string, std::size_t>> resolve_all(const std::map<std::string, std::int32_t>& hosts) {
  std::map<std::string, std::size_t> all;
  for (const auto& [host, count] : hosts) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (const int status = ::getaddrinfo(host.c_str(), nullptr, &hints, &found); status != 0) {
      return fail(Failure::kInvalid, fmt::format("no address for host '{}': {}", host, ::gai_strerror(status)));
    }
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> addresses(found, &::freeaddrinfo);
    for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
      char text[NI_MAXHOST];
      if (::getnameinfo(at->ai_addr, at->ai_addrlen, text, sizeof(text), nullptr, 0, NI_NUMERICHOST) == 0) {
        all[text] = static_cast<std::size_t>(count);
      }
    }
  }
  return all;
}

void Server::share_with(const std::vector<Server*>& others) {
  for (Server* other : others) {
    other->impl_->counts = impl_->counts;
    impl_->servers.push_back(other->impl_.get());
  }
}

Result<ListeningSocket> ListeningSocket::bind(const std::string& listener_name, const Endpoint& endpoint, int backlog) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  const std::string port = std::to_string(endpoint.port);
  const int status = ::getaddrinfo(endpoint.host.empty() ? nullptr : endpoint.host.c_str(), port.c_str(), &hints, &found);
  if (status != 0) {
    return fail(Failure::kInvalid, fmt::format("listener {}: no address for host '{}': {}", listener_name, endpoint.host,
                                               ::gai_strerror(status)));
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> addresses(found, &::freeaddrinfo);
  const addrinfo* chosen = addresses.get();
  // Without a host: the IPv6 wildcard takes both families; IPv4 alone where the machine has no IPv6. A host that has addresses
  // of both: the first of IPv4, as Java takes it.
  const int preferred = endpoint.host.empty() ? AF_INET6 : AF_INET;
  for (const addrinfo* at = chosen; at != nullptr && chosen->ai_family != preferred; at = at->ai_next) {
    if (at->ai_family == preferred) chosen = at;
  }
  Result<Socket> socket = bind_to(*chosen, endpoint.to_string(), backlog);
  if (!socket && endpoint.host.empty() && chosen != addresses.get() && socket.error().failure != Failure::kInUse) {
    socket = bind_to(*addresses, endpoint.to_string(), backlog);
  }
  if (!socket) return std::unexpected(socket.error().within("listener " + listener_name));
  sockaddr_storage bound{};
  socklen_t length = sizeof(bound);
  if (::getsockname(socket->descriptor, reinterpret_cast<sockaddr*>(&bound), &length) != 0) {
    return std::unexpected(error_from_errno(errno, "getsockname"));
  }
  return ListeningSocket(listener_name, {endpoint.host, port_of(bound)}, socket->release());
}

ListeningSocket::~ListeningSocket() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void Server::listen(ListeningSocket socket) {
  const auto limited = impl_->options.of_listener.find(socket.name());
  const std::uint32_t per_second =
      limited == impl_->options.of_listener.end() ? UINT32_MAX : limited->second.new_connections_per_second_max;
  impl_->listeners.push_back(
      std::make_unique<Impl::Listener>(impl_->reactor, socket.release(), socket.name(), socket.local(), per_second));
}

Result<Endpoint> Server::listen(const std::string& listener_name, const Endpoint& endpoint) {
  TRY_ASSIGN(ListeningSocket socket, ListeningSocket::bind(listener_name, endpoint, impl_->options.backlog));
  Endpoint local = socket.local();
  listen(std::move(socket));
  return local;
}

void Server::start() {
  for (const auto& listener : impl_->listeners) impl_->accept_when_ready(*listener);
  impl_->sweep_idle();
}

void Server::drain(Callback done) {
  impl_->stop_listening();
  impl_->drained = std::move(done);
  for (const auto& connection : impl_->snapshot()) connection->drain();
  if (impl_->connections.empty() && impl_->drained) impl_->reactor.post(std::exchange(impl_->drained, nullptr));
}

void Server::close_all() {
  for (const auto& connection : impl_->snapshot()) connection->close();
}

std::size_t Server::connections() const { return impl_->connections.size(); }
std::uint64_t Server::malformed() const { return impl_->shard.malformed; }

}  // namespace kurier::net
