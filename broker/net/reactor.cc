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

// The reactor that this thread runs.
thread_local Reactor::Impl* running_here = nullptr;

Reactor::Reactor(const Clock& clock) : impl_(std::make_unique<Impl>(clock)) {}
Reactor::~Reactor() = default;

void Reactor::run() { impl_->run(); }

void Reactor::stop() {
  impl_->stopping.store(true);
  impl_->wake();
}

const Clock& Reactor::clock() const { return impl_->clock; }

// What this thread has deferred to the same reactor before goes first.
void Reactor::post(Callback callback) {
  if (running_here != nullptr && running_here != impl_.get()) {
    auto& callbacks = running_here->parcel_for(impl_.get()).callbacks;
    if (!callbacks.empty()) {
      callbacks.push_back(std::move(callback));
      return impl_->post_all(callbacks);
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
  wait_for_wake();
  while (!stopping.load()) {
    run_posted();
    // Whoever posts from here on wakes this thread, or is seen.
    asleep.store(true);
    if (is_anything_posted()) {
      is_awake();
      for (std::size_t i = 0; i < kReadyPerRound && context.poll_one() > 0; ++i) {
      }
    } else {
      context.run_one();
      is_awake();
    }
    end_round();
  }
  stopping.store(false);
  boost::system::error_code ignored;
  wake_up.cancel(ignored);
  running_here = nullptr;
}

// One read of the eventfd for all wake-ups since the last.
void Reactor::Impl::wait_for_wake() {
  wake_up.async_read_some(boost::asio::buffer(&wake_ups, sizeof(wake_ups)),
                          [this](boost::system::error_code error, std::size_t) {
                            is_awake();
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
  }
  if (asleep.exchange(false)) wake();
}

void Reactor::Impl::post_all(std::vector<Callback>& callbacks) {
  {
    const std::lock_guard lock(mutex);
    std::ranges::move(callbacks, std::back_inserter(posted));
  }
  callbacks.clear();
  if (asleep.exchange(false)) wake();
}

bool Reactor::Impl::is_anything_posted() {
  const std::lock_guard lock(mutex);
  return !posted.empty();
}

void Reactor::Impl::run_posted() {
  {
    const std::lock_guard lock(mutex);
    running_batch.swap(posted);
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
  for (Parcel& parcel : outbox) {
    if (!parcel.callbacks.empty()) parcel.to->post_all(parcel.callbacks);
  }
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
  is_awake();
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
