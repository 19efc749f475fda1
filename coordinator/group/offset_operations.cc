#include "coordinator/group/offset_operations.h"

#include <algorithm>
#include <limits>

#include "coordinator/group/java_strings.h"
#include "coordinator/group/records.h"

namespace kurier::coordinator {

using protocol::ErrorCode;
using protocol::OffsetCommitRequest;
using protocol::OffsetCommitResponse;
using protocol::OffsetDeleteRequest;
using protocol::OffsetDeleteResponse;
using protocol::OffsetFetchRequest;
using protocol::OffsetFetchResponse;
using protocol::TxnOffsetCommitRequest;
using protocol::TxnOffsetCommitResponse;

namespace {

constexpr std::int16_t kFirstVersionWithMemberEpochs = 9;  // KIP-848

}  // namespace

bool offset_metadata_fits(const std::optional<std::string>& metadata, const GroupOptions& options) {
  return !metadata || java_length(*metadata) <= options.offset_metadata_max;
}

namespace {

template <class Response, class Request>
OffsetDecision<Response> commit(const Request& request, const GroupOptions& options, Timestamp now, Timestamp expires) {
  OffsetDecision<Response> decision;
  for (const auto& topic : request.topics) {
    auto& answered = decision.response.topics.emplace_back();
    answered.name = topic.name;
    answered.topic_id = topic.topic_id;
    for (const auto& partition : topic.partitions) {
      auto& answer = answered.partitions.emplace_back();
      answer.partition_index = partition.partition_index;
      if (!offset_metadata_fits(partition.committed_metadata, options)) {
        answer.error_code = ErrorCode::kOffsetMetadataTooLarge;
        continue;
      }
      CommittedOffset offset;
      offset.offset = partition.committed_offset;
      offset.leader_epoch = partition.committed_leader_epoch;
      offset.metadata = partition.committed_metadata.value_or("");
      offset.commit_timestamp = now;
      offset.expire_timestamp = expires;
      offset.topic_id = topic.topic_id;
      decision.records.push_back(
          offset_record(request.group_id, {topic.name, partition.partition_index.value()}, offset));
    }
  }
  return decision;
}

template <class Response, class Request>
Response refuse(const Request& request, ErrorCode error) {
  Response response;
  for (const auto& topic : request.topics) {
    auto& answered = response.topics.emplace_back();
    answered.name = topic.name;
    answered.topic_id = topic.topic_id;
    for (const auto& partition : topic.partitions) {
      auto& answer = answered.partitions.emplace_back();
      answer.partition_index = partition.partition_index;
      answer.error_code = error;
    }
  }
  return response;
}

using FetchedPartition = OffsetFetchResponse::OffsetFetchResponsePartitions;

FetchedPartition no_offset(std::int32_t partition, ErrorCode error = ErrorCode::kNone) {
  FetchedPartition fetched;
  fetched.partition_index = PartitionIndex(partition);
  fetched.committed_offset = Offset(-1);
  fetched.committed_leader_epoch = LeaderEpoch(-1);
  fetched.metadata = "";
  fetched.error_code = error;
  return fetched;
}

FetchedPartition fetched_offset(std::int32_t partition, const CommittedOffset& offset) {
  FetchedPartition fetched;
  fetched.partition_index = PartitionIndex(partition);
  fetched.committed_offset = offset.offset;
  fetched.committed_leader_epoch = offset.leader_epoch;
  fetched.metadata = offset.metadata;
  return fetched;
}

// Java's arithmetic: a client may send any retention, a record may have any timestamp.
std::int64_t add_wrapping(std::int64_t left, std::int64_t right) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(left) + static_cast<std::uint64_t>(right));
}
std::int64_t subtract_wrapping(std::int64_t left, std::int64_t right) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(left) - static_cast<std::uint64_t>(right));
}

// Committed to a topic that has been deleted and created again.
bool is_of_another_topic(const CommittedOffset& offset, const TopicId& asked) {
  return !offset.topic_id.is_zero() && !asked.is_zero() && offset.topic_id != asked;
}

