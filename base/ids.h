// Strong ids: numbers that cannot be mistaken for one another.
//
// Every id converts explicitly in both directions. `Offset + 3` compiles, `Offset + Offset` does not, and
// `Offset - Offset` is a plain count. An `Offset` is the next one to read unless its name says `last_`.
// Negative values have Kafka's meaning (-1: none or unknown), spelled out beside each type.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <ostream>

namespace kurier {

template <class Tag, class Rep_>
class Id {
 public:
  using Rep = Rep_;

  constexpr Id() = default;
  constexpr explicit Id(Rep value) : value_(value) {}

  [[nodiscard]] constexpr Rep value() const { return value_; }
  constexpr explicit operator Rep() const { return value_; }

  friend constexpr auto operator<=>(Id, Id) = default;
  // Numbers from outside may be anything: sums and differences wrap, as Java's do.
  friend constexpr Id operator+(Id id, Rep count) { return Id(static_cast<Rep>(bits(id.value_) + bits(count))); }
  friend constexpr Id operator-(Id id, Rep count) { return Id(static_cast<Rep>(bits(id.value_) - bits(count))); }
  friend constexpr Rep operator-(Id left, Id right) { return static_cast<Rep>(bits(left.value_) - bits(right.value_)); }
  constexpr Id& operator+=(Rep count) { return *this = *this + count; }
  constexpr Id& operator++() { return *this += 1; }
  friend std::ostream& operator<<(std::ostream& out, Id id) { return out << +id.value_; }

 private:
  static constexpr std::uint64_t bits(Rep value) { return static_cast<std::uint64_t>(value); }
  Rep value_ = 0;
};

using Offset = Id<struct OffsetTag, std::int64_t>;                // -1: none
using LeaderEpoch = Id<struct LeaderEpochTag, std::int32_t>;      // -1: unknown
using PartitionEpoch = Id<struct PartitionEpochTag, std::int32_t>;
using BrokerId = Id<struct BrokerIdTag, std::int32_t>;            // -1: none
using BrokerEpoch = Id<struct BrokerEpochTag, std::int64_t>;      // -1: unknown
using PartitionIndex = Id<struct PartitionIndexTag, std::int32_t>;
using ProducerId = Id<struct ProducerIdTag, std::int64_t>;        // -1: not idempotent
using ProducerEpoch = Id<struct ProducerEpochTag, std::int16_t>;  // -1: none

// Milliseconds since 1970-01-01T00:00:00Z, as records carry it. -1: none.
using Timestamp = Id<struct TimestampTag, std::int64_t>;

}  // namespace kurier

template <class Tag, class Rep>
struct std::hash<kurier::Id<Tag, Rep>> {
  std::size_t operator()(kurier::Id<Tag, Rep> id) const noexcept { return std::hash<Rep>{}(id.value()); }
};
