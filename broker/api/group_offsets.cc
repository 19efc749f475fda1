// OffsetCommit, OffsetFetch, OffsetDelete: names and ids are resolved here, everything else is the coordinator's.
#include <algorithm>
#include <iterator>
#include <memory>

#include "broker/api/group_calls.h"
#include "broker/api/handlers.h"
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

// The response's topic of that name (or id), which is made if it is not there.
CommittedTopic& topic_of(OffsetCommitResponse& response, const std::string& name, const TopicId& id) {
  const auto found =
      std::ranges::find_if(response.topics, [&](const auto& one) { return one.name == name && one.topic_id == id; });
  if (found != response.topics.end()) return *found;
  CommittedTopic& made = response.topics.emplace_back();
  made.name = name;
  made.topic_id = id;
  return made;
}

// What exists goes to the coordinator, with its name and its id, both of which are stored; the rest is answered.
OffsetCommitRequest split(const replication::MetadataImage& image, OffsetCommitRequest request, bool by_id,
                          OffsetCommitResponse& response) {
  OffsetCommitRequest known = request;
  known.topics.clear();
  for (auto& topic : request.topics) {
    const auto there = by_id ? image.topic(topic.topic_id) : image.topic(topic.name);
    const std::string name = by_id ? "" : topic.name;
    if (!there) {
      const ErrorCode error = by_id ? ErrorCode::kUnknownTopicId : ErrorCode::kUnknownTopicOrPartition;
      CommittedTopic& refused = topic_of(response, name, topic.topic_id);
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
        topic_of(response, name, topic.topic_id)
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
void merge(OffsetCommitResponse answer, bool by_id, OffsetCommitResponse& response) {
  response.throttle_time_ms = answer.throttle_time_ms;
  if (response.topics.empty()) {
    response.topics = std::move(answer.topics);
    return;
  }
  for (const auto& topic : answer.topics) {
    auto& partitions = topic_of(response, by_id ? "" : topic.name, by_id ? topic.topic_id : TopicId{}).partitions;
    partitions.insert(partitions.end(), topic.partitions.begin(), topic.partitions.end());
  }
}

}  // namespace

Task<net::Reply> offset_commit(Broker& broker, Call call) {
  auto request = parse_body<OffsetCommitRequest>(call.request);
  if (!request) co_return refuse(call, request.error());
  const bool by_id = call.request.version >= 10;
  const std::string group = request->group_id;
  const auto context = request_context(call);
  OffsetCommitResponse response;
  OffsetCommitRequest known = split(*broker.image(), std::move(*request), by_id, response);
  if (known.topics.empty()) co_return respond(call, response);
  const auto asked = std::make_shared<const OffsetCommitRequest>(std::move(known));
  auto answer = co_await ask_group(broker, group, [context, asked](GroupMachine& machine, RequestToken token, Now now) {
    return machine.groups().offset_commit(token, context, *asked, now);
  });
  merge(
      answer ? std::get<OffsetCommitResponse>(std::move(*answer)) : coordinator::refuse_commit(*asked, answer.error()),
      by_id, response);
  co_return respond(call, response);
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

Task<FetchedGroup> fetch_group(Broker& broker, FetchGroup group, bool require_stable, bool by_id) {
  const auto image = broker.image();
  std::vector<FetchedTopic> unknown;
  if (by_id) resolve_ids(*image, group, unknown);
  FetchedGroup fetched;
  const ErrorCode error = co_await read_group(broker, group.group_id, true, [&](GroupMachine& machine, Now) {
    fetched = machine.groups().offset_fetch(group, machine.state(), require_stable);
  });
  if (error != ErrorCode::kNone) {
    fetched = FetchedGroup{};
    fetched.error_code = error;
  }
  fetched.group_id = group.group_id;
  if (by_id && fetched.error_code == ErrorCode::kNone) restore_ids(*image, fetched, std::move(unknown));
  co_return fetched;
}

// Before version 8 there is one group, before version 2 no error but in the partitions.
FetchGroup only_group(const OffsetFetchRequest& request) {
  FetchGroup group;
  group.group_id = request.group_id;
  if (!request.topics) {
    group.topics.reset();
    return group;
  }
  group.topics.emplace();
  for (const auto& topic : *request.topics) {
    auto& out = group.topics->emplace_back();
    out.name = topic.name;
    out.partition_indexes = topic.partition_indexes;
  }
  return group;
}

void answer_only_group(const FetchGroup& asked, FetchedGroup fetched, std::int16_t version,
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

}  // namespace

Task<net::Reply> offset_fetch(Broker& broker, Call call) {
  auto request = parse_body<OffsetFetchRequest>(call.request);
  if (!request) co_return refuse(call, request.error());
  OffsetFetchResponse response;
  if (call.request.version < 8) {
    const FetchGroup asked = only_group(*request);
    auto fetched = co_await fetch_group(broker, asked, request->require_stable, false);
    answer_only_group(asked, std::move(fetched), call.request.version, response);
    co_return respond(call, response);
  }
  for (auto& group : request->groups) {
    auto fetched = co_await fetch_group(broker, std::move(group), request->require_stable, call.request.version >= 10);
    response.groups.push_back(std::move(fetched));
  }
  co_return respond(call, response);
}

namespace {

void add_deleted(OffsetDeleteResponse& response, const std::string& name, PartitionIndex partition, ErrorCode error) {
  auto& topics = response.topics;
  auto topic = std::ranges::find_if(topics, [&](const auto& one) { return one.name == name; });
  if (topic == topics.end()) {
    topic = topics.emplace(topics.end());
    topic->name = name;
  }
  topic->partitions.push_back({.partition_index = partition, .error_code = error});
}

}  // namespace

Task<net::Reply> offset_delete(Broker& broker, Call call) {
  auto request = parse_body<OffsetDeleteRequest>(call.request);
  if (!request) co_return refuse(call, request.error());
  OffsetDeleteResponse response;
  OffsetDeleteRequest known;
  known.group_id = request->group_id;
  const auto image = broker.image();
  for (const auto& topic : request->topics) {
    const auto there = image->topic(topic.name);
    auto& kept = known.topics.emplace_back();
    kept.name = topic.name;
    for (const auto& partition : topic.partitions) {
      if (there && there->partitions.contains(partition.partition_index)) {
        kept.partitions.push_back(partition);
      } else {
        add_deleted(response, topic.name, partition.partition_index, ErrorCode::kUnknownTopicOrPartition);
      }
    }
    if (kept.partitions.empty()) known.topics.pop_back();
  }
  const std::string group = known.group_id;
  auto answer =
      co_await ask_group(broker, group, [known = std::move(known)](GroupMachine& machine, RequestToken token, Now now) {
        return machine.groups().offset_delete(token, known, now);
      });
  if (!answer) {
    OffsetDeleteResponse failed;
    failed.error_code = answer.error();
    co_return respond(call, failed);
  }
  auto deleted = std::get<OffsetDeleteResponse>(std::move(*answer));
  if (deleted.error_code != ErrorCode::kNone) co_return respond(call, deleted);
  for (const auto& topic : deleted.topics) {
    for (const auto& partition : topic.partitions)
      add_deleted(response, topic.name, partition.partition_index, partition.error_code);
  }
  co_return respond(call, response);
}

}  // namespace kurier::broker::api
