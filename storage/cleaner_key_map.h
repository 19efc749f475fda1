// CleanerKeyMap: which offset is the latest of each key in the section of a log that is about to be cleaned?
//
// A core: a table of 24 bytes an entry (16 of the key's hash, 8 of offset), as in Apache Kafka, so that memory depends on
// the number of keys and not on their length. Two keys with the same hash would be taken for one: the hash is keyed with
// a secret, so that no client can make such keys. Entries are only added; when it is full, the rest of the log is left
// for the next round. Used by one cleaning, on its thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"

namespace kurier::storage {

using HashKey = std::array<std::uint64_t, 2>;
using Hash128 = std::array<std::uint64_t, 2>;

// SipHash-2-4 with 128 bits of output.
[[nodiscard]] Hash128 keyed_hash(const HashKey& key, ByteView bytes);

class CleanerKeyMap {
 public:
  static constexpr std::size_t kEntryBytes = 24;

  // `memory_bytes`: the bound. `keys_max`: no more keys than this will come; it may make the table smaller.
  // `load_factor`: log.cleaner.io.buffer.load.factor.
  CleanerKeyMap(std::uint64_t memory_bytes, std::uint64_t keys_max, double load_factor, HashKey hash_key);

  // False: full, and nothing has changed.
  [[nodiscard]] bool put(ByteView key, Offset offset);
  [[nodiscard]] std::optional<Offset> get(ByteView key) const;

  // Up to and including this offset every key is in the map; -1: none yet.
  [[nodiscard]] Offset last_offset() const { return last_offset_; }
  void last_offset_is(Offset offset) { last_offset_ = offset; }

  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] std::uint64_t capacity() const { return capacity_; }
  [[nodiscard]] std::uint64_t memory_bytes() const { return slots_.size() * kEntryBytes; }

 private:
  struct Slot {
    Hash128 hash{};
    std::int64_t next = 0;  // the offset + 1; 0: free
  };
  static_assert(sizeof(Slot) == kEntryBytes);
  [[nodiscard]] std::size_t slot_of(const Hash128& hash) const;

  const HashKey hash_key_;
  std::vector<Slot> slots_;
  std::uint64_t capacity_;
  std::uint64_t size_ = 0;
  Offset last_offset_{-1};
};

}  // namespace kurier::storage
