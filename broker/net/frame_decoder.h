// Frames: how Kafka's requests are cut from a byte stream: a 4-byte big-endian length, then that many bytes.
//
// `FrameDecoder` is a core: no socket, no clock. A connection feeds it what it received; it hands out whole frames.
// Nothing grows with a number that the peer invented: up to 1 MiB is allocated when a length is announced, more only as
// bytes arrive; memory that is kept (frame_memory.h) is used at once. Used on the connection's shard only.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "base/bytes.h"
#include "base/result.h"

namespace kurier::net {

// Owns the mutable bytes of one frame, not initialised and not copied on the way to the log.
class FrameBuffer {
 public:
  FrameBuffer() = default;
  FrameBuffer(FrameBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  FrameBuffer& operator=(FrameBuffer&& other) noexcept;
  ~FrameBuffer() {
    if (data_ != nullptr) free();
  }

  // `size_bytes` bytes of unspecified content.
  static FrameBuffer allocate(std::size_t size_bytes);
  static FrameBuffer copy_of(ByteView bytes);
  // Keeps the content up to the smaller of both sizes.
  void resize(std::size_t size_bytes);

  [[nodiscard]] std::size_t size_bytes() const { return size_; }
  [[nodiscard]] ByteView view() const { return {data_, size_}; }
  [[nodiscard]] MutableByteView mutable_view() { return {data_, size_}; }

 private:
  void free();  // what it has
  void reallocate(std::size_t size_bytes);

  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

class FrameDecoder {
 public:
  // socket.request.max.bytes: the longest frame that is accepted.
  explicit FrameDecoder(std::size_t frame_bytes_max) : frame_bytes_max_(frame_bytes_max) {}

  // Takes from the front of `input` until a frame is complete or the input is used up. kMalformed: a negative length;
  // kExhausted: a length beyond the limit. After an error the stream cannot be read any further.
  Result<std::optional<FrameBuffer>> take(ByteView& input);

  // Inside a frame: where its next bytes may be received without a copy. Empty between frames.
  [[nodiscard]] MutableByteView space();
  // `count` bytes were received into space(); the frame if that completed it.
  std::optional<FrameBuffer> received(std::size_t count);

  // Of the frame that is being received: as many bytes as were announced.
  [[nodiscard]] std::size_t pending_bytes() const { return in_body_ ? announced_bytes_ : 0; }

 private:
  Result<void> begin_body();
  std::optional<FrameBuffer> finish_if_complete();

  std::size_t frame_bytes_max_;
  std::byte length_[4] = {};
  std::uint8_t length_bytes_ = 0;  // of length_
  bool in_body_ = false;
  std::size_t announced_bytes_ = 0;
  std::size_t filled_bytes_ = 0;
  FrameBuffer body_;  // may be shorter than announced
};

}  // namespace kurier::net
