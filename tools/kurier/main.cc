// kurier: the program. Its first word says what it is to do.
#include <CLI/CLI.hpp>

#include <cstdio>
#include <string_view>

#include "base/log.h"
#include "broker/net/open_files.h"
#include "broker/net/posix_file_system.h"
#include "broker/net/system_clock.h"
#include "broker/node.h"
#include "tools/bench/bench.h"
#include "tools/client/first_word.h"
#include "tools/commands/commands.h"

namespace {

using namespace kurier;

int serve(const std::string& path, const std::vector<std::string>& settings, MonotonicTime started) {
  config::ConfigSource source{.path = path, .content = {}, .settings = settings};
  if (!path.empty()) {
    net::PosixFileSystem files;
    const auto content = read_file(files, path);
    if (!content) {
      std::fprintf(stderr, "kurier: --config: %s\n", content.error().context.c_str());
      return 2;
    }
    source.content = std::string(as_text(*content));
  }
  auto config = config::load_config(source);
  if (!config) {
    std::fprintf(stderr, "%s\n", config.error().context.c_str());
    return 2;
  }
  const Result<void> served = broker::serve(std::move(*config), started);
  if (!served) {
    log::flush();
    std::fprintf(stderr, "kurier: %s\n", served.error().context.c_str());
    return 1;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  net::open_standard_descriptors();
  const MonotonicTime started = net::SystemClock().monotonic();
  const std::string_view command = argc > 1 ? argv[1] : "";
  if (command == "bench") return bench::main(argc - 1, argv + 1);
  if (command == "group") return commands::group_main(argc - 1, argv + 1);
  if (command == "produce") return commands::produce_main(argc - 1, argv + 1);
  if (command == "consume") return commands::consume_main(argc - 1, argv + 1);
  const std::string complaint =
      client::complaint_about_first_word(argc, argv, {"serve", "group", "produce", "consume", "bench"});
  if (!complaint.empty()) {
    std::fprintf(stderr, "kurier: %s\n", complaint.c_str());
    return 2;
  }
  CLI::App app{"kurier: a node of a Kafka cluster, compatible with Apache Kafka 4.4"};
  app.require_subcommand(1);
  app.set_version_flag("--version", "kurier " KURIER_VERSION ", compatible with Apache Kafka 4.4", "print the version and end");
  CLI::App* serving = app.add_subcommand("serve", "run a node until SIGTERM or SIGINT");
  std::string path;
  std::vector<std::string> settings;
  serving->add_option("--config", path,
                      "a YAML file (*.yaml, *.yml) or a server.properties; without it a single node on 127.0.0.1:9092 with its data in "
                      "./kurier-data")->type_name("FILE");
  serving->add_option("--set", settings, "one property, overrides the file; may be repeated")->type_name("NAME=VALUE")->allow_extra_args(false);
  serving->footer("Property names are those of Apache Kafka 4.4, and kurier.state.dir and kurier.shards: docs/configuration.md.\n"
                  "Exit status: 0 after a clean stop, 1 if the node cannot start or go on, 2 for a wrong configuration or command line,\n"
                  "128 and its number after a second signal.");
  // For the help: they were dealt with above.
  app.add_subcommand("group", "list, describe, reset and delete groups: kurier group --help");
  app.add_subcommand("produce", "lines of standard input to a topic: kurier produce --help");
  app.add_subcommand("consume", "a topic's records, alone or in a group: kurier consume --help");
  app.add_subcommand("bench", "measure a broker: kurier bench --help");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return serve(path, settings, started);
}
