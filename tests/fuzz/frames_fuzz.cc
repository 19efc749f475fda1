// What a client may send: a byte stream cut into frames, their headers, their requests. Input: the size of the pieces in
// which the stream arrives (1 byte), the stream. However it is cut, the same frames come out.
#include <vector>

#include "broker/net/frame_decoder.h"
#include "broker/wire.h"
#include "every_message.h"
#include "tests/fuzz/message_round_trip.h"

using namespace kurier;

namespace {

constexpr std::size_t kFrameBytesMax = 1 << 20;

struct Cut {
  std::vector<Bytes> frames;
  bool failed = false;
  friend bool operator==(const Cut&, const Cut&) = default;
};

Cut cut(ByteView stream, std::size_t piece_bytes, bool into_space) {
  net::FrameDecoder decoder(kFrameBytesMax);
  Cut result;
  while (!stream.empty()) {
    const MutableByteView space = decoder.space();
    if (into_space && !space.empty()) {
      const std::size_t count = std::min({space.size(), stream.size(), piece_bytes});
      std::ranges::copy(stream.first(count), space.begin());
      stream = stream.subspan(count);
      if (const auto frame = decoder.received(count)) result.frames.push_back(to_bytes(frame->view()));
      continue;
    }
    ByteView piece = stream.first(std::min(piece_bytes, stream.size()));
    stream = stream.subspan(piece.size());
    while (!piece.empty()) {
      const auto frame = decoder.take(piece);
      if (!frame) {
        result.failed = true;
        return result;
      }
      if (*frame) result.frames.push_back(to_bytes((*frame)->view()));
    }
  }
  return result;
}

void read_request(ByteView frame) {
  broker::RequestFrame request;
  if (!broker::parse_request(frame, request) || request.version < 0 || request.version > request.api->max_version)
    return;
  for (std::size_t number = 0; number < fuzz::kMessages; ++number) {
    fuzz::visit_message(number, [&]<class Message>() {
      if constexpr (requires { Message::kApiKey; }) {
        if (Message::kApiKey != load_big_endian<std::int16_t>(frame.data())) return;
        if (!std::string_view(Message::kName).ends_with("Request")) return;
        if (request.version < Message::kMinVersion || request.version > Message::kMaxVersion) return;
        fuzz::round_trip<Message>(request.body, request.version);
      }
    });
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const ByteView stream = std::as_bytes(std::span(data, size)).subspan(1);
  const Cut whole = cut(stream, std::max<std::size_t>(stream.size(), 1), false);
  const std::size_t piece_bytes = 1 + data[0];
  KURIER_CHECK(cut(stream, piece_bytes, false) == whole);
  KURIER_CHECK(cut(stream, piece_bytes, true) == whole);
  for (const Bytes& frame : whole.frames) read_request(frame);
  return 0;
}
