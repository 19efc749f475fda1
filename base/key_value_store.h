// Port: an ordered map of byte strings that outlives the process, for what can be rebuilt from a log.
//
// What is written is seen at once by every reader, and is durable when a `flush` that began later has returned. After a
// crash the store holds what some number of its first writes left: every write wholly or not at all, none without those
// before it. Safe from several threads. Reads are short, and may wait for the disk; `write` and `flush` belong on a pool.
// Errors: kCorrupt and kIo; nothing is to be concluded from what a failed call did not find.
#pragma once

#include <functional>
#include <optional>
#include <span>

#include "base/bytes.h"
#include "base/result.h"

namespace kurier {

class KeyValueStore {
 public:
  struct Change {
    Bytes key;
    std::optional<Bytes> value;  // none: erased
  };
  // False: no more.
  using Visit = std::function<bool(ByteView key, ByteView value)>;

  virtual ~KeyValueStore() = default;

  virtual Result<std::optional<Bytes>> get(ByteView key) const = 0;
  // In the order of the keys, from the first one at or after `from`, as long as they begin with `prefix`.
  virtual Result<void> scan(ByteView prefix, ByteView from, const Visit& visit) const = 0;
  virtual Result<void> write(std::span<const Change> changes) = 0;
  virtual Result<void> erase_prefix(ByteView prefix) = 0;
  virtual Result<void> flush() = 0;
};

// The first key behind all that begin with `prefix`; none if there is none.
inline std::optional<Bytes> end_of_prefix(ByteView prefix) {
  Bytes end = to_bytes(prefix);
  while (!end.empty() && end.back() == std::byte{0xff}) end.pop_back();
  if (end.empty()) return std::nullopt;
  end.back() = static_cast<std::byte>(static_cast<unsigned>(end.back()) + 1);
  return end;
}

}  // namespace kurier
