// Who this node is: roles, listeners, quorum, directories. The rules are those of Apache Kafka's start.
#include <algorithm>
#include <filesystem>

#include "config/addresses.h"
#include "config/load.h"
#include "config/text.h"

namespace kurier::config {
namespace {

std::map<std::string, std::string> protocols_of(Loading& loading, const std::vector<std::string>& controller_names) {
  std::map<std::string, std::string> protocols;
  const auto pairs = parse_pairs(loading.text("listener.security.protocol.map"));
  if (!pairs) {
    loading.fault("listener.security.protocol.map",
                  "expected name:protocol, comma-separated, such as PLAINTEXT:PLAINTEXT");
    return protocols;
  }
  for (const auto& [name, protocol] : *pairs) {
    if (!contains(std::vector<std::string>{"PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"}, upper(protocol))) {
      loading.fault("listener.security.protocol.map",
                    fmt::format("\"{}\" is not a security protocol; expected PLAINTEXT, SSL, SASL_PLAINTEXT or "
                                "SASL_SSL", protocol));
    }
    protocols[upper(name)] = upper(protocol);
  }
  // Without a map of its own a controller listener is PLAINTEXT; with one, it must be in it.
  if (!loading.is_set("listener.security.protocol.map")) {
    for (const std::string& name : controller_names) protocols.emplace(name, "PLAINTEXT");
  }
  return protocols;
}

std::vector<Listener> parse_listeners(Loading& loading, std::string_view property,
                                      const std::map<std::string, std::string>& protocols) {
  std::vector<Listener> listeners;
  for (const std::string& text : loading.list(property)) {
    auto listener = parse_listener(text);
    if (!listener) {
      loading.fault(property, fmt::format("\"{}\" is not an address; expected NAME://host:port with a port up to "
                                          "65535, such as PLAINTEXT://127.0.0.1:9092", text));
      continue;
    }
    if (std::ranges::find(listeners, listener->name, &Listener::name) != listeners.end()) {
      loading.fault(property, fmt::format("the name {} stands for two listeners; each needs a name of its own",
                                          listener->name));
    }
    const auto protocol = protocols.find(listener->name);
    if (protocol == protocols.end()) {
      loading.fault(property, fmt::format("{} has no security protocol; add {}:PLAINTEXT to "
                                          "listener.security.protocol.map", listener->name, listener->name));
    } else {
      listener->protocol = protocol->second;
    }
    listeners.push_back(*std::move(listener));
  }
  return listeners;
}

void check_listeners(Loading& loading, const std::vector<Listener>& listeners) {
  for (std::size_t i = 0; i < listeners.size(); ++i) {
    const Listener& left = listeners[i];
    if (!left.protocol.empty() && left.protocol != "PLAINTEXT") {
      loading.fault("listeners", fmt::format("{} is refused, because TLS and SASL are not there yet and its "
                                             "connections would not be protected; use PLAINTEXT or leave the "
                                             "listener out",
                                             left.name + " (" + left.protocol + ")"));
    }
    for (std::size_t j = i + 1; j < listeners.size(); ++j) {
      const Listener& right = listeners[j];
      const bool one_of_each =
          (is_ipv4(left.host) && is_ipv6(right.host)) || (is_ipv6(left.host) && is_ipv4(right.host));
      if (left.port != 0 && left.port == right.port && !one_of_each) {
        loading.fault("listeners", fmt::format("{} and {} share port {}; each listener needs a port of its own",
                                               left.name, right.name, left.port));
      }
    }
  }
}

void fill_roles(Loading& loading, NodeConfig& node) {
  const auto roles = loading.list("process.roles");
  node.is_broker = contains(roles, "broker");
  node.is_controller = contains(roles, "controller");
  loading.require(loading.is_set("process.roles"), "process.roles",
                  "not set; expected broker, controller or broker,controller");
  const bool has_node_id = loading.is_set("node.id");
  const bool has_broker_id = loading.is_set("broker.id");
  if (!has_node_id && !has_broker_id) {
    loading.fault("node.id", "not set; expected an int, 0 or more, that no other node of the cluster has");
    return;
  }
  const std::int64_t id = loading.number(has_node_id ? "node.id" : "broker.id");
  if (has_node_id && has_broker_id) {
    loading.require(loading.number("broker.id") == id, "broker.id",
                    "differs from node.id, whose old name it is; leave it out");
  }
  if (!has_node_id) loading.require(id >= 0, "broker.id", "negative; expected an int, 0 or more");
  node.node_id = BrokerId(static_cast<std::int32_t>(id));
  // Kafka lists both, whichever is set.
  node.originals["node.id"] = node.originals["broker.id"] = std::to_string(id);
}

void fill_listeners(Loading& loading, NodeConfig& node) {
  for (const std::string& name : loading.list("controller.listener.names")) {
    node.controller_listener_names.push_back(upper(name));
  }
  const auto& controllers = node.controller_listener_names;
  const auto protocols = protocols_of(loading, controllers);
  node.listeners = parse_listeners(loading, "listeners", protocols);
  check_listeners(loading, node.listeners);

  const bool is_advertised = loading.is_set("advertised.listeners");
  const auto advertised = is_advertised ? parse_listeners(loading, "advertised.listeners", protocols) : node.listeners;
  for (const Listener& listener : advertised) {
    (contains(controllers, listener.name) ? node.advertised_controller_listeners : node.advertised_listeners)
        .push_back(listener);
    // Where nothing is advertised, the listener's own address is what clients would be told.
    loading.require(listener.host != "0.0.0.0", is_advertised ? "advertised.listeners" : "listeners",
                    fmt::format("{}: 0.0.0.0 cannot be reached by a client; set advertised.listeners to an address of "
                                "this machine", listener.name));
    loading.require(!is_advertised || node.find_listener(listener.name) != nullptr, "advertised.listeners",
                    fmt::format("{} is not among listeners", listener.name));
  }
  if (is_advertised) {
    for (const Listener& listener : node.listeners) {
      const auto& known = node.advertised_controller_listeners;
      if (contains(controllers, listener.name) &&
          std::ranges::find(known, listener.name, &Listener::name) == known.end()) {
        node.advertised_controller_listeners.push_back(listener);
      }
    }
  }

  const std::string protocol = loading.text("security.inter.broker.protocol");
  const bool has_name = loading.is_set("inter.broker.listener.name");
  loading.require(!(has_name && loading.is_set("security.inter.broker.protocol")), "security.inter.broker.protocol",
                  "only one of this and inter.broker.listener.name may be set");
  node.inter_broker_listener_name = has_name ? upper(loading.text("inter.broker.listener.name")) : protocol;
  if (has_name) {
    loading.require(protocols.contains(node.inter_broker_listener_name), "inter.broker.listener.name",
                    fmt::format("{} has no security protocol; add it to listener.security.protocol.map",
                                node.inter_broker_listener_name));
  }
}

void check_roles_against_listeners(Loading& loading, const NodeConfig& node) {
  const auto& controllers = node.controller_listener_names;
  const auto is_listening = [&](const std::string& name) { return node.find_listener(name) != nullptr; };
  const auto is_set = loading.is_set("controller.listener.names");
  if (node.is_controller) {
    loading.require(is_set, "controller.listener.names",
                    "not set; a controller needs at least one of its listeners here");
    for (const std::string& name : controllers) {
      loading.require(is_listening(name), "controller.listener.names",
                      fmt::format("{} is not among listeners; with the role controller each must be", name));
    }
  }
  if (node.is_broker && !node.is_controller) {
    loading.require(is_set, "controller.listener.names",
                    "not set; a broker needs the name of the controllers' listener");
    for (const std::string& name : controllers) {
      loading.require(!is_listening(name), "controller.listener.names",
                      fmt::format("{} is among listeners; a node with the role broker alone must not listen "
                                  "on it", name));
    }
    loading.require(!loading.is_set("controller.quorum.auto.join.enable") ||
                        loading.number("controller.quorum.auto.join.enable") == 0,
                    "controller.quorum.auto.join.enable", "possible only with the role controller");
  }
  if (node.is_controller && !node.is_broker) {
    for (const Listener& listener : node.listeners) {
      loading.require(contains(controllers, listener.name), "listeners",
                      fmt::format("{} is not in controller.listener.names; a node with the role controller alone has "
                                  "no other listeners", listener.name));
    }
    loading.require(!loading.is_set("inter.broker.listener.name") ||
                        !contains(controllers, node.inter_broker_listener_name),
                    "inter.broker.listener.name", "is a controller listener; leave it out on a controller");
  }
  if (node.is_broker) {
    const auto& advertised = node.advertised_listeners;
    loading.require(!contains(controllers, node.inter_broker_listener_name), "inter.broker.listener.name",
                    fmt::format("{} is a controller listener; brokers need one of their own",
                                node.inter_broker_listener_name));
    const bool has_inter_broker =
        std::ranges::find(advertised, node.inter_broker_listener_name, &Listener::name) != advertised.end();
    loading.require(!advertised.empty(), "listeners",
                    "no listener for clients; with the role broker there must be one");
    loading.require(advertised.empty() || has_inter_broker || contains(controllers, node.inter_broker_listener_name),
                    "inter.broker.listener.name",
                    fmt::format("{} is not among the advertised listeners of this broker",
                                node.inter_broker_listener_name));
  }
}

void fill_quorum(Loading& loading, NodeConfig& node) {
  for (const std::string& text : loading.list("controller.quorum.voters")) {
    if (const auto voter = parse_voter(text)) {
      node.quorum.voters.push_back(*voter);
    } else {
      loading.fault("controller.quorum.voters", fmt::format("\"{}\" is not a voter; expected id@host:port", text));
    }
  }
  for (const std::string& text : loading.list("controller.quorum.bootstrap.servers")) {
    const auto address = parse_host_and_port(text);
    if (address && !address->host.empty()) {
      node.quorum.bootstrap_servers.push_back(*address);
    } else {
      loading.fault("controller.quorum.bootstrap.servers",
                    fmt::format("\"{}\" is not an address; expected host:port", text));
    }
  }
  loading.require(!loading.list("controller.quorum.voters").empty() ||
                      !loading.list("controller.quorum.bootstrap.servers").empty(),
                  "controller.quorum.bootstrap.servers",
                  "not set, and controller.quorum.voters neither; one of them must name the controllers");
  if (node.quorum.voters.empty()) return;
  const auto& voters = node.quorum.voters;
  const bool is_voter = std::ranges::find(voters, node.node_id, &QuorumVoter::id) != voters.end();
  if (node.is_controller) {
    loading.require(is_voter, "controller.quorum.voters",
                    fmt::format("node.id {} is not among the voters; with the role controller it must be",
                                node.node_id.value()));
  } else {
    loading.require(!is_voter, "controller.quorum.voters",
                    fmt::format("node.id {} is among the voters; with the role broker alone it must not be",
                                node.node_id.value()));
  }
}

// What this version cannot be without harm: it would form a quorum of its own where others are meant.
void check_single_node(Loading& loading, const NodeConfig& node) {
  constexpr std::string_view kWhy = "because this version runs as a single node and would form a cluster of its own";
  if (!loading.is_set("process.roles") || !loading.faults.empty()) return;
  loading.require(node.is_broker && node.is_controller, "process.roles",
                  fmt::format("\"{}\" is refused, {}; expected broker,controller", loading.text("process.roles"), kWhy));
  for (const QuorumVoter& voter : node.quorum.voters) {
    loading.require(voter.id == node.node_id, "controller.quorum.voters",
                    fmt::format("node {} is refused, {}; expected {}@host:port alone", voter.id.value(), kWhy,
                                node.node_id.value()));
  }
  if (!node.quorum.voters.empty()) return;
  std::vector<std::uint16_t> ports;
  for (const auto* listeners : {&node.listeners, &node.advertised_controller_listeners}) {
    for (const Listener& listener : *listeners) {
      if (contains(node.controller_listener_names, listener.name)) ports.push_back(listener.port);
    }
  }
  if (contains(ports, std::uint16_t{0})) return;
  for (const HostAndPort& server : node.quorum.bootstrap_servers) {
    loading.require(contains(ports, server.port) && node.quorum.bootstrap_servers.size() == 1,
                    "controller.quorum.bootstrap.servers",
                    fmt::format("{}:{} is refused, {}; expected the address of this node's controller listener alone",
                                server.host, server.port, kWhy));
  }
}

std::string normal_path(const std::string& path) {
  std::string normal = std::filesystem::path(path).lexically_normal().native();
  while (normal.size() > 1 && normal.ends_with('/')) normal.pop_back();
  return normal;
}

bool is_or_lies_in(const std::string& path, const std::string& directory) {
  if (directory == ".") return !path.starts_with('/');
  return path == directory || directory == "/" || path.starts_with(directory + "/");
}

void fill_directories(Loading& loading, NodeConfig& node) {
  const std::string_view dirs_name = loading.is_set("log.dirs") ? "log.dirs" : "log.dir";
  if (loading.is_set("log.dirs") && loading.is_set("log.dir")) {
    loading.notices.push_back(
        fmt::format("{}: log.dir has no effect here, because log.dirs is set", loading.places.at("log.dir")));
  }
  node.log_dirs = loading.list(dirs_name);
  if (node.log_dirs.empty()) return;  // already a fault
  const std::string metadata = loading.text("metadata.log.dir");
  node.metadata_log_dir = metadata.empty() ? node.log_dirs.front() : metadata;
  const std::string state = loading.text("kurier.state.dir");
  std::string beside = node.log_dirs.front();
  while (beside.size() > 1 && beside.ends_with('/')) beside.pop_back();
  node.state_dir = state.empty() ? beside + ".kurier" : state;

  auto all_dirs = node.log_dirs;
  for (std::string& dir : all_dirs) {
    // The same directory under another name: the one of log.dirs is meant.
    if (normal_path(dir) == normal_path(node.metadata_log_dir)) node.metadata_log_dir = dir;
  }
  if (!contains(all_dirs, node.metadata_log_dir)) all_dirs.push_back(node.metadata_log_dir);
  const std::string state_path = normal_path(node.state_dir);
  for (std::size_t i = 0; i < all_dirs.size(); ++i) {
    const std::string dir = normal_path(all_dirs[i]);
    const std::string_view name = i < node.log_dirs.size() ? dirs_name : "metadata.log.dir";
    for (std::size_t j = 0; j < all_dirs.size(); ++j) {
      const std::string other = normal_path(all_dirs[j]);
      if (j != i && is_or_lies_in(dir, other) && (dir != other || j < i)) {
        loading.fault(name, fmt::format("{} is or lies in the log directory {}; each must be a directory of its own",
                                        all_dirs[i], all_dirs[j]));
      }
    }
    // Apache Kafka does not start on a directory that holds anything but partitions.
    loading.require(!is_or_lies_in(state_path, dir), "kurier.state.dir",
                    fmt::format("{} is or lies in the log directory {}; it must be outside", node.state_dir, all_dirs[i]));
    // What is in the state directory may be deleted and made anew.
    loading.require(dir == state_path || !is_or_lies_in(dir, state_path), "kurier.state.dir",
                    fmt::format("{} holds the log directory {}; it must be a directory of its own", node.state_dir, all_dirs[i]));
  }
}

}  // namespace

void fill_identity(Loading& loading, NodeConfig& node) {
  fill_roles(loading, node);
  fill_listeners(loading, node);
  check_roles_against_listeners(loading, node);
  fill_quorum(loading, node);
  fill_directories(loading, node);
  check_single_node(loading, node);
}

}  // namespace kurier::config