bool is_expired(const CommittedOffset& offset, const ExpiryRule& rule, const GroupOptions& options, Timestamp now) {
  if (offset.expire_timestamp != Timestamp(-1)) return now >= offset.expire_timestamp;
  const Timestamp since = rule.since.value_or(offset.commit_timestamp);
  return subtract_wrapping(now.value(), since.value()) >= options.offsets_retention.count();
}

}  // namespace

OffsetDecision<OffsetCommitResponse> commit_offsets(const OffsetCommitRequest& request, const GroupOptions& options,
                                                    Timestamp now) {
  // Versions 2 to 4 may bring a retention of their own.
  const Timestamp expires =
      request.retention_time_ms == -1 ? Timestamp(-1) : Timestamp(add_wrapping(now.value(), request.retention_time_ms));
  return commit<OffsetCommitResponse>(request, options, now, expires);
}

OffsetDecision<TxnOffsetCommitResponse> commit_offsets(const TxnOffsetCommitRequest& request,
                                                       const GroupOptions& options, Timestamp now) {
  return commit<TxnOffsetCommitResponse>(request, options, now, Timestamp(-1));
}

OffsetCommitResponse refuse_commit(const OffsetCommitRequest& request, ErrorCode error) {
  return refuse<OffsetCommitResponse>(request, error);
}
TxnOffsetCommitResponse refuse_commit(const TxnOffsetCommitRequest& request, ErrorCode error) {
  return refuse<TxnOffsetCommitResponse>(request, error);
}

ErrorCode check_commit(const ClassicGroup& group, const Committer& committer) {
  // No member: an administrator, or a consumer that assigns itself. Only an empty group takes that, except in a
  // transaction, whose producer may be older than KIP-447.
  const bool anonymous = committer.generation_id < 0 && committer.member_id.empty() && !committer.group_instance_id;
  if (committer.generation_id < 0 && group.is(ClassicGroupState::kEmpty)) return ErrorCode::kNone;
  if (anonymous) {
    if (!committer.transactional) return ErrorCode::kUnknownMemberId;
  } else {
    if (const ErrorCode error = group.check_member(committer.member_id, committer.group_instance_id);
        error != ErrorCode::kNone) {
      return error;
    }
    if (committer.generation_id != group.generation_id()) return ErrorCode::kIllegalGeneration;
  }
  // Until it has its assignment a member does not know what is its own to commit.
  if (!committer.transactional && group.is(ClassicGroupState::kCompletingRebalance))
    return ErrorCode::kRebalanceInProgress;
  return ErrorCode::kNone;
}

ErrorCode check_commit(const OtherGroup& group, const Committer& committer, std::int16_t api_version) {
  if (group.type == GroupType::kShare) return ErrorCode::kGroupIdNotFound;
  if (committer.generation_id < 0 && group.is_empty()) return ErrorCode::kNone;
  if (committer.transactional && committer.generation_id == -1 && committer.member_id.empty() &&
      !committer.group_instance_id) {
    return ErrorCode::kNone;
  }
  const auto member = group.member_epochs.find(committer.member_id);
  if (member == group.member_epochs.end()) return ErrorCode::kUnknownMemberId;
  if (!committer.transactional && api_version < kFirstVersionWithMemberEpochs) return ErrorCode::kUnsupportedVersion;
  return member->second == committer.generation_id ? ErrorCode::kNone : ErrorCode::kStaleMemberEpoch;
}

OffsetDecision<OffsetDeleteResponse> delete_offsets(const OffsetDeleteRequest& request, const GroupStateReader& state,
                                                    const std::function<bool(const std::string&)>& is_subscribed) {
  OffsetDecision<OffsetDeleteResponse> decision;
  for (const auto& topic : request.topics) {
    auto& answered = decision.response.topics.emplace_back();
    answered.name = topic.name;
    const bool subscribed = is_subscribed(topic.name);
    for (const auto& partition : topic.partitions) {
      auto& answer = answered.partitions.emplace_back();
      answer.partition_index = partition.partition_index;
      if (subscribed) {
        answer.error_code = ErrorCode::kGroupSubscribedToTopic;
        continue;
      }
      const std::int32_t index = partition.partition_index.value();
      if (state.offset(request.group_id, topic.name, index) || state.has_pending(request.group_id, topic.name, index)) {
        decision.records.push_back(offset_tombstone(request.group_id, {topic.name, index}));
      }
    }
  }
  return decision;
}

