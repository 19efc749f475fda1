#include "tools/commands/reset_plan.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>

namespace kurier::commands {
namespace {

// Takes what it reads from the front of a text; the first thing that does not fit makes everything after it fail.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}
  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] bool is_done() const { return ok_ && text_.empty(); }
  [[nodiscard]] bool sees(char c) const { return ok_ && !text_.empty() && text_.front() == c; }
  bool take(char c) {
    if (!sees(c)) return false;
    text_.remove_prefix(1);
    return true;
  }
  void expect(char c) { ok_ = take(c) && ok_; }
  // `digits` digits, or with 0 as many as there are, at least one and at most nine.
  std::int64_t number(std::size_t digits) {
    std::size_t count = 0;
    while (count < text_.size() && text_[count] >= '0' && text_[count] <= '9') ++count;
    if (digits > 0) count = count < digits ? 0 : digits;
    if (count == 0 || count > 9) ok_ = false;
    if (!ok_) return 0;
    std::int64_t value = 0;
    std::from_chars(text_.data(), text_.data() + count, value);
    text_.remove_prefix(count);
    return value;
  }
  // The digits of a fraction as thousandths; what is finer is dropped.
  std::int64_t thousandths() {
    std::size_t count = 0;
    std::int64_t value = 0;
    for (; count < text_.size() && text_[count] >= '0' && text_[count] <= '9'; ++count) {
      if (count < 3) value = value * 10 + (text_[count] - '0');
    }
    if (count == 0) ok_ = false;
    for (std::size_t i = count; i < 3; ++i) value *= 10;
    text_.remove_prefix(count);
    return ok_ ? value : 0;
  }

 private:
  std::string_view text_;
  bool ok_ = true;
};

std::chrono::minutes zone_of(Scanner& scanner) {
  if (scanner.is_done() || scanner.take('Z')) return std::chrono::minutes(0);
  const bool is_west = scanner.sees('-');
  if (!scanner.take('-')) scanner.expect('+');
  const auto hours = std::chrono::hours(scanner.number(2));
  scanner.take(':');
  const auto east = hours + std::chrono::minutes(scanner.number(2));
  return is_west ? -east : east;
}

}  // namespace

Result<PlannedReset> plan_reset(const ResetSpec& spec, const PartitionOffsets& offsets) {
  const auto within_log = [&](Offset wanted) -> PlannedReset {
    if (wanted > offsets.log_end) return {offsets.log_end, fmt::format("{} is beyond the end", wanted.value())};
    if (wanted < offsets.log_start) return {offsets.log_start, fmt::format("{} is before the start", wanted.value())};
    return {wanted, ""};
  };
  switch (spec.to) {
    case ResetTo::kEarliest: return PlannedReset{offsets.log_start, ""};
    case ResetTo::kLatest: return PlannedReset{offsets.log_end, ""};
    case ResetTo::kCurrent:
      if (!offsets.committed) return PlannedReset{offsets.log_end, "nothing is committed, so it is the end"};
      return within_log(*offsets.committed);
    case ResetTo::kOffset: return within_log(Offset(spec.number));
    case ResetTo::kShift: {
      if (!offsets.committed) return fail(Failure::kInvalid, "nothing is committed that could be shifted");
      std::int64_t wanted = 0;
      if (__builtin_add_overflow(offsets.committed->value(), spec.number, &wanted)) {
        return PlannedReset{spec.number > 0 ? offsets.log_end : offsets.log_start, "the shift leaves the log"};
      }
      return within_log(Offset(wanted));
    }
    case ResetTo::kTime:
      if (!offsets.at_time) return PlannedReset{offsets.log_end, "no record is that young, so it is the end"};
      return PlannedReset{*offsets.at_time, ""};
  }
  return fail(Failure::kInvalid, "unknown kind of reset");
}

