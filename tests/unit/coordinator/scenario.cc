#include "tests/unit/coordinator/scenario.h"

#include <fmt/core.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <sstream>
#include <stdexcept>

#include "coordinator/group/records.h"
#include "coordinator/group/response_versions.h"
#include "protocol/messages/consumer_protocol_subscription.h"
#include "tests/unit/coordinator/bench.h"

namespace kurier::coordinator {
namespace {

using namespace protocol;

const std::string kGroup = "g";

std::vector<std::string> words_of(const std::string& line) {
  std::istringstream stream(line);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

std::chrono::milliseconds duration_of(const std::string& text) {
  std::size_t end = 0;
  const long long count = std::stoll(text, &end);
  const std::map<std::string, long long> units = {
      {"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}};
  return std::chrono::milliseconds(count * units.at(text.substr(end)));
}

TopicPartition partition_of(const std::string& text) {
  const std::size_t dash = text.rfind('-');
  return {text.substr(0, dash), std::stoi(text.substr(dash + 1))};
}

Bytes subscription(const std::vector<std::string>& topics) {
  ConsumerProtocolSubscription message;
  message.topics = topics;
  Writer writer;
  writer.int16(0);
  message.encode(writer, 0);
  return writer.take_bytes();
}

// "range(t1,t2)"
GroupProtocol protocol_of(const std::string& text) {
  const std::size_t open = text.find('(');
  std::vector<std::string> topics;
  if (open != std::string::npos) {
    std::istringstream list(text.substr(open + 1, text.size() - open - 2));
    for (std::string topic; std::getline(list, topic, ',');) topics.push_back(topic);
  }
  return {text.substr(0, open), subscription(topics), {}};
}

struct Person {
  std::string id;  // the member id that it was given
  std::int32_t generation = -1;
  JoinGroupRequest request;  // its last
};

class Player {
 public:
  std::vector<std::string> play(const std::string& line) {
    trace_.clear();
    words_ = words_of(line);
    at_ = 0;
    if (!bench_ && peek() != "with") start();
    const std::string subject = next();
    if (subject == "with") {
      setting();
    } else if (subject == "appends") {
      bench_->hold_appends(next() == "wait");
    } else if (subject == "the") {
      about_the(next());
    } else if (subject == "offsets") {
      bench_->expire_offsets();
    } else if (subject == "transaction") {
      const ProducerId producer(std::stoll(next()));
      next();
      bench_->end_transaction(producer, next() == "committed");
    } else if (subject == "producer") {
      commit_in_transaction(ProducerId(std::stoll(next())));
    } else if (peek() == "pass" || peek() == "passes") {
      bench_->pass(duration_of(subject));
    } else {
      request(subject, next());
    }
    if (bench_) observe();
    return trace_;
  }

 private:
  void start() {
    bench_.emplace(options_, 1);
    logged_ = 0;
  }
  [[nodiscard]] std::string peek() const { return at_ < words_.size() ? words_[at_] : ""; }
  std::string next() {
    if (at_ == words_.size()) throw std::runtime_error("a word is missing");
    return words_[at_++];
  }
  // The value behind a word, wherever it stands in the rest of the line.
  std::optional<std::string> option(const std::string& name) const {
    const auto found = std::find(words_.begin() + static_cast<std::ptrdiff_t>(at_), words_.end(), name);
    return found == words_.end() || found + 1 == words_.end() ? std::nullopt : std::optional(*(found + 1));
  }
  bool has(const std::string& word) const { return std::find(words_.begin(), words_.end(), word) != words_.end(); }
  std::vector<std::string> list_after(const std::string& name) const {
    static const std::vector<std::string> keywords = {"with",     "instance", "session",  "rebalance", "version",
                                                      "type",     "id",       "anew",     "giving",    "generation",
                                                      "protocol", "stable",   "metadata", "for"};
    std::vector<std::string> list;
    auto word = std::find(words_.begin() + static_cast<std::ptrdiff_t>(at_), words_.end(), name);
    if (word == words_.end()) return list;
    for (++word; word != words_.end() && std::ranges::find(keywords, *word) == keywords.end(); ++word)
      list.push_back(*word);
    return list;
  }
  RequestContext context(const std::string& who, std::int16_t version) const {
    if (const auto asked = option("version")) version = static_cast<std::int16_t>(std::stoi(*asked));
    return {version, who, "/127.0.0.1"};
  }

  void setting() {
    const std::string name = next();
    const std::string value = next();
    if (name == "group.max.size") {
      options_.max_size = static_cast<std::size_t>(std::stoi(value));
    } else if (name == "group.initial.rebalance.delay") {
      options_.initial_rebalance_delay = duration_of(value);
    } else if (name == "offsets.retention") {
      options_.offsets_retention = duration_of(value);
    } else {
      throw std::runtime_error("unknown setting " + name);
    }
  }

  void about_the(const std::string& what) {
    const std::string verb = next();
    if (what == "append" && verb == "is") return bench_->commit_next();
    if (what == "append") return bench_->fail_next(error_of(next()));
    if (what != "coordinator") throw std::runtime_error("the " + what + "?");
    if (verb == "resigns") {
      bench_->resign();
      resigned_ = true;
    } else {
      if (peek() == "with") {
        next();
        setting();
        bench_->set_options(options_);
      }
      bench_->restart();
      logged_ = bench_->log().size();
      state_.clear();
    }
  }

  static ErrorCode error_of(const std::string& name) {
    for (int code = -1; code < 200; ++code) {
      if (name == protocol::to_string(static_cast<ErrorCode>(code))) return static_cast<ErrorCode>(code);
    }
    throw std::runtime_error("unknown error " + name);
  }

  RequestToken token(const std::string& who) {
    const RequestToken token = bench_->token();
    asked_[token] = who;
    return token;
  }
  std::string id_of(const std::string& who) {
    const auto id = option("id");
    if (!id) return people_[who].id;
    const auto real = real_ids_.find(*id);
    return real == real_ids_.end() ? *id : real->second;
  }

  void request(const std::string& who, const std::string& verb) {
    if (verb == "joins") return join(who);
    if (verb == "syncs") return sync(who);
    if (verb == "heartbeats") return heartbeat(who);
    if (verb == "leaves" || verb == "removes") return leave(who);
    if (verb == "commits") return commit(who);
    if (verb == "fetches") return fetch();
    if (verb == "deletes") return erase(next());
    if (verb == "describes") return describe();
    if (verb == "lists") return list();
    throw std::runtime_error("who " + verb + "?");
  }

  void join(const std::string& who) {
    Person& person = people_[who];
    JoinGroupRequest& request = person.request;
    if (request.group_id.empty()) {
      request.group_id = kGroup;
      request.protocol_type = "consumer";
      request.protocols = {protocol_of("range(t)")};
      request.session_timeout_ms = 10'000;
      request.rebalance_timeout_ms = 60'000;
    }
    if (const auto list = list_after("with"); !list.empty()) {
      request.protocols.clear();
      for (const std::string& text : list) request.protocols.push_back(protocol_of(text));
    }
    if (const auto value = option("instance")) {
      request.group_instance_id = *value;
      names_[*value] = who;
    }
    if (const auto value = option("session"))
      request.session_timeout_ms = static_cast<std::int32_t>(duration_of(*value).count());
    if (const auto value = option("rebalance"))
      request.rebalance_timeout_ms = static_cast<std::int32_t>(duration_of(*value).count());
    if (const auto value = option("type")) request.protocol_type = *value;
    request.member_id = has("anew") ? "" : id_of(who);
    const RequestContext from = context(who, 9);
    const RequestToken asked = token(who);
    versions_[asked] = from.api_version;
    bench_->take(bench_->core().join_group(asked, from, request, bench_->now()));
  }

  void sync(const std::string& who) {
    const Person& person = people_[who];
    SyncGroupRequest request;
    request.group_id = kGroup;
    request.member_id = id_of(who);
    request.group_instance_id = person.request.group_instance_id;
    request.generation_id = option("generation") ? std::stoi(*option("generation")) : person.generation;
    request.protocol_name = option("protocol");
    for (const std::string& text : list_after("giving")) {
      const std::size_t equals = text.find('=');
      const auto real = real_ids_.find(text.substr(0, equals));
      request.assignments.push_back(
          {real == real_ids_.end() ? text.substr(0, equals) : real->second, to_bytes(text.substr(equals + 1)), {}});
    }
    bench_->take(bench_->core().sync_group(token(who), request, bench_->now()));
  }

  void heartbeat(const std::string& who) {
    const Person& person = people_[who];
    HeartbeatRequest request;
    request.group_id = kGroup;
    request.member_id = id_of(who);
    request.group_instance_id = person.request.group_instance_id;
    request.generation_id = option("generation") ? std::stoi(*option("generation")) : person.generation;
    say("{}: heartbeat {}", who, outcome_of(bench_->core().heartbeat(request, bench_->now()).error_code));
  }

  void leave(const std::string& who) {
    LeaveGroupRequest request;
    request.group_id = kGroup;
    const RequestContext from = context(who, 5);
    if (who == "admin") {
      while (at_ + 1 < words_.size()) {
        next();  // "instance"
        request.members.emplace_back().group_instance_id = next();
      }
    } else if (from.api_version < 3) {
      request.member_id = id_of(who);
    } else {
      auto& member = request.members.emplace_back();
      member.member_id = id_of(who);
      member.group_instance_id = people_[who].request.group_instance_id;
    }
    const RequestToken asked = token(who);
    versions_[asked] = from.api_version;
    bench_->take(bench_->core().leave_group(asked, from, request, bench_->now()));
  }

  template <class Request>
  void fill_commit(Request& request, const std::string& who) {
    request.group_id = kGroup;
    if (who != "nobody") {
      request.member_id = id_of(who);
      request.group_instance_id = people_[who].request.group_instance_id;
      request.generation_id_or_member_epoch = people_[who].generation;
    } else {
      request.generation_id_or_member_epoch = -1;
    }
    if (const auto generation = option("generation")) request.generation_id_or_member_epoch = std::stoi(*generation);
    const TopicPartition where = partition_of(next());
    auto& topic = request.topics.emplace_back();
    topic.name = where.topic;
    auto& partition = topic.partitions.emplace_back();
    partition.partition_index = PartitionIndex(where.partition);
    partition.committed_offset = Offset(std::stoll(next()));
    if (const auto length = option("metadata")) partition.committed_metadata = std::string(std::stoul(*length), 'm');
  }

  void commit(const std::string& who) {
    OffsetCommitRequest request;
    const RequestContext from = context(who, 9);
    if (const auto value = option("retention")) request.retention_time_ms = duration_of(*value).count();
    fill_commit(request, who);
    bench_->take(bench_->core().offset_commit(token(who), from, request, bench_->now()));
  }

  void commit_in_transaction(ProducerId producer) {
    next();  // "commits"
    TxnOffsetCommitRequest request;
    request.transactional_id = "txn";
    request.producer_id = producer;
    const std::string who = option("for").value_or("nobody");
    const RequestContext from = context(who, 5);
    fill_commit(request, who);
    bench_->take(bench_->core().txn_offset_commit(token(fmt::format("producer {}", producer.value())), from, request,
                                                  bench_->now()));
  }

  void fetch() {
    OffsetFetchRequest::OffsetFetchRequestGroup request;
    request.group_id = kGroup;
    if (has("everything")) {
      request.topics.reset();
    } else {
      for (; at_ < words_.size() && peek() != "stable"; ++at_) {
        const TopicPartition where = partition_of(words_[at_]);
        auto& topic = request.topics->emplace_back();
        topic.name = where.topic;
        topic.partition_indexes = {PartitionIndex(where.partition)};
      }
    }
    const auto response = bench_->core().offset_fetch(request, bench_->state(), has("stable"));
    if (response.error_code != ErrorCode::kNone) say("fetch {}", outcome_of(response.error_code));
    for (const auto& topic : response.topics) {
      for (const auto& partition : topic.partitions) {
        const std::string error =
            partition.error_code == ErrorCode::kNone ? "" : " " + outcome_of(partition.error_code);
        say("{}-{} is at {}{}", topic.name, partition.partition_index.value(), partition.committed_offset.value(),
            error);
      }
    }
    if (response.topics.empty()) say("nothing is committed");
  }

  void erase(const std::string& what) {
    if (what == "the") return bench_->take(bench_->core().delete_groups(token("nobody"), {kGroup}, bench_->now()));
    OffsetDeleteRequest request;
    request.group_id = kGroup;
    while (at_ < words_.size()) {
      const TopicPartition where = partition_of(next());
      auto& topic = request.topics.emplace_back();
      topic.name = where.topic;
      topic.partitions.emplace_back().partition_index = PartitionIndex(where.partition);
    }
    bench_->take(bench_->core().offset_delete(token("nobody"), request, bench_->now()));
  }

  void describe() {
    const auto described = bench_->core().describe_groups(context("nobody", 6), {kGroup}).front();
    std::string members;
    for (const auto& member : described.members) {
      members += fmt::format(" {}={}", alias(member.member_id), std::string(as_text(member.member_assignment)));
    }
    say("group is {}{}, type '{}', protocol '{}':{}", described.group_state,
        described.error_code == ErrorCode::kNone ? "" : " " + outcome_of(described.error_code), described.protocol_type,
        described.protocol_data, members);
    if (described.error_message) say("{}", *described.error_message);
  }

  void list() {
    ListGroupsRequest request;
    if (const auto state = option("state")) request.states_filter = {*state};
    if (const auto type = option("type")) request.types_filter = {*type};
    const auto groups = bench_->core().list_groups(request);
    for (const auto& group : groups) {
      say("{} is {}, type {}, protocol type '{}'", group.group_id, group.group_state, group.group_type,
          group.protocol_type);
    }
    if (groups.empty()) say("no group");
  }

  // ---- what is seen

  template <class... Values>
  void say(fmt::format_string<Values...> text, Values&&... values) {
    trace_.push_back(fmt::format(text, std::forward<Values>(values)...));
  }
  static std::string outcome_of(ErrorCode error) {
    return error == ErrorCode::kNone ? "ok" : protocol::to_string(error);
  }

  // A1 for the first id that A was given.
  std::string alias(const std::string& id) {
    if (id.size() <= 37) return id.empty() ? "''" : id;
    const auto known = aliases_.find(id);
    if (known != aliases_.end()) return known->second;
    const std::string prefix = id.substr(0, id.size() - 37);
    const auto named = names_.find(prefix);
    const std::string name = named == names_.end() ? prefix : named->second;
    const std::string made = fmt::format("{}{}", name, ++given_[name]);
    real_ids_[made] = id;
    return aliases_[id] = made;
  }

  void observe() {
    for (; logged_ < bench_->log().size(); ++logged_) stored(bench_->log()[logged_]);
    logged_ = bench_->log().size();
    for (Answer& answer : bench_->answers())
      std::visit([&](auto& response) { tell(answer.token, response); }, answer.response);
    const auto group = resigned_ ? nullptr : bench_->core().classic_group(kGroup);
    const std::string state =
        group == nullptr ? "gone" : fmt::format("{}, generation {}", to_string(group->state()), group->generation_id());
    if (state != state_ && !(state == "gone" && state_.empty())) say("the group is {}", state);
    state_ = state == "gone" ? "" : state;
  }

  void stored(const LogEntry& entry) {
    if (entry.marker)
      return say("stored: producer {} {}", entry.producer.value(), *entry.marker ? "committed" : "aborted");
    const auto decoded = decode_record(
        entry.record.key, entry.record.value ? std::optional<ByteView>(*entry.record.value) : std::nullopt);
    if (const auto* offset = std::get_if<OffsetRecord>(&*decoded)) {
      const std::string what = offset->offset ? fmt::format("= {}", offset->offset->offset.value()) : "deleted";
      const std::string pending =
          entry.producer == ProducerId(-1) ? "" : fmt::format(" by producer {}", entry.producer.value());
      return say("stored: {}-{} {}{}", offset->partition.topic, offset->partition.partition, what, pending);
    }
    const auto& group = std::get<GroupRecord>(*decoded);
    if (!group.value) return say("stored: group deleted");
    std::string members;
    for (const auto& member : group.value->members) {
      members += fmt::format(" {}={}", alias(member.member_id), std::string(as_text(member.assignment)));
    }
    say("stored: generation {}, {}, leader {}:{}", group.value->generation,
        group.value->protocol.value_or("no protocol"), group.value->leader ? alias(*group.value->leader) : "none",
        members.empty() ? " nobody" : members);
  }

  void tell(RequestToken token, JoinGroupResponse& response) {
    adapt(response, versions_[token]);
    const std::string& who = asked_[token];
    const std::string id = alias(response.member_id);
    if (response.error_code != ErrorCode::kNone) {
      if (response.error_code == ErrorCode::kMemberIdRequired) people_[who].id = response.member_id;
      return say("{}: join {}{}", who, outcome_of(response.error_code), response.member_id.empty() ? "" : ", id " + id);
    }
    people_[who].id = response.member_id;
    people_[who].generation = response.generation_id;
    std::string members;
    for (const auto& member : response.members) members += " " + alias(member.member_id);
    say("{}: join as {}, generation {}, {}, leader {}{}{}", who, id, response.generation_id,
        response.protocol_name.value_or("null"), alias(response.leader), members.empty() ? "" : ", members" + members,
        response.skip_assignment ? ", nothing to assign" : "");
  }
  void tell(RequestToken token, SyncGroupResponse& response) {
    if (response.error_code != ErrorCode::kNone)
      return say("{}: sync {}", asked_[token], outcome_of(response.error_code));
    say("{}: sync '{}'", asked_[token], std::string(as_text(response.assignment)));
  }
  void tell(RequestToken token, LeaveGroupResponse& response) {
    adapt(response, versions_[token]);
    std::string members;
    for (const auto& member : response.members) members += ", " + outcome_of(member.error_code);
    say("{}: leave {}{}", asked_[token], outcome_of(response.error_code), members);
  }
  template <class Response>
    requires requires(Response response) { response.topics.front().partitions.front().error_code; }
  void tell(RequestToken token, Response& response) {
    for (const auto& topic : response.topics) {
      for (const auto& partition : topic.partitions) {
        say("{}: {}-{} {}", asked_[token], topic.name, partition.partition_index.value(),
            outcome_of(partition.error_code));
      }
    }
    if constexpr (requires { response.error_code; }) {
      if (response.error_code != ErrorCode::kNone) say("{}: {}", asked_[token], outcome_of(response.error_code));
    }
  }
  void tell(RequestToken token, DeleteGroupsResponse& response) {
    for (const auto& result : response.results)
      say("{}: {} {}", asked_[token], result.group_id, outcome_of(result.error_code));
  }

  GroupOptions options_;
  std::optional<Bench> bench_;
  bool resigned_ = false;
  std::vector<std::string> words_;
  std::size_t at_ = 0;
  std::map<std::string, Person> people_;
  std::map<std::string, std::string> names_;     // instance id → person
  std::map<std::string, std::string> aliases_;   // member id → A1
  std::map<std::string, std::string> real_ids_;  // A1 → member id
  std::map<std::string, int> given_;
  std::map<RequestToken, std::string> asked_;
  std::map<RequestToken, std::int16_t> versions_;
  std::size_t logged_ = 0;
  std::string state_;
  std::vector<std::string> trace_;
};

bool is_command(const std::string& text) { return !text.empty() && text.front() != '#'; }

}  // namespace

std::vector<ScenarioLine> read_scenario(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path);
  std::vector<ScenarioLine> lines;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("  ") && !lines.empty()) {
      lines.back().expected.push_back(line.substr(2));
    } else {
      lines.push_back({line, {}});
    }
  }
  return lines;
}

std::vector<std::vector<std::string>> play(const std::vector<ScenarioLine>& lines) {
  Player player;
  std::vector<std::vector<std::string>> traces;
  for (const ScenarioLine& line : lines) {
    try {
      traces.push_back(is_command(line.text) ? player.play(line.text) : std::vector<std::string>{});
    } catch (const std::exception& error) {
      throw std::runtime_error(fmt::format("'{}': {}", line.text, error.what()));
    }
  }
  return traces;
}

}  // namespace kurier::coordinator
