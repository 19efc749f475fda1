#include "broker/server_options.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <utility>

#include "broker/net/open_files.h"

namespace kurier::broker {

Result<net::ServerOptions> server_options(const config::NetworkConfig& network, std::size_t shards,
                                          std::size_t open_files_max) {
  net::ServerOptions options;
  options.limits.frame_bytes_max = static_cast<std::size_t>(network.socket_request_max_bytes);
  constexpr std::chrono::milliseconds kForEver = std::chrono::hours(24 * 365);
  const bool for_ever = network.connections_max_idle.count() < 0;
  options.limits.idle_max = for_ever ? kForEver : std::min(network.connections_max_idle, kForEver);
  options.socket.send_buffer_bytes = network.socket_send_buffer_bytes;
  options.socket.receive_buffer_bytes = network.socket_receive_buffer_bytes;
  options.backlog = network.socket_listen_backlog;
  // Some of the descriptors are kept for logs: a crowd of clients must not keep a partition from being opened.
  options.connections_max = std::min(static_cast<std::size_t>(network.max_connections), open_files_max / 4 * 3);
  options.descriptors_max = open_files_max - net::descriptors_for_moments(open_files_max);
  options.connections_per_ip_max = static_cast<std::size_t>(network.max_connections_per_ip);
  auto limits = net::resolve_all(network.max_connections_per_ip_overrides);
  if (!limits) return std::unexpected(limits.error().within("max.connections.per.ip.overrides"));
  options.connections_of_ip_max = std::move(*limits);
  if (network.max_connection_creation_rate != INT32_MAX) {
    options.new_connections_per_second_max = static_cast<std::uint32_t>(network.max_connection_creation_rate);
  }
  for (const auto& [name, of_one] : network.of_listener) {
    auto& of_listener = options.of_listener[name];
    of_listener.connections_max = static_cast<std::size_t>(of_one.max_connections);
    if (of_one.max_connection_creation_rate != INT32_MAX) {
      of_listener.new_connections_per_second_max = static_cast<std::uint32_t>(of_one.max_connection_creation_rate);
    }
  }
  // Each shard has its part; a single request may always be read, however large.
  if (network.queued_max_request_bytes > 0) {
    options.limits.shard_bytes_max =
        std::max<std::size_t>(1, static_cast<std::size_t>(network.queued_max_request_bytes) / shards);
  }
  return options;
}

}  // namespace kurier::broker