Result<Timestamp> parse_datetime(std::string_view text) {
  namespace ch = std::chrono;
  Scanner scanner(text);
  const auto year = ch::year(static_cast<int>(scanner.number(4)));
  scanner.expect('-');
  const auto month = ch::month(static_cast<unsigned>(scanner.number(2)));
  scanner.expect('-');
  const auto day = ch::day(static_cast<unsigned>(scanner.number(2)));
  scanner.expect('T');
  const std::int64_t hour = scanner.number(2);
  scanner.expect(':');
  const std::int64_t minute = scanner.number(2);
  std::int64_t second = 0;
  std::int64_t ms = 0;
  if (scanner.take(':')) second = scanner.number(2);
  if (scanner.take('.')) ms = scanner.thousandths();
  const ch::minutes zone = zone_of(scanner);
  const ch::year_month_day date{year, month, day};
  if (!scanner.is_done() || !date.ok() || hour > 23 || minute > 59 || second > 59) {
    return fail(
        Failure::kInvalid,
        fmt::format("'{}' is no time like 2026-11-25T17:00:00.000, with Z or +01:00 behind it if it is not UTC", text));
  }
  const auto since_1970 = ch::sys_days(date).time_since_epoch() + ch::hours(hour) + ch::minutes(minute) - zone +
                          ch::seconds(second) + ch::milliseconds(ms);
  return Timestamp(ch::duration_cast<ch::milliseconds>(since_1970).count());
}

Result<std::chrono::milliseconds> parse_duration(std::string_view text) {
  const auto wrong = [&] {
    return fail(Failure::kInvalid, fmt::format("'{}' is no duration like P7D, PT1H30M or P1DT30S", text));
  };
  struct Unit {
    char name;
    bool is_time;
    std::int64_t ms;
  };
  constexpr Unit kUnits[] = {{'D', false, 86'400'000}, {'H', true, 3'600'000}, {'M', true, 60'000}, {'S', true, 1'000}};
  Scanner scanner(text);
  scanner.expect('P');
  bool is_time = false;
  bool has_any = false;
  std::int64_t total = 0;
  std::size_t next = 0;  // units come in this order, each once
  while (scanner.ok() && !scanner.is_done()) {
    if (!is_time && scanner.take('T')) {
      is_time = true;
      has_any = false;
    }
    const std::int64_t count = scanner.number(0);
    const bool has_fraction = scanner.take('.');
    const std::int64_t ms = has_fraction ? scanner.thousandths() : 0;
    while (next < std::size(kUnits) && !(kUnits[next].is_time == is_time && scanner.sees(kUnits[next].name))) ++next;
    if (!scanner.ok() || next == std::size(kUnits)) return wrong();
    const Unit& unit = kUnits[next++];
    scanner.take(unit.name);
    if (has_fraction && unit.name != 'S') return wrong();
    total += count * unit.ms + ms;
    has_any = true;
  }
  if (!scanner.is_done() || !has_any) return wrong();
  return std::chrono::milliseconds(total);
}

Result<std::pair<std::string, std::vector<PartitionIndex>>> parse_topic_partitions(std::string_view text) {
  const std::size_t colon = std::min(text.find(':'), text.size());
  std::pair<std::string, std::vector<PartitionIndex>> result{std::string(text.substr(0, colon)), {}};
  const auto wrong = [&] {
    return fail(Failure::kInvalid, fmt::format("'{}' is no topic with partitions like orders or orders:0,1", text));
  };
  if (result.first.empty()) return wrong();
  std::string_view rest = text.substr(colon);
  while (!rest.empty()) {
    rest.remove_prefix(1);  // the colon or a comma
    std::int32_t index = 0;
    const std::size_t end = std::min(rest.find(','), rest.size());
    const auto [at, error] = std::from_chars(rest.data(), rest.data() + end, index);
    if (error != std::errc{} || at != rest.data() + end || index < 0) return wrong();
    result.second.emplace_back(index);
    rest.remove_prefix(end);
  }
  return result;
}

}  // namespace kurier::commands
