// MetadataFetches: Fetch of the metadata log, which lives on the control thread: answered at once or when there is
// something new, by an append, a new high watermark, its deadline, or shutdown.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "base/clock.h"
#include "base/executor.h"
#include "protocol/messages/fetch_request.h"
#include "protocol/messages/fetch_response.h"
#include "replication/controller/local_controller.h"

namespace kurier::broker {

class MetadataFetches {
 public:
  // All outlive it; `timers` are the control thread's.
  MetadataFetches(const Clock& clock, Executor& control, Timers& timers, replication::LocalController& controller,
                  std::string cluster_id)
      : clock_(clock),
        control_(control),
        timers_(timers),
        controller_(controller),
        cluster_id_(std::move(cluster_id)) {}

  using Answer = std::move_only_function<void(protocol::FetchResponse)>;
  // Any thread; answered on the control thread. `listener`: the one that the request came by.
  void fetch(protocol::FetchRequest request, std::int16_t version, std::string listener, Answer answer);
  // Any thread. Whoever waits is answered, and nobody waits from now on.
  void shut_down();

  // Control thread. The log has grown, or more of it is committed.
  void log_changed(bool high_watermark_advanced);

 private:
  struct Waiting {
    protocol::FetchRequest request;
    std::int16_t version = 0;
    std::string listener;
    protocol::FetchResponse if_late;  // nothing has changed then
    Answer answer;
    TimerId timer = 0;
  };
  using WaiterId = std::uint64_t;

  void begin(protocol::FetchRequest request, std::int16_t version, std::string listener, Answer answer);
  [[nodiscard]] protocol::FetchResponse attempt(const protocol::FetchRequest& request, std::int16_t version,
                                                const std::string& listener);
  void complete(WaiterId id, bool is_late);

  const Clock& clock_;
  Executor& control_;
  Timers& timers_;
  replication::LocalController& controller_;
  const std::string cluster_id_;
  std::map<WaiterId, Waiting> waiting_;
  WaiterId last_waiter_ = 0;
  bool is_shutting_down_ = false;
};

}  // namespace kurier::broker
