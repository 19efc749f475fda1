#include "coordinator/view/partition_view.h"

#include <fmt/core.h>

#include <utility>

#include "base/log.h"
#include "coordinator/view/stored_views.h"
#include "protocol/record_batch.h"

namespace kurier::coordinator {
namespace {

bool starts_with(ByteView bytes, ByteView prefix) {
  return bytes.size() >= prefix.size() && std::ranges::equal(bytes.first(prefix.size()), prefix);
}

// Runs `work` on the pool and resumes on the shard with what it returned.
template <class Value, class Work>
Task<Value> on_pool(WorkPool& pool, Executor& executor, Work work) {
  const auto done = std::make_shared<Event<Value>>();
  pool.run([done, &executor, work = std::move(work)]() mutable {
    executor.post([done, value = work()]() mutable { done->set(std::move(value)); });
  });
  co_return co_await *done;
}

}  // namespace

std::optional<std::string> reason_to_discard(const StoredPosition& stored, const LogFacts& log) {
  const Offset offset = stored.position.offset;
  if (stored.log_directory_id != log.log_directory_id)
    return fmt::format("it belongs to log directory {}", stored.log_directory_id.to_string());
  if (offset < log.log_start_offset)
    return fmt::format("the log begins at offset {}, behind its {}", log.log_start_offset.value(), offset.value());
  if (offset > log.log_end_offset)
    return fmt::format("the log ends at offset {}, before its {}", log.log_end_offset.value(), offset.value());
  if (log.cleaned_to && *log.cleaned_to > offset)
    return fmt::format("the log was cleaned up to offset {}, past its {}", log.cleaned_to->value(), offset.value());
  if (offset > Offset(0) && log.epoch != stored.position.leader_epoch)
    return fmt::format("leader epoch {} before its offset {} is not the log's", stored.position.leader_epoch.value(),
                       offset.value());
  // The same offsets in the same epoch, but another history: the directory was put back from a copy, and has gone on without the
  // view. What the cleaner has written anew says nothing.
  const bool is_as_written = !log.cleaned_to || *log.cleaned_to < offset;
  if (stored.position.crc && log.crc && is_as_written && *stored.position.crc != *log.crc)
    return fmt::format("the batch before its offset {} is another one than it knows", offset.value());
  return std::nullopt;
}

// The two layers in memory, as one in the order of keys; unsaved changes hide those that are being saved.
class PartitionView::Memory {
 public:
  Memory(const Changes& upper, const Changes* lower, ByteView from)
      : upper_(upper), upper_at_(upper.lower_bound(from)), lower_(lower) {
    if (lower_ != nullptr) lower_at_ = lower_->lower_bound(from);
  }
  // Null: no more.
  [[nodiscard]] const Changes::value_type* current() const {
    const bool has_upper = upper_at_ != upper_.end();
    if (lower_ == nullptr || lower_at_ == lower_->end()) return has_upper ? &*upper_at_ : nullptr;
    if (!has_upper || BytesLess{}(lower_at_->first, upper_at_->first)) return &*lower_at_;
    return &*upper_at_;
  }
  void advance() {
    const auto* now = current();
    if (lower_ != nullptr && lower_at_ != lower_->end() && lower_at_->first == now->first) {
      if (upper_at_ != upper_.end() && upper_at_->first == now->first) ++upper_at_;
      ++lower_at_;
    } else {
      ++upper_at_;
    }
  }

