// A 128-bit id: topic ids, directory ids, incarnation ids. Its text is URL-safe base64 without padding, 22 characters,
// as Kafka prints it. Kafka reserves the ids 0 (none), 1 (the metadata topic; a lost directory: LOST) and, for
// directories, 0 (unassigned) and 2 (migrating); random ids never have one of the first 100 values nor start with '-'.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <ostream>
#include <string>
#include <string_view>

#include "base/result.h"

namespace kurier {

class Random;

struct Uuid {
  std::uint64_t high = 0;
  std::uint64_t low = 0;

  friend constexpr auto operator<=>(const Uuid&, const Uuid&) = default;
  [[nodiscard]] constexpr bool is_zero() const { return high == 0 && low == 0; }

  [[nodiscard]] std::string to_string() const;
  // Kafka's own rule: 22 characters at most, either base64 alphabet, 16 bytes after decoding.
  static Result<Uuid> parse(std::string_view text);
  // A version-4 uuid outside the reserved ones, whose text does not start with '-'.
  static Uuid generate(Random& random);

  friend std::ostream& operator<<(std::ostream& out, const Uuid& uuid) { return out << uuid.to_string(); }
};

inline constexpr Uuid kZeroUuid{};
inline constexpr Uuid kMetadataTopicId{0, 1};

using TopicId = Uuid;
using DirectoryId = Uuid;

}  // namespace kurier

template <>
struct std::hash<kurier::Uuid> {
  std::size_t operator()(const kurier::Uuid& uuid) const noexcept {
    return static_cast<std::size_t>(uuid.high ^ (uuid.low * 0x9e3779b97f4a7c15ULL));
  }
};
