#include "broker/net/frame_decoder.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "base/check.h"
#include "base/recycled_memory.h"
#include "broker/net/frame_memory.h"

namespace kurier::net {
namespace {
constexpr std::size_t kAllocatedAtOnceBytes = 1 << 20;

bool is_small(std::size_t frame_bytes) { return frame_bytes <= RecycledMemory::kBytesMax; }
bool is_large(std::size_t frame_bytes) { return frame_bytes > FrameMemory::kBytesMax; }
}  // namespace

FrameBuffer& FrameBuffer::operator=(FrameBuffer&& other) noexcept {
  if (this != &other) {
    if (data_ != nullptr) free();
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

void FrameBuffer::free() {
  if (is_large(size_)) return std::free(data_);
  if (!is_small(size_)) return FrameMemory::leave(data_, size_);
  RecycledMemory::leave(data_, std::max<std::size_t>(size_, 1));
}

FrameBuffer FrameBuffer::allocate(std::size_t size_bytes) {
  FrameBuffer buffer;
  if (is_large(size_bytes)) {
    buffer.reallocate(size_bytes);
    return buffer;
  }
  buffer.data_ =
      static_cast<std::byte*>(is_small(size_bytes) ? RecycledMemory::take(std::max<std::size_t>(size_bytes, 1))
                                                   : FrameMemory::take(size_bytes));
  buffer.size_ = size_bytes;
  return buffer;
}

FrameBuffer FrameBuffer::copy_of(ByteView bytes) {
  FrameBuffer buffer = allocate(bytes.size());
  if (!bytes.empty()) std::memcpy(buffer.data_, bytes.data(), bytes.size());
  return buffer;
}

void FrameBuffer::resize(std::size_t size_bytes) {
  if (is_large(size_) && is_large(size_bytes)) return reallocate(size_bytes);
  FrameBuffer resized = allocate(size_bytes);
  if (const std::size_t kept = std::min(size_, size_bytes); kept > 0) std::memcpy(resized.data_, data_, kept);
  *this = std::move(resized);
}

void FrameBuffer::reallocate(std::size_t size_bytes) {
  auto* data = static_cast<std::byte*>(std::realloc(data_, size_bytes));
  KURIER_CHECK_MESSAGE(data != nullptr, fmt::format("no memory for a frame of {} bytes", size_bytes));
  data_ = data;
  size_ = size_bytes;
}

Result<void> FrameDecoder::begin_body() {
  const auto announced = load_big_endian<std::int32_t>(length_);
  length_bytes_ = 0;
  if (announced < 0) return fail(Failure::kMalformed, fmt::format("a frame of negative length {}", announced));
  announced_bytes_ = static_cast<std::size_t>(announced);
  if (announced_bytes_ > frame_bytes_max_) {
    return fail(Failure::kExhausted, fmt::format("a frame of {} bytes, more than socket.request.max.bytes={}",
                                                 announced_bytes_, frame_bytes_max_));
  }
  in_body_ = true;
  filled_bytes_ = 0;
  const bool is_at_hand = announced_bytes_ > kAllocatedAtOnceBytes && !is_large(announced_bytes_) &&
                          FrameMemory::has_kept(announced_bytes_);
  body_ = FrameBuffer::allocate(is_at_hand ? announced_bytes_ : std::min(announced_bytes_, kAllocatedAtOnceBytes));
  return {};
}

MutableByteView FrameDecoder::space() {
  if (!in_body_) return {};
  if (filled_bytes_ == body_.size_bytes() && filled_bytes_ < announced_bytes_) {
    body_.resize(std::min(announced_bytes_, body_.size_bytes() * 2));
  }
  return body_.mutable_view().subspan(filled_bytes_);
}

std::optional<FrameBuffer> FrameDecoder::received(std::size_t count) {
  filled_bytes_ += count;
  KURIER_CHECK(filled_bytes_ <= body_.size_bytes());
  return finish_if_complete();
}

std::optional<FrameBuffer> FrameDecoder::finish_if_complete() {
  if (!in_body_ || filled_bytes_ < announced_bytes_) return std::nullopt;
  in_body_ = false;
  return std::move(body_);
}

Result<std::optional<FrameBuffer>> FrameDecoder::take(ByteView& input) {
  while (true) {
    if (!in_body_) {
      while (length_bytes_ < 4 && !input.empty()) {
        length_[length_bytes_++] = input.front();
        input = input.subspan(1);
      }
      if (length_bytes_ < 4) return std::nullopt;
      TRY(begin_body());
    }
    if (auto frame = finish_if_complete()) return frame;  // an empty frame needs no input
    if (input.empty()) return std::nullopt;
    const MutableByteView to = space();
    const std::size_t count = std::min(to.size(), input.size());
    std::memcpy(to.data(), input.data(), count);
    input = input.subspan(count);
    if (auto frame = received(count)) return frame;
  }
}

}  // namespace kurier::net
