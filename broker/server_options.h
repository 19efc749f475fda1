// What the configuration means for the network server of one shard.
#pragma once

#include <cstddef>

#include "base/result.h"
#include "broker/net/server.h"
#include "config/node_config.h"

namespace kurier::broker {

// `open_files_max`: descriptors that the process may have. An error where a host name of
// max.connections.per.ip.overrides cannot be resolved; it blocks for that.
[[nodiscard]] Result<net::ServerOptions> server_options(const config::NetworkConfig& network, std::size_t shards,
                                                        std::size_t open_files_max);

}  // namespace kurier::broker
