// Server: the connections of one shard, and the listeners of the node on the shard that has them.
//
// Sockets are bound first (`ListeningSocket`), so that an address in use stops the start and a port that the system chose is
// known; connections are accepted after `start` and go round the servers of all shards (`share_with`). All calls on the
// reactor's thread, or before it runs.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "broker/net/connection.h"
#include "broker/net/reactor.h"
#include "broker/net/tcp_stream.h"

namespace kurier::net {

struct ListenerOptions {
  std::size_t connections_max = SIZE_MAX;  // listener.name.<name>.max.connections
  std::uint32_t new_connections_per_second_max = UINT32_MAX;  // listener.name.<name>.max.connection.creation.rate
};

struct ServerOptions {
  ConnectionLimits limits;
  SocketOptions socket;
  SliceMode slice_mode = SliceMode::kSendfile;
  int backlog = 50;                           // socket.listen.backlog.size
  std::size_t connections_max = SIZE_MAX;     // max.connections
  std::size_t connections_per_ip_max = SIZE_MAX;  // max.connections.per.ip
  std::size_t descriptors_max = SIZE_MAX;  // a connection with a higher one would leave too few for files
  std::map<std::string, std::size_t> connections_of_ip_max;       // max.connections.per.ip.overrides, by address
  std::uint32_t new_connections_per_second_max = UINT32_MAX;      // max.connection.creation.rate
  std::map<std::string, ListenerOptions> of_listener;  // by name, beside those for all
};

// Host names and addresses → addresses as peers have them, each with its host's number. kInvalid: no such host.
Result<std::map<std::string, std::size_t>> resolve_all(const std::map<std::string, std::int32_t>& hosts);

// A socket that listens and that nobody accepts from yet; closed with this object unless a server has taken it.
class ListeningSocket {
 public:
  // Port 0 gets a free one. kInUse names the address.
  static Result<ListeningSocket> bind(const std::string& listener_name, const Endpoint& endpoint, int backlog);
  ListeningSocket(ListeningSocket&& other) noexcept
      : name_(std::move(other.name_)),
        local_(std::move(other.local_)),
        descriptor_(std::exchange(other.descriptor_, -1)) {}
  ListeningSocket& operator=(ListeningSocket&&) = delete;
  ~ListeningSocket();

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const Endpoint& local() const { return local_; }  // with the port that was given
  int release() { return std::exchange(descriptor_, -1); }

 private:
  ListeningSocket(std::string name, Endpoint local, int descriptor)
      : name_(std::move(name)), local_(std::move(local)), descriptor_(descriptor) {}
  std::string name_;
  Endpoint local_;
  int descriptor_;
};

class Server {
 public:
  Server(Reactor& reactor, RequestHandler& handler, ServerOptions options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // From now on connections are given in turn to this server and to `others`, which outlive it. Limits on connections then
  // hold for all together. Before start.
  void share_with(const std::vector<Server*>& others);
  void listen(ListeningSocket socket);
  // Binds first; the endpoint with the port that was given.
  Result<Endpoint> listen(const std::string& listener_name, const Endpoint& endpoint);
  void start();
  // No new connections, no new requests; what is in flight is answered. `done` when the last connection has gone.
  void drain(Callback done);
  void close_all();

  [[nodiscard]] std::size_t connections() const;
  [[nodiscard]] std::uint64_t malformed() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kurier::net
