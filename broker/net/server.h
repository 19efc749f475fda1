// Server: the connections of one shard, and the listeners of the node on the shard that has them.
//
// `listen` binds at once, so that an address in use stops the start; connections are accepted after `start` and go round
// the servers of all shards (`share_with`). All calls on the reactor's thread, or before it runs.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

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
  std::map<std::string, std::size_t> connections_of_ip_max;       // max.connections.per.ip.overrides, by address
  std::uint32_t new_connections_per_second_max = UINT32_MAX;      // max.connection.creation.rate
};

// Host names and addresses → addresses as peers have them, each with its host's number. kInvalid: no such host.
Result<std::map<std::string, std::size_t>> resolve_all(const std::map<std::string, std::int32_t>& hosts);

class Server {
 public:
  Server(Reactor& reactor, RequestHandler& handler, ServerOptions options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // From now on connections are given in turn to this server and to `others`, which outlive it. Limits on connections then
  // hold for all together. Before start.
  void share_with(const std::vector<Server*>& others);
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
