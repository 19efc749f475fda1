#include "tools/bench/echo.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

#include <array>
#include <cerrno>
#include <thread>

#include "base/bytes.h"
#include "tools/bench/loopback.h"
#include "tools/bench/schedule.h"

namespace kurier::bench {
namespace {

constexpr std::size_t kMessageBytes = 128;
constexpr std::size_t kReceivedBytesMax = 65'536;
constexpr std::uint64_t kInFlightMax = 64;

// Until the other end is closed.
void send_back(const Descriptor& socket) {
  Bytes buffer(kReceivedBytesMax);
  while (true) {
    const ssize_t count = ::recv(socket.number(), buffer.data(), buffer.size(), 0);
    if (count <= 0) return;
    if (::send(socket.number(), buffer.data(), static_cast<std::size_t>(count), MSG_NOSIGNAL) != count) return;
  }
}

// The side that sends and waits: a timer for what is due, a socket for what comes back.
class Sender {
 public:
  Sender(const Loop& loop, Schedule schedule, std::uint64_t count, const Descriptor& socket, const Descriptor& timer)
      : loop_(loop), schedule_(schedule), count_(count), socket_(socket), timer_(timer) {}

  Result<Histogram> run() {
    while (received_ < count_) {
      TRY(send_due());
      TRY(wait());
      TRY(receive());
    }
    return latency_;
  }

 private:
  // No more at once than the sockets hold, so that nobody waits for room; what was due counts as late.
  [[nodiscard]] bool may_send() const { return sent_ < count_ && sent_ - received_ < kInFlightMax; }

  Result<void> send_due() {
    for (; may_send() && schedule_.time_of(sent_) <= loop_.now(); ++sent_) {
      if (::send(socket_.number(), message_.data(), message_.size(), MSG_NOSIGNAL) !=
          static_cast<ssize_t>(message_.size()))
        return std::unexpected(error_from_errno(errno, "send"));
    }
    return {};
  }

  // For the next to be nearly due, or for an answer, at most until the deadline. Does not wait while it is nearly due.
  Result<void> wait() {
    const MonotonicTime next =
        may_send() ? std::min(schedule_.time_of(sent_) - schedule_.awake_before(), loop_.deadline) : loop_.deadline;
    const std::chrono::nanoseconds left = next - loop_.now();
    if (left > std::chrono::nanoseconds(0)) TRY(sleep(left));
    if (loop_.now() > loop_.deadline) return fail(Failure::kTimeout, "not finished in time (--max-seconds)");
    return {};
  }

  // An answer ends it too.
  Result<void> sleep(std::chrono::nanoseconds left) {
    itimerspec at{};
    at.it_value.tv_sec = static_cast<time_t>(left.count() / 1'000'000'000);
    at.it_value.tv_nsec = static_cast<long>(left.count() % 1'000'000'000);
    std::array<pollfd, 2> waited{{{socket_.number(), POLLIN, 0}, {timer_.number(), POLLIN, 0}}};
    if (::timerfd_settime(timer_.number(), 0, &at, nullptr) != 0 || ::poll(waited.data(), waited.size(), -1) < 0) {
      return std::unexpected(error_from_errno(errno, "waiting for an echo"));
    }
    return {};
  }

  Result<void> receive() {
    const ssize_t count = ::recv(socket_.number(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (count < 0) return errno == EAGAIN ? Result<void>{} : std::unexpected(error_from_errno(errno, "recv"));
    if (count == 0) return fail(Failure::kClosed, "echo: the other end has closed");
    received_bytes_ += static_cast<std::uint64_t>(count);
    const MonotonicTime now = loop_.now();
    for (; received_ < received_bytes_ / kMessageBytes; ++received_)
      latency_.record(now - schedule_.time_of(received_));
    return {};
  }

  const Loop& loop_;
  const Schedule schedule_;
  const std::uint64_t count_;
  const Descriptor& socket_;
  const Descriptor& timer_;
  const Bytes message_ = Bytes(kMessageBytes);
  Bytes buffer_ = Bytes(kReceivedBytesMax);
  std::uint64_t sent_ = 0;
  std::uint64_t received_ = 0;
  std::uint64_t received_bytes_ = 0;
  Histogram latency_;
};

}  // namespace

Result<Histogram> measure_echo(const Loop& loop, double rate, std::uint64_t count) {
  TRY_ASSIGN(auto ends, connect_loopback());
  const Descriptor timer(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  if (timer.number() < 0) return std::unexpected(error_from_errno(errno, "timerfd_create"));
  std::thread peer([&socket = ends.second] { send_back(socket); });
  const Schedule schedule(loop.now() + std::chrono::milliseconds(1), rate);
  Result<Histogram> latency = Sender(loop, schedule, count, ends.first, timer).run();
  ::shutdown(ends.first.number(), SHUT_RDWR);
  peer.join();
  return latency;
}

}  // namespace kurier::bench
