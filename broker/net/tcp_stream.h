// Stream over TCP (base/transport.h). Made by Server; belongs to one Reactor and is used on its thread only.
#pragma once

#include <memory>

#include "base/transport.h"
#include "broker/net/reactor.h"

namespace kurier::net {

struct SocketOptions {
  int send_buffer_bytes = -1;     // socket.send.buffer.bytes; -1: the system's
  // socket.receive.buffer.bytes, from which the kernel may let it grow; -1: the system's
  int receive_buffer_bytes = -1;
};

// How file slices are sent. Which is cheaper differs between machines.
enum class SliceMode { kSendfile, kCopy };

// Takes over a connected socket.
Result<std::unique_ptr<Stream>> adopt_socket(Reactor& reactor, int descriptor, const SocketOptions& options,
                                             SliceMode slice_mode = SliceMode::kSendfile);

}  // namespace kurier::net
