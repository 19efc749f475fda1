#include "broker/net/thread_pool.h"

#include <atomic>
#include <catch2/catch.hpp>

using namespace kurier;

TEST_CASE("a pool finishes all that was queued before it is gone") {
  std::atomic<int> done = 0;
  {
    net::ThreadPool pool("test", 2);
    for (int i = 0; i < 1000; ++i) pool.run([&done] { ++done; });
  }
  CHECK(done == 1000);
}
