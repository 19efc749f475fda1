#include "broker/net/reactor.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <iterator>

#include "base/check.h"
#include "broker/net/reactor_impl.h"

namespace kurier::net {
namespace {

constexpr std::size_t kCallbacksPerRound = 64;  // so that nobody's answer waits for all that was posted
// Of what sockets and timers have ready, while there is always something posted.
constexpr std::size_t kReadyPerRound = 16;
// More than so many messages at once are worth a second thread.
constexpr std::size_t kStandInCallbacksMax = 4;
// What took longer than about what it costs to wake two threads will be done by the thread itself.
constexpr std::chrono::microseconds kStandInMax(50);
constexpr std::uint32_t kWakeForMax = 64;  // parcels
// Over so long at least it is decided whether a thread has time for others: whether it slept for a tenth of it.
constexpr std::chrono::milliseconds kWindow(2);
constexpr int kSleptPart = 10;

// Owns a task that nobody awaits; its frame destroys itself at the end.
struct Detached {
  struct promise_type : kurier::detail::RecycledFrame {
    Detached get_return_object() const noexcept { return {}; }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    [[noreturn]] void unhandled_exception() const noexcept {
      kurier::detail::check_failed(__FILE__, __LINE__, "no exception leaves a task", {});
    }
  };
};

Detached run_detached(Task<void> task, std::size_t& running) {
  ++running;
  co_await std::move(task);
  --running;
}

int make_eventfd() {
  const int descriptor = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  KURIER_CHECK_MESSAGE(descriptor >= 0, "no descriptor is left for a reactor's eventfd");
  return descriptor;
}

}  // namespace

// The reactor that this thread runs: its own, or the one for which it stands in.
thread_local Reactor::Impl* running_here = nullptr;
thread_local bool is_standing_in = false;

Reactor::Reactor(const Clock& clock) : impl_(std::make_unique<Impl>(clock)) {}
Reactor::~Reactor() = default;

void Reactor::run() { impl_->run(); }

void Reactor::stop() {
  impl_->stopping.store(true);
  impl_->wake();
}

const Clock& Reactor::clock() const { return impl_->clock; }

void Reactor::join_team(const void* team) { impl_->team.store(team, std::memory_order_relaxed); }

// What this thread has deferred to the same reactor before goes first.
void Reactor::post(Callback callback) {
  if (running_here != nullptr && running_here != impl_.get()) {
    Impl::Parcel& parcel = running_here->parcel_for(impl_.get());
    const bool waits = running_here->may_stand_in(parcel);
    if (!waits && parcel.wake_for > 0) --parcel.wake_for;
    if (waits || !parcel.callbacks.empty()) {
      parcel.callbacks.push_back(std::move(callback));
      if (!waits) impl_->post_all(parcel.callbacks);
      return;
    }
  }
  impl_->post(std::move(callback));
}

void Reactor::defer(Callback callback) {
  if (running_here == nullptr) return impl_->post(std::move(callback));
  if (running_here == impl_.get()) return impl_->deferred.push_back(std::move(callback));
  running_here->parcel_for(impl_.get()).callbacks.push_back(std::move(callback));
}

Reactor::Impl::Impl(const Clock& its_clock) : clock(its_clock), wake_up(context, make_eventfd()), alarm(context) {}

void Reactor::Impl::run() {
  running_here = this;
  take_turn();
  is_running = true;
  window_began = clock.monotonic();
  wait_for_wake();
  while (!stopping.load()) {
    run_posted();
    // Whoever posts from here on wakes this thread, or is seen.
    asleep.store(true);
    if (has_posted) {
      take_turn();
      for (std::size_t i = 0; i < kReadyPerRound && context.poll_one() > 0; ++i) {
      }
    } else {
      sleep();
    }
    end_round();
  }
  stopping.store(false);
  boost::system::error_code ignored;
  wake_up.cancel(ignored);
  running_here = nullptr;
  is_running = false;
  has_turn = false;
  turn.unlock();
}

// Until a socket or timer has something, or what was posted is not done by others. What comes first of that begins the turn.
void Reactor::Impl::sleep() {
  if (team.load(std::memory_order_relaxed) != nullptr)
    sleep_began = clock.monotonic();  // else nobody asks how long it slept
  has_turn = false;
  turn.unlock();
  context.run_one();
  take_turn();
}

void Reactor::Impl::begin_turn() {
  const MonotonicTime woke_up = sleep_began == MonotonicTime{} ? MonotonicTime{} : clock.monotonic();
  turn.lock();
  slept += woke_up - std::exchange(sleep_began, MonotonicTime{});
}

// Whether it slept for a part of the last window. Asked only where everything else lets the thread stand in.
bool Reactor::Impl::has_time() {
  const MonotonicTime now = clock.monotonic();
  if (now - window_began >= kWindow) {
    had_time = kSleptPart * slept >= now - window_began;
    window_began = now;
    slept = {};
  }
  return had_time;
}

// One read of the eventfd for all wake-ups since the last.
void Reactor::Impl::wait_for_wake() {
  wake_up.async_read_some(boost::asio::buffer(&wake_ups, sizeof(wake_ups)),
                          [this](boost::system::error_code error, std::size_t) {
                            take_turn();
                            if (!error) wait_for_wake();
                          });
}

void Reactor::Impl::wake() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(wake_up.native_handle(), &one, sizeof(one));
}

