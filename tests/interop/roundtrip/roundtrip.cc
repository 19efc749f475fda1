// Random values through our message classes; RoundTrip.java is the same program on Apache Kafka's side.
//
//   roundtrip generate SEED COUNT FILE [NAME [VERSION]]
//   roundtrip check FILE
//
// `check` prints FAILED for what differs and one line "tally NAME VERSION KIND PASSED FAILED" (tabs) for what it saw.
#include "tests/interop/roundtrip/roundtrip.h"

#include <bit>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <set>
#include <tuple>

#include <fmt/core.h>

namespace kurier::protocol {

void Filler::set(double& value, bool) { value = std::bit_cast<double>(integer<std::int64_t>()); }

void Filler::set(std::string& value, bool) {
  value.clear();
  if (one_in(8)) return;
  if (one_in(2000)) return static_cast<void>(value.assign(kStringBytesMax, 'x'));
  const std::uint64_t length = one_in(50) ? 100 + random_.below(200) : 1 + random_.below(8);
  const bool is_plain = !one_in(5);
  static constexpr const char* kOthers[] = {"\n",           "\xc3\xa9",         "\xdf\xbf",        "\xe2\x82\xac",
                                            "\xef\xbf\xbc", "\xf0\x9f\x9a\xb2", "\xf4\x8f\xbf\xbf"};
  for (std::uint64_t i = 0; i < length; ++i) {
    if (is_plain || one_in(3)) {
      value += static_cast<char>(32 + random_.below(95));
    } else if (one_in(8)) {
      value += '\0';
    } else {
      value += kOthers[random_.below(std::size(kOthers))];
    }
  }
}

void Filler::set(Bytes& value, bool) {
  value.resize(one_in(8) ? 0 : one_in(50) ? 1 + random_.below(20'000) : 1 + random_.below(10));
  for (std::byte& byte : value) byte = static_cast<std::byte>(random_.next());
}

void Filler::set(Records& value, bool may_be_null) {
  if (may_be_null && one_in(4)) {
    value = Records{};
    return;
  }
  Bytes bytes;
  set(bytes, false);
  value = records_owned(std::move(bytes));
}

void Filler::set_unknown(std::vector<UnknownTaggedField>& fields, std::initializer_list<std::uint32_t> known_tags) {
  if (!one_in(6)) return;
  std::set<std::uint32_t> tags;
  for (std::uint64_t i = random_.below(3) + 1; i > 0; --i) {
    tags.insert(static_cast<std::uint32_t>(random_.below(one_in(2) ? 12 : 0x7fffffff)));
  }
  for (const std::uint32_t known : known_tags) tags.erase(known);
  for (const std::uint32_t tag : tags) {
    fields.push_back({tag, {}});
    set(fields.back().data, false);
  }
}

void Text::hex(std::uint64_t value) { out += fmt::format("{:016x}", value); }

void Text::hex(ByteView bytes) {
  out += '#';
  for (const std::byte byte : bytes) out += fmt::format("{:02x}", static_cast<unsigned>(byte));
}

void Text::add(double value) { hex(std::bit_cast<std::uint64_t>(value)); }

void Text::add(const Uuid& value) {
  hex(value.high);
  hex(value.low);
}

void Text::add(const Records& value) {
  if (value.is_nothing()) {
    out += "null";
  } else {
    hex(value.view.empty() ? ByteView(value.owned) : value.view);
  }
}

void Text::unknown(const std::vector<UnknownTaggedField>& fields) {
  for (const UnknownTaggedField& unknown : fields) {
    out += fmt::format("?{}=", unknown.tag);
    hex(ByteView(unknown.data));
    out += ';';
  }
}

Bytes written_or_die(const char* name, std::int16_t version, Writer& writer) {
  if (writer.ok()) return writer.take_bytes();
  std::cerr << "a random " << name << " of version " << version << " cannot be written: " << writer.error() << '\n';
  std::exit(2);
}

namespace {

constexpr int kFailuresShownMax = 5;

void put(std::ostream& out, std::integral auto number) {
  std::byte bytes[sizeof(number)];
  store_big_endian(bytes, number);
  out.write(reinterpret_cast<const char*>(bytes), sizeof(number));
}

void put_bytes(std::ostream& out, ByteView bytes) {
  put(out, static_cast<std::int32_t>(bytes.size()));
  out << as_text(bytes);
}

void put(std::ostream& out, const Frame& frame) {
  out << frame.kind;
  put(out, static_cast<std::int16_t>(frame.name.size()));
  out << frame.name;
  put(out, frame.version);
  put(out, frame.to_version);
  put(out, static_cast<std::int8_t>(frame.outcome));
  put_bytes(out, frame.input);
  put_bytes(out, as_bytes(frame.text));
  put_bytes(out, frame.output);
}

Frame get(Reader& reader) {
  Frame frame;
  frame.kind = static_cast<char>(reader.int8());
  frame.name = reader.string();
  frame.version = reader.int16();
  frame.to_version = reader.int16();
  frame.outcome = static_cast<Outcome>(reader.int8());
  frame.input = reader.bytes();
  frame.text = as_text(reader.bytes());
  frame.output = reader.bytes();
  return frame;
}

Frame evaluated(const MessageType& type, char kind, std::int16_t version, std::int16_t to_version, Bytes input) {
  Frame frame;
  frame.kind = kind;
  frame.name = type.name;
  frame.version = version;
  frame.to_version = to_version;
  frame.input = std::move(input);
  type.evaluate(frame);
  return frame;
}

Bytes damaged(SeededRandom& random, Bytes bytes) {
  if (bytes.empty()) return Bytes(random.below(3));
  const auto at = static_cast<std::ptrdiff_t>(random.below(std::min<std::size_t>(bytes.size(), 200)));
  std::byte& byte = bytes[static_cast<std::size_t>(at)];
  switch (random.below(6)) {
    case 0: bytes.resize(static_cast<std::size_t>(at)); break;
    case 1: byte ^= static_cast<std::byte>(1U << random.below(8)); break;
    case 2: {
      static constexpr std::uint8_t kExtremes[] = {0, 1, 0x7f, 0x80, 0xff};
      byte = static_cast<std::byte>(kExtremes[random.below(std::size(kExtremes))]);
      break;
    }
    case 3: {
      static constexpr std::int32_t kExtremes[] = {INT32_MAX, -1, INT32_MIN, 1'000'001, 0};
      std::byte number[4];
      store_big_endian(number, kExtremes[random.below(std::size(kExtremes))]);
      const std::size_t count = std::min<std::size_t>(4, bytes.size() - static_cast<std::size_t>(at));
      std::copy_n(number, count, bytes.begin() + at);
      break;
    }
    case 4: bytes.erase(bytes.begin() + at); break;
    default: bytes.insert(bytes.begin() + at, static_cast<std::byte>(random.next())); break;
  }
  return bytes;
}

std::uint64_t seed_of(std::uint64_t seed, const std::string& name, int version) {
  std::uint64_t hash = seed * 1'000'003 + static_cast<std::uint64_t>(version);
  for (const char letter : name) hash = hash * 31 + static_cast<std::uint64_t>(letter);
  return hash;
}

int generate(std::uint64_t seed, int count, const std::string& path, const std::string& only_name, int only_version) {
  std::ofstream out(path, std::ios::binary);
  for (const MessageType& type : message_types()) {
    if (!only_name.empty() && type.name != only_name) continue;
    for (std::int16_t version = type.min_version; version <= type.max_version; ++version) {
      if (only_version >= 0 && version != only_version) continue;
      Filler filler(seed_of(seed, type.name, version), version);
      for (int i = 0; i < count; ++i) {
        const Bytes bytes = type.random_bytes(filler, version, i == 0);  // the first is as a new one is
        const Frame whole = evaluated(type, 'r', version, version, bytes);
        if (whole.output != bytes) {
          std::cout << "FAILED: " << type.name << ' ' << version << " does not come back: " << whole.text << '\n';
          return 1;
        }
        put(out, whole);
        const auto versions = static_cast<std::uint64_t>(type.max_version - type.min_version) + 1;
        const auto other = static_cast<std::int16_t>(type.min_version + static_cast<int>(filler.random().below(versions)));
        put(out, evaluated(type, 'x', version, other, bytes));
        for (int j = 0; j < 2; ++j) put(out, evaluated(type, 'm', version, version, damaged(filler.random(), bytes)));
      }
    }
  }
  out.close();
  return out ? 0 : 1;
}

std::string hex(ByteView bytes) {
  std::string text;
  for (const std::byte byte : bytes) text += fmt::format("{:02x}", static_cast<unsigned>(byte));
  return text;
}

std::string outcome(const Frame& frame) {
  switch (frame.outcome) {
    case Outcome::kAccepted: return "accepted";
    case Outcome::kRefusedReading: return "refused when read: " + frame.text;
    default: return fmt::format("refused when written: {}", as_text(frame.output));
  }
}

// "" if both sides come to the same end.
std::string difference(const Frame& theirs, const Frame& ours) {
  const bool is_readable = theirs.outcome != Outcome::kRefusedReading && ours.outcome != Outcome::kRefusedReading;
  // What only damaged bytes can show: we are stricter in one thing, and refuse another when it is read, not when it is written.
  if (theirs.kind == 'm' && ours.outcome == Outcome::kRefusedReading) {
    if (ours.text.starts_with(kNegativeLength)) return "";
    if (ours.text.starts_with(kTooLongAsUtf8) && theirs.outcome == Outcome::kRefusedWriting &&
        as_text(theirs.output).contains("too long to be serialized")) {
      return "";
    }
  }
  if (theirs.outcome != ours.outcome) return outcome(theirs) + "\n  here " + outcome(ours);
  if (!is_readable) return "";
  // Nothing else would see a null of another negative length.
  if (theirs.kind == 'r' && theirs.input != ours.output) return "came back as " + hex(ours.output);
  if (theirs.text != ours.text) return "read as " + theirs.text + "\n  here    " + ours.text;
  if (ours.outcome == Outcome::kAccepted && theirs.output != ours.output) {
    return "written as " + hex(theirs.output) + "\n  here       " + hex(ours.output);
  }
  return "";
}

int check(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  const std::string content((std::istreambuf_iterator<char>(in)), {});
  std::map<std::string, MessageType> types;
  for (const MessageType& type : message_types()) types.emplace(type.name, type);
  struct Tally {
    int passed = 0;
    int failed = 0;
  };
  std::map<std::tuple<std::string, std::int16_t, char>, Tally> tallies;
  Reader reader(as_bytes(content));
  while (reader.ok() && reader.remaining() > 0) {
    const Frame frame = get(reader);
    const auto type = types.find(frame.name);
    std::string wrong = "kurier has no such message";
    if (type != types.end() && std::min(frame.version, frame.to_version) >= type->second.min_version &&
        std::max(frame.version, frame.to_version) <= type->second.max_version) {
      wrong = difference(frame, evaluated(type->second, frame.kind, frame.version, frame.to_version, frame.input));
    }
    Tally& tally = tallies[{frame.name, frame.version, frame.kind}];
    ++(wrong.empty() ? tally.passed : tally.failed);
    if (!wrong.empty() && tally.failed <= kFailuresShownMax) {
      fmt::print("FAILED: {} {} to {} {} {}\n  {}\n", frame.name, frame.version, frame.to_version, frame.kind, hex(frame.input),
                 wrong);
    }
  }
  for (const auto& [what, tally] : tallies) {
    const auto& [name, version, kind] = what;
    fmt::print("tally\t{}\t{}\t{}\t{}\t{}\n", name, version, kind, tally.passed, tally.failed);
  }
  if (!reader.ok()) fmt::print("FAILED: {}: {}\n", path, reader.error());
  return reader.ok() ? 0 : 1;
}

// A line of hexadecimal digits for each line of them: the bytes, read as a string and written again.
int strings() {
  for (std::string line; std::getline(std::cin, line);) {
    Writer framed;
    framed.int16(static_cast<std::int16_t>(line.size() / 2));
    for (std::size_t i = 0; i < line.size(); i += 2) {
      framed.int8(static_cast<std::int8_t>(std::stoi(line.substr(i, 2), nullptr, 16)));
    }
    const Bytes bytes = framed.take_bytes();
    Reader reader(bytes);
    fmt::print("{}\n", hex(as_bytes(reader.string())));
  }
  return 0;
}

}  // namespace
}  // namespace kurier::protocol

int main(int count, char** arguments) {
  const std::vector<std::string> words(arguments + 1, arguments + count);
  if (words.size() == 1 && words[0] == "strings") return kurier::protocol::strings();
  if (words.size() == 2 && words[0] == "check") return kurier::protocol::check(words[1]);
  if (words.size() >= 4 && words[0] == "generate") {
    return kurier::protocol::generate(std::stoull(words[1]), std::stoi(words[2]), words[3], words.size() > 4 ? words[4] : "",
                                      words.size() > 5 ? std::stoi(words[5]) : -1);
  }
  std::cerr
      << "usage: roundtrip generate SEED COUNT FILE [NAME [VERSION]] | roundtrip check FILE | roundtrip strings\n";
  return 2;
}
