// FetchSessions: what clients have agreed to fetch again and again (KIP-227), and what of it is new to them.
//
// A core: no I/O, no clock. It belongs to one shard; a session's id says which one (id % shards), because a client
// keeps its session over a reconnect, which may end on another shard. A request goes `begin`, is read and perhaps
// waits, then `finish`; in between, the context is a value that may cross shards, and others may use, evict or close
// the session. Sessions speak either of topic ids (Fetch 13 and later, KIP-516) or of names, never of both.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "protocol/messages/fetch_request.h"
#include "protocol/messages/fetch_response.h"

namespace kurier::broker {

class FetchSession;

struct FetchContext {
  enum class Kind {
    kSessionless,  // no session before or after
    kFull,         // everything is in the request; may become a session
    kIncremental,  // what changed since the session's last request
  };
  protocol::ErrorCode error = protocol::ErrorCode::kNone;  // if not kNone, it is the whole answer
  Kind kind = Kind::kSessionless;
  bool uses_topic_ids = false;
  bool is_from_follower = false;
  std::int32_t epoch = 0;  // the request's
  // Everything to be fetched, in order, each partition once. With topic ids, a topic whose name is not known has none.
  std::vector<protocol::FetchRequest::FetchTopic> topics;
  std::shared_ptr<FetchSession> session;  // of an incremental request; touched on its own shard only
};

struct FetchSessionOptions {
  std::size_t slots = 1000;  // this shard's part of max.incremental.fetch.session.cache.slots
  std::int32_t shard = 0;
  std::int32_t shards = 1;
  // For all sessions together. Beyond it, requests are answered without a session; clients then send full ones.
  std::size_t memory_bytes_max = 64 << 20;
  // Of one session: each of its requests is work on all of them at once. Who names more is answered without a session.
  std::size_t partitions_max = 20'000;
};

class FetchSessions {
 public:
  // The name of a topic, by its id; none if there is no such topic.
  using NameOfTopic = std::function<std::optional<std::string>(TopicId)>;

  FetchSessions(Random& random, FetchSessionOptions options) : random_(random), options_(options) {}

  // Takes the topics out of the request. To be called on the shard that owns request.session_id, if that is not 0.
  // `names_once`: name_once has been called already.
  FetchContext begin(protocol::FetchRequest& request, std::int16_t version, const NameOfTopic& name_of,
                     MonotonicTime now, bool names_once = false);
  // The part of `begin` that needs no session, for whom it takes too long on a shard: a partition that is named twice stands
  // where it was first, with what was said last; topics have their names.
  static void name_once(protocol::FetchRequest& request, std::int16_t version, const NameOfTopic& name_of);

  // `response` holds one entry for each partition of `context`, in the order in which the next request is to read them.
  // Sets session id and error, and takes out what a client with a session knows already. `made`: made_of the same, which
  // needs no session either.
  void finish(const FetchContext& context, protocol::FetchResponse& response, std::shared_ptr<FetchSession> made,
              MonotonicTime now);
  void finish(const FetchContext& context, protocol::FetchResponse& response, MonotonicTime now) {
    finish(context, response, made_of(context, response, now, options_.partitions_max), now);
  }
  // What may become a session; null where there is to be none.
  [[nodiscard]] static std::shared_ptr<FetchSession> made_of(
      const FetchContext& context, const protocol::FetchResponse& response, MonotonicTime now,
      std::size_t partitions_max = FetchSessionOptions{}.partitions_max);

  [[nodiscard]] static std::int32_t shard_of(std::int32_t session_id, std::int32_t shards) {
    return static_cast<std::int32_t>(static_cast<std::uint32_t>(session_id) % static_cast<std::uint32_t>(shards));
  }
  // After the last one comes 1: 0 stands for a request that opens a session, -1 for one without.
  [[nodiscard]] static std::int32_t next_epoch(std::int32_t epoch);

  [[nodiscard]] std::size_t size() const { return sessions_.size(); }
  [[nodiscard]] std::size_t partitions() const { return partitions_; }
  [[nodiscard]] std::size_t memory_bytes() const { return memory_bytes_; }
  [[nodiscard]] std::uint64_t evictions() const { return evictions_; }

 private:
  // By value of an entry: followers' sessions are worth more than consumers', large ones more than small ones.
  using Worth = std::tuple<bool, std::size_t, std::int32_t>;

  FetchContext begin_full(protocol::FetchRequest& request, FetchContext context, const NameOfTopic& name_of,
                          bool names_once);
  FetchContext begin_incremental(protocol::FetchRequest& request, FetchContext context, const NameOfTopic& name_of,
                                 MonotonicTime now, bool names_once);
  [[nodiscard]] std::int32_t keep(const FetchContext& context, std::shared_ptr<FetchSession> session,
                                  MonotonicTime now);
  bool evict_for(bool privileged, std::size_t size, MonotonicTime now);
  void touch(const std::shared_ptr<FetchSession>& session, MonotonicTime now);
  void remove(std::int32_t id);
  [[nodiscard]] std::int32_t new_id();

  Random& random_;
  const FetchSessionOptions options_;
  std::map<std::int32_t, std::shared_ptr<FetchSession>> sessions_;
  std::set<std::pair<MonotonicTime, std::int32_t>> by_last_use_;
  std::set<Worth> evictable_by_all_;
  std::set<Worth> evictable_by_followers_;
  std::size_t partitions_ = 0;
  std::size_t memory_bytes_ = 0;
  std::uint64_t evictions_ = 0;
};

}  // namespace kurier::broker
