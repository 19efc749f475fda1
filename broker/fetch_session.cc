#include "broker/fetch_session.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace kurier::broker {

using protocol::ErrorCode;
using protocol::FetchRequest;
using protocol::FetchResponse;
using PartitionRequest = FetchRequest::FetchPartition;
using PartitionData = FetchResponse::PartitionData;
using Kind = FetchContext::Kind;

namespace {

constexpr std::int32_t kNoSession = 0;
constexpr std::int32_t kInitialEpoch = 0;  // a full request that may become a session
constexpr std::int32_t kFinalEpoch = -1;   // a full request that will not
constexpr std::int16_t kFirstVersionWithTopicIds = 13;
// An entry that is younger than this, or was used within it, is not evicted for its size or its age.
constexpr std::chrono::milliseconds kEvictionAge{120'000};

// By id, or by name where there are no ids.
using TopicKey = std::pair<TopicId, std::string>;

template <class Topic>
TopicKey key_of(const Topic& topic, bool uses_topic_ids) {
  return uses_topic_ids ? TopicKey{topic.topic_id, {}} : TopicKey{{}, topic.topic};
}

// Appends to the last topic if it is the same, as responses do.
PartitionRequest& add(std::vector<FetchRequest::FetchTopic>& topics, const TopicKey& key, const std::string& name,
                      const PartitionRequest& partition) {
  const bool same = !topics.empty() && topics.back().topic_id == key.first && topics.back().topic == name;
  if (!same) {
    auto& topic = topics.emplace_back();
    topic.topic_id = key.first;
    topic.topic = name;
  }
  return topics.back().partitions.emplace_back(partition);
}

// One entry for partitions of one topic that stand side by side, as in responses; none without partitions.
void join_neighbours(std::vector<FetchRequest::FetchTopic>& topics) {
  std::size_t count = 0;
  for (auto& topic : topics) {
    if (topic.partitions.empty()) continue;
    auto* last = count == 0 ? nullptr : &topics[count - 1];
    if (last != nullptr && last->topic_id == topic.topic_id && last->topic == topic.topic) {
      last->partitions.insert(last->partitions.end(), topic.partitions.begin(), topic.partitions.end());
    } else {
      if (&topics[count] != &topic) topics[count] = std::move(topic);
      ++count;
    }
  }
  topics.resize(count);
}

// A partition that is named twice stands where it was first, with what was said last. Sorted positions instead of a map: a
// request may name a million.
std::vector<FetchRequest::FetchTopic> once_each(std::vector<FetchRequest::FetchTopic> topics, bool uses_topic_ids,
                                                const FetchSessions::NameOfTopic& name_of) {
  struct Place {
    std::uint32_t topic = 0;
    std::uint32_t at = 0;
    auto operator<=>(const Place&) const = default;
  };
  std::vector<Place> places;
  for (std::uint32_t i = 0; i < topics.size(); ++i) {
    if (uses_topic_ids) topics[i].topic = name_of(topics[i].topic_id).value_or("");
    for (std::uint32_t at = 0; at < topics[i].partitions.size(); ++at) places.push_back({i, at});
  }
  const auto request_at = [&](const Place& place) -> PartitionRequest& {
    return topics[place.topic].partitions[place.at];
  };
  const auto compare = [&](const Place& left, const Place& right) {
    const auto& one = topics[left.topic];
    const auto& other = topics[right.topic];
    if (left.topic != right.topic) {
      const auto order = uses_topic_ids ? one.topic_id <=> other.topic_id : one.topic <=> other.topic;
      if (order != 0) return order;
    }
    return request_at(left).partition <=> request_at(right).partition;
  };
  std::ranges::sort(places, [&](const Place& left, const Place& right) {
    const auto order = compare(left, right);
    return order < 0 || (order == 0 && left < right);
  });
  std::vector<Place> repeated;
  for (std::size_t i = 1, first = 0; i < places.size(); ++i) {
    if (compare(places[first], places[i]) != 0) {
      first = i;
      continue;
    }
    request_at(places[first]) = request_at(places[i]);
    repeated.push_back(places[i]);
  }
  std::ranges::sort(repeated);
  auto next = repeated.begin();
  for (std::uint32_t i = 0; i < topics.size(); ++i) {
    std::uint32_t at = 0;
    if (next == repeated.end()) break;
    std::erase_if(topics[i].partitions, [&](const PartitionRequest&) {
      const bool is_repeated = next != repeated.end() && *next == Place{i, at};
      ++at;
      if (is_repeated) ++next;
      return is_repeated;
    });
  }
  join_neighbours(topics);
  return topics;
}

bool is_diverging(const PartitionData& data) { return data.diverging_epoch.epoch.value() >= 0; }

}  // namespace

class FetchSession {
 public:
  FetchSession(bool privileged, bool uses_topic_ids, MonotonicTime now)
      : privileged(privileged), uses_topic_ids(uses_topic_ids), created(now) {}
  FetchSession(const FetchSession&) = delete;
  FetchSession& operator=(const FetchSession&) = delete;

