// Addresses as Kafka writes them in its properties. Pure functions, used by load_config.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/node_config.h"

namespace kurier::config {

// "NAME://host:port"; the host may be empty or an IPv6 address in brackets. Names become upper case.
[[nodiscard]] std::optional<Listener> parse_listener(std::string_view text);
// "host:port"
[[nodiscard]] std::optional<HostAndPort> parse_host_and_port(std::string_view text);
// "id@host:port"
[[nodiscard]] std::optional<QuorumVoter> parse_voter(std::string_view text);
// "a:1,b:2"; a part without a colon makes it nullopt.
[[nodiscard]] std::optional<std::map<std::string, std::string>> parse_pairs(std::string_view text);

[[nodiscard]] bool is_ipv4(std::string_view host);
[[nodiscard]] bool is_ipv6(std::string_view host);

}  // namespace kurier::config
