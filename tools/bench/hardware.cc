// What the machine allows: the work that no broker can avoid, done by plain system calls on the loop's thread with a
// peer thread at the other end of a loopback connection. Costs are those of the measuring thread alone, as they would
// be a broker's: whoever sends pays for the loopback's way through the kernel.
#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cmath>
#include <functional>
#include <thread>

#include "base/crc32c.h"
#include "tools/bench/echo.h"
#include "tools/bench/latency_json.h"
#include "tools/bench/loopback.h"
#include "tools/bench/workloads.h"

namespace kurier::bench {
namespace {

constexpr std::size_t kSyncedBytes = 1'024;       // appended before each fsync
constexpr std::size_t kHeadBytes = 64;            // before each piece that is sent, as an answer has them
constexpr std::size_t kTakenBytes = 1 << 20;      // by who receives, at most at once
constexpr int kSendBufferBytes = 102'400;         // as a broker's by default: socket.send.buffer.bytes
constexpr std::uint32_t kStepsUnwatched = 1'024;  // looking at the clock costs as much as a little crc

// Wall and CPU time of this thread since it was made.
class Meter {
 public:
  explicit Meter(const Loop& loop) : loop_(loop), start_(loop.now()), usage_(usage()) {}
  // What `bytes` cost, as members of an object.
  [[nodiscard]] JsonObject per_gigabyte(std::uint64_t bytes) const;
  // The same for each of `count`.
  [[nodiscard]] JsonObject each(std::uint64_t count) const;
  [[nodiscard]] double seconds() const { return std::chrono::duration<double>(loop_.now() - start_).count(); }

 private:
  static rusage usage() {
    rusage own{};
    ::getrusage(RUSAGE_THREAD, &own);
    return own;
  }
  static double between(const timeval& from, const timeval& to) {
    return static_cast<double>(to.tv_sec - from.tv_sec) + static_cast<double>(to.tv_usec - from.tv_usec) / 1e6;
  }
  const Loop& loop_;
  MonotonicTime start_;
  rusage usage_;
};

JsonObject Meter::per_gigabyte(std::uint64_t bytes) const {
  const rusage now = usage();
  const double gigabytes = static_cast<double>(bytes) / 1e9;
  JsonObject json;
  json.add("user_s_per_gb", between(usage_.ru_utime, now.ru_utime) / gigabytes);
  json.add("system_s_per_gb", between(usage_.ru_stime, now.ru_stime) / gigabytes);
  json.add("mb_per_s", gigabytes * 1e3 / seconds());
  return json;
}

JsonObject Meter::each(std::uint64_t count) const {
  const rusage now = usage();
  JsonObject json;
  json.add("user_us_each", between(usage_.ru_utime, now.ru_utime) * 1e6 / static_cast<double>(count));
  json.add("system_us_each", between(usage_.ru_stime, now.ru_stime) * 1e6 / static_cast<double>(count));
  json.add("per_s", static_cast<double>(count) / seconds());
  return json;
}

// Calls `step(done, most)` until `total` bytes are done; it returns what a system call does. kTimeout at the deadline.
Result<void> repeat(const Loop& loop, const char* what, std::uint64_t total, std::size_t chunk,
                    const std::function<ssize_t(std::uint64_t done, std::size_t most)>& step) {
  std::uint32_t steps = 0;
  for (std::uint64_t done = 0; done < total;) {
    const ssize_t count = step(done, std::min<std::uint64_t>(chunk, total - done));
    // Where one end sees first that time is up, the other finds it closed.
    const bool is_watched = count <= 0 || ++steps % kStepsUnwatched == 0;
    if (is_watched && loop.now() > loop.deadline) {
      return fail(Failure::kTimeout, "not finished in time (--max-seconds)");
    }
    if (count == 0) return fail(Failure::kClosed, fmt::format("{}: ended after {} of {} bytes", what, done, total));
    if (count < 0) return std::unexpected(error_from_errno(errno, what));
    done += static_cast<std::uint64_t>(count);
  }
  return {};
}

class Hardware {
 public:
  Hardware(const Loop& loop, const Options& options) : loop_(loop), options_(options), buffer_(options.chunk_bytes) {}
  Result<void> run(JsonObject& result);