std::vector<CoordinatorRecord> delete_all_offsets(const std::string& group, const GroupStateReader& state) {
  std::vector<CoordinatorRecord> records;
  state.for_each_offset(group, [&](const TopicPartition& partition, const CommittedOffset&) {
    records.push_back(offset_tombstone(group, partition));
  });
  std::optional<TopicPartition> last;  // several producers may have the same partition pending
  state.for_each_pending(group, [&](ProducerId, const TopicPartition& partition, const CommittedOffset&) {
    if (last != partition && !state.offset(group, partition.topic, partition.partition)) {
      records.push_back(offset_tombstone(group, partition));
    }
    last = partition;
  });
  return records;
}

OffsetFetchResponse::OffsetFetchResponseGroup fetch_no_offsets(
    const OffsetFetchRequest::OffsetFetchRequestGroup& request) {
  OffsetFetchResponse::OffsetFetchResponseGroup response;
  response.group_id = request.group_id;
  if (!request.topics) return response;
  for (const auto& topic : *request.topics) {
    auto& fetched = response.topics.emplace_back();
    fetched.name = topic.name;
    fetched.topic_id = topic.topic_id;
    for (PartitionIndex partition : topic.partition_indexes) fetched.partitions.push_back(no_offset(partition.value()));
  }
  return response;
}

OffsetFetchResponse::OffsetFetchResponseGroup fetch_offsets(const OffsetFetchRequest::OffsetFetchRequestGroup& request,
                                                            const GroupStateReader& state, bool require_stable,
                                                            const std::optional<TopicPartition>& after,
                                                            OffsetsPage& page) {
  OffsetFetchResponse::OffsetFetchResponseGroup response;
  response.group_id = request.group_id;
  const bool may_be_unstable = require_stable && state.has_any_pending(request.group_id);
  const auto is_unstable = [&](const std::string& topic, std::int32_t partition) {
    return may_be_unstable && state.has_pending(request.group_id, topic, partition);
  };
  if (!request.topics) {
    std::size_t count = 0;
    state.visit_offsets(request.group_id, after, [&](const TopicPartition& where, const CommittedOffset& offset) {
      if (response.topics.empty() || response.topics.back().name != where.topic)
        response.topics.emplace_back().name = where.topic;
      response.topics.back().partitions.push_back(is_unstable(where.topic, where.partition)
                                                      ? no_offset(where.partition, ErrorCode::kUnstableOffsetCommit)
                                                      : fetched_offset(where.partition, offset));
      if (++count < page.count) return true;
      page.after = where;
      return false;
    });
    return response;
  }
  for (const auto& topic : *request.topics) {
    auto& fetched = response.topics.emplace_back();
    fetched.name = topic.name;
    fetched.topic_id = topic.topic_id;
    for (PartitionIndex index : topic.partition_indexes) {
      if (is_unstable(topic.name, index.value())) {
        fetched.partitions.push_back(no_offset(index.value(), ErrorCode::kUnstableOffsetCommit));
        continue;
      }
      const auto offset = state.offset(request.group_id, topic.name, index.value());
      const bool has = offset && !is_of_another_topic(*offset, topic.topic_id);
      fetched.partitions.push_back(has ? fetched_offset(index.value(), *offset) : no_offset(index.value()));
    }
  }
  return response;
}

