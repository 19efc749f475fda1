// OffsetCommit, OffsetFetch, OffsetDelete: names and ids are resolved here, everything else is the coordinator's.
#include <algorithm>
#include <iterator>
#include <map>
#include <memory>

#include "broker/api/group_calls.h"
#include "broker/api/handlers.h"
#include "config/topic_config.h"
#include "coordinator/group/offset_operations.h"
#include "protocol/messages/offset_commit_request.h"
#include "protocol/messages/offset_commit_response.h"
#include "protocol/messages/offset_delete_request.h"
#include "protocol/messages/offset_delete_response.h"
#include "protocol/messages/offset_fetch_request.h"
#include "protocol/messages/offset_fetch_response.h"

namespace kurier::broker::api {

using coordinator::GroupMachine;
using coordinator::Now;
using coordinator::RequestToken;
using protocol::ErrorCode;
using protocol::OffsetCommitRequest;
using protocol::OffsetCommitResponse;
using protocol::OffsetDeleteRequest;
using protocol::OffsetDeleteResponse;
using protocol::OffsetFetchRequest;
using protocol::OffsetFetchResponse;

namespace {

using CommittedTopic = OffsetCommitResponse::OffsetCommitResponseTopic;

// The topics of a response by their names or ids, of which the others are empty.
template <class Topic>
class TopicsByKey {
 public:
  explicit TopicsByKey(std::vector<Topic>& topics) : topics_(topics) {}
  // Which is made if it is not there.
  Topic& at(const std::string& name, const TopicId& id = {}) {
    const auto [place, is_new] = places_.try_emplace({id, name}, topics_.size());
    if (!is_new) return topics_[place->second];
    Topic& made = topics_.emplace_back();
    made.name = name;
    if constexpr (requires { made.topic_id; }) made.topic_id = id;
    return made;
  }

