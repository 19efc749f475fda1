// RocksDB as the store of views: the same as the simulated one, after a clean end, after a kill, with damaged files.
#include "broker/state_store.h"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>

#include "base/random.h"
#include "broker/net/posix_file_system.h"
#include "storage/rocksdb_store.h"
#include "tests/simulation/simulated_key_value_store.h"

using namespace kurier;
using kurier::broker::StateStore;

namespace {

struct Directory {
  Directory() {
    std::string pattern = "/tmp/kurier-store-XXXXXX";
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    path = pattern;
  }
  ~Directory() { static_cast<void>(files.remove_tree(path)); }
  net::PosixFileSystem files;
  std::string path;
};

std::map<Bytes, Bytes> content_of(const KeyValueStore& store, ByteView prefix = {}, ByteView from = {}) {
  std::map<Bytes, Bytes> content;
  const auto scanned = store.scan(prefix, from, [&](ByteView key, ByteView value) {
    CHECK(content.emplace_hint(content.end(), to_bytes(key), to_bytes(value))->first == to_bytes(key));
    CHECK((content.empty() || content.rbegin()->first == to_bytes(key)));
    return true;
  });
  REQUIRE(scanned.has_value());
  return content;
}

Bytes some_key(Random& random) {
  Bytes key;
  for (std::uint64_t length = random.below(4); key.size() <= length;)
    key.push_back(static_cast<std::byte>(random.below(2) == 0 ? 0xff : random.below(3)));
  return key;
}

KeyValueStore::Change put(std::string_view key, std::string_view value) { return {to_bytes(key), to_bytes(value)}; }

void write(KeyValueStore& store, KeyValueStore::Change change) { REQUIRE(store.write({&change, 1}).has_value()); }

}  // namespace

TEST_CASE("RocksDB is what the port promises, also when it is opened again") {
  Directory directory;
  simulation::SimulatedKeyValueStore model(1);
  SeededRandom random(1);
  for (int life = 0; life < 4; ++life) {
    StateStore state(directory.files, directory.path);
    KeyValueStore& store = **state.open();
    CHECK(*state.open() == &store);
    CHECK(content_of(store) == model.content());
    for (int step = 0; step < 300; ++step) {
      std::vector<KeyValueStore::Change> changes;
      for (std::uint64_t count = random.below(5); changes.size() < count;) {
        changes.push_back({some_key(random), std::nullopt});
        if (random.below(3) > 0) changes.back().value = to_bytes(std::to_string(step));
      }
      REQUIRE(store.write(changes).has_value());
      REQUIRE(model.write(changes).has_value());
      Bytes prefix = some_key(random);
      if (random.below(40) == 0 && end_of_prefix(prefix)) {
        REQUIRE(store.erase_prefix(prefix).has_value());
        REQUIRE(model.erase_prefix(prefix).has_value());
      }
      if (random.below(50) == 0) REQUIRE(store.flush().has_value());
      const Bytes from = some_key(random);
      CHECK(content_of(store, prefix, from) == content_of(model, prefix, from));
      CHECK(*store.get(from) == *model.get(from));
    }
    CHECK(content_of(store) == model.content());
    state.close();
  }
}

TEST_CASE("a scan ends when it is told to") {
  Directory directory;
  StateStore state(directory.files, directory.path);
  KeyValueStore& store = **state.open();
  for (const char* key : {"a1", "a2", "a3"}) write(store, put(key, "x"));
  int seen = 0;
  REQUIRE(store.scan(as_bytes("a"), as_bytes("a2"), [&](ByteView, ByteView) { return ++seen < 1; }).has_value());
  CHECK(seen == 1);
}

TEST_CASE("after a kill there is what was flushed, and of the rest every write or none that came later") {
  Directory directory;
  StateStore state(directory.files, directory.path);
  KeyValueStore& store = **state.open();
  for (int i = 0; i < 1000; ++i) {
    const std::vector<KeyValueStore::Change> both{put("first", std::to_string(i)), put("second", std::to_string(i))};
    REQUIRE(store.write(both).has_value());
    if (i == 500) REQUIRE(store.flush().has_value());
  }
  // What a kill leaves: the files as they are while the database is open.
  const std::string left = directory.path + "/left";
  std::filesystem::create_directory(left);
  std::filesystem::copy(directory.path + "/views", left + "/views", std::filesystem::copy_options::recursive);
  StateStore next(directory.files, left);
  const auto opened = next.open();
  REQUIRE(opened.has_value());
  const auto first = *(*opened)->get(as_bytes("first"));
  REQUIRE(first.has_value());
  CHECK(std::stoi(std::string(as_text(*first))) >= 500);
  CHECK(*(*opened)->get(as_bytes("second")) == first);
}

TEST_CASE("a damaged database is made anew") {
  Directory directory;
  {
    StateStore state(directory.files, directory.path);
    write(**state.open(), put("a", "1"));
    state.close();
  }
  const std::string views = directory.path + "/views";
  const std::string what = GENERATE("MANIFEST", "CURRENT", ".sst");
  INFO(what);
  const auto entries = directory.files.list(views);
  REQUIRE(entries.has_value());
  int damaged = 0;
  for (const auto& entry : *entries) {
    if (entry.name.find(what) == std::string::npos) continue;
    ++damaged;
    const std::string path = views + "/" + entry.name;
    if (what == ".sst") {
      REQUIRE(directory.files.remove(path).has_value());
      continue;
    }
    REQUIRE(
        directory.files.open(path, OpenMode::kReadWrite).value()->write_at(0, as_bytes("garbage garbage")).has_value());
  }
  REQUIRE(damaged > 0);
  StateStore state(directory.files, directory.path);
  const auto opened = state.open();
  REQUIRE(opened.has_value());
  CHECK(content_of(**opened).empty());
  write(**opened, put("b", "2"));
}

TEST_CASE("a store that cannot be opened says so, and is tried again") {
  Directory directory;
  const std::string path = directory.path + "/file";
  {
    REQUIRE(directory.files.open(path, OpenMode::kCreate).has_value());
  }
  StateStore state(directory.files, path);
  CHECK_FALSE(state.open().has_value());
  REQUIRE(directory.files.remove(path).has_value());
  REQUIRE(directory.files.make_directories(path).has_value());
  CHECK(state.open().has_value());
}

TEST_CASE("starts leave nothing behind, however many there are") {
  Directory directory;
  const auto count = [&] { return directory.files.list(directory.path + "/views").value().size(); };
  std::size_t after_one = 0;
  for (int start = 1; start <= 5; ++start) {
    StateStore state(directory.files, directory.path);
    REQUIRE(state.open().has_value());
    state.close();
    if (start == 2) after_one = count();
  }
  CHECK(count() == after_one);
}