 private:
  struct Measured {
    const char* name;
    std::vector<JsonObject> passes;
  };
  Result<Descriptor> make_file() const;
  Result<JsonObject> receive();
  Result<JsonObject> checksum();
  Result<JsonObject> write(int file);
  Result<JsonObject> send(const std::function<ssize_t(int peer, std::uint64_t done, std::size_t most)>& step);
  Result<JsonObject> send_file(int file);
  Result<JsonObject> read_and_send(int file);
  Result<JsonObject> sync(const std::function<int(int)>& call);
  Result<JsonObject> echo();
  Result<void> pass();
  Result<void> keep(std::size_t nth, Result<JsonObject> cost);

  const Loop& loop_;
  const Options& options_;
  Bytes buffer_;
  std::array<Measured, 8> measured_{{{"receive", {}},
                                     {"crc32c", {}},
                                     {"write", {}},
                                     {"sendfile", {}},
                                     {"pread_send", {}},
                                     {"fsync", {}},
                                     {"fdatasync", {}},
                                     {"echo_latency_us", {}}}};
};

// It has no name any more when this returns.
Result<Descriptor> Hardware::make_file() const {
  const std::string path = fmt::format("{}/kurier-bench-hardware-{}", options_.directory, ::getpid());
  Descriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (file.number() < 0) return std::unexpected(error_from_errno(errno, "creating " + path));
  ::unlink(path.c_str());
  return file;
}

Result<JsonObject> Hardware::receive() {
  TRY_ASSIGN(auto ends, connect_loopback());
  std::thread peer([this, socket = std::move(ends.first)] {
    const Bytes sent(options_.chunk_bytes);
    (void)repeat(loop_, "send", options_.total_bytes, sent.size(), [&](std::uint64_t, std::size_t most) {
      return ::send(socket.number(), sent.data(), most, MSG_NOSIGNAL);
    });
  });
  const Meter meter(loop_);
  const Result<void> done =
      repeat(loop_, "recv", options_.total_bytes, buffer_.size(),
             [&](std::uint64_t, std::size_t most) { return ::recv(ends.second.number(), buffer_.data(), most, 0); });
  JsonObject cost = meter.per_gigabyte(options_.total_bytes);
  {
    const Descriptor closing = std::move(ends.second);  // a peer that waits for room would see no shutdown
  }
  peer.join();
  if (!done) return std::unexpected(done.error());
  return cost;
}

Result<JsonObject> Hardware::checksum() {
  const Meter meter(loop_);
  std::uint32_t crc = 0;
  TRY(repeat(loop_, "crc32c", options_.total_bytes, buffer_.size(), [&](std::uint64_t, std::size_t most) {
    crc = crc32c(ByteView(buffer_).first(most), crc);
    return static_cast<ssize_t>(most);
  }));
  return meter.per_gigabyte(options_.total_bytes);
}

Result<JsonObject> Hardware::write(int file) {
  const Meter meter(loop_);
  TRY(repeat(loop_, "write", options_.total_bytes, buffer_.size(),
             [&](std::uint64_t, std::size_t most) { return ::write(file, buffer_.data(), most); }));
  return meter.per_gigabyte(options_.total_bytes);
}

// Who receives closes at the deadline.
template <class Call>
ssize_t when_writable(int socket, const Call& call) {
  while (true) {
    const ssize_t count = call();
    if (count >= 0 || errno != EAGAIN) return count;
    pollfd writable{socket, POLLOUT, 0};
    ::poll(&writable, 1, -1);
  }
}

// Returns what a system call does, once the socket has taken all of it.
ssize_t send_all(int socket, ByteView bytes, int flags) {
  for (ByteView left = bytes; !left.empty();) {
    const ssize_t count =
        when_writable(socket, [&] { return ::send(socket, left.data(), left.size(), flags | MSG_NOSIGNAL); });
    if (count < 0) return count;
    left = left.subspan(static_cast<std::size_t>(count));
  }
  return static_cast<ssize_t>(bytes.size());
}

// Pieces with a few bytes before each, from a socket that does not wait, as a broker's.
Result<JsonObject> Hardware::send(const std::function<ssize_t(int, std::uint64_t, std::size_t)>& step) {
  TRY_ASSIGN(auto ends, connect_loopback());
  const std::size_t chunk = options_.chunk_bytes;
  const std::uint64_t pieces = (options_.total_bytes + chunk - 1) / chunk;
  std::thread peer([this, pieces, socket = std::move(ends.first)] {
    Bytes received(kTakenBytes);
    (void)repeat(loop_, "recv", options_.total_bytes + pieces * kHeadBytes, received.size(),
                 [&](std::uint64_t, std::size_t most) { return ::recv(socket.number(), received.data(), most, 0); });
  });
  const int socket = ends.second.number();
  ::setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &kSendBufferBytes, sizeof(kSendBufferBytes));
  ::fcntl(socket, F_SETFL, ::fcntl(socket, F_GETFL) | O_NONBLOCK);
  const std::array<std::byte, kHeadBytes> head{};
  const Meter meter(loop_);
  const Result<void> done = repeat(loop_, "send", options_.total_bytes, chunk, [&](std::uint64_t at, std::size_t most) {
    if (at % chunk == 0 && send_all(socket, head, MSG_MORE) < 0) return ssize_t{-1};
    return step(socket, at, std::min<std::size_t>(most, chunk - at % chunk));
  });
  JsonObject cost = meter.per_gigabyte(options_.total_bytes);
  ::shutdown(socket, SHUT_WR);  // what was sent still arrives
  peer.join();
  if (!done) return std::unexpected(done.error());
  return cost;
}

Result<JsonObject> Hardware::send_file(int file) {
  return send([file](int peer, std::uint64_t at, std::size_t most) {
    auto offset = static_cast<off_t>(at);
    return when_writable(peer, [&] { return ::sendfile(peer, file, &offset, most); });
  });
}

Result<JsonObject> Hardware::read_and_send(int file) {
  return send([this, file](int peer, std::uint64_t at, std::size_t most) {
    const ssize_t count = ::pread(file, buffer_.data(), most, static_cast<off_t>(at));
    return count <= 0 ? count : send_all(peer, ByteView(buffer_).first(static_cast<std::size_t>(count)), 0);
  });
}

// A file that grows by what a small request brings.
Result<JsonObject> Hardware::sync(const std::function<int(int)>& call) {
  TRY_ASSIGN(const Descriptor file, make_file());
  const Bytes appended(kSyncedBytes);
  const Meter meter(loop_);
  std::uint64_t count = 0;
  while (meter.seconds() < options_.seconds) {
    if (::write(file.number(), appended.data(), appended.size()) < 0 || call(file.number()) != 0) {
      return std::unexpected(error_from_errno(errno, "fsync"));
    }
    ++count;
  }
  return meter.each(count);
}

Result<JsonObject> Hardware::echo() {
  const auto count = static_cast<std::uint64_t>(std::ceil(options_.rate * options_.echo_seconds));
  TRY_ASSIGN(const Histogram latency, measure_echo(loop_, options_.rate, count));
  return to_json(latency);
}

Result<void> Hardware::keep(std::size_t nth, Result<JsonObject> cost) {
  if (!cost) return std::unexpected(cost.error().within(measured_[nth].name));
  measured_[nth].passes.push_back(std::move(*cost));
  return {};
}

Result<void> Hardware::pass() {
  TRY(keep(0, receive()));
  TRY(keep(1, checksum()));
  {
    TRY_ASSIGN(const Descriptor file, make_file());
    TRY(keep(2, write(file.number())));
    TRY(keep(3, send_file(file.number())));
    TRY(keep(4, read_and_send(file.number())));
  }
  TRY(keep(5, sync(::fsync)));
  TRY(keep(6, sync(::fdatasync)));
  return keep(7, echo());
}

Result<void> Hardware::run(JsonObject& result) {
  for (std::uint32_t i = 0; i < options_.passes; ++i) TRY(pass());
  for (const Measured& one : measured_) result.add(one.name, one.passes);
  return {};
}

}  // namespace

Task<Result<void>> run_hardware(const Loop& loop, const Options& options, JsonObject& result) {
  Hardware hardware(loop, options);
  co_return hardware.run(result);
}

}  // namespace kurier::bench