bool GoneTopics::include(const TopicPartition& partition, const CommittedOffset& offset) const {
  if (others && others(partition, offset)) return true;
  for (auto at = deleted.lower_bound({partition.topic, {}}); at != deleted.end() && at->name == partition.topic; ++at) {
    if (offset.topic_id.is_zero() || offset.topic_id == at->id) return true;
  }
  return false;
}

std::optional<TopicPartition> GoneTopics::begin(const std::optional<TopicPartition>& after) const {
  if (others) return after;
  TopicPartition first{deleted.begin()->name, std::numeric_limits<std::int32_t>::min()};
  return after ? std::max(*after, first) : first;
}

bool GoneTopics::end_before(const TopicPartition& partition) const {
  return !others && partition.topic > deleted.rbegin()->name;
}

OffsetsPart offsets_of_topics(const std::string& group, const GoneTopics& topics, const GroupStateReader& state,
                              const std::optional<TopicPartition>& after, std::size_t count) {
  OffsetsPart part;
  state.visit_offsets(group, topics.begin(after), [&](const TopicPartition& partition, const CommittedOffset& offset) {
    if (topics.end_before(partition)) return false;
    if (topics.include(partition, offset)) part.records.push_back(offset_tombstone(group, partition));
    if (++part.looked_at < count) return true;
    part.last = partition;
    return false;
  });
  return part;
}

OffsetsPart pending_offsets_of_topics(const std::string& group, const GoneTopics& topics, const GroupStateReader& state,
                                      const std::optional<TopicPartition>& after, std::size_t count) {
  OffsetsPart part;
  std::optional<TopicPartition> gone;  // several producers may have the same partition pending
  std::optional<TopicPartition> before;
  state.visit_pending(group, topics.begin(after),
                      [&](ProducerId, const TopicPartition& partition, const CommittedOffset& offset) {
                        if (topics.end_before(partition)) return false;
                        if (part.looked_at >= count && before != partition) {
                          part.last = before;
                          return false;
                        }
                        before = partition;
                        ++part.looked_at;
                        if (gone == partition || !topics.include(partition, offset)) return true;
                        gone = partition;
                        const auto committed = state.offset(group, partition.topic, partition.partition);
                        const bool goes_with_it = committed && topics.include(partition, *committed);
                        if (!goes_with_it) part.records.push_back(offset_tombstone(group, partition));
                        return true;
                      });
  return part;
}

ExpiryRule expiry_rule(const ClassicGroup& group) {
  ExpiryRule rule;
  rule.keeps = [&group](const std::string& topic) { return group.is_subscribed_to(topic); };
  if (!group.protocol_type()) return rule;  // no members ever: by the commits
  if (group.is(ClassicGroupState::kEmpty)) {
    rule.since = group.state_since();
    return rule;
  }
  // Of a consumer group that is alive, what it does not read (any more) grows old.
  rule.never = !(group.uses_consumer_protocol() && group.subscribed_topics() && group.is(ClassicGroupState::kStable));
  return rule;
}

ExpiryRule expiry_rule(const OtherGroup& group) {
  ExpiryRule rule;
  rule.never = group.type == GroupType::kShare || !group.is_empty();
  rule.keeps = [](const std::string&) { return false; };
  return rule;
}

OffsetsPart expired_offsets(const std::string& group, const ExpiryRule& rule, const GroupStateReader& state,
                            const GroupOptions& options, Timestamp now, const std::optional<TopicPartition>& after,
                            std::size_t count) {
  OffsetsPart part;
  const bool pending = state.has_any_pending(group);
  part.something_stays = pending || rule.never;
  if (rule.never) return part;
  state.visit_offsets(group, after, [&](const TopicPartition& partition, const CommittedOffset& offset) {
    const bool goes = !rule.keeps(partition.topic) && is_expired(offset, rule, options, now) &&
                      !(pending && state.has_pending(group, partition.topic, partition.partition));
    if (goes) {
      part.records.push_back(offset_tombstone(group, partition));
    } else {
      part.something_stays = true;
    }
    if (++part.looked_at < count) return true;
    part.last = partition;
    return false;
  });
  return part;
}

}  // namespace kurier::coordinator
