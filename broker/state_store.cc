#include "broker/state_store.h"

#include "base/log.h"
#include "storage/rocksdb_store.h"

namespace kurier::broker {

StateStore::StateStore(FileSystem& files, std::string state_directory)
    : files_(files), path_(std::move(state_directory) + "/views") {}

StateStore::~StateStore() = default;

Result<KeyValueStore*> StateStore::open() {
  const std::lock_guard lock(mutex_);
  if (!store_) {
    auto opened = storage::RocksDbStore::open(files_, path_);
    if (!opened) return std::unexpected(opened.error().within(path_));
    store_ = std::move(*opened);
    if (first_) first_(*store_);
  }
  return store_.get();
}

void StateStore::close() {
  const std::lock_guard lock(mutex_);
  if (!store_) return;
  if (const auto flushed = store_->flush(); !flushed) LOG_WARN("{}: {}", path_, flushed.error().context);
  store_.reset();
}

}  // namespace kurier::broker
