// MemoryStream: a connection's stream whose other end is the test. What the test delivers is read and handled at once, on
// the test's own stack; what is written is kept for it to look at. It allocates nothing itself but the frames of its tasks,
// of which the real stream has as many.
#pragma once

#include <algorithm>
#include <coroutine>
#include <utility>

#include "base/transport.h"

namespace kurier::performance {

class MemoryStream final : public Stream {
 public:
  MemoryStream() { written_.reserve(1 << 20); }

  // `bytes` stay until they have been read.
  void deliver(ByteView bytes) {
    inbox_ = bytes;
    if (auto waiter = std::exchange(waiter_, nullptr)) waiter.resume();
  }
  // Since the last call, without the content of slices.
  [[nodiscard]] ByteView written() const { return written_; }
  [[nodiscard]] std::uint64_t slice_bytes() const { return slice_bytes_; }
  void forget_written() {
    written_.clear();
    slice_bytes_ = 0;
  }

  Task<Result<void>> wait_readable() override {
    co_await Readable{*this};
    co_return Result<void>{};
  }
  Result<std::size_t> read_some(MutableByteView buffer) override {
    if (is_closed_) return fail(Failure::kClosed, "closed here");
    const std::size_t count = std::min(buffer.size(), inbox_.size());
    std::ranges::copy(inbox_.first(count), buffer.begin());
    inbox_ = inbox_.subspan(count);
    return count;
  }
  Task<Result<void>> write(Outgoing outgoing) override {
    for (const OutgoingPart& part : outgoing) {
      written_.insert(written_.end(), part.bytes.begin(), part.bytes.end());
      slice_bytes_ += part.slice.size_bytes;
    }
    co_return Result<void>{};
  }
  Result<std::size_t> write_some(std::span<const ByteView> pieces) override {
    std::size_t count = 0;
    for (const ByteView piece : pieces) {
      written_.insert(written_.end(), piece.begin(), piece.end());
      count += piece.size();
    }
    return count;
  }
  Task<Result<void>> wait_writable() override { co_return Result<void>{}; }
  void close() override {
    is_closed_ = true;
    deliver({});
  }
  [[nodiscard]] const Endpoint& peer() const override { return peer_; }
  [[nodiscard]] std::uint64_t written_bytes() const override { return 0; }

 private:
  struct Readable {
    MemoryStream& stream;
    [[nodiscard]] bool await_ready() const noexcept { return stream.is_closed_ || !stream.inbox_.empty(); }
    void await_suspend(std::coroutine_handle<> waiter) const noexcept { stream.waiter_ = waiter; }
    void await_resume() const noexcept {}
  };

  ByteView inbox_;
  Bytes written_;
  std::uint64_t slice_bytes_ = 0;
  std::coroutine_handle<> waiter_;
  bool is_closed_ = false;
  const Endpoint peer_{"127.0.0.1", 1};
};

}  // namespace kurier::performance
