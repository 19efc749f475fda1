// ReactorThread: a Reactor on a thread of its own. Stopped and joined by the destructor.
#pragma once

#include <string>
#include <thread>

#include "broker/net/reactor.h"

namespace kurier::net {

class ReactorThread {
 public:
  // `name` shows in top and gdb; the kernel keeps 15 characters.
  ReactorThread(const std::string& name, const Clock& clock);
  ~ReactorThread();
  ReactorThread(const ReactorThread&) = delete;
  ReactorThread& operator=(const ReactorThread&) = delete;

  void stop();  // may be called again
  [[nodiscard]] Reactor& reactor() { return reactor_; }

 private:
  Reactor reactor_;
  std::thread thread_;
};

}  // namespace kurier::net
