#include "storage/cleaner_key_map.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

namespace kurier::storage {
namespace {

struct SipState {
  std::uint64_t v0, v1, v2, v3;

  void rounds(int count) {
    for (int i = 0; i < count; ++i) {
      v0 += v1, v1 = std::rotl(v1, 13) ^ v0, v0 = std::rotl(v0, 32);
      v2 += v3, v3 = std::rotl(v3, 16) ^ v2;
      v0 += v3, v3 = std::rotl(v3, 21) ^ v0;
      v2 += v1, v1 = std::rotl(v1, 17) ^ v2, v2 = std::rotl(v2, 32);
    }
  }
  void take(std::uint64_t word) {
    v3 ^= word;
    rounds(2);
    v0 ^= word;
  }
};

}  // namespace

Hash128 keyed_hash(const HashKey& key, ByteView bytes) {
  SipState state{key[0] ^ 0x736f6d6570736575ULL, key[1] ^ 0x646f72616e646f6dULL ^ 0xee, key[0] ^ 0x6c7967656e657261ULL,
                 key[1] ^ 0x7465646279746573ULL};
  const std::uint64_t length = bytes.size();
  for (; bytes.size() >= 8; bytes = bytes.subspan(8)) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data(), 8);
    state.take(word);
  }
  std::uint64_t last = length << 56;
  if (!bytes.empty()) {
    std::uint64_t rest = 0;
    std::memcpy(&rest, bytes.data(), bytes.size());
    last |= rest;
  }
  state.take(last);
  state.v2 ^= 0xee;
  state.rounds(4);
  const std::uint64_t first_half = state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
  state.v1 ^= 0xdd;
  state.rounds(4);
  return {first_half, state.v0 ^ state.v1 ^ state.v2 ^ state.v3};
}

CleanerKeyMap::CleanerKeyMap(std::uint64_t memory_bytes, std::uint64_t keys_max, double load_factor, HashKey hash_key)
    : hash_key_(hash_key) {
  load_factor = std::clamp(load_factor, 0.01, 0.99);
  const double needed = std::ceil((static_cast<double>(keys_max) + 1) / load_factor) + 1;
  const double allowed = std::floor(static_cast<double>(memory_bytes) / kEntryBytes);
  // Two at least: one key fits, so that every round makes progress, and a search finds a free slot.
  slots_.resize(static_cast<std::size_t>(std::max(2.0, std::min(needed, allowed))));
  const auto wanted = static_cast<std::uint64_t>(static_cast<double>(slots_.size()) * load_factor);
  capacity_ = std::clamp<std::uint64_t>(wanted, 1, slots_.size() - 1);
}

// Where the hash is, or the free slot where it would be.
std::size_t CleanerKeyMap::slot_of(const Hash128& hash) const {
  std::size_t at = hash[0] % slots_.size();
  while (slots_[at].next != 0 && slots_[at].hash != hash) at = at + 1 == slots_.size() ? 0 : at + 1;
  return at;
}

bool CleanerKeyMap::put(ByteView key, Offset offset) {
  // Also for a key that is there already: as in Apache Kafka, a round ends where the map is full.
  if (size_ >= capacity_) return false;
  const Hash128 hash = keyed_hash(hash_key_, key);
  Slot& slot = slots_[slot_of(hash)];
  if (slot.next == 0) ++size_;
  slot = {hash, offset.value() + 1};
  last_offset_ = offset;
  return true;
}

std::optional<Offset> CleanerKeyMap::get(ByteView key) const {
  const Slot& slot = slots_[slot_of(keyed_hash(hash_key_, key))];
  if (slot.next == 0) return std::nullopt;
  return Offset(slot.next - 1);
}

}  // namespace kurier::storage
