// metadata_tool: a node's metadata without the node: formats a log directory, starts the controller on it, unfences the
// broker, creates the topics named, shuts down. For comparing our metadata log with Apache Kafka's.
//   metadata_tool DIRECTORY CLUSTER_ID BROKER_PORT CONTROLLER_PORT [TOPIC PARTITIONS]…
#include <cstdio>
#include <deque>
#include <string>

#include "broker/net/posix_file_system.h"
#include "broker/net/system_clock.h"
#include "broker/net/system_random.h"
#include "replication/controller/local_controller.h"
#include "replication/raft/format.h"

using namespace kurier;
using namespace kurier::replication;

namespace {

struct Queue final : Executor, WorkPool {
  void post(Callback callback) override { callbacks.push_back(std::move(callback)); }
  void run(Callback work) override { callbacks.push_back(std::move(work)); }
  void drain() {
    while (!callbacks.empty()) {
      Callback next = std::move(callbacks.front());
      callbacks.pop_front();
      next();
    }
  }
  std::deque<Callback> callbacks;
};

Result<void> run(int argc, char** argv) {
  net::PosixFileSystem files;
  net::SystemClock clock;
  net::SystemRandom random;
  Queue queue;
  const std::string directory = argv[1];
  const auto broker_port = static_cast<std::uint16_t>(std::stoi(argv[3]));
  const auto controller_port = static_cast<std::uint16_t>(std::stoi(argv[4]));
  const std::vector<VoterEndpoint> endpoints{{"CONTROLLER", "localhost", controller_port}};
  TRY_ASSIGN(const auto formatted,
             format_standalone(files, {argv[2], BrokerId(1), {directory}, directory, endpoints}, random, clock.wall()));
  LocalControllerOptions options;
  options.log.log_directory = directory;
  options.log.self = {BrokerId(1), formatted.front().directory_id, endpoints, 0, 1};
  options.incarnation_id = Uuid::generate(random);
  options.controller_endpoints.resize(1);
  options.controller_endpoints[0].name = "CONTROLLER";
  options.controller_endpoints[0].host = "localhost";
  options.controller_endpoints[0].port = controller_port;
  options.broker.id = BrokerId(1);
  options.broker.incarnation_id = Uuid::generate(random);
  options.broker.endpoints.resize(1);
  options.broker.endpoints[0].name = "PLAINTEXT";
  options.broker.endpoints[0].host = "localhost";
  options.broker.endpoints[0].port = broker_port;
  options.broker.log_dirs = {formatted.front().directory_id};
  TRY_ASSIGN(const auto controller, LocalController::start({files, clock, random, queue, queue, {}, {}}, std::move(options)));
  controller->unfence([] {});
  queue.drain();
  for (int i = 5; i + 1 < argc; i += 2) {
    protocol::CreateTopicsRequest request;
    request.topics.resize(1);
    request.topics[0].name = argv[i];
    request.topics[0].num_partitions = std::stoi(argv[i + 1]);
    request.topics[0].replication_factor = 1;
    controller->create_topics(std::move(request), [](const protocol::CreateTopicsResponse& response) {
      std::printf("%s: %s\n", response.topics[0].name.c_str(), protocol::to_string(response.topics[0].error_code));
    });
    queue.drain();
  }
  controller->shut_down_broker([] {});
  queue.drain();
  return controller->close();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) {
    std::fprintf(stderr, "metadata_tool DIRECTORY CLUSTER_ID BROKER_PORT CONTROLLER_PORT [TOPIC PARTITIONS]...\n");
    return 2;
  }
  if (auto result = run(argc, argv); !result) {
    std::fprintf(stderr, "%s\n", result.error().context.c_str());
    return 1;
  }
  return 0;
}