  struct Topic;
  struct Partition {
    const TopicKey* topic_key = nullptr;
    const Topic* topic = nullptr;
    Partition* previous = nullptr;
    Partition* next = nullptr;
    Offset fetch_offset;
    Offset log_start_offset;    // the follower's
    Offset high_watermark{-1};  // as the client was last told; -1: to be told
    Offset local_log_start_offset{-1};
    PartitionIndex index;
    LeaderEpoch current_leader_epoch;
    LeaderEpoch last_fetched_epoch;
    std::int32_t bytes_max = 0;

    void wants(const PartitionRequest& request) {
      fetch_offset = request.fetch_offset;
      log_start_offset = request.log_start_offset;
      current_leader_epoch = request.current_leader_epoch;
      last_fetched_epoch = request.last_fetched_epoch;
      bytes_max = request.partition_max_bytes;
    }
    [[nodiscard]] PartitionRequest request() const {
      PartitionRequest request;
      request.partition = index;
      request.fetch_offset = fetch_offset;
      request.log_start_offset = log_start_offset;
      request.current_leader_epoch = current_leader_epoch;
      request.last_fetched_epoch = last_fetched_epoch;
      request.partition_max_bytes = bytes_max;
      return request;
    }
    // Whether the client has to be told; remembers that it is.
    bool changed_to(const PartitionData& data);
  };
  struct Topic {
    std::string name;  // with topic ids: once it is known, it stays
    std::map<PartitionIndex, Partition> partitions;
  };

