#include "tools/client/channel.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "broker/net/connect.h"
#include "protocol/messages/api_versions_request.h"
#include "protocol/messages/api_versions_response.h"

namespace kurier::client {
namespace {
constexpr std::size_t kFrameBytesMax = 256 * 1024 * 1024;
constexpr std::size_t kPiecesMax = 32;
}  // namespace

Task<void> sleep_until(net::Reactor& reactor, MonotonicTime time) {
  Event<bool> over;
  reactor.start(time, [&over] { over.set(true); });
  co_await over;
}

Task<Result<std::unique_ptr<Channel>>> Channel::open(const Loop& loop, Endpoint peer,
                                                     std::chrono::milliseconds patience) {
  const MonotonicTime deadline = std::min(loop.deadline, loop.now() + patience);
  Result<std::unique_ptr<Stream>> stream =
      co_await net::connect(loop.reactor, loop.lookup, std::move(peer), {}, deadline);
  if (!stream) co_return std::unexpected(stream.error());
  std::unique_ptr<Channel> channel(new Channel(loop, std::move(*stream), patience));
  // Version 0 is what every broker understands, and all that is wanted of the answer is in it.
  const auto versions = co_await channel->ask_at<protocol::ApiVersionsResponse>(protocol::ApiVersionsRequest{}, 0);
  if (!versions) co_return std::unexpected(versions.error().within("ApiVersions"));
  if (versions->error_code != protocol::ErrorCode::kNone) {
    co_return fail(Failure::kUnsupported, fmt::format("ApiVersions: {}", to_string(versions->error_code)));
  }
  for (const auto& api : versions->api_keys) channel->versions_[api.api_key] = {api.min_version, api.max_version};
  co_return channel;
}

Result<std::int16_t> Channel::version_of(std::int16_t api_key, std::int16_t newest) const {
  const protocol::ApiInfo& api = *protocol::find_api(api_key);
  const auto offered = versions_.find(api_key);
  if (offered == versions_.end())
    return fail(Failure::kUnsupported, fmt::format("the broker does not offer {}", api.name));
  const auto [from, to] = offered->second;
  const std::int16_t version = std::min({api.max_version, to, newest});
  if (version < from || version < api.min_version) {
    return fail(Failure::kUnsupported, fmt::format("the broker offers {} in versions {} to {}, we know {} to {}",
                                                   api.name, from, to, api.min_version, api.max_version));
  }
  return version;
}

Task<Result<void>> Channel::send(std::span<const ByteView> pieces) {
  std::array<ByteView, kPiecesMax> left;
  while (!pieces.empty()) {
    const std::size_t count = std::min(pieces.size(), left.size());
    std::ranges::copy(pieces.first(count), left.begin());
    pieces = pieces.subspan(count);
    std::size_t at = 0;
    while (at < count) {
      const Result<std::size_t> sent = stream_->write_some(std::span(left).subspan(at, count - at));
      if (!sent) co_return std::unexpected(sent.error());
      std::size_t bytes = *sent;
      if (bytes == 0) {
        const Result<void> writable = co_await stream_->wait_writable();
        if (!writable) co_return writable;
      }
      while (at < count && bytes >= left[at].size()) bytes -= left[at++].size();
      if (at < count) left[at] = left[at].subspan(bytes);
    }
  }
  co_return Result<void>{};
}

Task<Result<ByteView>> Channel::exchange(ByteView request) {
  const Result<void> sent = co_await send({&request, 1});
  if (!sent) co_return std::unexpected(sent.error());
  co_return co_await receive_in_time();
}

Task<Result<ByteView>> Channel::receive_in_time() {
  bool late = false;
  const MonotonicTime deadline = std::min(loop_.deadline, loop_.now() + patience_);
  const TimerId timer = loop_.reactor.start(deadline, [this, &late] {
    late = true;
    close();
  });
  const Result<ByteView> answer = co_await receive();
  loop_.reactor.cancel(timer);
  if (late) co_return fail(Failure::kTimeout, fmt::format("no answer from {} in time", stream_->peer().to_string()));
  co_return answer;
}

bool Channel::has_frame() const {
  const ByteView bytes = buffered();
  if (bytes.size() < 4) return false;
  return bytes.size() - 4 >= static_cast<std::size_t>(std::max(0, load_big_endian<std::int32_t>(bytes.data())));
}

// Moves what is there to the front, where the rest of a frame of `frame_bytes` fits behind it.
void Channel::make_room(std::size_t frame_bytes) {
  if (begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (buffer_.size() < frame_bytes) buffer_.resize(frame_bytes);
}

Task<Result<ByteView>> Channel::receive() {
  while (!has_frame()) {
    std::size_t frame_bytes = loop_.receive_bytes;
    if (buffered().size() >= 4) {
      const auto announced = load_big_endian<std::int32_t>(buffered().data());
      if (announced < 0 || static_cast<std::size_t>(announced) > kFrameBytesMax) {
        co_return fail(Failure::kMalformed, fmt::format("a response of {} bytes", announced));
      }
      frame_bytes = std::max(frame_bytes, static_cast<std::size_t>(announced) + 4);
    }
    if (begin_ == end_ || begin_ + frame_bytes > buffer_.size()) make_room(frame_bytes);
    const Result<std::size_t> count = stream_->read_some(MutableByteView(buffer_).subspan(end_));
    if (!count) co_return std::unexpected(count.error());
    end_ += *count;
    received_bytes_ += *count;
    if (*count == 0) {
      const Result<void> readable = co_await stream_->wait_readable();
      if (!readable) co_return std::unexpected(readable.error());
    }
  }
  const auto size = static_cast<std::size_t>(load_big_endian<std::int32_t>(buffered().data()));
  const ByteView frame = buffered().subspan(4, size);
  begin_ += 4 + size;
  co_return frame;
}

}  // namespace kurier::client