 private:
  const Changes& upper_;
  Changes::const_iterator upper_at_;
  const Changes* lower_;
  Changes::const_iterator lower_at_;
};

PartitionView::PartitionView(Ports ports, Options options)
    : ports_(std::move(ports)),
      options_(std::move(options)),
      prefix_(view_prefix(options_.topic_id, options_.partition)) {}

// ---- opening

struct PartitionView::Opened {
  Result<KeyValueStore*> store;
  bool has_something = false;
  std::optional<StoredPosition> stored;
};

// On the pool. What was read is durable.
PartitionView::Opened PartitionView::open(const Ports& ports, const Bytes& prefix) {
  Opened opened{ports.open_store(), false, std::nullopt};
  if (!opened.store) return opened;
  KeyValueStore& store = **opened.store;
  if (const Result<void> flushed = store.flush(); !flushed) {
    opened.store = std::unexpected(flushed.error());
    return opened;
  }
  const auto value = store.get(prefix);
  opened.has_something = !value || value->has_value();
  if (!value || !*value) return opened;
  if (auto decoded = decode_position(**value)) opened.stored = *decoded;
  return opened;
}

LogFacts PartitionView::facts(const StoredPosition& stored) const {
  return {log_->log_start_offset(), log_->log_end_offset(), log_->cleaned_to(),
          log_->epoch_at(stored.position.offset - 1), options_.log_directory_id};
}

Task<std::optional<std::string>> PartitionView::examine(std::shared_ptr<PartitionView> self,
                                                        const StoredPosition& stored) {
  LogFacts known = self->facts(stored);
  auto reason = reason_to_discard(stored, known);
  const Offset last = stored.position.offset - 1;
  if (reason || !stored.position.crc || last < known.log_start_offset) co_return reason;
  const Result<Bytes> batches = co_await self->log_->read(last, 1);
  if (self->closed_ || !batches) co_return reason;  // what cannot be read is met again when it is replayed
  const auto batch = protocol::RecordBatchView::parse_header(*batches);
  if (batch && batch->last_offset() == last) known.crc = batch->crc();
  co_return reason_to_discard(stored, known);
}

Task<Result<Offset>> PartitionView::begin(std::shared_ptr<PartitionView> self, RecordLog& log) {
  self->log_ = &log;
  log.never_clean_beyond(log.log_start_offset());  // until it is known what the view needs
  const Opened opened = co_await on_pool<Opened>(self->ports_.pool, self->ports_.executor,
                                                 [self] { return open(self->ports_, self->prefix_); });
  if (self->closed_) co_return fail(Failure::kCancelled, "the partition is led no longer");
  self->committed_ = log.high_watermark();
  self->position_ = {log.log_start_offset(), LeaderEpoch(-1)};
  if (!opened.store) {
    self->keep_in_memory(opened.store.error());
    co_return log.log_start_offset();
  }
  self->store_ = *opened.store;
  std::optional<std::string> reason;
  if (self->options_.distrust) {
    reason = "it could not be read";
  } else if (opened.stored) {
    reason = co_await examine(self, *opened.stored);
    if (self->closed_) co_return fail(Failure::kCancelled, "the partition is led no longer");
  } else if (opened.has_something) {
    reason = "its position cannot be read";
  }
  if (reason) {
    LOG_WARN("the view of {} is discarded and made anew from the log: {}", self->options_.name, *reason);
    // Durably, before the log can grow: it must not look right later.
    const auto erased =
        co_await on_pool<Result<void>>(self->ports_.pool, self->ports_.executor, [self]() -> Result<void> {
          TRY(self->store_->erase_prefix(self->prefix_));
          return self->store_->flush();
        });
    if (self->closed_) co_return fail(Failure::kCancelled, "the partition is led no longer");
    if (!erased)
      co_return std::unexpected(erased.error().within("kurier.state.dir cannot be used; repair or remove it"));
  } else if (opened.stored) {
    self->position_ = opened.stored->position;
    self->saved_ = self->position_;
    log.never_clean_beyond(self->position_.offset);
  }
  self->saves_ = true;
  self->unsaved_from_ = self->position_.offset;
  co_return self->position_.offset;
}

void PartitionView::keep_in_memory(const Error& error) {
  LOG_ERROR("the view of {} is kept in memory until the next start: {}", options_.name, error.context);
  saves_ = false;
  // What the store has may be read again at the next start. A crash right behind a cleaning, before that is written down, must not
  // let it pass for good.
  if (log_ != nullptr && !saved_) log_->never_clean_beyond(std::nullopt);
}

void PartitionView::missed_something() {
  if (saves_) keep_in_memory(Error{Failure::kInvalid, "somebody else has written to its log"});
}

// ---- reading

Bytes PartitionView::stored_key(ByteView key) const {
  Bytes stored;
  stored.reserve(prefix_.size() + key.size());
  stored.insert(stored.end(), prefix_.begin(), prefix_.end());
  stored.insert(stored.end(), key.begin(), key.end());
  return stored;
}

void PartitionView::reading_failed(const Error& error) const {
  if (!std::exchange(reading_failed_, true)) LOG_ERROR("the view of {}: {}", options_.name, error.context);
}

std::optional<Bytes> PartitionView::get(ByteView key) const {
  if (const auto found = unsaved_.find(key); found != unsaved_.end()) return found->second;
  if (saving_) {
    if (const auto found = saving_->changes.find(key); found != saving_->changes.end()) return found->second;
  }
  if (store_ == nullptr) return std::nullopt;
  auto value = store_->get(stored_key(key));
  if (value) return *std::move(value);
  reading_failed(value.error());
  return std::nullopt;
}

void PartitionView::scan(ByteView prefix, ByteView from, const Visit& visit) const {
  const std::shared_ptr<const Layer> saving = saving_;
  Memory memory(unsaved_, saving ? &saving->changes : nullptr, from);
  bool goes_on = true;
  // What memory has before `end`, or all; true: `end` itself too, which hides the store's.
  const auto visit_memory = [&](std::optional<ByteView> end) {
    for (const auto* at = memory.current(); goes_on && at != nullptr && starts_with(at->first, prefix);
         memory.advance(), at = memory.current()) {
      if (end && BytesLess{}(*end, at->first)) return false;
      const bool is_end = end && std::ranges::equal(*end, ByteView(at->first));
      if (at->second) goes_on = visit(at->first, *at->second);
      if (is_end) {
        memory.advance();
        return true;
      }
    }
    return false;
  };
  if (store_ != nullptr) {
    const Result<void> scanned = store_->scan(stored_key(prefix), stored_key(from), [&](ByteView key, ByteView value) {
      const ByteView own = key.subspan(prefix_.size());
      const bool is_hidden = visit_memory(own);
      if (goes_on && !is_hidden) goes_on = visit(own, value);
      return goes_on;
    });
    if (!scanned) return reading_failed(scanned.error());
  }
  if (goes_on) visit_memory(std::nullopt);
}

// ---- changing

void PartitionView::change(Bytes key, std::optional<Bytes> value) {
  constexpr std::size_t kEntryBytes = 64;
  unsaved_bytes_ += kEntryBytes + key.size() + (value ? value->size() : 0);
  const auto [at, is_new] = unsaved_.try_emplace(std::move(key));
  if (!is_new) unsaved_bytes_ -= kEntryBytes + at->first.size() + (at->second ? at->second->size() : 0);
  at->second = std::move(value);
}

void PartitionView::reflects(ViewPosition position) {
  position_ = position;
  if (!saves_ || closed_) return;
  if (has_much_to_save()) save();
  arm();
}

void PartitionView::arm() {
  if (timer_ != 0 || !saves_ || closed_) return;
  timer_ = ports_.timers.start(ports_.clock.monotonic() + options_.unsaved_time_max, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self || self->closed_) return;
    self->timer_ = 0;
    self->save();
  });
}

