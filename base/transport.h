// Port: byte streams. One Stream is one connection; all its calls are made on its shard's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/file_system.h"
#include "base/result.h"
#include "base/task.h"

namespace kurier {

struct Endpoint {
  std::string host;  // a name or an address; empty: every address of this machine
  std::uint16_t port = 0;  // 0: any free one
  [[nodiscard]] std::string to_string() const {
    const bool is_ipv6 = host.find(':') != std::string::npos;
    return (is_ipv6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
  }
};

// A part of a file that is sent without being copied through this process where that is cheaper. Holds the file open.
struct FileSlice {
  std::shared_ptr<const File> file;
  std::uint64_t position = 0;
  std::uint64_t size_bytes = 0;
};

// What is written: bytes, then file, alternating; either may be empty.
struct OutgoingPart {
  Bytes bytes;
  FileSlice slice;
};
using Outgoing = std::vector<OutgoingPart>;

class Stream {
 public:
  virtual ~Stream() = default;
  // Completes when bytes can be read or the peer has closed. Holds no buffer, so that an idle connection is small.
  virtual Task<Result<void>> wait_readable() = 0;
  // What is there now, without waiting: 0 if nothing, kClosed at the end of the stream.
  virtual Result<std::size_t> read_some(MutableByteView buffer) = 0;
  // The same into `first`, and what is left into `second`, which may be empty; a call to the system less than one after the other.
  virtual Result<std::size_t> read_some(MutableByteView first, MutableByteView second) {
    Result<std::size_t> count = read_some(first);
    if (!count || *count < first.size()) return count;
    if (const Result<std::size_t> more = read_some(second))
      *count += *more;  // else the next call finds that it has ended
    return count;
  }
  // Writes everything in order; one writer at a time. Slices are sent in pieces of at most 256 KiB, so that one fast
  // reader cannot hold its shard.
  virtual Task<Result<void>> write(Outgoing outgoing) = 0;
  // For a writer that keeps its bytes: what fits of `pieces` now, in order and without waiting; 0 if nothing does.
  virtual Result<std::size_t> write_some(std::span<const ByteView> pieces) = 0;
  // Completes when bytes can be written or the peer has closed.
  virtual Task<Result<void>> wait_writable() = 0;
  // Ends both directions; pending calls complete with kClosed. May be called more than once.
  virtual void close() = 0;
  [[nodiscard]] virtual const Endpoint& peer() const = 0;
  // What the system has taken so far: whether a peer that is written to still reads.
  [[nodiscard]] virtual std::uint64_t written_bytes() const = 0;
};

}  // namespace kurier
