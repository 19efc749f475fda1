#include "broker/net/connection.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <span>
#include <utility>

#include "base/log.h"

namespace kurier::net {
namespace {

// Read and started before others have their turn; what the last read brings beyond that is taken too.
constexpr std::size_t kBurstBytesMax = 128 * 1024;
constexpr std::size_t kBurstRequestsMax = 32;
constexpr std::size_t kReadBytesMax = 1024 * 1024;  // at once, of a large frame
constexpr std::size_t kPiecesAtOnce = 16;  // of one write
// Of replies that are written without a task. When the socket takes only a part, what is left is moved to the front of
// its buffer, on the shard; a task keeps a position instead.
constexpr std::size_t kBytesAtOnceMax = 64 * 1024;

struct Sleep {
  const Clock& clock;
  Timers& timers;
  std::chrono::milliseconds duration;
  [[nodiscard]] bool await_ready() const noexcept { return duration.count() <= 0; }
  void await_suspend(std::coroutine_handle<> waiter) const {
    timers.start(clock.monotonic() + duration, [waiter] { waiter.resume(); });
  }
  void await_resume() const noexcept {}
};

}  // namespace

Connection::Connection(ConnectionShard& shard, std::unique_ptr<Stream> stream, ConnectionContext context, Closed closed)
    : shard_(shard),
      stream_(std::move(stream)),
      context_(std::move(context)),
      closed_(std::move(closed)),
      decoder_(shard.limits.frame_bytes_max),
      active_at_(shard.clock.monotonic()) {
  context_.next_is_let = [this] { wake_reader(); };
}

void Connection::start() {
  reading_ = true;
  shard_.spawner.spawn("connection", read_requests(shared_from_this()));
}

void Connection::close() {
  if (stream_closed_) return;
  stream_closed_ = true;
  const Self self = shared_from_this();
  stream_->close();
  wake_reader();
  if (auto waits = std::move(memory_waits_)) waits->set(true);
  finish_if_done();
}

void Connection::drain() {
  draining_ = true;
  if (in_flight_.empty() && !writing_) close();
}

void Connection::close_if_idle_since(MonotonicTime before) {
  // A reader that is slow is not idle; one that has taken nothing for so long is.
  const bool has_taken = std::exchange(written_at_last_look_, stream_->written_bytes()) != stream_->written_bytes();
  if (std::exchange(was_active_, false) || has_taken) active_at_ = shard_.clock.monotonic();
  const bool waits_for_us = memory_waits_ != nullptr || (!in_flight_.empty() && !writing_);
  if (!waits_for_us && active_at_ < before) close();
}

bool Connection::has_room() const {
  if (context_.next_is_held) return false;
  return in_flight_.empty() || (in_flight_.size() < shard_.limits.in_flight_max &&
                                in_flight_bytes_ < shard_.limits.in_flight_bytes_max);
}

bool Connection::may_start() const { return !stream_closed_ && !draining_ && has_room(); }
bool Connection::has_reply() const { return !in_flight_.empty() && in_flight_.front().reply.has_value(); }

void Connection::wake_reader() {
  if (auto waits = std::move(reader_waits_)) waits->set(true);
}

// A part of a length counts for nothing, and what it announces is not begun either.
bool Connection::is_out_of_memory() const {
  return decoder_.pending_bytes() == 0 && shard_.request_bytes >= shard_.limits.shard_bytes_max;
}

void Connection::account() {
  const std::size_t held = received_bytes_ + unanswered_bytes_ + decoder_.pending_bytes();
  shard_.request_bytes += held;
  shard_.request_bytes -= std::exchange(accounted_bytes_, held);
  if (!shard_.wait_for_memory.empty() && shard_.request_bytes < shard_.limits.shard_bytes_max)
    wake_all_that_wait_for_memory(shard_);
}

// All of them: who has nothing to read takes nothing.
void Connection::wake_all_that_wait_for_memory(ConnectionShard& shard) {
  const auto waiting = std::exchange(shard.wait_for_memory, {});
  for (const auto& weak : waiting) {
    const auto connection = weak.lock();
    if (!connection) continue;
    if (auto waits = std::move(connection->memory_waits_)) waits->set(true);
  }
}

Task<void> Connection::read_requests(Self self) {
  Connection& me = *self;
  while (!me.stream_closed_ && !me.draining_) {
    Result<void> readable = co_await me.stream_->wait_readable();
    if (!readable || me.draining_) break;
    if (me.is_out_of_memory()) {
      me.shard_.wait_for_memory.push_back(me.weak_from_this());
      me.memory_waits_ = std::make_unique<Event<bool>>();
      Event<bool>& memory = *me.memory_waits_;
      co_await memory;
      continue;
    }
    me.received_.swap(me.shard_.spare_frames);
    const Result<void> received = me.receive();
    me.was_active_ = true;
    me.in_burst_ = true;
    bool go_on = true;
    // By index: the frames are kept until all are started, and nothing else adds to them meanwhile.
    for (std::size_t i = 0; go_on && i < me.received_.size(); ++i) {
      FrameBuffer& frame = me.received_[i];
      const Result<Concurrency> concurrency = me.shard_.handler.classify(me.context_, frame.view());
      if (!concurrency) {
        me.log_malformed(concurrency.error());
        me.close();
        go_on = false;
      } else if (*concurrency == Concurrency::kOverlapping && me.may_start()) {
        me.start_request(std::move(frame));
      } else {
        go_on = co_await me.process(std::move(frame), *concurrency);
      }
    }
    me.received_.clear();
    me.received_.swap(me.shard_.spare_frames);
    std::vector<FrameBuffer>().swap(me.received_);  // where another has left its own meanwhile
    me.received_bytes_ = 0;
    me.account();
    me.in_burst_ = false;
    me.flush();
    if (!received) {
      if (received.error().failure != Failure::kClosed) me.log_malformed(received.error());
      me.close();
    }
    if (!go_on) break;
  }
  me.reading_ = false;
  if (!me.draining_ || (me.in_flight_.empty() && !me.writing_)) me.close();
  me.finish_if_done();
}

// Reads what is there, up to a burst of it; a large frame into its own memory, together with the beginning of the next
// one unless that would be one more than the shard has memory for. What has come before an error is in received_.
Result<void> Connection::receive() {
  for (std::size_t burst_bytes = 0; burst_bytes < kBurstBytesMax && received_.size() < kBurstRequestsMax;) {
    MutableByteView space = decoder_.space();
    MutableByteView beyond(shard_.scratch);
    if (space.size() > kReadBytesMax) {
      space = space.first(kReadBytesMax);
      beyond = {};
    } else if (!space.empty() && shard_.request_bytes >= shard_.limits.shard_bytes_max) {
      beyond = {};
    }
    const Result<std::size_t> count = space.empty() ? stream_->read_some(beyond) : stream_->read_some(space, beyond);
    if (!count) return std::unexpected(count.error());
    const std::size_t of_frame = std::min(*count, space.size());
    if (of_frame > 0) {
      if (auto frame = decoder_.received(of_frame)) keep(std::move(*frame));
    }
    Result<void> taken = take_frames(ByteView(beyond).first(*count - of_frame));
    account();
    if (!taken || *count < space.size() + beyond.size() || is_out_of_memory()) return taken;
    burst_bytes += *count;
  }
  return {};
}

Result<void> Connection::take_frames(ByteView input) {
  while (true) {
    TRY_ASSIGN(std::optional<FrameBuffer> frame, decoder_.take(input));
    if (!frame) return {};
    keep(std::move(*frame));
  }
}

void Connection::keep(FrameBuffer frame) {
  received_bytes_ += frame.size_bytes();
  received_.push_back(std::move(frame));
}

Connection::SlotAt Connection::take_slot(std::size_t frame_bytes) {
  std::list<RequestSlot>& spare = shard_.spare_slots;
  if (spare.empty()) spare.emplace_back();
  spare.front().frame_bytes = frame_bytes;
  in_flight_.splice(in_flight_.end(), spare, spare.begin());
  in_flight_bytes_ += frame_bytes;
  unanswered_bytes_ += frame_bytes;
  received_bytes_ -= frame_bytes;
  return std::prev(in_flight_.end());
}

void Connection::leave_slots(std::size_t count) {
  was_active_ = true;
  for (; count > 0; --count) leave_slot();
  wake_reader();
}

void Connection::leave_slot() {
  constexpr std::size_t kSpareSlotsMax = 256;
  in_flight_bytes_ -= in_flight_.front().frame_bytes;
  std::list<RequestSlot>& spare = shard_.spare_slots;
  if (spare.size() >= kSpareSlotsMax) return in_flight_.pop_front();
  in_flight_.front().reply.reset();
  spare.splice(spare.begin(), in_flight_, in_flight_.begin());
}

void Connection::start_request(FrameBuffer frame) {
  const SlotAt slot = take_slot(frame.size_bytes());
  shard_.spawner.spawn("request", handle(shared_from_this(), slot, std::move(frame)));
}

Task<bool> Connection::process(FrameBuffer frame, Concurrency concurrency) {
  const bool exclusive = concurrency == Concurrency::kExclusive;
  while (!stream_closed_ && (exclusive ? !in_flight_.empty() : !has_room())) {
    in_burst_ = false;
    flush();
    if (exclusive ? in_flight_.empty() : has_room()) break;
    reader_waits_ = std::make_unique<Event<bool>>();
    Event<bool>& room = *reader_waits_;
    // The event must outlive its own set(): wake_reader holds it until then.
    co_await room;
    in_burst_ = true;
  }
  if (stream_closed_ || draining_) co_return false;
  in_burst_ = true;
  if (!exclusive) {
    start_request(std::move(frame));
    co_return true;
  }
  const SlotAt slot = take_slot(frame.size_bytes());
  in_burst_ = false;
  Reply reply = co_await shard_.handler.handle(context_, std::move(frame));
  in_burst_ = true;
  const bool go_on = !reply.close;
  const auto throttle = reply.throttle;
  slot->reply.emplace(std::move(reply));
  complete(slot);
  if (throttle.count() > 0) {
    in_burst_ = false;
    flush();
    co_await Sleep{shard_.clock, shard_.timers, throttle};
    in_burst_ = true;
  }
  co_return go_on && !stream_closed_ && !draining_;
}

Task<void> Connection::handle(Self self, SlotAt slot, FrameBuffer frame) {
  slot->reply.emplace(co_await self->shard_.handler.handle(self->context_, std::move(frame)));
  self->complete(slot);
}

void Connection::complete(SlotAt slot) {
  if (slot->reply->malformed) log_malformed(*slot->reply->malformed);
  unanswered_bytes_ -= slot->frame_bytes;
  account();
  if (!in_burst_) flush_soon();
}

// With what other requests of the same round are answered.
void Connection::flush_soon() {
  if (std::exchange(flush_is_due_, true)) return;
  shard_.executor.defer([self = shared_from_this()] {
    self->flush_is_due_ = false;
    self->flush();
  });
}

void Connection::flush() {
  if (writing_ || !has_reply()) return;
  writing_ = true;
  while (has_reply()) {
    if (!write_at_once()) return shard_.spawner.spawn("replies", write_replies(shared_from_this()));
  }
  end_writing();
}

// Mostly replies are a few bytes in memory, and the socket takes them. False: what is left of those that are ready is
// for a task.
bool Connection::write_at_once() {
  std::array<ByteView, kPiecesAtOnce> pieces;
  std::size_t piece_count = 0;
  std::size_t reply_count = 0;
  std::size_t left_bytes = 0;
  for (const RequestSlot& slot : in_flight_) {
    if (!slot.reply) break;
    if (slot.reply->close || !slot.reply->parts.empty()) return false;
    if (const ByteView bytes = slot.reply->bytes; !bytes.empty()) {
      if (piece_count == pieces.size()) break;
      pieces[piece_count++] = bytes;
      left_bytes += bytes.size();
      if (left_bytes > kBytesAtOnceMax) return false;
    }
    ++reply_count;
  }
  if (piece_count > 0) {
    const Result<std::size_t> sent = stream_->write_some(std::span(pieces).first(piece_count));
    if (!sent) return false;  // the task will see it, too
    if (*sent < left_bytes) {
      drop_written(*sent);
      return false;
    }
  }
  leave_slots(reply_count);
  return true;
}

// The first `count` bytes of the replies, which are less than all that is ready.
void Connection::drop_written(std::size_t count) {
  for (RequestSlot& slot : in_flight_) {
    Bytes& bytes = slot.reply->bytes;
    const std::size_t dropped = std::min(count, bytes.size());
    bytes.erase(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(dropped));
    count -= dropped;
    if (count == 0) return;
  }
}

Task<void> Connection::write_replies(Self self) {
  Connection& me = *self;
  bool close_after = false;
  while (me.has_reply()) {
    Outgoing together;
    std::size_t count = 0;
    for (RequestSlot& slot : me.in_flight_) {
      if (!slot.reply) break;
      ++count;
      if (close_after) continue;  // what is ready behind the reply that closes, or behind a failed write, goes unsaid
      close_after = slot.reply->close;
      if (together.empty()) {
        together = std::move(slot.reply->parts);
      } else {
        std::ranges::move(slot.reply->parts, std::back_inserter(together));
      }
      if (!slot.reply->bytes.empty()) together.push_back({std::move(slot.reply->bytes), {}});
    }
    // The slots stay until the write is done: what the client has not taken yet counts as in flight.
    if (!together.empty() && !me.stream_closed_) {
      const Result<void> written = co_await me.stream_->write(std::move(together));
      if (!written) close_after = true;
    }
    if (close_after) me.close();
    me.leave_slots(count);
  }
  me.end_writing();
}

void Connection::end_writing() {
  writing_ = false;
  if (draining_ && in_flight_.empty()) close();
  finish_if_done();
}

void Connection::finish_if_done() {
  if (finished_ || !stream_closed_ || reading_ || writing_ || !in_flight_.empty()) return;
  finished_ = true;
  received_bytes_ = unanswered_bytes_ = 0;
  decoder_ = FrameDecoder(shard_.limits.frame_bytes_max);
  account();
  shard_.handler.connection_closed(context_);
  closed_(this);
}

// At most one line a second, however many connections are closed.
void Connection::log_malformed(const Error& error) {
  ++shard_.malformed;
  const MonotonicTime now = shard_.clock.monotonic();
  if (now < shard_.next_malformed_log) {
    ++shard_.malformed_not_logged;
    return;
  }
  shard_.next_malformed_log = now + std::chrono::seconds(1);
  LOG_WARN("closing the connection of {} on listener {}: {}{}", context_.peer.to_string(), context_.listener_name,
           error.context,
           shard_.malformed_not_logged > 0 ? fmt::format(" ({} more since the last such line)", shard_.malformed_not_logged)
                                           : "");
  shard_.malformed_not_logged = 0;
}

}  // namespace kurier::net
