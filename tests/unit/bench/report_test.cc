// What a run says, and what it reads of a process.
#include <unistd.h>

#include <catch2/catch.hpp>
#include <limits>

#include "tools/bench/client.h"
#include "tools/bench/process.h"

using namespace kurier;
using namespace kurier::bench;

TEST_CASE("JSON is on one line, in order, and quoted") {
  JsonObject inner;
  inner.add("x", 1);
  JsonObject json;
  json.add("text", "a \"b\" \\ \n");
  json.add("number", 1.5);
  json.add("none", std::numeric_limits<double>::infinity());
  json.add("yes", true);
  json.add("big", std::uint64_t{18'446'744'073'709'551'615U});
  json.add("inner", inner);
  REQUIRE(json.text() == R"({"text": "a \"b\" \\ \u000a", "number": 1.5, "none": null, "yes": true, )"
                         R"("big": 18446744073709551615, "inner": {"x": 1}})");
}

TEST_CASE("the lines for people name what is inside an object by its way") {
  JsonObject inner;
  inner.add("p50", 1.25);
  inner.add("p99", 2);
  JsonObject json;
  json.add("seconds", 3);
  json.add("latency", inner);
  const auto line = [](std::string name, const std::string& value) {
    name.resize(33, ' ');
    return name + value;
  };
  REQUIRE(json.human() == line("seconds", "3") + "\n" + line("latency.p50", "1.25") + "\n" + line("latency.p99", "2"));
}

TEST_CASE("a stat line is read behind the name, whatever the name is") {
  const std::string text =
      "12 (a) b (c) S 1 2 3 4 5 6 70 8 90 10 250 50 0 0 20 0 7 0 1000 123456 42 18446744073709551615 1 1";
  const auto usage = parse_stat(text, 100, 4096);
  REQUIRE(usage);
  REQUIRE(usage->minor_faults == 70);
  REQUIRE(usage->major_faults == 90);
  REQUIRE(usage->user_s == Approx(2.5));
  REQUIRE(usage->system_s == Approx(0.5));
  REQUIRE(usage->threads == 7);
  REQUIRE(usage->rss_bytes == 42 * 4096);
  REQUIRE_FALSE(parse_stat("12 (a", 100, 4096));
  REQUIRE_FALSE(parse_stat("12 (a) S 1 2", 100, 4096));
}

TEST_CASE("this process can be read, and one that is not there cannot") {
  const auto usage = usage_of(::getpid());
  REQUIRE(usage);
  REQUIRE(usage->rss_bytes > 100'000);
  REQUIRE(usage->threads >= 1);
  REQUIRE(usage->rss_peak_bytes + 1'000'000 >= usage->rss_bytes);  // the kernel counts both a little late
  REQUIRE_FALSE(usage_of(0x7ffffff0));
}

TEST_CASE("a difference is what was used, and what is held in the end") {
  const ProcessUsage before{.user_s = 1, .minor_faults = 10, .voluntary_switches = 9, .rss_bytes = 5};
  const ProcessUsage after{.user_s = 3, .minor_faults = 25, .voluntary_switches = 4, .rss_bytes = 7};
  const ProcessUsage used = difference(before, after);
  REQUIRE(used.user_s == Approx(2));
  REQUIRE(used.minor_faults == 15);
  REQUIRE(used.voluntary_switches == 0);  // threads that ended took theirs with them
  REQUIRE(used.rss_bytes == 7);
}

TEST_CASE("a program is started, stopped by SIGTERM, and its exit status known") {
  auto sleeper = ChildProcess::start({"sleep", "1000"}, "/dev/null");
  REQUIRE(sleeper);
  REQUIRE_FALSE(sleeper->has_ended());
  sleeper->terminate();
  const auto status = sleeper->wait(std::chrono::seconds(10));
  REQUIRE(status);
  REQUIRE(*status == 128 + 15);
  auto failing = ChildProcess::start({"false"}, "/dev/null");
  REQUIRE(failing);
  REQUIRE(failing->wait(std::chrono::seconds(10)) == 1);
  auto late = ChildProcess::start({"sleep", "1000"}, "/dev/null");
  REQUIRE(late);
  REQUIRE_FALSE(late->wait(std::chrono::milliseconds(1)));
  REQUIRE(late->has_ended());
  REQUIRE_FALSE(ChildProcess::start({"/no/such/program"}, "/dev/null"));
}
