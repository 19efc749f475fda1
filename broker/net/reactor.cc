#include "broker/net/reactor.h"

#include <boost/asio/executor_work_guard.hpp>

#include "base/check.h"
#include "broker/net/reactor_impl.h"

namespace kurier::net {
namespace {

// Owns a task that nobody awaits; its frame destroys itself at the end.
struct Detached {
  struct promise_type {
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

}  // namespace

Reactor::Reactor(const Clock& clock) : impl_(std::make_unique<Impl>(clock)) {}
Reactor::~Reactor() = default;

void Reactor::run() {
  auto guard = boost::asio::make_work_guard(impl_->context);
  impl_->context.run();
  impl_->context.restart();
}

void Reactor::stop() { impl_->context.stop(); }

const Clock& Reactor::clock() const { return impl_->clock; }

void Reactor::post(Callback callback) {
  bool first = false;
  {
    const std::lock_guard lock(impl_->mutex);
    first = impl_->posted.empty();
    impl_->posted.push_back(std::move(callback));
  }
  if (first) boost::asio::post(impl_->context, [impl = impl_.get()] { impl->run_posted(); });
}

void Reactor::Impl::run_posted() {
  {
    const std::lock_guard lock(mutex);
    running_batch.swap(posted);
  }
  for (Callback& callback : running_batch) {
    callback();
    callback = nullptr;
  }
  running_batch.clear();
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
