// StateStore: the node's one database of views, in kurier.state.dir, opened with the first coordinator partition.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "base/file_system.h"
#include "base/key_value_store.h"

namespace kurier::broker {

class StateStore {
 public:
  // `files` outlives it. Nothing is opened yet.
  StateStore(FileSystem& files, std::string state_directory);
  ~StateStore();

  // What is done with it when it is opened, before anybody uses it. Before the first `open`.
  void when_opened(std::function<void(KeyValueStore&)> first) { first_ = std::move(first); }

  // On a pool; from several threads. After a failure it is tried again. It lives until `close`.
  Result<KeyValueStore*> open();
  // What was written is durable. When nobody uses it any more.
  void close();

 private:
  FileSystem& files_;
  const std::string path_;
  std::mutex mutex_;
  std::function<void(KeyValueStore&)> first_;
  std::unique_ptr<KeyValueStore> store_;
};

}  // namespace kurier::broker
