// Committed offsets: what may be committed, deleted, read and forgotten. Which group it is, and whether the request may
// touch it, is GroupCoordinator's; these functions make records from requests and answers from the state. Pure
// functions.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "coordinator/group/classic_group.h"
#include "coordinator/group/options.h"
#include "coordinator/group/other_groups.h"
#include "coordinator/group/outcome.h"
#include "coordinator/group/state.h"
#include "protocol/messages/offset_commit_request.h"
#include "protocol/messages/offset_delete_request.h"
#include "protocol/messages/offset_fetch_request.h"
#include "protocol/messages/offset_fetch_response.h"
#include "protocol/messages/txn_offset_commit_request.h"

namespace kurier::coordinator {

template <class Response>
struct OffsetDecision {
  std::vector<CoordinatorRecord> records;
  Response response;
};

// A group that may commit: one record a partition; OFFSET_METADATA_TOO_LARGE for those that say too much.
[[nodiscard]] OffsetDecision<protocol::OffsetCommitResponse> commit_offsets(
    const protocol::OffsetCommitRequest& request, const GroupOptions& options, Timestamp now);
[[nodiscard]] OffsetDecision<protocol::TxnOffsetCommitResponse> commit_offsets(
    const protocol::TxnOffsetCommitRequest& request, const GroupOptions& options, Timestamp now);
// Whether what a client adds to an offset is short enough, and what a record of an offset takes at least, without the names of
// its group and its topic.
[[nodiscard]] bool offset_metadata_fits(const std::optional<std::string>& metadata, const GroupOptions& options);
inline constexpr std::size_t kOffsetRecordBytesMin = 39;
// The same error for every partition.
[[nodiscard]] protocol::OffsetCommitResponse refuse_commit(const protocol::OffsetCommitRequest& request,
                                                           protocol::ErrorCode error);
[[nodiscard]] protocol::TxnOffsetCommitResponse refuse_commit(const protocol::TxnOffsetCommitRequest& request,
                                                              protocol::ErrorCode error);

// What a classic group says to a commit (KIP-447: a transactional one by a member is checked too).
struct Committer {
  const std::string& member_id;
  const std::optional<std::string>& group_instance_id;
  std::int32_t generation_id = -1;
  bool transactional = false;
};
[[nodiscard]] protocol::ErrorCode check_commit(const ClassicGroup& group, const Committer& committer);
[[nodiscard]] protocol::ErrorCode check_commit(const OtherGroup& group, const Committer& committer,
                                               std::int16_t api_version);

// Deletes what is named; GROUP_SUBSCRIBED_TO_TOPIC where the group reads it. `is_subscribed` says so of a topic.
[[nodiscard]] OffsetDecision<protocol::OffsetDeleteResponse> delete_offsets(
    const protocol::OffsetDeleteRequest& request, const GroupStateReader& state,
    const std::function<bool(const std::string&)>& is_subscribed);
// Tombstones for everything that the group has committed or has pending.
[[nodiscard]] std::vector<CoordinatorRecord> delete_all_offsets(const std::string& group,
                                                                const GroupStateReader& state);

// A part of all that a group has.
struct OffsetsPage {
  std::size_t count = SIZE_MAX;
  // Where it begins, then where the next one does; none: at the beginning, at the end.
  std::optional<TopicPartition> after;
};
// `request.topics` without a value: `page.count` of what the group has behind `after`. The group is there, and the request may
// read it.
[[nodiscard]] protocol::OffsetFetchResponse::OffsetFetchResponseGroup fetch_offsets(
    const protocol::OffsetFetchRequest::OffsetFetchRequestGroup& request, const GroupStateReader& state,
    bool require_stable, const std::optional<TopicPartition>& after, OffsetsPage& page);
// Nothing is committed.
[[nodiscard]] protocol::OffsetFetchResponse::OffsetFetchResponseGroup fetch_no_offsets(
    const protocol::OffsetFetchRequest::OffsetFetchRequestGroup& request);

// A part of what a group has: about `count` offsets behind `after` have been looked at.
struct OffsetsPart {
  std::vector<CoordinatorRecord> records;  // tombstones for those that go
  bool something_stays = false;
  std::size_t looked_at = 0;
  std::optional<TopicPartition> last;  // of those looked at; none: that was the end
};

// Offsets of a deleted topic: those committed by name, or to this very topic.
struct DeletedTopic {
  std::string name;
  TopicId id;
  auto operator<=>(const DeletedTopic&) const = default;
};
using DeletedTopics = std::set<DeletedTopic>;
// Whether the offset is of a topic that is gone, where that is not known by the topics' names.
using IsGone = std::function<bool(const TopicPartition&, const CommittedOffset&)>;
struct GoneTopics {
  DeletedTopics deleted;
  IsGone others = {};

  [[nodiscard]] bool any() const { return !deleted.empty() || others; }
  [[nodiscard]] bool include(const TopicPartition& partition, const CommittedOffset& offset) const;
  // Where the offsets begin that may be theirs, unless that is passed.
  [[nodiscard]] std::optional<TopicPartition> begin(const std::optional<TopicPartition>& after) const;
  [[nodiscard]] bool end_before(const TopicPartition& partition) const;
};
[[nodiscard]] OffsetsPart offsets_of_topics(const std::string& group, const GoneTopics& topics,
                                            const GroupStateReader& state, const std::optional<TopicPartition>& after,
                                            std::size_t count);
// The same of what transactions have pending, where the group has not committed such an offset too.
[[nodiscard]] OffsetsPart pending_offsets_of_topics(const std::string& group, const GoneTopics& topics,
                                                    const GroupStateReader& state,
                                                    const std::optional<TopicPartition>& after, std::size_t count);

// offsets.retention.minutes. What a group keeps and from when its offsets grow old.
struct ExpiryRule {
  bool never = false;  // while a group that reads unknown topics is alive
  std::optional<Timestamp> since;  // the group has been empty since; none: since each commit
  std::function<bool(const std::string& topic)> keeps;  // topics that the group reads
};
[[nodiscard]] ExpiryRule expiry_rule(const ClassicGroup& group);
[[nodiscard]] ExpiryRule expiry_rule(const OtherGroup& group);

// What is pending stays.
[[nodiscard]] OffsetsPart expired_offsets(const std::string& group, const ExpiryRule& rule,
                                          const GroupStateReader& state, const GroupOptions& options, Timestamp now,
                                          const std::optional<TopicPartition>& after, std::size_t count);

}  // namespace kurier::coordinator