void Reactor::Impl::post(Callback callback) {
  {
    const std::lock_guard lock(mutex);
    posted.push_back(std::move(callback));
    has_posted = true;
  }
  if (asleep.exchange(false)) wake();
}

void Reactor::Impl::post_all(std::vector<Callback>& callbacks) {
  put(callbacks);
  if (asleep.exchange(false)) wake();
}

void Reactor::Impl::put(std::vector<Callback>& callbacks) {
  {
    const std::lock_guard lock(mutex);
    std::ranges::move(callbacks, std::back_inserter(posted));
    has_posted = true;
  }
  callbacks.clear();
}

void Reactor::Impl::run_posted() {
  if (!has_posted) return;
  {
    const std::lock_guard lock(mutex);
    running_batch.swap(posted);
    has_posted = false;
  }
  std::size_t done = 0;
  for (Callback& callback : running_batch) {
    callback();
    callback = nullptr;
    if (++done % kCallbacksPerRound == 0) end_round();
  }
  running_batch.clear();
  end_round();
}

void Reactor::Impl::end_round() {
  while (!deferred.empty()) {
    running_deferred.swap(deferred);
    for (Callback& callback : running_deferred) {
      callback();
      callback = nullptr;
    }
    running_deferred.clear();
  }
  stood_in = {};
  for (Parcel& parcel : outbox) {
    if (!parcel.callbacks.empty()) deliver(parcel);
  }
}

bool Reactor::Impl::may_stand_in(const Parcel& parcel) {
  const void* const own_team = team.load(std::memory_order_relaxed);
  return own_team != nullptr && !is_standing_in && parcel.wake_for == 0 &&
         parcel.callbacks.size() <= kStandInCallbacksMax &&
         parcel.to->team.load(std::memory_order_relaxed) == own_team &&
         parcel.to->asleep.load(std::memory_order_relaxed) && has_time();
}

void Reactor::Impl::deliver(Parcel& parcel) {
  if (stood_in > kStandInMax || !may_stand_in(parcel)) {
    if (parcel.wake_for > 0) --parcel.wake_for;
    return parcel.to->post_all(parcel.callbacks);
  }
  Impl& sleeper = *parcel.to;
  sleeper.put(parcel.callbacks);
  if (!sleeper.asleep.exchange(false)) return;
  // Where its thread has not gone to sleep yet, or has just woken up, it is told.
  if (!sleeper.turn.try_lock()) return sleeper.wake();
  // Once it was told to stop nobody but its own thread runs what is posted to it, and nobody once it has stopped.
  if (!sleeper.is_running || sleeper.stopping.load()) return sleeper.turn.unlock();
  const MonotonicTime began = clock.monotonic();
  running_here = &sleeper;
  is_standing_in = true;
  sleeper.run_for_sleeper();
  is_standing_in = false;
  running_here = this;
  const MonotonicClock::duration took = clock.monotonic() - began;
  stood_in += took;
  const bool was_long = took > kStandInMax;
  parcel.wake_for = was_long ? parcel.wake_for_next : 0;
  parcel.wake_for_next =
      was_long ? std::min(2 * parcel.wake_for_next, kWakeForMax) : std::max(1U, parcel.wake_for_next / 2);
}

// By a thread that has its turn; gives it back. What has come meanwhile is left to the thread itself.
void Reactor::Impl::run_for_sleeper() {
  run_posted();
  asleep.store(true);
  const bool is_left = has_posted && asleep.exchange(false);
  turn.unlock();
  if (is_left) wake();
}

Reactor::Impl::Parcel& Reactor::Impl::parcel_for(Impl* to) {
  for (Parcel& parcel : outbox) {
    if (parcel.to == to) return parcel;
  }
  return outbox.emplace_back(Parcel{to, {}});
}

TimerId Reactor::start(MonotonicTime deadline, Callback callback) {
  const TimerId id = ++impl_->last_timer;
  impl_->timers.emplace(Impl::Key{deadline, id}, std::move(callback));
  impl_->deadlines.emplace(id, deadline);
  if (deadline < impl_->armed_for) impl_->arm();
  return id;
}

bool Reactor::cancel(TimerId timer) {
  const auto found = impl_->deadlines.find(timer);
  if (found == impl_->deadlines.end()) return false;
  const auto entry = impl_->timers.find({found->second, timer});
  impl_->deadlines.erase(found);
  const Callback unused = std::move(entry->second);  // destroyed after the maps are in order
  impl_->timers.erase(entry);
  return true;
}

// The alarm is left where it is when the earliest timer was cancelled: firing early once costs less than moving it.
void Reactor::Impl::arm() {
  if (timers.empty()) {
    armed_for = MonotonicTime::max();
    return;
  }
  armed_for = timers.begin()->first.first;
  const auto wait = std::max(armed_for - clock.monotonic(), MonotonicClock::duration::zero());
  alarm.expires_after(wait);
  alarm.async_wait([this](boost::system::error_code error) {
    if (!error) fire();
  });
}

void Reactor::Impl::fire() {
  take_turn();
  const MonotonicTime now = clock.monotonic();
  while (!timers.empty() && timers.begin()->first.first <= now) {
    auto entry = timers.extract(timers.begin());
    deadlines.erase(entry.key().second);
    entry.mapped()();
  }
  arm();
}

void Reactor::spawn(std::string_view, Task<void> task) { run_detached(std::move(task), impl_->tasks); }
std::size_t Reactor::running() const { return impl_->tasks; }

}  // namespace kurier::net
