#include "tools/commands/reset_plan.h"

#include <catch2/catch.hpp>
#include <limits>

#include "tools/commands/group_reset.h"

using namespace kurier;
using namespace kurier::commands;

namespace {

// Log from 10 to 100, committed 50.
constexpr PartitionOffsets kKnown{Offset(10), Offset(100), Offset(50), std::nullopt};

std::int64_t planned(const ResetSpec& spec, const PartitionOffsets& offsets = kKnown) {
  const auto result = plan_reset(spec, offsets);
  REQUIRE(result);
  return result->offset.value();
}

std::string wrong(const ResetOptions& options) {
  const auto spec = spec_of(options);
  REQUIRE_FALSE(spec);
  return spec.error().context;
}

}  // namespace

TEST_CASE("a reset goes where it is told, and never out of the log") {
  REQUIRE(planned({ResetTo::kEarliest}) == 10);
  REQUIRE(planned({ResetTo::kLatest}) == 100);
  REQUIRE(planned({ResetTo::kCurrent}) == 50);
  REQUIRE(planned({ResetTo::kOffset, 77}) == 77);
  REQUIRE(planned({ResetTo::kOffset, 100}) == 100);
  REQUIRE(planned({ResetTo::kOffset, 101}) == 100);
  REQUIRE(planned({ResetTo::kOffset, 9}) == 10);
  REQUIRE(planned({ResetTo::kShift, -5}) == 45);
  REQUIRE(planned({ResetTo::kShift, 5}) == 55);
  REQUIRE(planned({ResetTo::kShift, -41}) == 10);
  REQUIRE(planned({ResetTo::kShift, 51}) == 100);
  REQUIRE(planned({ResetTo::kShift, std::numeric_limits<std::int64_t>::max()}) == 100);
  REQUIRE(planned({ResetTo::kShift, std::numeric_limits<std::int64_t>::min()}) == 10);
}

TEST_CASE("a reset says why it is not what was asked for") {
  REQUIRE(plan_reset({ResetTo::kOffset, 77}, kKnown)->note.empty());
  REQUIRE_FALSE(plan_reset({ResetTo::kOffset, 101}, kKnown)->note.empty());
  REQUIRE_FALSE(plan_reset({ResetTo::kTime}, kKnown)->note.empty());
}

TEST_CASE("without a commit there is nothing to shift, and the current offset is the end") {
  PartitionOffsets offsets = kKnown;
  offsets.committed.reset();
  REQUIRE_FALSE(plan_reset({ResetTo::kShift, 1}, offsets));
  REQUIRE(planned({ResetTo::kCurrent}, offsets) == 100);
}

TEST_CASE("a commit that retention has overtaken is moved into the log") {
  PartitionOffsets offsets = kKnown;
  offsets.committed = Offset(3);
  REQUIRE(planned({ResetTo::kCurrent}, offsets) == 10);
  REQUIRE(planned({ResetTo::kShift, 2}, offsets) == 10);
}

TEST_CASE("a time is the first record that is as young, or the end") {
  PartitionOffsets offsets = kKnown;
  REQUIRE(planned({ResetTo::kTime}, offsets) == 100);
  offsets.at_time = Offset(60);
  REQUIRE(planned({ResetTo::kTime}, offsets) == 60);
}

TEST_CASE("times are read as Kafka's tool reads them") {
  REQUIRE(parse_datetime("1970-01-01T00:00:00.000")->value() == 0);
  REQUIRE(parse_datetime("2026-11-25T17:00:00.123")->value() == 1'795'626'000'123);
  REQUIRE(parse_datetime("2026-11-25T17:00:00Z")->value() == 1'795'626'000'000);
  REQUIRE(parse_datetime("2026-11-25T18:00:00+01:00")->value() == 1'795'626'000'000);
  REQUIRE(parse_datetime("2026-11-25T11:30:00.000-0530")->value() == 1'795'626'000'000);
  REQUIRE(parse_datetime("2024-02-29T00:00:00"));
  for (const char* text : {"", "2026", "2026-11-25", "2026-13-01T00:00:00", "2026-02-29T00:00:00",
                           "2026-11-25T24:00:00", "2026-11-25T17:60:00", "2026-11-25T17:00:00.",
                           "2026-11-25T17:00:00+1", "2026-11-25T17:00:00Zx", "26-11-25T17:00:00"}) {
    INFO(text);
    REQUIRE_FALSE(parse_datetime(text));
  }
}

TEST_CASE("durations are read as Java reads them") {
  using namespace std::chrono_literals;
  REQUIRE(*parse_duration("P7D") == 7 * 24h);
  REQUIRE(*parse_duration("PT1H30M") == 90min);
  REQUIRE(*parse_duration("P1DT2H3M4.5S") == 24h + 2h + 3min + 4500ms);
  REQUIRE(*parse_duration("PT0S") == 0s);
  for (const char* text :
       {"", "P", "PT", "P1DT", "7D", "P7", "P1H", "PT1D", "PT1M1H", "PT1S1S", "PT1.5M", "P-1D", "PT1Sx"}) {
    INFO(text);
    REQUIRE_FALSE(parse_duration(text));
  }
}

TEST_CASE("topics with partitions") {
  REQUIRE(parse_topic_partitions("orders")->second.empty());
  REQUIRE(parse_topic_partitions("orders:0,12")->second == std::vector{PartitionIndex(0), PartitionIndex(12)});
  REQUIRE(parse_topic_partitions("orders:0,12")->first == "orders");
  for (const char* text : {"", ":0", "orders:", "orders:x", "orders:0,", "orders:-1", "orders:0;1"}) {
    INFO(text);
    REQUIRE_FALSE(parse_topic_partitions(text));
  }
}

TEST_CASE("a reset wants one target and says which topics") {
  ResetOptions options{.group = "g", .topics = {"t"}};
  REQUIRE(wrong(options).find("none of") != std::string::npos);
  options.to_earliest = true;
  REQUIRE(spec_of(options)->to == ResetTo::kEarliest);
  options.to_offset = 5;
  REQUIRE(wrong(options).find("2 of") != std::string::npos);
  options.to_earliest = false;
  REQUIRE(spec_of(options)->number == 5);
  options.execute = options.dry_run = true;
  REQUIRE(wrong(options).find("--dry-run") != std::string::npos);
  options.dry_run = false;
  options.all_topics = true;
  REQUIRE(wrong(options).find("--all-topics") != std::string::npos);
  options.topics.clear();
  REQUIRE(spec_of(options));
  options.all_topics = false;
  REQUIRE(wrong(options).find("--topic") != std::string::npos);
  options.topics = {"t:x"};
  REQUIRE(wrong(options).find("t:x") != std::string::npos);
}
