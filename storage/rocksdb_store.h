// RocksDbStore: a KeyValueStore in a RocksDB database, the only place that knows of RocksDB.
//
// One database for the node's views (kurier.state.dir), small: write buffers of 1 MiB, a block cache of 8 MiB that also
// holds indexes and filters in pieces, few open files, no log of its own (what was not flushed is made anew from the partitions'
// logs). Opening and writing may block: on a pool. RocksDB flushes and compacts on two threads of its own.
#pragma once

#include <memory>
#include <string>

#include "base/file_system.h"
#include "base/key_value_store.h"

namespace kurier::storage {

class RocksDbStore final : public KeyValueStore {
 public:
  // Made if it is missing. One that RocksDB calls corrupt is removed, and an empty one is in its place.
  static Result<std::unique_ptr<RocksDbStore>> open(FileSystem& files, const std::string& path);
  ~RocksDbStore() override;

  Result<std::optional<Bytes>> get(ByteView key) const override;
  Result<void> scan(ByteView prefix, ByteView from, const Visit& visit) const override;
  Result<void> write(std::span<const Change> changes) override;
  Result<void> erase_prefix(ByteView prefix) override;
  Result<void> flush() override;

 private:
  struct Database;
  explicit RocksDbStore(std::unique_ptr<Database> database);

  std::unique_ptr<Database> database_;
};

}  // namespace kurier::storage
