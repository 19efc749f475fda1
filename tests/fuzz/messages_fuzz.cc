// Every message in every version. Input: the message's number (2 bytes), the version (1), the message.
#include "every_message.h"
#include "tests/fuzz/message_round_trip.h"

using namespace kurier;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView input = std::as_bytes(std::span(data, size));
  if (input.size() < 3) return 0;
  const std::size_t number = load_big_endian<std::uint16_t>(input.data()) % fuzz::kMessages;
  fuzz::visit_message(number, [&]<class Message>() {
    if constexpr (Message::kMaxVersion >= Message::kMinVersion) {
      constexpr int kVersions = Message::kMaxVersion - Message::kMinVersion + 1;
      const auto version = static_cast<std::int16_t>(Message::kMinVersion + data[2] % kVersions);
      fuzz::round_trip<Message>(input.subspan(3), version);
    }
  });
  return 0;
}