 private:
  std::vector<Topic>& topics_;
  std::map<std::pair<TopicId, std::string>, std::size_t> places_;
};

// What exists goes to the coordinator, with its name and its id, both of which are stored; the rest is answered.
OffsetCommitRequest split(const replication::MetadataImage& image, OffsetCommitRequest& request, bool by_id,
                          TopicsByKey<CommittedTopic>& refusals) {
  auto topics = std::move(request.topics);
  OffsetCommitRequest known = std::move(request);
  known.topics.clear();
  for (auto& topic : topics) {
    const auto there = by_id ? image.topic(topic.topic_id) : image.topic(topic.name);
    const std::string name = by_id ? "" : topic.name;
    if (!there) {
      const ErrorCode error = by_id ? ErrorCode::kUnknownTopicId : ErrorCode::kUnknownTopicOrPartition;
      CommittedTopic& refused = refusals.at(name, topic.topic_id);
      for (const auto& partition : topic.partitions)
        refused.partitions.push_back({.partition_index = partition.partition_index, .error_code = error});
      continue;
    }
    auto& kept = known.topics.emplace_back();
    kept.topic_id = there->id;
    kept.name = there->name;
    for (auto& partition : topic.partitions) {
      if (there->partitions.contains(partition.partition_index)) {
        kept.partitions.push_back(std::move(partition));
      } else {
        refusals.at(name, topic.topic_id)
            .partitions.push_back(
                {.partition_index = partition.partition_index, .error_code = ErrorCode::kUnknownTopicOrPartition});
      }
    }
    if (kept.partitions.empty()) known.topics.pop_back();
  }
  return known;
}

// As Apache Kafka joins them: what could not be asked comes first; if there is nothing of that, a topic that was named
// twice is answered twice.
void merge(OffsetCommitResponse answer, bool by_id, TopicsByKey<CommittedTopic>& refusals,
           OffsetCommitResponse& response) {
  response.throttle_time_ms = answer.throttle_time_ms;
  if (response.topics.empty()) {
    response.topics = std::move(answer.topics);
    return;
  }
  for (const auto& topic : answer.topics) {
    auto& partitions = refusals.at(by_id ? "" : topic.name, by_id ? topic.topic_id : TopicId{}).partitions;
    partitions.insert(partitions.end(), topic.partitions.begin(), topic.partitions.end());
  }
}

// The records of a request are one batch. Of one whose batch cannot fit the coordinator is given no more than shows that:
// the answer is the same for all of it. True if something was left out.
bool leave_out_what_cannot_fit(const OffsetCommitRequest& whole, const coordinator::GroupOptions& options,
                               std::size_t batch_bytes_max, OffsetCommitRequest& part) {
  std::size_t bytes = 0;
  part.topics.clear();
  for (const auto& topic : whole.topics) {
    if (bytes > batch_bytes_max) return true;
    auto& kept = part.topics.emplace_back();
    kept.name = topic.name;
    kept.topic_id = topic.topic_id;
    for (const auto& partition : topic.partitions) {
      if (bytes > batch_bytes_max) return true;
      kept.partitions.push_back(partition);
      if (coordinator::offset_metadata_fits(partition.committed_metadata, options)) {
        bytes += coordinator::kOffsetRecordBytesMin + whole.group_id.size() + topic.name.size();
      }
    }
  }
  return false;
}

std::size_t offsets_batch_bytes_max(const Broker& broker) {
  using replication::ConfigResourceType;
  const auto taken = config::take_topic_config(
      broker.config(), broker.image()->configs(ConfigResourceType::kTopic, "__consumer_offsets"));
  return static_cast<std::size_t>(taken.config.max_message_bytes);
}

Task<OffsetCommitResponse> commit(Broker& broker, const Call& call, std::shared_ptr<const OffsetCommitRequest> asked) {
  const auto context = request_context(call);
  auto answered =
      co_await ask_group(broker, asked->group_id, [context, asked](GroupMachine& machine, RequestToken token, Now now) {
        return machine.groups().offset_commit(token, context, *asked, now);
      });
  if (answered) co_return std::get<OffsetCommitResponse>(std::move(*answered));
  co_return coordinator::refuse_commit(*asked, answered.error());
}

Task<OffsetCommitResponse> commit_large(Broker& broker, const Call& call, OffsetCommitRequest& known) {
  auto part = std::make_shared<OffsetCommitRequest>();
  const std::size_t bytes_max = offsets_batch_bytes_max(broker);
  const bool is_part = co_await aside(broker, true, [&] {
    auto topics = std::move(known.topics);
    *part = known;  // all but the topics
    known.topics = std::move(topics);
    return leave_out_what_cannot_fit(known, broker.groups().options(), bytes_max, *part);
  });
  auto response = co_await commit(broker, call, part);
  if (!is_part) co_return response;
  co_return co_await aside(broker, true, [&] {
    return coordinator::refuse_commit(known, response.topics.front().partitions.front().error_code);
  });
}

}  // namespace

Task<net::Reply> offset_commit(Broker& broker, Call call) {
  auto request = parse_inline<OffsetCommitRequest>(call);
  if (call.is_large) request = co_await parse_large<OffsetCommitRequest>(broker, call);
  if (!request) co_return refuse(call, request.error());
  const bool by_id = call.request.version >= 10;
  OffsetCommitResponse response;
  TopicsByKey<CommittedTopic> refusals(response.topics);
  const auto image = broker.image();
  OffsetCommitRequest known =
      co_await aside(broker, call.is_large, [&] { return split(*image, *request, by_id, refusals); });
  if (known.topics.empty()) co_return co_await answer_with(broker, call, response, refusals);
  OffsetCommitResponse committed;
  if (call.is_large) {
    committed = co_await commit_large(broker, call, known);
  } else {
    committed = co_await commit(broker, call, std::make_shared<const OffsetCommitRequest>(std::move(known)));
  }
  co_await aside(broker, call.is_large, [&] {
    merge(std::move(committed), by_id, refusals, response);
    return true;
  });
  co_return co_await answer_with(broker, call, response, refusals, known);
}

namespace {

using FetchGroup = OffsetFetchRequest::OffsetFetchRequestGroup;
using FetchedGroup = OffsetFetchResponse::OffsetFetchResponseGroup;
using FetchedTopic = OffsetFetchResponse::OffsetFetchResponseTopics;

FetchedTopic unknown_topic(const OffsetFetchRequest::OffsetFetchRequestTopics& topic) {
  FetchedTopic out;
  out.topic_id = topic.topic_id;
  for (const PartitionIndex partition : topic.partition_indexes) {
    out.partitions.push_back({.partition_index = partition,
                              .committed_offset = Offset(-1),
                              .committed_leader_epoch = LeaderEpoch(-1),
                              .metadata = "",
                              .error_code = ErrorCode::kUnknownTopicId});
  }
  return out;
}

// From version 10 on topics have ids: they get their names for the coordinator, those that do not exist their answer.
void resolve_ids(const replication::MetadataImage& image, FetchGroup& group, std::vector<FetchedTopic>& unknown) {
  if (!group.topics) return;
  std::erase_if(*group.topics, [&](auto& topic) {
    const auto there = image.topic(topic.topic_id);
    if (!there) {
      unknown.push_back(unknown_topic(topic));
      return true;
    }
    topic.name = there->name;
    return false;
  });
}

// The coordinator speaks of names. A topic that has gone has no id to speak of.
void restore_ids(const replication::MetadataImage& image, FetchedGroup& group, std::vector<FetchedTopic> unknown) {
  std::erase_if(group.topics, [&](auto& topic) {
    const auto there = image.topic(topic.name);
    if (there) topic.topic_id = there->id;
    return !there;
  });
  std::ranges::move(unknown, std::back_inserter(group.topics));
}

Task<FetchedGroup> read_offsets(Broker& broker, const FetchGroup& group, bool require_stable,
                                coordinator::OffsetsPage& page) {
  FetchedGroup fetched;
  const ErrorCode error = co_await read_group(broker, group.group_id, true, [&](GroupMachine& machine, Now) {
    fetched = machine.groups().offset_fetch(group, machine.state(), require_stable, page);
  });
  if (error != ErrorCode::kNone) {
    fetched = FetchedGroup{};
    fetched.error_code = error;
  }
  fetched.group_id = group.group_id;
  co_return fetched;
}

// What a request names of one group, some partitions at a time.
class PartsOfGroup {
 public:
  explicit PartsOfGroup(const FetchGroup& whole) : whole_(whole) {}
  [[nodiscard]] bool is_at_end() const { return topic_ == whole_.topics->size(); }
  // True if it begins within a topic.
  bool next(FetchGroup& part) {
    const bool goes_on = partition_ > 0;
    part.group_id = whole_.group_id;
    part.member_id = whole_.member_id;
    part.member_epoch = whole_.member_epoch;
    part.topics.emplace();
    std::size_t room = kElementsPerTurn;
    while (!is_at_end() && room > 0) {
      const auto& topic = (*whole_.topics)[topic_];
      auto& out = part.topics->emplace_back();
      out.name = topic.name;
      out.topic_id = topic.topic_id;
      const std::size_t count = std::min(room, topic.partition_indexes.size() - partition_);
      const auto first = topic.partition_indexes.begin() + static_cast<std::ptrdiff_t>(partition_);
      out.partition_indexes.assign(first, first + static_cast<std::ptrdiff_t>(count));
      room -= std::max<std::size_t>(1, count);
      partition_ += count;
      if (partition_ < topic.partition_indexes.size()) break;
      ++topic_;
      partition_ = 0;
    }
    return goes_on;
  }

