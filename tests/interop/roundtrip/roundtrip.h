// Random values of every message, and what becomes of bytes: what compare_messages.py exchanges with Apache Kafka's classes.
//
// A frame is an input and what its writer makes of it: read at `version`, described as text, written at `to_version`. The
// other side does the same and must come to the same end: the same text, the same output, or a refusal at the same step.
// kinds: 'r' a random value, the output is the input; 'x' written at another version; 'm' damaged bytes.
//
// On disk: kind, name (int16 length), version, to_version (int16), outcome (int8), then input, text and output, each with an
// int32 length; big-endian. RoundTrip.java is the other side.
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/random.h"
#include "base/uuid.h"
#include "protocol/error_code.h"
#include "protocol/primitives.h"
#include "protocol/records.h"

namespace kurier::protocol {

enum class Outcome : std::int8_t { kAccepted = 0, kRefusedReading = 1, kRefusedWriting = 2 };

struct Frame {
  char kind = 'r';
  std::string name;
  std::int16_t version = 0;
  std::int16_t to_version = 0;
  Outcome outcome = Outcome::kAccepted;
  Bytes input;
  std::string text;  // ends with "+" and the number of bytes left over; the reason if it could not be read
  Bytes output;      // the reason if it could not be written
};

// Fills fields with values that a version can express; absent ignorable ones too, since they are to be lost silently.
class Filler {
 public:
  Filler(std::uint64_t seed, std::int16_t version) : random_(seed), version_(version) {}

  // Held while a struct is filled: the deeper, the fewer elements.
  class Depth {
   public:
    explicit Depth(Filler& filler) : filler_(filler) { ++filler_.depth_; }
    ~Depth() { --filler_.depth_; }
    Depth(const Depth&) = delete;
    Depth& operator=(const Depth&) = delete;

   private:
    Filler& filler_;
  };

  [[nodiscard]] SeededRandom& random() { return random_; }
  [[nodiscard]] bool version_is(int first, int last) const { return first <= version_ && version_ <= last; }
  bool one_in(std::uint64_t n) { return random_.below(n) == 0; }
  // Whether a field gets a value of its own.
  bool gives(bool is_present, bool is_tagged, bool is_ignorable) {
    if (is_present) return !is_tagged || one_in(2);
    return is_ignorable && one_in(2);
  }

  void set(bool& value, bool) { value = one_in(2); }
  void set(std::int8_t& value, bool) { value = integer<std::int8_t>(); }
  void set(std::int16_t& value, bool) { value = integer<std::int16_t>(); }
  void set(std::uint16_t& value, bool) { value = integer<std::uint16_t>(); }
  void set(std::int32_t& value, bool) { value = integer<std::int32_t>(); }
  void set(std::uint32_t& value, bool) { value = integer<std::uint32_t>(); }
  void set(std::int64_t& value, bool) { value = integer<std::int64_t>(); }
  template <class Tag, class Rep>
  void set(Id<Tag, Rep>& value, bool) {
    value = Id<Tag, Rep>(integer<Rep>());
  }
  void set(ErrorCode& value, bool) { value = static_cast<ErrorCode>(integer<std::int16_t>()); }
  void set(double& value, bool);
  void set(Uuid& value, bool) { value = {integer<std::uint64_t>(), integer<std::uint64_t>()}; }
  void set(std::string& value, bool);
  void set(Bytes& value, bool);
  void set(Records& value, bool may_be_null);
  template <class T>
  void set(std::optional<T>& value, bool may_be_null) {
    if (may_be_null && one_in(4)) return value.reset();
    value = T{};
    set(*value, false);
  }
  template <class T>
  void set(std::vector<T>& value, bool) {
    std::uint64_t count = random_.below(depth_ < 3 ? 4 : 3);
    if constexpr (!requires { &T::append_text; }) {
      if (one_in(60)) count = 120 + random_.below(200);
    }
    value.clear();
    for (std::uint64_t i = 0; i < count; ++i) {
      T element{};
      set(element, false);
      value.push_back(std::move(element));
    }
  }
  template <class T>
    requires requires { &T::append_text; }
  void set(T& value, bool) {
    fill(*this, value);
  }
  void set_unknown(std::vector<UnknownTaggedField>& fields, std::initializer_list<std::uint32_t> known_tags);

