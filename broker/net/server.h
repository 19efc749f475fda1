// Server: the listeners and connections of one shard.
//
// `listen` binds at once, so that an address in use stops the start; connections are accepted after `start`. All calls
// on the reactor's thread, or before it runs.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>

#include "broker/net/connection.h"
#include "broker/net/reactor.h"
#include "broker/net/tcp_stream.h"

namespace kurier::net {

struct ServerOptions {
  ConnectionLimits limits;
  SocketOptions socket;
  SliceMode slice_mode = SliceMode::kSendfile;
  int backlog = 50;                           // socket.listen.backlog.size
  std::size_t connections_max = SIZE_MAX;     // max.connections
  std::size_t connections_per_ip_max = SIZE_MAX;  // max.connections.per.ip
};

class Server {
 public:
  Server(Reactor& reactor, RequestHandler& handler, ServerOptions options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Binds; the endpoint with the port that was given. kInUse names the address.
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
