// Outgoing connections: a Stream to another node, for whoever speaks first (replication, the benchmark).
//
// A numeric address costs no thread; a name is looked up on `lookup`, because the resolver may block. Every address of
// a name is tried in turn, as Kafka's clients do (client.dns.lookup=use_all_dns_ips). Called on the reactor's thread.
#pragma once

#include <memory>

#include "base/executor.h"
#include "base/transport.h"
#include "broker/net/reactor.h"
#include "broker/net/tcp_stream.h"

namespace kurier::net {

// kTimeout at `deadline`, which bounds the lookup and all attempts together; kNotFound: the name has no address; else
// the failure of the last address that was tried. The reactor and the pool must outlive the call; abandoning it is not
// possible.
Task<Result<std::unique_ptr<Stream>>> connect(Reactor& reactor, WorkPool& lookup, Endpoint peer, SocketOptions options,
                                              MonotonicTime deadline);

}  // namespace kurier::net