 private:
  // Small, extreme, any.
  template <class T>
  T integer() {
    switch (random_.below(5)) {
      case 0: return static_cast<T>(static_cast<std::int64_t>(random_.below(3)) - 1);
      case 1: return std::numeric_limits<std::make_signed_t<T>>::max();
      case 2: return static_cast<T>(std::numeric_limits<std::make_signed_t<T>>::min());
      default: return static_cast<T>(random_.next());
    }
  }

  SeededRandom random_;
  std::int16_t version_;
  int depth_ = 0;
};

// The text of a value: nothing is left out, and different values have different texts.
class Text {
 public:
  std::string out;

  template <class Message>
  void message(const Message& message) {
    add(message);
  }
  void field(const char* name, const auto& value) {
    (out += name) += '=';
    add(value);
    out += ';';
  }
  void unknown(const std::vector<UnknownTaggedField>& fields);

 private:
  void hex(ByteView bytes);
  void hex(std::uint64_t value);
  void add(bool value) { out += value ? "true" : "false"; }
  template <std::integral T>
  void add(T value) {
    out += std::to_string(value);
  }
  template <class Tag, class Rep>
  void add(Id<Tag, Rep> value) {
    out += std::to_string(value.value());
  }
  void add(ErrorCode value) { out += std::to_string(to_wire(value)); }
  void add(double value);
  void add(const Uuid& value);
  void add(const std::string& value) { (out += std::to_string(value.size()) + ":") += value; }
  void add(const Bytes& value) { hex(ByteView(value)); }
  void add(const Records& value);
  template <class T>
  void add(const std::optional<T>& value) {
    if (!value) {
      out += "null";
    } else {
      add(*value);
    }
  }
  template <class T>
  void add(const std::vector<T>& values) {
    out += '[';
    for (const T& value : values) {
      add(value);
      out += ',';
    }
    out += ']';
  }
  template <class T>
    requires requires { &T::append_text; }
  void add(const T& value) {
    out += '{';
    describe(*this, value);
    out += '}';
  }
};

struct MessageType {
  std::string name;
  std::int16_t min_version;
  std::int16_t max_version;
  // The bytes of a random value, or of a new one if `is_new`.
  Bytes (*random_bytes)(Filler& filler, std::int16_t version, bool is_new);
  // Fills in everything after `input`.
  void (*evaluate)(Frame& frame);
};

[[nodiscard]] Bytes written_or_die(const char* name, std::int16_t version, Writer& writer);

template <class Message>
Bytes random_bytes(Filler& filler, std::int16_t version, bool is_new) {
  Message message;
  if (!is_new) fill(filler, message);
  Writer writer;
  message.encode(writer, version);
  return written_or_die(Message::kName, version, writer);
}

template <class Message>
void evaluate(Frame& frame) {
  Message message;
  Reader reader(frame.input);
  message.decode(reader, frame.version);
  if (!reader.ok()) {
    frame.outcome = Outcome::kRefusedReading;
    frame.text = reader.error();
    return;
  }
  Text text;
  text.message(message);
  frame.text = text.out + "+" + std::to_string(reader.remaining());
  Writer writer;
  message.encode(writer, frame.to_version);
  if (!writer.ok()) {
    frame.outcome = Outcome::kRefusedWriting;
    frame.output = to_bytes(writer.error());
    return;
  }
  frame.outcome = Outcome::kAccepted;
  frame.output = writer.take_bytes();
}

template <class Message>
MessageType message_type(const char* name) {
  return {name, Message::kMinVersion, Message::kMaxVersion, random_bytes<Message>, evaluate<Message>};
}

// Every message of the schema; generated.
std::vector<MessageType> message_types();

}  // namespace kurier::protocol
