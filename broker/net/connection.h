// Connection: one client's stream of requests and the replies in the same order.
//
// Reads frames, asks the handler how each may run, starts it, and writes replies in request order, several at once
// where they are ready together. A client that does not read its replies, or that has too much in flight, is not read
// from until that has changed. Everything happens on the connection's shard.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/executor.h"
#include "base/spawner.h"
#include "base/transport.h"
#include "broker/net/frame_decoder.h"

namespace kurier::net {

// What is known of a connection; handlers may fill in what the client said of itself.
struct ConnectionContext {
  std::uint64_t id = 0;
  std::string listener_name;
  Endpoint peer;
  Endpoint local;
  std::string client_software_name;
  std::string client_software_version;
  std::string principal = "User:ANONYMOUS";  // authentication will say who it is

  // For a request that may overlap with the next one and suspends before it has taken effect: from `hold_next`, which
  // is called before it suspends for the first time, to `let_next` no other begins.
  void hold_next() { next_is_held = true; }
  void let_next() {
    if (std::exchange(next_is_held, false) && next_is_let) next_is_let();
  }
  bool next_is_held = false;
  std::function<void()> next_is_let;  // the connection's own
};

enum class Concurrency {
  kExclusive,    // starts when every earlier request is answered; nothing starts before its own reply is there
  kOverlapping,  // the next request may start once handle() has suspended for the first time
};

struct Reply {
  // The frame with its 4-byte length: parts that end with a file slice each, mostly none, then bytes. Nothing at all:
  // this request has no response (acks=0).
  Outgoing parts;
  Bytes bytes;
  bool close = false;             // after this reply has been written
  std::optional<Error> malformed;  // why, where it is for what the client sent: goes to the log, not too often
  std::chrono::milliseconds throttle{0};  // nothing more is read for so long
};

class RequestHandler {
 public:
  virtual ~RequestHandler() = default;
  // An error closes the connection; its context goes to the log.
  virtual Result<Concurrency> classify(const ConnectionContext& connection, ByteView frame) = 0;
  virtual Task<Reply> handle(ConnectionContext& connection, FrameBuffer frame) = 0;
  virtual void connection_closed(ConnectionContext& connection) = 0;
};

struct ConnectionLimits {
  std::size_t frame_bytes_max = 100 * 1024 * 1024;      // socket.request.max.bytes
  std::chrono::milliseconds idle_max{600'000};          // connections.max.idle.ms
  std::size_t in_flight_max = 256;                      // requests
  std::size_t in_flight_bytes_max = 16 * 1024 * 1024;   // of their frames; one frame is always let in
  std::size_t shard_bytes_max = SIZE_MAX;               // queued.max.request.bytes, of all connections of the shard
};

class Connection;

// A request in flight.
struct RequestSlot {
  std::optional<Reply> reply;
  std::size_t frame_bytes = 0;
};

// What connections of one shard share.
struct ConnectionShard {
  const Clock& clock;
  Timers& timers;
  Spawner& spawner;
  Executor& executor;
  RequestHandler& handler;
  ConnectionLimits limits;
  Bytes scratch = Bytes(4096);  // where reads begin; used between two suspensions only
  std::uint64_t malformed = 0;  // connections closed for what they sent
  MonotonicTime next_malformed_log;
  std::uint64_t malformed_not_logged = 0;
  // Of requests that are being received or not answered yet. From shard_bytes_max on no connection begins another
  // frame; those that have begun one may finish it.
  std::size_t request_bytes = 0;
  std::vector<std::weak_ptr<Connection>> wait_for_memory;
  // Left by a connection for the next one that is busy, so that neither allocates, nor keeps anything while it is idle.
  std::list<RequestSlot> spare_slots;
  std::vector<FrameBuffer> spare_frames;  // empty, with room
};

class Connection final : public std::enable_shared_from_this<Connection> {
 public:
  using Closed = std::move_only_function<void(Connection*)>;
  Connection(ConnectionShard& shard, std::unique_ptr<Stream> stream, ConnectionContext context, Closed closed);

  void start();
  void close();
  void drain();  // answers what is in flight, then closes
  // Closes if nothing has happened since `before`, not even that the client has read of an answer.
  void close_if_idle_since(MonotonicTime before);
  [[nodiscard]] const ConnectionContext& context() const { return context_; }

 private:
  using SlotAt = std::list<RequestSlot>::iterator;
  using Self = std::shared_ptr<Connection>;  // held by every task of the connection

  static Task<void> read_requests(Self self);
  static Task<void> handle(Self self, SlotAt slot, FrameBuffer frame);
  static Task<void> write_replies(Self self);

  void start_request(FrameBuffer frame);  // one that may overlap with others, and for which there is room
  Task<bool> process(FrameBuffer frame, Concurrency concurrency);  // false: read no further
  Result<void> receive();
  Result<void> take_frames(ByteView input);
  void keep(FrameBuffer frame);  // received and not started yet
  SlotAt take_slot(std::size_t frame_bytes);
  void leave_slots(std::size_t count);  // the first ones: they are answered
  void leave_slot();
  void complete(SlotAt slot);  // it has its reply
  void flush();
  bool write_at_once();
  void drop_written(std::size_t count);
  void end_writing();
  void flush_soon();
  void log_malformed(const Error& error);
  void finish_if_done();
  [[nodiscard]] bool has_room() const;
  [[nodiscard]] bool may_start() const;  // a request that may overlap with others
  [[nodiscard]] bool has_reply() const;  // the first one in flight
  void wake_reader();
  [[nodiscard]] bool is_out_of_memory() const;
  void account();  // what this connection holds of the shard's request_bytes has changed
  static void wake_all_that_wait_for_memory(ConnectionShard& shard);

  ConnectionShard& shard_;
  std::unique_ptr<Stream> stream_;
  ConnectionContext context_;
  Closed closed_;
  FrameDecoder decoder_;
  std::vector<FrameBuffer> received_;  // whole frames not started yet
  std::list<RequestSlot> in_flight_;  // in request order
  std::size_t in_flight_bytes_ = 0;
  std::size_t received_bytes_ = 0;     // of received_
  std::size_t unanswered_bytes_ = 0;   // of those in flight without a reply
  std::size_t accounted_bytes_ = 0;    // part of the shard's request_bytes
  std::unique_ptr<Event<bool>> reader_waits_;  // for room, or for nothing in flight
  std::unique_ptr<Event<bool>> memory_waits_;
  MonotonicTime active_at_;  // as far as it was noticed
  bool was_active_ = false;  // since then: the clock is asked by who looks for idle ones, not with every request
  std::uint64_t written_at_last_look_ = 0;
  bool in_burst_ = false;  // replies are written when the burst of requests has been started
  bool flush_is_due_ = false;
  bool writing_ = false;
  bool reading_ = false;
  bool draining_ = false;
  bool stream_closed_ = false;
  bool finished_ = false;
};

}  // namespace kurier::net
