#include "broker/net/signals.h"

#include <pthread.h>
#include <unistd.h>

#include <csignal>
#include <thread>

namespace kurier::net {

namespace {

sigset_t stop_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  // The end of the terminal, as Java takes it; under nohup it stays ignored.
  struct sigaction hang_up{};
  if (::sigaction(SIGHUP, nullptr, &hang_up) == 0 && hang_up.sa_handler != SIG_IGN) sigaddset(&signals, SIGHUP);
  return signals;
}

}  // namespace

void block_stop_signals() {
  std::signal(SIGPIPE, SIG_IGN);
  const sigset_t watched = stop_signals();
  pthread_sigmask(SIG_BLOCK, &watched, nullptr);
}

void watch_stop_signals(Reactor& reactor, std::move_only_function<void(int signal_number)> stop) {
  const sigset_t watched = stop_signals();
  std::thread([&reactor, watched, stop = std::move(stop)]() mutable {
    int number = 0;
    if (sigwait(&watched, &number) != 0) return;
    reactor.post([stop = std::move(stop), number]() mutable { stop(number); });
    if (sigwait(&watched, &number) == 0) ::_exit(128 + number);
  }).detach();
}

}  // namespace kurier::net
