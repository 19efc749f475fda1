#include "storage/log_directory.h"

#include <catch2/catch.hpp>

#include "tests/simulation/simulated_file_system.h"

using namespace kurier;
using namespace kurier::storage;

TEST_CASE("a log directory is one process's, and knows whose it is") {
  simulation::SimulatedFileSystem files(1);
  const MetaProperties properties{"MkU3OEVBNTcwNTJENDM2Qg", BrokerId(3), *Uuid::parse("5pl4Lu77R0KnaD487RfoIw")};
  {
    auto directory = LogDirectory::open(files, "/data");
    REQUIRE(directory);
    REQUIRE_FALSE((*directory)->meta_properties());
    REQUIRE((*directory)->format(properties));
    const auto second = LogDirectory::open(files, "/data");
    REQUIRE_FALSE(second);
    REQUIRE(second.error().failure == Failure::kInUse);
  }
  auto again = LogDirectory::open(files, "/data");
  REQUIRE(again);
  REQUIRE((*again)->meta_properties() == properties);
}

TEST_CASE("meta.properties of another version, or without what it must have, are refused") {
  simulation::SimulatedFileSystem files(1);
  const auto read = [&](std::string_view text) {
    REQUIRE(write_file_atomically(files, "/m", as_bytes(text)));
    return read_meta_properties(files, "/m");
  };
  REQUIRE(read("#\nversion=2\ncluster.id=a\nnode.id=1\n").error().failure == Failure::kUnsupported);
  REQUIRE(read("version=1\nnode.id=1\n").error().failure == Failure::kMalformed);
  REQUIRE(read("version=1\ncluster.id=a\nnode.id=x\n").error().failure == Failure::kMalformed);
  REQUIRE(read("version=1\r\ncluster.id=a\r\nnode.id=7\r\n")->value().node_id == BrokerId(7));
  REQUIRE_FALSE(*read_meta_properties(files, "/none"));
}

TEST_CASE("the clean shutdown mark is there once") {
  simulation::SimulatedFileSystem files(1);
  auto directory = LogDirectory::open(files, "/data");
  REQUIRE(directory);
  REQUIRE(*(*directory)->take_clean_shutdown_mark() == false);
  REQUIRE((*directory)->write_clean_shutdown_mark(BrokerEpoch(12)));
  REQUIRE(as_text(*read_file(files, "/data/.kafka_cleanshutdown")) == R"({"version":0,"brokerEpoch":12})");
  REQUIRE(*(*directory)->take_clean_shutdown_mark() == true);
  REQUIRE(*(*directory)->take_clean_shutdown_mark() == false);
}

TEST_CASE("what is no partition is not accepted in a log directory") {
  simulation::SimulatedFileSystem files(1);
  auto directory = LogDirectory::open(files, "/data");
  REQUIRE(directory);
  for (const char* name : {"a-0", "b-c-12", "__cluster_metadata-0", "a-1.0123456789abcdef-delete"}) {
    REQUIRE(files.make_directories(std::string("/data/") + name));
  }
  const auto found = (*directory)->list();
  REQUIRE(found);
  REQUIRE(found->partitions == std::vector<std::string>{"a-0", "b-c-12"});
  REQUIRE(found->deleted.size() == 1);
  REQUIRE(files.make_directories("/data/lost+found"));
  REQUIRE((*directory)->list().error().failure == Failure::kInvalid);
}

TEST_CASE("checkpoints: what was written is read; a line that is wrong is named") {
  simulation::SimulatedFileSystem files(1);
  const OffsetCheckpoint offsets{{{"a", PartitionIndex(0)}, Offset(5)}, {{"b", PartitionIndex(2)}, Offset(0)}};
  REQUIRE(write_offset_checkpoint(files, "/c", offsets));
  REQUIRE(as_text(*read_file(files, "/c")) == "0\n2\na 0 5\nb 2 0\n");
  REQUIRE(*read_offset_checkpoint(files, "/c") == offsets);
  REQUIRE(read_offset_checkpoint(files, "/none")->empty());
  REQUIRE(write_file_atomically(files, "/empty", {}));
  REQUIRE(read_offset_checkpoint(files, "/empty")->empty());
  for (const char* text : {"1\n0\n", "0\n2\na 0 5\n", "0\n1\na 0\n", "0\n1\na x 5\n", "0\nmany\n"}) {
    REQUIRE(write_file_atomically(files, "/c", as_bytes(text)));
    const auto read = read_offset_checkpoint(files, "/c");
    REQUIRE_FALSE(read);
    REQUIRE(read.error().failure == Failure::kMalformed);
  }
}