void PartitionView::committed_to(Offset high_watermark) {
  committed_ = std::max(committed_, high_watermark);
  save_if_committed();
}

// Many commits of few partitions are few bytes, but much log.
bool PartitionView::has_much_to_save() const {
  return unsaved_bytes_ >= options_.unsaved_bytes_max ||
         position_.offset - unsaved_from_ >= options_.unsaved_records_max;
}

void PartitionView::save() {
  if (saving_ || !saves_ || !is_sound() || (saved_ == position_ && unsaved_.empty())) return;
  saving_ = std::make_shared<Layer>(Layer{std::exchange(unsaved_, {}), position_});
  unsaved_bytes_ = 0;
  unsaved_from_ = position_.offset;
  save_if_committed();
}

void PartitionView::save_if_committed() {
  if (!saving_ || flushing_ || writing_ || !saves_ || closed_ || saving_->position.offset > committed_) return;
  flushing_ = true;
  log_->flush_to(saving_->position.offset, [weak = weak_from_this()](bool is_durable) {
    if (const auto self = weak.lock()) self->log_is_flushed(is_durable);
  });
}

// False: the partition is at its end, and so will this be.
void PartitionView::log_is_flushed(bool is_durable) {
  flushing_ = false;
  if (closed_) return;
  if (is_durable && saves_) return write_saving();
  room_is_made(true);
}

