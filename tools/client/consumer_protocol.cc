#include "tools/client/consumer_protocol.h"

#include <algorithm>
#include <set>
#include <tuple>

#include "protocol/messages/consumer_protocol_assignment.h"
#include "protocol/messages/consumer_protocol_subscription.h"

namespace kurier::client {
namespace {

constexpr std::int16_t kWrittenVersion = 1;  // all that we have to say is in it

template <class Message>
Bytes encode(const Message& message) {
  protocol::Writer writer;
  writer.int16(kWrittenVersion);
  message.encode(writer, kWrittenVersion);
  return writer.take_bytes();
}

template <class Message>
Result<Message> parse(ByteView bytes) {
  protocol::Reader reader(bytes);
  const std::int16_t version = reader.int16();
  Message message;
  if (version < 0) reader.fail("a negative version");
  message.decode(reader, std::min(version, Message::kMaxVersion));
  if (!reader.ok()) return fail(Failure::kMalformed, std::string(Message::kName) + ": " + reader.error());
  return message;
}

}  // namespace

Bytes encode_subscription(const std::vector<std::string>& topics, ByteView user_data) {
  protocol::ConsumerProtocolSubscription subscription;
  subscription.topics = topics;
  if (!user_data.empty()) subscription.user_data = to_bytes(user_data);
  return encode(subscription);
}

Result<std::vector<std::string>> parse_subscription(ByteView bytes) {
  TRY_ASSIGN(const auto subscription, parse<protocol::ConsumerProtocolSubscription>(bytes));
  return subscription.topics;
}

Bytes encode_assignment(const Assignment& assignment) {
  protocol::ConsumerProtocolAssignment message;
  for (const auto& [topic, partitions] : assignment) {
    auto& one = message.assigned_partitions.emplace_back();
    one.topic = topic;
    one.partitions = partitions;
  }
  return encode(message);
}

Result<Assignment> parse_assignment(ByteView bytes) {
  Assignment assignment;
  if (bytes.empty()) return assignment;
  TRY_ASSIGN(const auto message, parse<protocol::ConsumerProtocolAssignment>(bytes));
  for (const auto& topic : message.assigned_partitions) {
    auto& partitions = assignment[topic.topic];
    partitions.insert(partitions.end(), topic.partitions.begin(), topic.partitions.end());
  }
  for (auto& [topic, partitions] : assignment) std::ranges::sort(partitions);
  return assignment;
}

std::map<std::string, Assignment> assign_ranges(const std::vector<Subscriber>& members,
                                                const std::map<std::string, std::int32_t>& partition_counts) {
  std::vector<const Subscriber*> sorted;
  for (const Subscriber& member : members) sorted.push_back(&member);
  std::ranges::sort(sorted, {}, [](const Subscriber* member) {
    return std::tuple(!member->instance_id.has_value(), member->instance_id.value_or(""), member->member_id);
  });
  std::map<std::string, std::vector<const Subscriber*>> by_topic;
  std::map<std::string, Assignment> assigned;
  for (const Subscriber* member : sorted) {
    assigned[member->member_id];
    for (const std::string& topic : std::set<std::string>(member->topics.begin(), member->topics.end())) {
      if (partition_counts.contains(topic)) by_topic[topic].push_back(member);
    }
  }
  for (const auto& [topic, subscribers] : by_topic) {
    const std::int32_t partitions = partition_counts.at(topic);
    const auto count = static_cast<std::int32_t>(subscribers.size());
    std::int32_t next = 0;
    for (std::int32_t i = 0; i < count; ++i) {
      const std::int32_t share = partitions / count + (i < partitions % count ? 1 : 0);
      for (const std::int32_t end = next + share; next < end; ++next) {
        assigned[subscribers[static_cast<std::size_t>(i)]->member_id][topic].push_back(next);
      }
    }
  }
  return assigned;
}

}  // namespace kurier::client
