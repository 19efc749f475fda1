// Decodes a message; what can be decoded can be encoded, and what was encoded reads as itself.
//
// With one exception: unknown tagged fields out of order. Like Apache Kafka we read them and refuse to write them.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/check.h"
#include "protocol/primitives.h"

namespace kurier::fuzz {

// None: the exception.
template <class Message>
std::optional<Bytes> encoded(const Message& message, std::int16_t version) {
  protocol::Writer writer;
  message.encode(writer, version);
  if (writer.error() == "unknown tagged fields are not in the order of their tags") return std::nullopt;
  KURIER_CHECK_MESSAGE(writer.ok(),
                       std::string(Message::kName) + " was decoded but cannot be encoded: " + writer.error());
  return writer.take_bytes();
}

template <class Message>
void round_trip(ByteView bytes, std::int16_t version) {
  protocol::Reader reader(bytes);
  Message message;
  message.decode(reader, version);
  static_cast<void>(to_string(message));
  if (!reader.ok()) return;
  const std::optional<Bytes> first = encoded(message, version);
  if (!first) return;
  protocol::Reader again(*first);
  Message copy;
  copy.decode(again, version);
  KURIER_CHECK_MESSAGE(again.ok(), std::string(Message::kName) + " does not read what it wrote: " + again.error());
  // Bytes, not fields: a NaN differs from itself.
  KURIER_CHECK_MESSAGE(encoded(copy, version) == first, std::string(Message::kName) + " changes when it is read again");
}

}  // namespace kurier::fuzz
