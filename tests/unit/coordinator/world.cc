#include "tests/unit/coordinator/world.h"

#include <fmt/core.h>

#include <algorithm>

#include "coordinator/group/records.h"

namespace kurier::coordinator {

using protocol::ErrorCode;
using test::assignment_text;
using test::serial_of;

namespace {

GroupOptions options_of(std::uint64_t seed) {
  GroupOptions options;
  options.initial_rebalance_delay = std::chrono::milliseconds(seed % 3 * 500);
  options.max_size = seed % 5 == 0 ? 3 : 1000;
  options.offsets_retention = std::chrono::minutes(30);
  return options;
}

}  // namespace

World::World(std::uint64_t seed, Bug bug)
    : bug_(bug), random_(seed), options_(options_of(seed)), bench_(options_, seed + 1) {
  clients_ = test::GroupMember::some(5, 2);
}

RequestToken World::ask(std::size_t client, std::int64_t value) {
  const RequestToken token = bench_.token();
  const Client& who = clients_[client];
  asked_[token] = {client, who.group, who.generation, who.id, value};
  return token;
}

void World::join(std::size_t index) {
  Client& client = clients_[index];
  const bool changed = one_in(6);
  if (changed) client.protocols = static_cast<std::size_t>(below(3));
  const bool restarts = client.instance && one_in(3);
  const auto request = client.join_request(random_, restarts);

  // A static member that restarts unchanged while the group is stable does not disturb it.
  auto group = bench_.core().classic_group(client.group);
  const auto* known = group != nullptr && client.instance ? group->static_member(*client.instance) : nullptr;
  const bool must_stay =
      restarts && !changed && !holding_ && bench_.pending().empty() && known != nullptr &&
      group->is(ClassicGroupState::kStable) &&
      group->members().find(*known)->second.protocols.front().name == request.protocols.front().name &&
      group->members().size() < options_.max_size;
  const std::int32_t before = group == nullptr ? 0 : group->generation_id();
  const RequestContext context{static_cast<std::int16_t>(one_in(3) ? 3 : 9), client.name, "/127.0.0.1"};
  const RequestContext from = client.instance ? RequestContext{9, client.name, "/127.0.0.1"} : context;
  bench_.take(bench_.core().join_group(ask(index), from, request, bench_.now()));
  ++counts_["join"];
  if (!must_stay) return;
  ++counts_["static restart"];
  group = bench_.core().classic_group(client.group);
  if (!group->is(ClassicGroupState::kStable) || group->generation_id() != before)
    fail("a static member's restart made a rebalance");
}

void World::sync(std::size_t index) {
  const auto request = clients_[index].sync_request(random_, ++last_value_);
  bench_.take(bench_.core().sync_group(ask(index), request, bench_.now()));
  ++counts_["sync"];
}

void World::commit(std::size_t index) {
  const Client& client = clients_[index];
  const std::int64_t value = ++last_value_;
  const auto fill = [&](auto& request) {
    request.group_id = client.group;
    const bool anonymous = one_in(5);
    request.member_id = anonymous ? "" : client.id;
    request.generation_id_or_member_epoch = anonymous ? -1 : client.generation;
    if (!anonymous) request.group_instance_id = client.instance;
    auto& topic = request.topics.emplace_back();
    topic.name = fmt::format("t{}", below(3));
    auto& partition = topic.partitions.emplace_back();
    partition.partition_index = PartitionIndex(static_cast<std::int32_t>(below(2)));
    partition.committed_offset = Offset(value);
  };
  const RequestContext context{9, client.name, "/127.0.0.1"};
  if (one_in(5)) {
    protocol::TxnOffsetCommitRequest request;
    request.transactional_id = "txn";
    request.producer_id = ProducerId(static_cast<std::int64_t>(1 + below(2)));
    fill(request);
    bench_.take(
        bench_.core().txn_offset_commit(ask(index, value), {5, client.name, "/127.0.0.1"}, request, bench_.now()));
  } else {
    protocol::OffsetCommitRequest request;
    fill(request);
    bench_.take(bench_.core().offset_commit(ask(index, value), context, request, bench_.now()));
  }
  ++counts_["commit"];
}

void World::log_event() {
  if (!holding_) {
    holding_ = one_in(3);
    return bench_.hold_appends(holding_);
  }
  if (bench_.pending().empty() || one_in(4)) {
    holding_ = false;
    return bench_.hold_appends(false);
  }
  if (!one_in(3)) return bench_.commit_next();
  const AppendId append = bench_.pending().front();
  for (const LogEntry& entry : bench_.log()) {
    if (entry.append != append || entry.marker) continue;
    const auto decoded = decode_record(entry.record.key, std::nullopt);
    if (const auto* group = std::get_if<GroupRecord>(&*decoded)) unsure_.insert(group->group);
  }
  bench_.fail_next(ErrorCode::kNotEnoughReplicas);
  ++counts_["failed append"];
}

void World::heartbeat(std::size_t index) {
  Client& client = clients_[index];
  const auto group = bench_.core().classic_group(client.group);
  const std::int32_t generation = group == nullptr ? -1 : group->generation_id();
  const ErrorCode error = bench_.core().heartbeat(client.heartbeat_request(), bench_.now()).error_code;
  ++counts_["heartbeat"];
  if (error == ErrorCode::kNone && generation != client.generation)
    fail("a heartbeat of another generation was accepted");
  if (error != ErrorCode::kNone) client.wish = Client::Wish::kJoin;
}

void World::do_what_is_due(std::size_t index) {
  switch (clients_[index].wish) {
    case Client::Wish::kJoin: clients_[index].wish = Client::Wish::kWait; return join(index);
    case Client::Wish::kWait: return bench_.pass(std::chrono::milliseconds(below(1'000)));
    case Client::Wish::kSync: clients_[index].wish = Client::Wish::kWait; return sync(index);
    case Client::Wish::kWork: return one_in(2) ? commit(index) : heartbeat(index);
  }
}

// A part of what is due, or several.
void World::expire_some() {
  do {
    if (sweep_.is_over) sweep_ = {.part = 1 + below(4)};
    bench_.take(bench_.core().sweep(sweep_, bench_.now()));
    ++counts_["part of an expiry"];
  } while (!one_in(3));
}

void World::anything(std::size_t client) {
  Client& who = clients_[client];
  switch (below(16)) {
    case 0:
    case 1: join(client); break;
    case 2: sync(client); break;
    case 3: heartbeat(client); break;
    case 4:
    case 5: commit(client); break;
    case 6: {
      const auto request = who.leave_request(random_);
      bench_.take(bench_.core().leave_group(ask(client), {5, who.name, "/127.0.0.1"}, request, bench_.now()));
      ++counts_["leave"];
      break;
    }
    case 7: bench_.pass(std::chrono::milliseconds(below(8'000))); break;
    case 8:
    case 9:
    case 10: log_event(); break;
    case 11: bench_.end_transaction(ProducerId(static_cast<std::int64_t>(1 + below(2))), one_in(2)); break;
    case 12:
      if (one_in(10)) bench_.pass(std::chrono::minutes(below(40)));
      expire_some();
      break;
    case 13: bench_.take(bench_.core().delete_groups(ask(client), {who.group}, bench_.now())); break;
    default:
      if (!one_in(4)) break;
      bench_.restart();
      sweep_ = {};
      unsure_.clear();
      ++counts_["restart"];
      for (Client& each : clients_) each.wish = Client::Wish::kWork;
  }
}

std::string World::step() {
  const std::size_t client = static_cast<std::size_t>(below(clients_.size()));
  if (bug_ == Bug::kLosesRecords && one_in(40)) bench_.lose_next_record();
  if (one_in(8)) {
    anything(client);
  } else {
    do_what_is_due(client);
  }
  look("step");
  return violation_;
}

std::string World::finish() {
  bench_.resign();
  look("resigned");
  if (!asked_.empty()) fail(fmt::format("{} requests were never answered", asked_.size()));
  return violation_;
}

void World::look(const std::string& why) {
  for (Answer& answer : bench_.answers()) {
    if (!asked_.contains(answer.token)) return fail("a request was answered twice");
    if (auto* sync = std::get_if<protocol::SyncGroupResponse>(&answer.response);
        sync != nullptr && bug_ == Bug::kMixesAssignments && one_in(20) && !sync->assignment.empty()) {
      sync->assignment = to_bytes(assignment_text(-1, "nobody"));
    }
    std::visit([&](const auto& response) { hear(answer.token, response); }, answer.response);
    asked_.erase(answer.token);
  }
  if (why == "step") check_state();
}

void World::hear(RequestToken token, const protocol::JoinGroupResponse& response) {
  if (!clients_[asked_[token].client].hear(response)) return;
  ++counts_["joined"];
}

void World::hear(RequestToken token, const protocol::SyncGroupResponse& response) {
  const Asked& asked = asked_[token];
  if (!clients_[asked.client].hear(response)) return;
  ++counts_["assigned"];
  const std::string assignment(as_text(response.assignment));
  const std::string member = fmt::format("{} {} {}", asked.group, asked.generation, asked.member_id);
  const auto [own, first] = assignment_of_member_.try_emplace(member, assignment);
  if (!first && own->second != assignment) {
    fail(fmt::format("{} was assigned '{}' and '{}' in one generation", member, own->second, assignment));
  }
  if (assignment.empty()) return;
  const std::string serial = serial_of(assignment);
  const auto [shared, fresh] = assignment_of_generation_.try_emplace({asked.group, asked.generation}, serial);
  if (!fresh && shared->second != serial) {
    fail(fmt::format("generation {} of {} has the assignments {} and {}", asked.generation, asked.group, shared->second,
                     serial));
  }
}

void World::hear(RequestToken token, const protocol::OffsetCommitResponse& response) {
  if (response.topics.front().partitions.front().error_code == ErrorCode::kNone) {
    kept_.insert(asked_[token].value);
    ++counts_["committed"];
  } else {
    clients_[asked_[token].client].wish = Client::Wish::kJoin;
  }
  if (bug_ == Bug::kForgetsAfterAnswer && one_in(20)) bench_.forget_last_entry();
}
void World::hear(RequestToken token, const protocol::TxnOffsetCommitResponse& response) {
  if (response.topics.front().partitions.front().error_code == ErrorCode::kNone) kept_.insert(asked_[token].value);
}

void World::check_state() {
  if (checked_changes_ != bench_.log_changes()) check_log();
  checked_changes_ = bench_.log_changes();
  for (const char* id : {"g", "h"}) {
    if (bench_.core().classic_group(id) != nullptr) continue;  // deleted: its next generations begin anew
    std::erase_if(assignment_of_generation_, [&](const auto& entry) { return entry.first.first == id; });
    std::erase_if(assignment_of_member_,
                  [&](const auto& entry) { return entry.first.starts_with(std::string(id) + " "); });
  }
  if (!bench_.pending().empty()) return;
  for (const char* id : {"g", "h"}) check_group_against_log(id, *shadow_);
}

void World::check_log() {
  shadow_.reset();
  replayed_ = bench_.replayed();
  if (!(replayed_ == bench_.state())) fail("the log replayed from empty is not the durable state");
  shadow_ = std::make_unique<GroupCoordinator>(options_, replayed_, unused_);
  static_cast<void>(shadow_->load(bench_.now()));

  std::set<std::int64_t> logged;
  for (const LogEntry& entry : bench_.log()) {
    if (entry.marker || !entry.record.value) continue;
    const auto decoded = decode_record(entry.record.key, ByteView(*entry.record.value));
    const auto* offset = std::get_if<OffsetRecord>(&*decoded);
    if (offset != nullptr) logged.insert(offset->offset->offset.value());
  }
  for (const std::int64_t value : kept_) {
    if (!logged.contains(value)) fail(fmt::format("commit {} was answered and is lost", value));
  }
}

// A group at rest is what a coordinator that loads would see.
void World::check_group_against_log(const std::string& id, const GroupCoordinator& shadow) {
  const auto live = bench_.core().classic_group(id);
  if (live == nullptr) return;
  if (live->leader_id() && !live->has_member(*live->leader_id())) fail("the leader is no member");
  const bool at_rest = live->is(ClassicGroupState::kStable) || live->is(ClassicGroupState::kEmpty);
  if (live->is(ClassicGroupState::kStable)) unsure_.erase(id);
  if (!at_rest || unsure_.contains(id)) return;
  ++counts_["compared with the log"];
  const auto loaded = shadow.classic_group(id);
  if (loaded == nullptr) {
    if (live->protocol_type()) fail(id + " is not in the log");
    return;
  }
  auto expected = live->record(live->assignments());
  auto actual = loaded->record(loaded->assignments());
  // A group of size beyond the maximum rebalances on load; the record of an assignment is written before the group is
  // stable.
  actual.current_state_timestamp = expected.current_state_timestamp;
  if (expected != actual) fail(fmt::format("{} is {} but the log says {}", id, to_string(expected), to_string(actual)));
}

}  // namespace kurier::coordinator
