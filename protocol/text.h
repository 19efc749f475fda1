// The strings of the wire: bytes that should be UTF-8, which Apache Kafka reads with Java's `new String(bytes, UTF_8)`. What
// is malformed becomes U+FFFD there, so that two ids that differ in such bytes alone are one. Reader does the same for
// every string of requests, responses and records; pure functions.
#pragma once

#include <string>
#include <string_view>

namespace kurier::protocol {

// Whether all bytes are ASCII: what nearly every string is, found eight bytes at a time.
[[nodiscard]] bool is_ascii(std::string_view bytes);

// The text that Java finds in the bytes, as UTF-8. Each malformed sequence is replaced as a whole, as far as it could have been
// the beginning of a character; so is the half of a surrogate pair. At most three times as long.
[[nodiscard]] std::string java_text(std::string_view bytes);

}  // namespace kurier::protocol
