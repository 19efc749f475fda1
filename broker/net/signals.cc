#include "broker/net/signals.h"

#include <pthread.h>
#include <unistd.h>

#include <csignal>
#include <thread>

namespace kurier::net {

void watch_stop_signals(Reactor& reactor, std::move_only_function<void(int signal_number)> stop) {
  std::signal(SIGPIPE, SIG_IGN);
  sigset_t watched;
  sigemptyset(&watched);
  sigaddset(&watched, SIGTERM);
  sigaddset(&watched, SIGINT);
  pthread_sigmask(SIG_BLOCK, &watched, nullptr);
  std::thread([&reactor, watched, stop = std::move(stop)]() mutable {
    int number = 0;
    if (sigwait(&watched, &number) != 0) return;
    reactor.post([stop = std::move(stop), number]() mutable { stop(number); });
    if (sigwait(&watched, &number) == 0) ::_exit(128 + number);
  }).detach();
}

}  // namespace kurier::net
