// The parts that the table of properties is made of, and the words of its rows. Included by properties_*.cc and
// property_table.cc only.
//
// The reasons complete two sentences for the operator: "has no effect here, because ..." and "is refused, because ...".
#pragma once

#include "config/property_table.h"

namespace kurier::config {

extern const std::span<const Property> kNodeProperties;
extern const std::span<const Property> kGroupProperties;
extern const std::span<const Property> kLogProperties;
extern const std::span<const Property> kSecurityProperties;
extern const std::span<const Property> kOwnProperties;
extern const std::span<const TopicProperty> kTopicProperties;

namespace columns {
using enum Type;
using enum UpdateMode;
using enum Visibility;
using enum Support;

inline constexpr std::string_view kAlterdirs = "replicas cannot be moved between log directories yet";
inline constexpr std::string_view kAuthorizer = "there is no authorizer yet, and everybody would be allowed everything";
inline constexpr std::string_view kCordoned = "new replicas would still be placed there";
inline constexpr std::string_view kEarly = "there is no authorizer to wait for";
inline constexpr std::string_view kGroup = "groups do without it so far";
inline constexpr std::string_view kInterbroker =
    "only PLAINTEXT is there yet, and the traffic would not be protected";
inline constexpr std::string_view kJava = "Java classes cannot be loaded";
inline constexpr std::string_view kMetrics = "metrics are not sampled in windows";
inline constexpr std::string_view kOwn = "the controller keeps measurements of its own";
inline constexpr std::string_view kPolicy =
    "Java classes cannot be loaded, and what the policy forbids would be allowed";
inline constexpr std::string_view kPools = "work that may block has pools of its own, sized by the node";
inline constexpr std::string_view kPrincipal =
    "Java classes cannot be loaded, and users would get other names";
inline constexpr std::string_view kProviders =
    "config providers are Java classes; values are taken as written";
inline constexpr std::string_view kPurgatory =
    "waiting requests are removed at once, there is no purgatory to sweep";
inline constexpr std::string_view kQueue =
    "the requests in flight are limited a connection and by memory, not by a queue";
inline constexpr std::string_view kAtOnce = "old metadata is removed at once, and nobody is reading it";
inline constexpr std::string_view kIdle = "empty records are for followers, and this version runs as a single node";
inline constexpr std::string_view kLinger =
    "metadata is synced as soon as the sync before it is done, and one sync serves all that wait";
inline constexpr std::string_view kWholeBatch = "the records of a change are one batch, however many they are";
inline constexpr std::string_view kQuota = "quotas are not enforced yet";
inline constexpr std::string_view kQuotaplugin =
    "Java classes cannot be loaded, and clients would go unlimited";
inline constexpr std::string_view kRemote = "tiered storage is not there yet";
inline constexpr std::string_view kSasl = "listeners with SASL are refused, so nothing uses it";
inline constexpr std::string_view kShards = "kurier runs one shard a core; see kurier.shards";
inline constexpr std::string_view kShare = "share groups are not served yet";
inline constexpr std::string_view kSingle = "this version runs as a single node";
inline constexpr std::string_view kSsl = "listeners with TLS are refused, so nothing uses it";
inline constexpr std::string_view kStable = "only final versions are offered";
inline constexpr std::string_view kStartup = "a start is not given up after a time";
inline constexpr std::string_view kStreams = "streams groups are not served yet";
inline constexpr std::string_view kTelemetry = "clients' metrics are not collected yet";
inline constexpr std::string_view kTransaction = "transactions are not served yet";
}  // namespace columns

}  // namespace kurier::config
