// kurier: the program. Its first word says what it is to do.
#include <CLI/CLI.hpp>

#include <cstdio>

#include "base/log.h"
#include "broker/net/posix_file_system.h"
#include "broker/net/system_clock.h"
#include "broker/node.h"

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
  const MonotonicTime started = net::SystemClock().monotonic();
  CLI::App app{"A node of a Kafka cluster."};
  app.require_subcommand(1);
  CLI::App* serving = app.add_subcommand("serve", "run a node until SIGTERM or SIGINT");
  std::string path;
  std::vector<std::string> settings;
  serving->add_option("--config", path, "a YAML file (*.yaml, *.yml) or a server.properties; without it the stock values hold");
  serving->add_option("--set", settings, "name=value, overrides the file; may be repeated")->allow_extra_args(false);
  CLI11_PARSE(app, argc, argv);
  return serve(path, settings, started);
}
