#include "broker/net/tcp_stream.h"

#include <fmt/core.h>
#include <linux/socket.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>

#include "base/next_round.h"
#include "broker/net/reactor_impl.h"

namespace kurier::net {
namespace {

using boost::asio::posix::descriptor_base;
constexpr std::size_t kSlicePieceBytes = 256 * 1024;
// Measured: 8 KiB slices cost 1.8 against 2.4 CPU-s a GB, 64 KiB slices the same or more.
constexpr std::size_t kSmallSliceBytes = 16 * 1024;
constexpr std::size_t kCopiedBytesMax = 64 * 1024;  // of one write: its reader may be slow

Endpoint endpoint_of(const sockaddr_storage& address, socklen_t length) {
  std::array<char, NI_MAXHOST> host{};
  std::array<char, NI_MAXSERV> port{};
  if (::getnameinfo(reinterpret_cast<const sockaddr*>(&address), length, host.data(), host.size(), port.data(),
                    port.size(), NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return {"unknown", 0};
  }
  // An IPv4 client at a socket of both families is shown, and counted, by its own address.
  const std::string_view shown(host.data());
  const bool is_mapped = shown.starts_with("::ffff:") && shown.find('.') != std::string_view::npos;
  return {std::string(shown.substr(is_mapped ? 7 : 0)), static_cast<std::uint16_t>(std::strtoul(port.data(), nullptr, 10))};
}

class TcpStream final : public Stream {
 public:
  TcpStream(Reactor& reactor, int descriptor, Endpoint peer, SliceMode slice_mode)
      : reactor_(reactor), socket_(reactor.impl().context, descriptor), peer_(std::move(peer)), slice_mode_(slice_mode) {}

  Task<Result<void>> wait_readable() override { co_return co_await Ready{*this, descriptor_base::wait_read, {}}; }

  Result<std::size_t> read_some(MutableByteView buffer) override {
    if (closed_) return fail(Failure::kClosed, "closed here");
    while (true) {
      const ssize_t count = ::recv(socket_.native_handle(), buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (count > 0) return static_cast<std::size_t>(count);
      if (count == 0) return fail(Failure::kClosed, "closed by the peer");
      if (errno == EAGAIN) return 0;
      if (errno != EINTR) return failed("recv");
    }
  }

  Result<std::size_t> read_some(MutableByteView first, MutableByteView second) override {
    if (closed_) return fail(Failure::kClosed, "closed here");
    std::array<iovec, 2> parts{iovec{first.data(), first.size()}, iovec{second.data(), second.size()}};
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = parts.size();
    while (true) {
      const ssize_t count = ::recvmsg(socket_.native_handle(), &message, MSG_DONTWAIT);
      if (count > 0) return static_cast<std::size_t>(count);
      if (count == 0) return fail(Failure::kClosed, "closed by the peer");
      if (errno == EAGAIN) return 0;
      if (errno != EINTR) return failed("recvmsg");
    }
  }

  Task<Result<void>> write(Outgoing outgoing) override {
    copy_small_slices(outgoing);
    std::size_t part = 0;
    while (part < outgoing.size()) {
      // Byte parts up to and including the first one with a slice behind it leave in one call.
      std::size_t end = part;
      while (end < outgoing.size() && outgoing[end].slice.size_bytes == 0) ++end;
      const bool slice_follows = end < outgoing.size();
      if (slice_follows) ++end;
      Result<void> sent = co_await write_bytes(outgoing, part, end, slice_follows);
      if (sent && slice_follows) sent = co_await write_slice(outgoing[end - 1].slice);
      if (!sent) co_return sent;
      part = end;
    }
    co_return Result<void>{};
  }

  Result<std::size_t> write_some(std::span<const ByteView> pieces) override {
    if (closed_) return fail(Failure::kClosed, "closed here");
    std::array<iovec, 32> parts;
    const std::size_t count = std::min(pieces.size(), parts.size());
    for (std::size_t i = 0; i < count; ++i) parts[i] = {const_cast<std::byte*>(pieces[i].data()), pieces[i].size()};
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = count;
    while (true) {
      const ssize_t sent = ::sendmsg(socket_.native_handle(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (sent >= 0) {
        written_bytes_ += static_cast<std::uint64_t>(sent);
        return static_cast<std::size_t>(sent);
      }
      if (errno == EAGAIN) return 0;
      if (errno != EINTR) return failed("sendmsg");
    }
  }

  Task<Result<void>> wait_writable() override { co_return co_await Ready{*this, descriptor_base::wait_write, {}}; }

  void close() override {
    if (closed_) return;
    closed_ = true;
    boost::system::error_code ignored;
    socket_.close(ignored);
  }

  const Endpoint& peer() const override { return peer_; }
  std::uint64_t written_bytes() const override { return written_bytes_; }

 private:
  struct Ready {
    TcpStream& stream;
    descriptor_base::wait_type type;
    boost::system::error_code error;

    [[nodiscard]] bool await_ready() const noexcept { return stream.closed_; }
    void await_suspend(std::coroutine_handle<> waiter) {
      stream.socket_.async_wait(type, [this, waiter](boost::system::error_code its_error) {
        stream.reactor_.impl().take_turn();
        error = its_error;
        waiter.resume();
      });
    }
    [[nodiscard]] Result<void> await_resume() const {
      if (stream.closed_) return fail(Failure::kClosed, "closed here");
      if (error) return fail(Failure::kIo, "waiting for " + stream.peer_.to_string() + ": " + error.message());
      return {};
    }
  };

  std::unexpected<Error> failed(std::string_view call) const {
    if (errno == EPIPE || errno == ECONNRESET) return fail(Failure::kClosed, "closed by the peer");
    return std::unexpected(error_from_errno(errno, fmt::format("{} {}", call, peer_.to_string())));
  }

  // What is small costs less to copy between the bytes around it than to send by itself. What cannot be read fails when it is sent.
  static void copy_small_slices(Outgoing& outgoing) {
    std::size_t left_bytes = kCopiedBytesMax;
    for (OutgoingPart& part : outgoing) {
      const std::uint64_t size_bytes = part.slice.size_bytes;
      if (size_bytes == 0 || size_bytes > kSmallSliceBytes || size_bytes > left_bytes) continue;
      left_bytes -= size_bytes;
      const std::size_t begin = part.bytes.size();
      part.bytes.resize(begin + size_bytes);
      const auto count = part.slice.file->read_at(part.slice.position, MutableByteView(part.bytes).subspan(begin));
      if (!count || *count != size_bytes) return part.bytes.resize(begin);
      part.slice = {};
    }
  }

  Task<Result<void>> write_bytes(const Outgoing& outgoing, std::size_t begin, std::size_t end, bool more) {
    std::size_t part = begin;
    std::size_t sent_of_part = 0;
    while (true) {
      if (closed_) co_return fail(Failure::kClosed, "closed here");
      std::array<iovec, 32> pieces;
      std::size_t count = 0;
      std::size_t at = part;
      for (std::size_t skip = sent_of_part; at < end && count < pieces.size(); ++at, skip = 0) {
        const ByteView rest = ByteView(outgoing[at].bytes).subspan(skip);
        if (!rest.empty()) pieces[count++] = {const_cast<std::byte*>(rest.data()), rest.size()};
      }
      if (count == 0) co_return Result<void>{};
      msghdr message{};
      message.msg_iov = pieces.data();
      message.msg_iovlen = count;
      const bool last = at == end;
      const ssize_t sent = ::sendmsg(socket_.native_handle(), &message,
                                     MSG_DONTWAIT | MSG_NOSIGNAL | (more || !last ? MSG_MORE : 0));
      if (sent < 0) {
        if (errno == EINTR) continue;
        if (errno != EAGAIN) co_return failed("sendmsg");
        Result<void> writable = co_await Ready{*this, descriptor_base::wait_write, {}};
        if (!writable) co_return writable;
        continue;
      }
      written_bytes_ += static_cast<std::uint64_t>(sent);
      auto left = static_cast<std::size_t>(sent);
      while (part < end && left >= outgoing[part].bytes.size() - sent_of_part) {
        left -= outgoing[part].bytes.size() - sent_of_part;
        ++part;
        sent_of_part = 0;
      }
      sent_of_part += left;
    }
  }

  Task<Result<void>> write_slice(const FileSlice& slice) {
    std::uint64_t position = slice.position;
    std::uint64_t left = slice.size_bytes;
    while (left > 0) {
      if (closed_) co_return fail(Failure::kClosed, "closed here");
      const std::size_t piece = std::min<std::uint64_t>(left, kSlicePieceBytes);
      const bool direct = slice_mode_ == SliceMode::kSendfile && slice.file->descriptor() >= 0;
      Result<std::size_t> sent = direct ? send_directly(slice, position, piece) : send_copy(slice, position, piece);
      if (!sent) co_return std::unexpected(sent.error());
      if (*sent == 0) {
        Result<void> writable = co_await Ready{*this, descriptor_base::wait_write, {}};
        if (!writable) co_return writable;
        continue;
      }
      written_bytes_ += *sent;
      position += *sent;
      left -= *sent;
      if (left > 0 && *sent == piece) co_await NextRound{reactor_};  // others have the loop
    }
    co_return Result<void>{};
  }

  // 0: the socket takes nothing more for now.
  Result<std::size_t> send_directly(const FileSlice& slice, std::uint64_t position, std::size_t piece) {
    while (true) {
      auto offset = static_cast<off_t>(position);
      const ssize_t sent = ::sendfile(socket_.native_handle(), slice.file->descriptor(), &offset, piece);
      if (sent > 0) return static_cast<std::size_t>(sent);
      if (sent == 0) return fail(Failure::kCorrupt, fmt::format("{} ends before {}", slice.file->path(), position));
      if (errno == EAGAIN) return 0;
      if (errno != EINTR) return failed("sendfile to");
    }
  }

  Result<std::size_t> send_copy(const FileSlice& slice, std::uint64_t position, std::size_t piece) {
    static thread_local Bytes buffer(kSlicePieceBytes);
    TRY_ASSIGN(const std::size_t count, slice.file->read_at(position, MutableByteView(buffer).first(piece)));
    if (count == 0) return fail(Failure::kCorrupt, fmt::format("{} ends before {}", slice.file->path(), position));
    while (true) {
      const ssize_t sent = ::send(socket_.native_handle(), buffer.data(), count, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (sent > 0) return static_cast<std::size_t>(sent);
      if (errno == EAGAIN) return 0;
      if (errno != EINTR) return failed("send to");
    }
  }

  Reactor& reactor_;
  boost::asio::posix::stream_descriptor socket_;
  const Endpoint peer_;
  const SliceMode slice_mode_;
  std::uint64_t written_bytes_ = 0;
  bool closed_ = false;
};

// A receive buffer that was asked for keeps its size, and 100 KiB make of a large request ten pieces, each acknowledged on its own.
// So the kernel may size it again, from there up to net.ipv4.tcp_rmem. Before Linux 5.14 it cannot, and nothing changes.
void let_receive_buffer_grow([[maybe_unused]] int descriptor, [[maybe_unused]] bool is_send_buffer_fixed) {
#ifdef SO_BUF_LOCK
  const int locked = is_send_buffer_fixed ? SOCK_SNDBUF_LOCK : 0;
  ::setsockopt(descriptor, SOL_SOCKET, SO_BUF_LOCK, &locked, sizeof(locked));
#endif
}

}  // namespace

Result<std::unique_ptr<Stream>> adopt_socket(Reactor& reactor, int descriptor, const SocketOptions& options,
                                             SliceMode slice_mode) {
  const int one = 1;
  ::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
  ::setsockopt(descriptor, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
  if (options.send_buffer_bytes > 0) {
    ::setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &options.send_buffer_bytes, sizeof(int));
  }
  if (options.receive_buffer_bytes > 0) {
    ::setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &options.receive_buffer_bytes, sizeof(int));
    let_receive_buffer_grow(descriptor, options.send_buffer_bytes > 0);
  }
  sockaddr_storage address{};
  socklen_t length = sizeof(address);
  if (::getpeername(descriptor, reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    const int error_number = errno;
    ::close(descriptor);
    return std::unexpected(error_from_errno(error_number, "getpeername"));
  }
  return std::make_unique<TcpStream>(reactor, descriptor, endpoint_of(address, length), slice_mode);
}

}  // namespace kurier::net
