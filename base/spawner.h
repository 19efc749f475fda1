// Port: starting tasks that nobody awaits. A Spawner belongs to one shard, names its tasks, and knows at shutdown which
// of them are still running.
#pragma once

#include <cstddef>
#include <string_view>

#include "base/task.h"

namespace kurier {

class Spawner {
 public:
  virtual ~Spawner() = default;
  // Starts `task` at once on this shard's thread; it runs until its first suspension. `name` is a literal.
  virtual void spawn(std::string_view name, Task<void> task) = 0;
  [[nodiscard]] virtual std::size_t running() const = 0;
};

}  // namespace kurier
