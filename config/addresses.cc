#include "config/addresses.h"

#include <algorithm>
#include <charconv>

#include "config/text.h"

namespace kurier::config {
namespace {

template <class Number>
std::optional<Number> whole(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

}  // namespace

std::optional<HostAndPort> parse_host_and_port(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto port = whole<std::uint16_t>(text.substr(colon + 1));
  std::string_view host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  const bool is_clean = std::ranges::all_of(host, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view("-%._:").contains(c);
  });
  if (!port || !is_clean) return std::nullopt;
  return HostAndPort{std::string(host), *port};
}

std::optional<Listener> parse_listener(std::string_view text) {
  const std::size_t separator = text.find("://");
  if (separator == std::string_view::npos || separator == 0) return std::nullopt;
  const auto address = parse_host_and_port(text.substr(separator + 3));
  if (!address) return std::nullopt;
  return Listener{upper(text.substr(0, separator)), address->host, address->port, ""};
}

std::optional<QuorumVoter> parse_voter(std::string_view text) {
  const std::size_t at = text.find('@');
  if (at == std::string_view::npos) return std::nullopt;
  const auto id = whole<std::int32_t>(text.substr(0, at));
  const auto address = parse_host_and_port(text.substr(at + 1));
  if (!id || *id < 0 || !address || address->host.empty()) return std::nullopt;
  return QuorumVoter{BrokerId(*id), address->host, address->port};
}

std::optional<std::map<std::string, std::string>> parse_pairs(std::string_view text) {
  std::map<std::string, std::string> pairs;
  while (!trim(text).empty()) {
    const std::size_t comma = text.find(',');
    const std::string_view part = trim(text.substr(0, comma));
    const std::size_t colon = part.rfind(':');
    if (colon == std::string_view::npos) return std::nullopt;
    pairs[std::string(trim(part.substr(0, colon)))] = trim(part.substr(colon + 1));
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
  }
  return pairs;
}

bool is_ipv4(std::string_view host) {
  return !host.empty() && std::ranges::count(host, '.') == 3 &&
         std::ranges::all_of(host, [](char c) { return c == '.' || (c >= '0' && c <= '9'); });
}
bool is_ipv6(std::string_view host) { return host.find(':') != std::string_view::npos; }

}  // namespace kurier::config
