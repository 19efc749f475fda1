// Channel: one connection to a broker as a client has it: it knows which versions the broker offers, sends frames and
// receives frames in order. What the requests mean is the caller's.
//
// One sender and one receiver at a time, on the reactor's thread. Frames can be pipelined: `send` as often as wished,
// then `receive` as often. `ask` is for the calm before and after a measured run.
#pragma once

#include <chrono>
#include <limits>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "base/executor.h"
#include "base/transport.h"
#include "broker/net/reactor.h"
#include "protocol/api_table.h"
#include "protocol/messages/request_header.h"
#include "protocol/messages/response_header.h"
#include "protocol/primitives.h"

namespace kurier::client {

// Where the work of a run happens, and when it has to be over.
struct Loop {
  net::Reactor& reactor;
  WorkPool& lookup;
  MonotonicTime deadline;
  std::string client_id = "kurier";
  std::size_t receive_bytes = 64 * 1024;  // of a channel's buffer, as long as no frame is longer
  [[nodiscard]] MonotonicTime now() const { return reactor.clock().monotonic(); }
};

// Completes at `time`, not before.
Task<void> sleep_until(net::Reactor& reactor, MonotonicTime time);

// Length, API, version, correlation id: what differs between two frames.
inline constexpr std::size_t kFrameHeadBytes = 12;

inline constexpr std::int16_t kAnyVersion = std::numeric_limits<std::int16_t>::max();

class Channel {
 public:
  static constexpr std::chrono::milliseconds kNoLimit = std::chrono::hours(24 * 365);

  // Connects and asks for the versions. Connecting, and later each `ask`, may take until the loop's deadline, but no
  // longer than `patience`.
  static Task<Result<std::unique_ptr<Channel>>> open(const Loop& loop, Endpoint peer,
                                                     std::chrono::milliseconds patience = kNoLimit);

  // The newest version that both sides know, not beyond `newest`. kUnsupported if there is none.
  [[nodiscard]] Result<std::int16_t> version_of(std::int16_t api_key, std::int16_t newest = kAnyVersion) const;

  // Sends all of `pieces`, which stay the caller's.
  Task<Result<void>> send(std::span<const ByteView> pieces);
  // The next frame without its length; the view lives until the next call.
  Task<Result<ByteView>> receive();
  // The same, but kTimeout, with the channel closed, when it takes longer than `patience` or the loop's deadline.
  Task<Result<ByteView>> receive_in_time();
  // True if a whole frame has been received already.
  [[nodiscard]] bool has_frame() const;
  [[nodiscard]] std::uint64_t received_bytes() const { return received_bytes_; }
  // Pending calls complete with kClosed.
  void close() { stream_->close(); }

  void set_patience(std::chrono::milliseconds patience) { patience_ = patience; }

  // Nothing else may be in flight. kTimeout, with the channel closed, when it takes too long. Records in the response
  // are views that live until the next receive.
  template <class Response, class Request>
  Task<Result<Response>> ask(Request request, std::int16_t newest = kAnyVersion) {
    const Result<std::int16_t> version = version_of(Request::kApiKey, newest);
    if (!version) co_return std::unexpected(version.error());
    co_return co_await ask_at<Response>(std::move(request), *version);
  }
  template <class Response, class Request>
  Task<Result<Response>> ask_at(Request request, std::int16_t version);

 private:
  Channel(const Loop& loop, std::unique_ptr<Stream> stream, std::chrono::milliseconds patience)
      : loop_(loop), stream_(std::move(stream)), patience_(patience) {}
  Task<Result<ByteView>> exchange(ByteView request);
  [[nodiscard]] ByteView buffered() const { return ByteView(buffer_).subspan(begin_, end_ - begin_); }
  void make_room(std::size_t frame_bytes);

  Loop loop_;
  std::unique_ptr<Stream> stream_;
  std::chrono::milliseconds patience_;
  std::map<std::int16_t, std::pair<std::int16_t, std::int16_t>> versions_;  // API → what the broker offers, from and to
  Bytes buffer_;
  std::size_t begin_ = 0;  // of what is received and not handed out
  std::size_t end_ = 0;
  std::uint64_t received_bytes_ = 0;
};

// A whole request frame. kInvalid: `request` says what the version cannot express.
template <class Request>
Result<Bytes> frame_request(const Request& request, std::int16_t version, std::int32_t correlation_id,
                            std::string_view client_id = "kurier") {
  const protocol::ApiInfo& api = *protocol::find_api(Request::kApiKey);
  protocol::Writer writer;
  writer.int32(0);
  protocol::RequestHeader header;
  header.request_api_key = Request::kApiKey;
  header.request_api_version = version;
  header.correlation_id = correlation_id;
  header.client_id = std::string(client_id);
  header.encode(writer, protocol::request_header_version(api, version));
  request.encode(writer, version);
  if (!writer.ok()) return fail(Failure::kInvalid, std::string(api.name) + " request: " + writer.error());
  writer.patch_int32(0, static_cast<std::int32_t>(writer.size_bytes() - 4));
  return writer.take_bytes();
}

// The body of the response in `frame`, which must have this correlation id.
template <class Response>
Result<Response> parse_response(ByteView frame, std::int16_t version, std::int32_t correlation_id) {
  const protocol::ApiInfo& api = *protocol::find_api(Response::kApiKey);
  protocol::Reader reader(frame);
  protocol::ResponseHeader header;
  header.decode(reader, protocol::response_header_version(api, version));
  Response response;
  response.decode(reader, version);
  if (!reader.ok()) return fail(Failure::kMalformed, std::string(api.name) + " response: " + reader.error());
  if (header.correlation_id != correlation_id) {
    return fail(Failure::kMalformed, std::string(api.name) + " response with correlation id " +
                                         std::to_string(header.correlation_id) + ", not " +
                                         std::to_string(correlation_id));
  }
  return response;
}

template <class Response, class Request>
Task<Result<Response>> Channel::ask_at(Request request, std::int16_t version) {
  const Result<Bytes> frame = frame_request(request, version, 0, loop_.client_id);
  if (!frame) co_return std::unexpected(frame.error());
  const Result<ByteView> answer = co_await exchange(*frame);
  if (!answer) co_return std::unexpected(answer.error());
  co_return parse_response<Response>(*answer, version, 0);
}

}  // namespace kurier::client
