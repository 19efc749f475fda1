#include "tests/simulation/coordinator_history.h"

#include <fmt/core.h>

#include <set>

#include "base/check.h"
#include "coordinator/group/records.h"
#include "coordinator/group/replay.h"
#include "tests/support/group_member.h"

namespace kurier::simulation {

using coordinator::MemoryGroupState;

namespace {

using test::serial_of;

std::optional<ByteView> value_of(const test::DecodedRecord& record) {
  return record.value ? std::optional(as_bytes(*record.value)) : std::nullopt;
}

void replay_record(MemoryGroupState& state, const test::DecodedRecord& record, ProducerId producer, bool is_marker) {
  if (is_marker) return coordinator::replay_end_transaction(state, producer, record.key->at(3) == 1);
  const auto done = coordinator::replay(state, as_bytes(*record.key), value_of(record), record.offset, producer);
  KURIER_CHECK_MESSAGE(done.has_value(), done.error().context);
}

ProducerId transaction_of(const test::DecodedBatch& batch) {
  return batch.transactional ? batch.producer : ProducerId(-1);
}

}  // namespace

MemoryGroupState replayed(const std::vector<test::DecodedBatch>& batches) {
  MemoryGroupState state;
  for (const test::DecodedBatch& batch : batches) {
    for (const test::DecodedRecord& record : batch.records)
      replay_record(state, record, transaction_of(batch), batch.control);
  }
  return state;
}

std::string CoordinatorHistory::learn(const std::vector<test::DecodedBatch>& batches, bool may_have_gaps) {
  for (const test::DecodedBatch& batch : batches) {
    if (batch.last >= end_ && batch.base > end_ && !may_have_gaps)
      return fmt::format("the log has nothing between {} and {}", end_.value(), batch.base.value());
    for (const test::DecodedRecord& record : batch.records) {
      if (record.offset >= end_) {
        if (std::string fault = add({record, transaction_of(batch), batch.control}); !fault.empty()) return fault;
        continue;
      }
      const auto known = entries_.find(record.offset);
      if (known == entries_.end() || !(known->second.record == record) || known->second.is_marker != batch.control)
        return fmt::format("the record at {} is not the one that was appended", record.offset.value());
    }
    end_ = std::max(end_, batch.last + 1);
  }
  return {};
}

std::string CoordinatorHistory::add(const Entry& entry) {
  const Offset at = entry.record.offset;
  entries_.emplace(at, entry);
  end_ = at + 1;
  replay_record(state_, entry.record, entry.producer, entry.is_marker);
  if (entry.is_marker) return {};
  const auto decoded = coordinator::decode_record(as_bytes(*entry.record.key), value_of(entry.record));
  if (const auto* offset = std::get_if<coordinator::OffsetRecord>(&*decoded)) {
    if (offset->offset) commits_[offset->offset->offset.value()] = at;
    return {};
  }
  const auto* group = std::get_if<coordinator::GroupRecord>(&*decoded);
  return group == nullptr ? std::string() : add_group(at, group->group, group->value);
}

std::string CoordinatorHistory::add_group(Offset at, const std::string& group,
                                          const std::optional<protocol::GroupMetadataValue>& value) {
  if (!value) {
    newest_.erase(group);
    return {};
  }
  Newest& newest = newest_[group];
  if (value->generation < newest.generation)
    return fmt::format("generation {} of {} follows {}", value->generation, group, newest.generation);
  if (value->generation > newest.generation) newest = {value->generation, {}};
  for (const auto& member : value->members) {
    const std::string assignment(as_text(member.assignment));
    assignments_[{group, value->generation}].try_emplace({member.member_id, assignment}, at);  // the first one
    if (assignment.empty()) continue;
    if (newest.serial.empty()) newest.serial = serial_of(assignment);
    if (newest.serial != serial_of(assignment))
      return fmt::format("generation {} of {} has the assignments {} and {}", value->generation, group, newest.serial,
                         serial_of(assignment));
  }
  return {};
}

void CoordinatorHistory::forget_from(Offset end) {
  if (end >= end_) return;
  const auto kept = std::exchange(entries_, {});
  *this = CoordinatorHistory{};
  for (const auto& [offset, entry] : kept) {
    if (offset >= end) break;
    static_cast<void>(add(entry));
  }
  end_ = end;
}

void CoordinatorHistory::forget_missing(Offset from, const std::vector<test::DecodedBatch>& batches) {
  std::set<Offset> there;
  for (const test::DecodedBatch& batch : batches) {
    for (const test::DecodedRecord& record : batch.records) there.insert(record.offset);
  }
  const auto kept = std::exchange(entries_, {});
  const Offset end = end_;
  *this = CoordinatorHistory{};
  for (const auto& [offset, entry] : kept) {
    if (offset < from || there.contains(offset)) static_cast<void>(add(entry));
  }
  end_ = end;
}

std::optional<Offset> CoordinatorHistory::commit_of(std::int64_t value) const {
  const auto found = commits_.find(value);
  return found == commits_.end() ? std::nullopt : std::optional(found->second);
}

std::optional<Offset> CoordinatorHistory::assignment_of(const std::string& group, std::int32_t generation,
                                                        const std::string& member,
                                                        const std::string& assignment) const {
  const auto of_generation = assignments_.find({group, generation});
  if (of_generation == assignments_.end()) return std::nullopt;
  const auto found = of_generation->second.find({member, assignment});
  return found == of_generation->second.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace kurier::simulation