 private:
  const FetchGroup& whole_;
  std::size_t topic_ = 0;
  std::size_t partition_ = 0;
};

Task<FetchedGroup> read_in_parts(Broker& broker, const FetchGroup& group, bool require_stable) {
  FetchedGroup fetched;
  PartsOfGroup parts(group);
  Turns turns = turns_of(broker);
  do {
    FetchGroup part;
    const bool goes_on = parts.next(part);
    coordinator::OffsetsPage all;
    FetchedGroup read = co_await read_offsets(broker, part, require_stable, all);
    if (read.error_code != ErrorCode::kNone) co_return read;
    auto from = read.topics.begin();
    if (goes_on && !fetched.topics.empty() && from != read.topics.end()) {
      std::ranges::move(from->partitions, std::back_inserter(fetched.topics.back().partitions));
      ++from;
    }
    fetched.topics.insert(fetched.topics.end(), std::make_move_iterator(from),
                          std::make_move_iterator(read.topics.end()));
    co_await turns.next(kElementsPerTurn);
  } while (!parts.is_at_end());
  fetched.group_id = group.group_id;
  co_return fetched;
}

void join(FetchedGroup part, FetchedGroup& whole) {
  auto from = part.topics.begin();
  if (from != part.topics.end() && !whole.topics.empty() && whole.topics.back().name == from->name) {
    std::ranges::move(from->partitions, std::back_inserter(whole.topics.back().partitions));
    ++from;
  }
  whole.topics.insert(whole.topics.end(), std::make_move_iterator(from), std::make_move_iterator(part.topics.end()));
}

// All that a group has: of a large one each part is as it is when its turn comes.
Task<FetchedGroup> read_all(Broker& broker, const FetchGroup& group, bool require_stable) {
  FetchedGroup fetched;
  coordinator::OffsetsPage page{.count = kOffsetsAtOnce, .after = std::nullopt};
  Turns turns = turns_of(broker);
  std::size_t elements = 0;
  do {
    FetchedGroup part = co_await read_offsets(broker, group, require_stable, page);
    if (part.error_code != ErrorCode::kNone) co_return part;
    if (elements > 0) co_await turns.next(kOffsetsAtOnce);
    elements += kOffsetsAtOnce;
    join(std::move(part), fetched);
  } while (page.after && elements <= kAnswerElementsMax);
  fetched.group_id = group.group_id;
  co_return fetched;
}

bool is_of_many(const FetchGroup& group) {
  if (!group.topics) return false;
  std::size_t count = group.topics->size();
  for (const auto& topic : *group.topics) count += topic.partition_indexes.size();
  return count > kElementsInline;
}

Task<FetchedGroup> fetch_group(Broker& broker, FetchGroup& group, bool require_stable, bool by_id, bool is_large) {
  const auto image = broker.image();
  std::vector<FetchedTopic> unknown;
  const bool in_parts = co_await aside(broker, is_large, [&] {
    if (by_id) resolve_ids(*image, group, unknown);
    return is_of_many(group);
  });
  FetchedGroup fetched;
  if (!group.topics) {
    fetched = co_await read_all(broker, group, require_stable);
  } else if (in_parts) {
    fetched = co_await read_in_parts(broker, group, require_stable);
  } else {
    coordinator::OffsetsPage all;
    fetched = co_await read_offsets(broker, group, require_stable, all);
  }
  if (by_id && fetched.error_code == ErrorCode::kNone) {
    co_await aside(broker, is_large, [&] {
      restore_ids(*image, fetched, std::move(unknown));
      return true;
    });
  }
  co_return fetched;
}

// Before version 8 there is one group, before version 2 no error but in the partitions.
FetchGroup only_group(OffsetFetchRequest& request) {
  FetchGroup group;
  group.group_id = request.group_id;
  if (!request.topics) {
    group.topics.reset();
    return group;
  }
  group.topics.emplace();
  for (auto& topic : *request.topics) {
    auto& out = group.topics->emplace_back();
    out.name = std::move(topic.name);
    out.partition_indexes = std::move(topic.partition_indexes);
  }
  return group;
}

void answer_only_group(const FetchGroup& asked, FetchedGroup& fetched, std::int16_t version,
                       OffsetFetchResponse& response) {
  response.error_code = fetched.error_code;
  const bool in_partitions = version < 2 && fetched.error_code != ErrorCode::kNone && asked.topics.has_value();
  if (in_partitions) {
    for (const auto& topic : *asked.topics) {
      auto& out = response.topics.emplace_back();
      out.name = topic.name;
      for (const PartitionIndex partition : topic.partition_indexes) {
        out.partitions.push_back({.partition_index = partition,
                                  .committed_offset = Offset(-1),
                                  .committed_leader_epoch = LeaderEpoch(-1),
                                  .metadata = "",
                                  .error_code = fetched.error_code});
      }
    }
    return;
  }
  for (auto& topic : fetched.topics) {
    auto& out = response.topics.emplace_back();
    out.name = topic.name;
    for (auto& partition : topic.partitions) {
      out.partitions.push_back({.partition_index = partition.partition_index,
                                .committed_offset = partition.committed_offset,
                                .committed_leader_epoch = partition.committed_leader_epoch,
                                .metadata = std::move(partition.metadata),
                                .error_code = partition.error_code});
    }
  }
}

std::size_t elements_of(const FetchedGroup& group) {
  std::size_t count = 1 + group.topics.size();
  for (const auto& topic : group.topics) count += topic.partitions.size();
  return count;
}

}  // namespace

Task<net::Reply> offset_fetch(Broker& broker, Call call) {
  auto request = parse_inline<OffsetFetchRequest>(call);
  if (call.is_large) request = co_await parse_large<OffsetFetchRequest>(broker, call);
  if (!request) co_return refuse(call, request.error());
  OffsetFetchResponse response;
  if (call.request.version < 8) {
    FetchGroup asked = co_await aside(broker, call.is_large, [&] { return only_group(*request); });
    FetchedGroup fetched = co_await fetch_group(broker, asked, request->require_stable, false, call.is_large);
    const std::size_t elements = elements_of(fetched);
    if (elements > kAnswerElementsMax) co_return refuse(call, answer_too_large());
    call.is_large = call.is_large || elements > kElementsInline;  // so is its answer
    co_await aside(broker, call.is_large, [&] {
      answer_only_group(asked, fetched, call.request.version, response);
      return true;
    });
    co_return co_await answer_with(broker, call, response, *request, asked, fetched);
  }
  response.groups.reserve(request->groups.size());
  Turns turns = turns_of(broker);
  std::size_t elements = 0;
  for (auto& group : request->groups) {
    FetchedGroup fetched = co_await fetch_group(broker, group, request->require_stable, call.request.version >= 10,
                                                call.is_large && request->groups.size() < kElementsInline);
    const std::size_t more = elements_of(fetched);
    elements += more;
    if (elements > kAnswerElementsMax) co_return refuse(call, answer_too_large());
    response.groups.push_back(std::move(fetched));
    co_await turns.next(more + kGroupElements);
  }
  call.is_large = call.is_large || elements > kElementsInline;  // so is its answer
  co_return co_await answer_with(broker, call, response, *request);
}

namespace {

using DeletedTopics = TopicsByKey<OffsetDeleteResponse::OffsetDeleteResponseTopic>;

// What exists goes to the coordinator; the rest is answered.
OffsetDeleteRequest split(const replication::MetadataImage& image, const OffsetDeleteRequest& request,
                          DeletedTopics& response) {
  OffsetDeleteRequest known;
  known.group_id = request.group_id;
  for (const auto& topic : request.topics) {
    const auto there = image.topic(topic.name);
    if (!there) response.at(topic.name);  // it is answered, whether it names partitions or not
    auto& kept = known.topics.emplace_back();
    kept.name = topic.name;
    for (const auto& partition : topic.partitions) {
      if (there && there->partitions.contains(partition.partition_index)) {
        kept.partitions.push_back(partition);
      } else {
        response.at(topic.name)
            .partitions.push_back(
                {.partition_index = partition.partition_index, .error_code = ErrorCode::kUnknownTopicOrPartition});
      }
    }
    if (kept.partitions.empty()) known.topics.pop_back();
  }
  return known;
}

Task<OffsetDeleteResponse> delete_offsets(Broker& broker, OffsetDeleteRequest known) {
  const std::string group = known.group_id;
  auto answered =
      co_await ask_group(broker, group, [known = std::move(known)](GroupMachine& machine, RequestToken token, Now now) {
        return machine.groups().offset_delete(token, known, now);
      });
  if (answered) co_return std::get<OffsetDeleteResponse>(std::move(*answered));
  OffsetDeleteResponse failed;
  failed.error_code = answered.error();
  co_return failed;
}

// Some partitions at a time; ends with the first error of all of them.
Task<ErrorCode> delete_in_parts(Broker& broker, const OffsetDeleteRequest& known, DeletedTopics& response) {
  Turns turns = turns_of(broker);
  std::size_t count = 0;
  for (const auto& one : known.topics) count += one.partitions.size();
  const std::size_t at_once = count <= kElementsInline ? kElementsInline : kElementsPerTurn;
  std::size_t topic = 0;
  std::size_t partition = 0;
  do {
    OffsetDeleteRequest part;
    part.group_id = known.group_id;
    std::size_t room = at_once;
    for (; topic < known.topics.size() && room > 0; ++topic, partition = 0) {
      const auto& from = known.topics[topic];
      auto& out = part.topics.emplace_back();
      out.name = from.name;
      for (; partition < from.partitions.size() && room > 0; --room)
        out.partitions.push_back(from.partitions[partition++]);
      if (partition < from.partitions.size()) break;
    }
    const OffsetDeleteResponse deleted = co_await delete_offsets(broker, std::move(part));
    if (deleted.error_code != ErrorCode::kNone) co_return deleted.error_code;
    for (const auto& done : deleted.topics) {
      auto& partitions = response.at(done.name).partitions;
      for (const auto& one : done.partitions)
        partitions.push_back({.partition_index = one.partition_index, .error_code = one.error_code});
    }
    co_await turns.next(kElementsPerTurn);
  } while (topic < known.topics.size());
  co_return ErrorCode::kNone;
}

}  // namespace

Task<net::Reply> offset_delete(Broker& broker, Call call) {
  auto request = parse_inline<OffsetDeleteRequest>(call);
  if (call.is_large) request = co_await parse_large<OffsetDeleteRequest>(broker, call);
  if (!request) co_return refuse(call, request.error());
  OffsetDeleteResponse response;
  DeletedTopics topics(response.topics);
  const auto image = broker.image();
  OffsetDeleteRequest known = co_await aside(broker, call.is_large, [&] { return split(*image, *request, topics); });
  const ErrorCode error = co_await delete_in_parts(broker, known, topics);
  if (error != ErrorCode::kNone) {
    OffsetDeleteResponse failed;
    failed.error_code = error;
    co_return co_await answer_with(broker, call, failed, response, topics, *request, known);
  }
  co_return co_await answer_with(broker, call, response, topics, *request, known);
}

}  // namespace kurier::broker::api
