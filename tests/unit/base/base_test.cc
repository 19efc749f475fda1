#include <catch2/catch.hpp>

#include "base/crc32c.h"
#include "base/random.h"
#include "base/task.h"
#include "base/uuid.h"

using namespace kurier;

TEST_CASE("crc32c has the published check value, in one piece or in several") {
  CHECK(crc32c(as_bytes("123456789")) == 0xe3069283U);
  CHECK(crc32c(as_bytes("6789"), crc32c(as_bytes("12345"))) == 0xe3069283U);
  CHECK(crc32c({}) == 0);
  // What is short is summed otherwise than what is long.
  const Bytes bytes(1000, std::byte{0x5a});
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    std::uint32_t by_bytes = 0;
    for (std::size_t i = 0; i < size; ++i) by_bytes = crc32c(ByteView(bytes).subspan(i, 1), by_bytes);
    REQUIRE(crc32c(ByteView(bytes).first(size)) == by_bytes);
  }
}

TEST_CASE("a uuid's text is Kafka's") {
  CHECK(kMetadataTopicId.to_string() == "AAAAAAAAAAAAAAAAAAAAAQ");
  SeededRandom random(7);
  for (int i = 0; i < 1000; ++i) {
    const Uuid uuid = Uuid::generate(random);
    CHECK(uuid.to_string().size() == 22);
    CHECK(uuid.to_string().front() != '-');
    REQUIRE(Uuid::parse(uuid.to_string()).has_value());
    CHECK(*Uuid::parse(uuid.to_string()) == uuid);
  }
  CHECK_FALSE(Uuid::parse("short").has_value());
  CHECK_FALSE(Uuid::parse("AAAAAAAAAAAAAAAAAAAA!Q").has_value());
}

namespace {
Task<int> answer(Event<int>& event) { co_return co_await event + 1; }
Task<void> ask(Event<int>& event, Event<int>& done) { done.set(co_await answer(event)); }
}  // namespace

TEST_CASE("a task waits for its event and hands the value on") {
  Event<int> question;
  Event<int> done;
  auto task = ask(question, done);
  auto started = std::move(task).operator co_await();
  started.await_suspend(std::noop_coroutine()).resume();
  CHECK_FALSE(done.is_set());
  question.set(41);
  CHECK(done.is_set());
}
