#include "tools/bench/latency_json.h"

namespace kurier::bench {
namespace {

double microseconds(std::chrono::nanoseconds duration) { return static_cast<double>(duration.count()) / 1e3; }

}  // namespace

client::JsonObject to_json(const Histogram& latency) {
  client::JsonObject json;
  json.add("count", latency.count());
  json.add("mean", microseconds(latency.mean()));
  json.add("p50", microseconds(latency.percentile(0.5)));
  json.add("p90", microseconds(latency.percentile(0.9)));
  json.add("p99", microseconds(latency.percentile(0.99)));
  json.add("p99_9", microseconds(latency.percentile(0.999)));
  json.add("max", microseconds(latency.max()));
  return json;
}

}  // namespace kurier::bench
