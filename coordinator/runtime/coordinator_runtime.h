// CoordinatorRuntime: one coordinator partition from the moment this broker leads it: loading, appending, answering.
//
// A shell over a machine (the core: groups now, transactions and share groups later) and a RecordLog. It does what an Outcome
// says, in the contract's order (docs/coordinator.md): the records of an append go to the log and are replayed at once with the
// offsets that they got; where the log refuses them nothing was replayed and the machine hears of it; when the high watermark
// has passed an append the machine hears of that, and gives the answers that waited. Everything on the partition's shard.
//
// Nobody is told what may be taken back: it answers when all that it has replayed is committed, and who has read waits until
// what was there is. An append that outlives the commit timeout has failed for whoever made it; its records stay in the log
// and in the state, and count for readers when they are committed, as in Apache Kafka.
//
// With a view (view/partition_view.h), which holds the machine's durable state, only what the view lacks of the log is replayed.
// If the view turns out to be unreadable, everybody who waits is sent away and the owner begins anew, without it.
//
// A machine has: `Outcome` with `appends` and `answers`; replay(key, value, offset, producer), replay_end_transaction(producer,
// commit), load(now) until it is_loaded(), resign(now), committed(id, now), append_failed(id, error, now), tick(now), next_deadline().
#pragma once

#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <utility>
#include <variant>

#include "base/executor.h"
#include "base/log.h"
#include "base/spawner.h"
#include "coordinator/runtime/batch_replay.h"
#include "coordinator/runtime/record_log.h"
#include "coordinator/view/partition_view.h"

