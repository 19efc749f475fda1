#include "broker/net/reactor_thread.h"

#include <pthread.h>

namespace kurier::net {

ReactorThread::ReactorThread(const std::string& name, const Clock& clock) : reactor_(clock) {
  thread_ = std::thread([this] { reactor_.run(); });
  ::pthread_setname_np(thread_.native_handle(), name.substr(0, 15).c_str());
}

ReactorThread::~ReactorThread() { stop(); }

void ReactorThread::stop() {
  if (!thread_.joinable()) return;
  reactor_.post([this] { reactor_.stop(); });
  thread_.join();
}

}  // namespace kurier::net
