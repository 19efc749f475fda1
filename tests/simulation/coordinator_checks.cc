// What CoordinatorWorld checks: promises, the log, the view, and what the coordinator says.
#include <fmt/core.h>

#include <algorithm>

#include "coordinator/group/records.h"
#include "tests/simulation/coordinator_world.h"
#include "tests/support/group_state_text.h"
#include "tests/support/raw_batch.h"

namespace kurier::simulation {

using protocol::ErrorCode;

void CoordinatorWorld::look() {
  if (is_dead() || !fault_.empty()) return;
  storage::Log& log = broker_->partition().log();
  if (std::string fault = history_.learn(test::content_from(log, history_.end())); !fault.empty()) return fail(fault);
  durable_ = std::max(durable_, log.durable_end());
  const std::optional<Offset> cleaned_before = std::exchange(cleaned_to_, log.cleaned_to());
  if (cleaned_before < cleaned_to_) ++counts_["cleaned"];
  check_promises(broker_->partition().leader().high_watermark());
  const auto runtime = broker_->coordinator();
  if (runtime && runtime != seen_) {
    seen_ = runtime;
    check_loaded();
  }
  if (one_in(8)) check_view();
}

void CoordinatorWorld::check_promises(Offset safe_end) {
  for (const std::int64_t value : std::exchange(unchecked_, {})) {
    const auto at = history_.commit_of(value);
    if (!at || *at >= safe_end) return fail(fmt::format("commit {} was answered and is not safe", value));
    kept_.insert(value);
  }
  for (const Told& told : std::exchange(told_, {})) {
    const auto at = history_.assignment_of(told.group, told.generation, told.member_id, told.assignment);
    if (!at || *at >= safe_end)
      return fail(fmt::format("{} was told the assignment '{}' in generation {} of {}, which is not safe",
                              told.member_id, told.assignment, told.generation, told.group));
  }
}

void CoordinatorWorld::check_view() {
  const auto runtime = broker_->coordinator();
  if (!runtime || reading_fails_) return;
  ++counts_["compared with the log"];
  const std::string live = described(runtime->machine().state());
  const std::string expected = described(history_.state());
  if (live != expected) fail(fmt::format("the coordinator has\n{}where the log says\n{}", live, expected));
}

// After a crash, before anything else happens.
void CoordinatorWorld::check_log(storage::Log& log, bool knows_its_gaps) {
  const Offset end = log.log_end_offset();
  const Offset must_reach = death_ == Death::kKill ? history_.end() : durable_;
  if (end < must_reach)
    return fail(fmt::format("the log ends at {}, it must reach {}", end.value(), must_reach.value()));
  if (end < history_.end()) ++counts_["lost the end of the log"];
  history_.forget_from(end);
  std::vector<test::DecodedBatch> content;
  try {
    content = test::content_of(log);
  } catch (const std::runtime_error& error) {
    return fail(error.what());
  }
  // Who cannot tell a gap of compaction from what a power cut took out of the middle leaves both (LogOptions).
  const bool may_have_gaps = death_ != Death::kKill && !knows_its_gaps;
  if (may_have_gaps) history_.forget_missing(durable_, content);
  if (std::string fault = history_.learn(content, may_have_gaps); !fault.empty()) return fail(fault);
  if (may_have_gaps) history_.reaches(end);
  if (!(replayed(content) == history_.state()))
    return fail(fmt::format("the log replayed from empty has\n{}where what was appended to it says\n{}",
                            described(replayed(content)), described(history_.state())));
  if (death_ == Death::kPowerCut) {
    const auto is_lost = [&](std::int64_t value) { return !history_.commit_of(value); };
    std::erase_if(kept_, is_lost);
    std::erase_if(unchecked_, is_lost);
    std::erase_if(told_, [&](const Told& told) {
      return !history_.assignment_of(told.group, told.generation, told.member_id, told.assignment);
    });
  }
  check_promises(end);
  for (const std::int64_t value : kept_) {
    if (!history_.commit_of(value)) return fail(fmt::format("commit {} was answered and is lost", value));
  }
  durable_ = std::min(durable_, end);
}

// Groups come up as their last records have them.
void CoordinatorWorld::check_loaded() {
  ++counts_["loaded"];
  check_view();
  history_.state().for_each_group([&](const std::string& group) {
    if (const auto record = history_.state().classic_group(group)) check_group(group, *record);
  });
  for (Client& client : clients_) {
    if (client.generation >= 0 && !client.id.empty()) check_member(client);
  }
}

void CoordinatorWorld::check_group(const std::string& id, const protocol::GroupMetadataValue& record) {
  using enum coordinator::ClassicGroupState;
  const auto group = broker_->coordinator()->machine().groups().classic_group(id);
  if (group == nullptr) return fail(id + " is not loaded");
  const bool is_too_large = record.members.size() > static_cast<std::size_t>(options_.config.group.max_size);
  const auto expected = record.members.empty() ? kEmpty : is_too_large ? kPreparingRebalance : kStable;
  if (!group->is(expected)) return fail(fmt::format("{} is loaded as {}", id, to_string(group->state())));
  if (is_too_large) return;
  auto loaded = group->record(group->assignments());
  loaded.current_state_timestamp = record.current_state_timestamp;
  if (loaded != record) fail(fmt::format("{} is {}, its record {}", id, to_string(loaded), to_string(record)));
  if (!record.members.empty()) ++counts_["loaded as stable"];
}

// Who was in a generation is in it still, and nobody else.
void CoordinatorWorld::check_member(Client& client) {
  const auto record = history_.state().classic_group(client.group);
  ErrorCode expected = ErrorCode::kUnknownMemberId;
  for (const auto& member : record ? record->members : decltype(record->members){}) {
    const bool is_same = member.member_id == client.id;
    if (client.instance && member.group_instance_id == client.instance && !is_same)
      expected = ErrorCode::kFencedInstanceId;
    if (!is_same) continue;
    expected = record->generation == client.generation ? ErrorCode::kNone : ErrorCode::kIllegalGeneration;
  }
  const bool is_too_large = record && record->members.size() > static_cast<std::size_t>(options_.config.group.max_size);
  if (is_too_large && expected == ErrorCode::kNone) expected = ErrorCode::kRebalanceInProgress;
  ErrorCode error = heartbeat(client);
  if (bug_ == Bug::kForgetsMembers && one_in(10)) error = ErrorCode::kUnknownMemberId;
  if (error != expected)
    return fail(fmt::format("the heartbeat of {} in generation {} of {} is answered {}, not {}", client.id,
                            client.generation, client.group, protocol::to_string(error),
                            protocol::to_string(expected)));
  if (error != ErrorCode::kNone) return;
  ++counts_["member goes on"];
  client.wish = one_in(2) ? Client::Wish::kSync : Client::Wish::kWork;
}
}  // namespace kurier::simulation