namespace kurier::coordinator {

struct RuntimePorts {
  const Clock& clock;
  Timers& timers;
  Spawner& spawner;
};

template <class Machine>
class CoordinatorRuntime final : public RecordLogObserver,
                                 public std::enable_shared_from_this<CoordinatorRuntime<Machine>> {
 public:
  using Outcome = typename Machine::Outcome;
  using Response = typename Machine::Response;
  using Operation = std::move_only_function<Outcome(Machine& machine, RequestToken token, Now now)>;

  // What the machine's state is in; null: in memory, and the whole log is replayed. `lost`: it cannot be read, and this
  // has resigned.
  struct View {
    std::shared_ptr<PartitionView> view;
    std::function<void()> lost;
  };

  // `name` is for the log: "__consumer_offsets-7". `commit_timeout`: offsets.commit.timeout.ms.
  CoordinatorRuntime(RuntimePorts ports, std::string name, std::unique_ptr<RecordLog> log,
                     std::unique_ptr<Machine> machine, LeaderEpoch epoch, std::chrono::milliseconds commit_timeout,
                     View view = {})
      : ports_(ports),
        name_(std::move(name)),
        log_(std::move(log)),
        machine_(std::move(machine)),
        epoch_(epoch),
        commit_timeout_(commit_timeout),
        view_(std::move(view.view)),
        view_lost_(std::move(view.lost)) {}
  ~CoordinatorRuntime() override { KURIER_CHECK(state_ == State::kResigned || state_ == State::kNew); }

  // Replays the log and begins to answer. Once.
  void begin() {
    state_ = State::kLoading;
    ports_.spawner.spawn("coordinator load", load(this->shared_from_this()));
  }
  // Everybody who waits is answered; nothing is called afterwards.
  void resign() {
    if (state_ == State::kResigned) return;
    const bool was_active = state_ == State::kActive;
    state_ = State::kResigned;
    loading_is_over();
    log_->observe(nullptr);
    if (timer_ != 0) ports_.timers.cancel(std::exchange(timer_, 0));
    if (load_wait_ != nullptr) std::exchange(load_wait_, nullptr)->set(false);
    for (const Reader& reader : std::exchange(readers_, {})) reader.committed->set(false);
    appends_.clear();
    works_.clear();
    outcomes_.clear();
    if (view_) view_->close();
    if (was_active) give_answers(machine_->resign(now()).answers);
    // Whom the machine has not heard of, or has answered in what is not carried out any more.
    for (auto& [token, waiter] : std::exchange(waiting_, {}))
      waiter->set(std::unexpected(protocol::ErrorCode::kNotCoordinator));
  }

  // kNone, kCoordinatorLoadInProgress or kNotCoordinator.
  [[nodiscard]] protocol::ErrorCode availability() const {
    if (state_ == State::kActive) return protocol::ErrorCode::kNone;
    return state_ == State::kResigned || state_ == State::kFailed ? protocol::ErrorCode::kNotCoordinator
                                                                  : protocol::ErrorCode::kCoordinatorLoadInProgress;
  }

  // While it loads: waits until that is over, `patience` at most.
  static Task<void> until_loaded(std::shared_ptr<CoordinatorRuntime> self, std::chrono::milliseconds patience) {
    if (self->state_ != State::kLoading) co_return;
    Event<bool> over;
    const auto place = self->wait_for_load_.insert(self->wait_for_load_.end(), &over);
    const TimerId timer = self->ports_.timers.start(self->ports_.clock.monotonic() + patience, [&self = *self, place] {
      Event<bool>* event = *place;
      self.wait_for_load_.erase(place);
      event->set(false);
    });
    const bool loaded = co_await over;
    if (loaded) self->ports_.timers.cancel(timer);
  }

  // The answer to an operation, when there is one; kNotCoordinator if the leadership ends before. Only while available.
  using Answered = std::expected<Response, protocol::ErrorCode>;
  static Task<Answered> ask(std::shared_ptr<CoordinatorRuntime> self, Operation operation) {
    KURIER_CHECK(self->state_ == State::kActive);
    const RequestToken token = ++self->last_token_;
    Event<Answered> answered;
    self->waiting_.emplace(token, &answered);
    self->perform([token, operation = std::move(operation)](Machine& machine, Now now) mutable {
      return operation(machine, token, now);
    });
    co_return co_await answered;
  }
  // Work that nobody waits for.
  using Work = std::move_only_function<Outcome(Machine& machine, Now now)>;
  void perform(Work work) {
    if (state_ != State::kActive) return;
    works_.push_back(std::move(work));
    if (!busy_) settle();
  }
  // What reads directly. What it saw may not be committed yet: `until_committed` before it is told; and it may be wrong,
  // unless it `is_sound` afterwards.
  [[nodiscard]] Machine& machine() { return *machine_; }
  // False: the view could not be read, and this resigns.
  [[nodiscard]] bool is_sound() {
    if (!view_ || view_->is_sound()) return true;
    lose_view();
    return false;
  }
  // False: work that can wait would only fill the memory now.
  [[nodiscard]] bool has_room() const { return !view_ || view_->has_room(); }
  [[nodiscard]] Now now() const { return {ports_.clock.monotonic(), ports_.clock.wall()}; }
  // Whether everything that has been appended by now, whatever became of it, is committed before the commit timeout.
  static Task<bool> until_committed(std::shared_ptr<CoordinatorRuntime> self) {
    if (!self->is_sound() || self->state_ != State::kActive) co_return false;
    if (self->replayed_to_ <= self->high_watermark_) co_return true;
    Event<bool> committed;
    self->readers_.push_back({self->replayed_to_, self->ports_.clock.monotonic() + self->commit_timeout_, &committed});
    self->arm();
    co_return co_await committed;
  }

  // RecordLogObserver
  void committed_to(Offset high_watermark) override {
    high_watermark_ = std::max(high_watermark_, high_watermark);
    if (view_) view_->committed_to(high_watermark);
    if (load_wait_ != nullptr) return std::exchange(load_wait_, nullptr)->set(true);
    if (!busy_) settle();
  }

 private:
  enum class State { kNew, kLoading, kActive, kFailed, kResigned };
  struct InFlight {
    AppendId id = 0;
    Offset end;
    MonotonicTime deadline;
  };
  struct Reader {
    Offset end;  // of what it has seen
    MonotonicTime deadline;
    Event<bool>* committed;
  };

  static Task<void> load(std::shared_ptr<CoordinatorRuntime> self) {
    constexpr std::size_t kChunkBytes = 1 << 20;
    const MonotonicTime began = self->ports_.clock.monotonic();
    Offset next = self->log_->log_start_offset();
    if (self->view_) {
      const auto begun = co_await PartitionView::begin(self->view_, *self->log_);
      if (self->state_ != State::kLoading) co_return;
      if (!begun) {
        LOG_ERROR("{} cannot be loaded, its coordinator stays unavailable: {}", self->name_, begun.error().context);
        self->state_ = State::kFailed;
        self->loading_is_over();
        co_return;
      }
      next = *begun;
    }
    const Offset first = next;
    while (self->state_ == State::kLoading) {
      if (next >= self->log_->log_end_offset()) {
        if (next <= self->log_->high_watermark()) break;
        Event<bool> committed;
        self->load_wait_ = &committed;
        self->log_->observe(self.get());
        co_await committed;
        continue;
      }
      const Offset end = self->log_->log_end_offset();
      const auto chunk = co_await self->log_->read(next, kChunkBytes);
      if (self->state_ != State::kLoading) co_return;
      Result<Replayed> replayed =
          chunk ? replay_batches(*self->machine_, *chunk, next) : std::unexpected(chunk.error());
      if (replayed && chunk->empty()) replayed = Replayed{end, false, {}};  // compaction took what was there
      if (replayed && replayed->next == next) replayed = fail(Failure::kCorrupt, "the log ends inside a batch");
      if (!replayed) {
        LOG_ERROR("{} cannot be loaded, its coordinator stays unavailable: {}", self->name_, replayed.error().context);
        self->state_ = State::kFailed;
        self->loading_is_over();
        co_return;
      }
      // Our cleaner does not pass a view. It has, if an older one was put in its place; a crash may have kept that from being
      // written down.
      if (!replayed->is_whole && first > self->log_->log_start_offset()) {
        LOG_WARN("{}: offsets behind {} are missing, which its view was to be completed by", self->name_, next.value());
        co_return self->lose_view();
      }
      next = replayed->next;
      if (!self->view_) continue;
      if (!self->is_sound()) co_return;
      self->view_->committed_to(self->log_->high_watermark());
      self->view_->reflects({next, self->log_->epoch_at(next - 1).value_or(LeaderEpoch(-1)), replayed->crc});
      co_await PartitionView::make_room(self->view_);
    }
    if (self->state_ != State::kLoading) co_return;
    while (self->is_sound()) {
      self->outcomes_.push_back(self->machine_->load(self->now()));
      if (self->machine_->is_loaded()) break;
      Event<bool> turn;  // of the shard: others have theirs
      self->load_wait_ = &turn;
      self->ports_.timers.start(self->ports_.clock.monotonic(), [self] {
        if (self->load_wait_ != nullptr) std::exchange(self->load_wait_, nullptr)->set(true);
      });
      co_await turn;
      if (self->state_ != State::kLoading) co_return;
    }
    if (self->state_ != State::kLoading) co_return;  // its view could not be read
    self->state_ = State::kActive;
    self->replayed_to_ = next;
    self->high_watermark_ = self->log_->high_watermark();
    self->log_->observe(self.get());
    if (next > self->log_->log_start_offset())
      LOG_INFO("{} is loaded: replayed from offset {} to {} in {} ms", self->name_, first.value(), next.value(),
               std::chrono::duration_cast<std::chrono::milliseconds>(self->ports_.clock.monotonic() - began).count());
    self->settle();
    self->loading_is_over();
  }

  void loading_is_over() {
    for (Event<bool>* waiter : std::exchange(wait_for_load_, {})) waiter->set(true);
  }

  // One thing after the other, whatever the log or a resumed waiter calls meanwhile: the machine is not called before the
  // records of its last outcome have been replayed.
  void settle() {
    const auto self = this->shared_from_this();
    busy_ = true;
    while (state_ == State::kActive && is_sound()) {
      if (!outcomes_.empty()) {
        Outcome outcome = std::move(outcomes_.front());
        outcomes_.pop_front();
        for (Append& append : outcome.appends) carry_out(append);
        give_answers(std::move(outcome.answers));
      } else if (!appends_.empty() && appends_.front().end <= high_watermark_) {
        finish(protocol::ErrorCode::kNone);
      } else if (!appends_.empty() && appends_.front().deadline <= ports_.clock.monotonic()) {
        finish(protocol::ErrorCode::kRequestTimedOut);
      } else if (!readers_.empty() && readers_.front().end <= high_watermark_) {
        answer_reader(true);
      } else if (!readers_.empty() && readers_.front().deadline <= ports_.clock.monotonic()) {
        answer_reader(false);
      } else if (!works_.empty()) {
        Work work = std::move(works_.front());
        works_.pop_front();
        outcomes_.push_back(work(*machine_, now()));
      } else {
        break;
      }
    }
    busy_ = false;
    if (state_ == State::kActive) arm();
  }

  // What the last outcome says may be wrong: none of it is carried out.
  void lose_view() {
    if (state_ == State::kResigned) return;
    resign();
    if (view_lost_) view_lost_();
  }

  void carry_out(Append& append) {
    const std::span<const CoordinatorRecord> records(append.records);
    std::size_t at_once = records.size();
    Offset end;
    for (std::size_t done = 0; done < records.size();) {
      const auto part = records.subspan(done, std::min(at_once, records.size() - done));
      const auto appended = log_->append(epoch_, part, append.transaction);
      if (!appended && appended.error() == protocol::ErrorCode::kMessageTooLarge && !append.atomic && part.size() > 1) {
        at_once = (part.size() + 1) / 2;
        continue;
      }
      if (!appended) {
        outcomes_.push_front(machine_->append_failed(append.id, appended.error(), now()));
        return;
      }
      replay(part, append.transaction, appended->first_offset);
      end = appended->end_offset;
      if (view_ && appended->first_offset != replayed_to_) view_->missed_something();
      replayed_to_ = end;
      if (view_) view_->reflects({replayed_to_, epoch_, appended->crc});
      done += part.size();
    }
    appends_.push_back({append.id, end, ports_.clock.monotonic() + commit_timeout_});
  }

  void replay(std::span<const CoordinatorRecord> records, const std::optional<TransactionOfAppend>& transaction,
              Offset first) {
    const ProducerId producer = transaction ? transaction->producer_id : ProducerId(-1);
    for (std::size_t i = 0; i < records.size(); ++i) {
      const CoordinatorRecord& record = records[i];
      const Result<void> replayed =
          machine_->replay(record.key, record.value ? std::optional<ByteView>(*record.value) : std::nullopt,
                           first + static_cast<std::int64_t>(i), producer);
      KURIER_CHECK_MESSAGE(replayed.has_value(), replayed.error().context);
    }
  }

  void finish(protocol::ErrorCode error) {
    const InFlight done = std::move(appends_.front());
    appends_.pop_front();
    const bool ok = error == protocol::ErrorCode::kNone;
    outcomes_.push_back(ok ? machine_->committed(done.id, now()) : machine_->append_failed(done.id, error, now()));
  }

  void answer_reader(bool committed) {
    Event<bool>* event = readers_.front().committed;
    readers_.pop_front();
    event->set(committed);
  }

  template <class Answers>
  void give_answers(Answers answers) {
    for (auto& answer : answers) {
      if (auto waiter = waiting_.extract(answer.token)) waiter.mapped()->set(std::move(answer.response));
    }
  }

  // One timer for whatever is due first.
  void arm() {
    auto next = machine_->next_deadline();
    if (!appends_.empty() && (!next || appends_.front().deadline < *next)) next = appends_.front().deadline;
    if (!readers_.empty() && (!next || readers_.front().deadline < *next)) next = readers_.front().deadline;
    if (!next || (timer_ != 0 && timer_at_ <= *next)) return;
    if (timer_ != 0) ports_.timers.cancel(timer_);
    timer_at_ = *next;
    timer_ = ports_.timers.start(timer_at_, [weak = this->weak_from_this()] {
      const auto self = weak.lock();
      if (!self || self->state_ != State::kActive) return;
      self->timer_ = 0;
      self->perform([](Machine& machine, Now now) { return machine.tick(now); });
    });
  }

  RuntimePorts ports_;
  const std::string name_;
  std::unique_ptr<RecordLog> log_;
  std::unique_ptr<Machine> machine_;
  const LeaderEpoch epoch_;
  const std::chrono::milliseconds commit_timeout_;
  const std::shared_ptr<PartitionView> view_;
  const std::function<void()> view_lost_;
  State state_ = State::kNew;
  bool busy_ = false;
  std::deque<Work> works_;  // not begun yet
  std::deque<Outcome> outcomes_;  // not carried out yet
  std::deque<InFlight> appends_;  // in the log, not committed yet
  std::deque<Reader> readers_;  // in the order of what they wait for
  Offset high_watermark_{0};
  Offset replayed_to_{0};
  RequestToken last_token_ = 0;
  std::map<RequestToken, Event<Answered>*> waiting_;
  std::list<Event<bool>*> wait_for_load_;
  Event<bool>* load_wait_ = nullptr;  // for the high watermark
  TimerId timer_ = 0;
  MonotonicTime timer_at_;
};

}  // namespace kurier::coordinator