  Partition& put(const TopicKey& key, const std::string& name, const PartitionRequest& request);
  void forget(const TopicKey& key, const std::vector<std::int32_t>& indexes);
  [[nodiscard]] Partition* find(const TopicKey& key, PartitionIndex index);
  // It is read last next time.
  void move_to_end(Partition& partition) {
    unlink(partition);
    link(partition);
  }
  [[nodiscard]] std::vector<FetchRequest::FetchTopic> everything(const FetchSessions::NameOfTopic& name_of);
  [[nodiscard]] bool empty() const { return first_ == nullptr; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::size_t memory_bytes() const { return memory_bytes_; }

  std::int32_t id = 0;  // before it is kept
  const bool privileged;
  const bool uses_topic_ids;
  const MonotonicTime created;
  MonotonicTime last_used{};
  std::int32_t epoch = FetchSessions::next_epoch(kInitialEpoch);
  // What the cache has counted.
  bool is_counted = false;
  std::size_t counted_size = 0;
  std::size_t counted_bytes = 0;

 private:
  static constexpr std::size_t kNodeBytes = 48;  // of a map

  void link(Partition& partition) {
    partition.previous = last_;
    partition.next = nullptr;
    (last_ == nullptr ? first_ : last_->next) = &partition;
    last_ = &partition;
  }
  void unlink(Partition& partition) {
    (partition.previous == nullptr ? first_ : partition.previous->next) = partition.next;
    (partition.next == nullptr ? last_ : partition.next->previous) = partition.previous;
  }
  static std::size_t bytes_of(const TopicKey& key, const Topic& topic) {
    return sizeof(TopicKey) + sizeof(Topic) + kNodeBytes + key.second.size() + topic.name.size();
  }

  std::map<TopicKey, Topic> topics_;
  Partition* first_ = nullptr;
  Partition* last_ = nullptr;
  std::size_t size_ = 0;
  std::size_t memory_bytes_ = sizeof(FetchSession);
};

bool FetchSession::Partition::changed_to(const PartitionData& data) {
  bool changed = data.records.size_bytes() > 0 || data.preferred_read_replica.value() >= 0 || is_diverging(data);
  changed = changed || high_watermark != data.high_watermark || local_log_start_offset != data.log_start_offset;
  high_watermark = data.high_watermark;
  local_log_start_offset = data.log_start_offset;
  if (data.error_code != ErrorCode::kNone) {
    // When the error is gone, the client is told of the partition even if nothing else has changed.
    high_watermark = Offset(-1);
    changed = true;
  }
  return changed;
}

FetchSession::Partition& FetchSession::put(const TopicKey& key, const std::string& name,
                                           const PartitionRequest& request) {
  const auto [topic, is_new_topic] = topics_.try_emplace(key);
  if (is_new_topic) {
    if (uses_topic_ids) topic->second.name = name;
    memory_bytes_ += bytes_of(topic->first, topic->second);
  }
  const auto [partition, is_new] = topic->second.partitions.try_emplace(request.partition);
  if (is_new) {
    partition->second.topic_key = &topic->first;
    partition->second.topic = &topic->second;
    partition->second.index = request.partition;
    link(partition->second);
    ++size_;
    memory_bytes_ += sizeof(Partition) + kNodeBytes;
  }
  partition->second.wants(request);
  return partition->second;
}

void FetchSession::forget(const TopicKey& key, const std::vector<std::int32_t>& indexes) {
  const auto topic = topics_.find(key);
  if (topic == topics_.end()) return;
  for (const std::int32_t index : indexes) {
    const auto partition = topic->second.partitions.find(PartitionIndex(index));
    if (partition == topic->second.partitions.end()) continue;
    unlink(partition->second);
    topic->second.partitions.erase(partition);
    --size_;
    memory_bytes_ -= sizeof(Partition) + kNodeBytes;
    if (topic->second.partitions.empty()) break;
  }
  if (!topic->second.partitions.empty()) return;
  memory_bytes_ -= bytes_of(topic->first, topic->second);
  topics_.erase(topic);
}

FetchSession::Partition* FetchSession::find(const TopicKey& key, PartitionIndex index) {
  const auto topic = topics_.find(key);
  if (topic == topics_.end()) return nullptr;
  const auto partition = topic->second.partitions.find(index);
  return partition == topic->second.partitions.end() ? nullptr : &partition->second;
}

std::vector<FetchRequest::FetchTopic> FetchSession::everything(const FetchSessions::NameOfTopic& name_of) {
  if (uses_topic_ids) {
    for (auto& [key, topic] : topics_) {
      if (!topic.name.empty()) continue;
      topic.name = name_of(key.first).value_or("");
      memory_bytes_ += topic.name.size();
    }
  }
  std::vector<FetchRequest::FetchTopic> all;
  for (const Partition* partition = first_; partition != nullptr; partition = partition->next) {
    add(all, *partition->topic_key, uses_topic_ids ? partition->topic->name : partition->topic_key->second,
        partition->request());
  }
  return all;
}

std::int32_t FetchSessions::next_epoch(std::int32_t epoch) {
  if (epoch < 0) return kFinalEpoch;
  return epoch == INT32_MAX ? 1 : epoch + 1;
}

FetchContext FetchSessions::begin(FetchRequest& request, std::int16_t version, const NameOfTopic& name_of,
                                  MonotonicTime now, bool names_once) {
  FetchContext context;
  context.epoch = request.session_epoch;
  context.uses_topic_ids = version >= kFirstVersionWithTopicIds;
  // The replica id moved with version 15 (KIP-903).
  context.is_from_follower = (version >= 15 ? request.replica_state.replica_id : request.replica_id).value() >= 0;
  const bool is_full = request.session_epoch == kInitialEpoch || request.session_epoch == kFinalEpoch;
  if (is_full) return begin_full(request, std::move(context), name_of, names_once);
  return begin_incremental(request, std::move(context), name_of, now, names_once);
}

void FetchSessions::name_once(FetchRequest& request, std::int16_t version, const NameOfTopic& name_of) {
  request.topics = once_each(std::move(request.topics), version >= kFirstVersionWithTopicIds, name_of);
}

FetchContext FetchSessions::begin_full(FetchRequest& request, FetchContext context, const NameOfTopic& name_of,
                                       bool names_once) {
  // A session that a full request names is over.
  if (request.session_id != kNoSession) remove(request.session_id);
  context.kind = request.session_epoch == kFinalEpoch ? Kind::kSessionless : Kind::kFull;
  if (!names_once) request.topics = once_each(std::move(request.topics), context.uses_topic_ids, name_of);
  context.topics = std::move(request.topics);
  return context;
}

FetchContext FetchSessions::begin_incremental(FetchRequest& request, FetchContext context, const NameOfTopic& name_of,
                                              MonotonicTime now, bool names_once) {
  const auto refuse = [&](ErrorCode error) {
    context.error = error;
    return std::move(context);
  };
  const auto found = sessions_.find(request.session_id);
  if (found == sessions_.end()) return refuse(ErrorCode::kFetchSessionIdNotFound);
  const std::shared_ptr<FetchSession> session = found->second;
  if (session->epoch != request.session_epoch) return refuse(ErrorCode::kInvalidFetchSessionEpoch);
  if (session->uses_topic_ids != context.uses_topic_ids) return refuse(ErrorCode::kFetchSessionTopicIdError);

  for (const auto& topic : request.topics) {
    const TopicKey key = key_of(topic, context.uses_topic_ids);
    const std::string name = context.uses_topic_ids ? name_of(topic.topic_id).value_or("") : "";
    for (const PartitionRequest& partition : topic.partitions) {
      session->put(key, name, partition);
      const bool fits = memory_bytes_ - session->counted_bytes + session->memory_bytes() <= options_.memory_bytes_max;
      if (fits && session->size() <= options_.partitions_max) continue;
      remove(session->id);
      return refuse(ErrorCode::kFetchSessionIdNotFound);
    }
  }
  for (const auto& topic : request.forgotten_topics_data) {
    const TopicKey key = key_of(topic, context.uses_topic_ids);
    session->forget(key, topic.partitions);
  }
  if (session->empty()) {
    remove(session->id);
    context.kind = Kind::kSessionless;
    if (!names_once) request.topics = once_each(std::move(request.topics), context.uses_topic_ids, name_of);
    context.topics = std::move(request.topics);
    return context;
  }
  session->epoch = next_epoch(session->epoch);
  context.kind = Kind::kIncremental;
  context.topics = session->everything(name_of);
  context.session = session;
  touch(session, now);
  return context;
}

void FetchSessions::finish(const FetchContext& context, FetchResponse& response, std::shared_ptr<FetchSession> made,
                           MonotonicTime now) {
  response.session_id = kNoSession;
  response.error_code = context.error;
  if (context.error != ErrorCode::kNone) {
    response.responses.clear();
    return;
  }
  if (context.kind == Kind::kSessionless) return;
  if (context.kind == Kind::kFull) {
    response.session_id = keep(context, std::move(made), now);
    return;
  }
  FetchSession& session = *context.session;
  response.session_id = session.id;
  // A duplicate of the request has been here in between.
  if (session.epoch != next_epoch(context.epoch)) {
    response.error_code = ErrorCode::kInvalidFetchSessionEpoch;
    response.responses.clear();
    return;
  }
  for (auto& topic : response.responses) {
    const TopicKey key = key_of(topic, context.uses_topic_ids);
    std::erase_if(topic.partitions, [&](const PartitionData& data) {
      FetchSession::Partition* partition = session.find(key, data.partition_index);
      if (partition == nullptr || !partition->changed_to(data)) return true;
      // Whoever got something waits until the others have had their turn.
      if (data.records.size_bytes() > 0) session.move_to_end(*partition);
      return false;
    });
  }
  std::erase_if(response.responses, [](const auto& topic) { return topic.partitions.empty(); });
}

std::shared_ptr<FetchSession> FetchSessions::made_of(const FetchContext& context, const FetchResponse& response,
                                                     MonotonicTime now, std::size_t partitions_max) {
  std::size_t size = 0;
  for (const auto& topic : response.responses) size += topic.partitions.size();
  if (context.error != ErrorCode::kNone || context.kind != Kind::kFull || size > partitions_max) return nullptr;
  auto session = std::make_shared<FetchSession>(context.is_from_follower, context.uses_topic_ids, now);

  std::map<std::pair<TopicKey, PartitionIndex>, const PartitionRequest*> requests;
  std::map<TopicKey, const std::string*> names;
  for (const auto& topic : context.topics) {
    const TopicKey key = key_of(topic, context.uses_topic_ids);
    names.emplace(key, &topic.topic);
    for (const PartitionRequest& partition : topic.partitions)
      requests.emplace(std::pair{key, partition.partition}, &partition);
  }
  for (const auto& topic : response.responses) {
    const TopicKey key = key_of(topic, context.uses_topic_ids);
    for (const PartitionData& data : topic.partitions) {
      const auto request = requests.find({key, data.partition_index});
      KURIER_CHECK(request != requests.end());
      auto& partition = session->put(key, *names.at(key), *request->second);
      partition.high_watermark = data.high_watermark;
      partition.local_log_start_offset = data.log_start_offset;
    }
  }
  return session;
}

std::int32_t FetchSessions::keep(const FetchContext& context, std::shared_ptr<FetchSession> session,
                                 MonotonicTime now) {
  if (session == nullptr) return kNoSession;
  if (sessions_.size() >= options_.slots && !evict_for(context.is_from_follower, session->size(), now))
    return kNoSession;
  if (memory_bytes_ + session->memory_bytes() > options_.memory_bytes_max) return kNoSession;
  session->id = new_id();
  sessions_.emplace(session->id, session);
  touch(session, now);
  return session->id;
}

// KIP-227: what has not been used for long goes first. Otherwise the new one must be worth more than the least of those
// that may be evicted: consumers' by followers at any time, others when they are old enough.
bool FetchSessions::evict_for(bool privileged, std::size_t size, MonotonicTime now) {
  if (by_last_use_.empty()) return false;
  const auto [last_used, id] = *by_last_use_.begin();
  if (now - last_used > kEvictionAge) {
    remove(id);
    ++evictions_;
    return true;
  }
  const std::set<Worth>& evictable = privileged ? evictable_by_followers_ : evictable_by_all_;
  if (evictable.empty() || Worth{privileged, size, 0} < *evictable.begin()) return false;
  remove(std::get<2>(*evictable.begin()));
  ++evictions_;
  return true;
}

void FetchSessions::touch(const std::shared_ptr<FetchSession>& session, MonotonicTime now) {
  by_last_use_.erase({session->last_used, session->id});
  session->last_used = now;
  by_last_use_.emplace(now, session->id);
  const Worth old{session->privileged, session->counted_size, session->id};
  if (session->is_counted) {
    evictable_by_all_.erase(old);
    evictable_by_followers_.erase(old);
  }
  partitions_ += session->size() - session->counted_size;
  memory_bytes_ += session->memory_bytes() - session->counted_bytes;
  session->is_counted = true;
  session->counted_size = session->size();
  session->counted_bytes = session->memory_bytes();
  const Worth worth{session->privileged, session->counted_size, session->id};
  const bool is_old = now - session->created > kEvictionAge;
  if (!session->privileged || is_old) evictable_by_followers_.insert(worth);
  if (is_old) evictable_by_all_.insert(worth);
}

void FetchSessions::remove(std::int32_t id) {
  const auto found = sessions_.extract(id);
  if (!found) return;
  FetchSession& session = *found.mapped();
  by_last_use_.erase({session.last_used, id});
  const Worth worth{session.privileged, session.counted_size, id};
  evictable_by_all_.erase(worth);
  evictable_by_followers_.erase(worth);
  partitions_ -= session.counted_size;
  memory_bytes_ -= session.counted_bytes;
}

// Positive, not in use, and of this shard.
std::int32_t FetchSessions::new_id() {
  const auto shards = static_cast<std::uint64_t>(options_.shards);
  while (true) {
    const std::uint64_t drawn = random_.below((std::uint64_t{INT32_MAX} + 1) / shards) * shards;
    const auto id = static_cast<std::int32_t>(drawn + static_cast<std::uint64_t>(options_.shard));
    if (id > 0 && !sessions_.contains(id)) return id;
  }
}

}  // namespace kurier::broker