void PartitionView::write_saving() {
  writing_ = true;
  ports_.pool.run([self = shared_from_this(), layer = saving_] {
    Result<void> result = self->write(*layer);
    if (result) result = self->store_->flush();
    self->ports_.executor.post([self, result = std::move(result)] { self->is_saved(result); });
  });
}

// On the pool. Of layers that come one after the other none is written without those before it.
Result<void> PartitionView::write(const Layer& layer) {
  if (write_failed_) return fail(Failure::kCancelled, "what came before could not be written");
  std::vector<KeyValueStore::Change> changes;
  changes.reserve(layer.changes.size() + 1);
  for (const auto& [key, value] : layer.changes) changes.push_back({stored_key(key), value});
  changes.push_back({prefix_, encode_position({layer.position, options_.log_directory_id})});
  Result<void> written = store_->write(changes);
  write_failed_ = !written.has_value();
  return written;
}

void PartitionView::is_saved(const Result<void>& result) {
  writing_ = false;
  if (closed_) return;
  if (!result) {
    if (saves_) keep_in_memory(result.error());
  } else {
    saved_ = saving_->position;
    if (saves_) log_->never_clean_beyond(saved_->offset);
    // Its many small pieces are given back elsewhere.
    ports_.pool.run([saved = std::exchange(saving_, nullptr)]() mutable { saved.reset(); });
    if (has_much_to_save()) save();
    if (!(saved_ == position_)) arm();
  }
  room_is_made(true);
}

void PartitionView::room_is_made(bool has_room) {
  for (Event<bool>* waiting : std::exchange(waiting_for_room_, {})) waiting->set(has_room);
}

Task<void> PartitionView::make_room(std::shared_ptr<PartitionView> self) {
  if (self->unsaved_bytes_ >= self->options_.unsaved_bytes_max) self->save();
  const bool is_on_its_way = self->flushing_ || self->writing_;
  if (self->unsaved_bytes_ < self->options_.unsaved_bytes_max || !is_on_its_way) co_return;
  Event<bool> saved;
  self->waiting_for_room_.push_back(&saved);
  co_await saved;
}

void PartitionView::close() {
  if (std::exchange(closed_, true)) return;
  // The bound stays: the last save is yet to come. Who leads the partition next asks for what it needs.
  log_ = nullptr;
  if (timer_ != 0) ports_.timers.cancel(std::exchange(timer_, 0));
  room_is_made(false);
  const bool has_news = !(saved_ == position_) || !unsaved_.empty();
  if (!has_news || !saves_ || !is_sound() || position_.offset > committed_ || (saving_ && !writing_)) return;
  auto last = std::make_shared<const Layer>(Layer{std::exchange(unsaved_, {}), position_});
  auto save = [self = shared_from_this(), last = std::move(last)] {
    const auto result = self->write(*last);
    if (!result) LOG_WARN("the view of {} was not saved: {}", self->options_.name, result.error().context);
  };
  if (ports_.save_last) {
    ports_.save_last(position_.offset, std::move(save));
  } else {
    ports_.pool.run(std::move(save));
  }
}

}  // namespace kurier::coordinator
