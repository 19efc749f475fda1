// Lines to records and back: what `kurier produce` reads and `kurier consume` writes, in the formats of Apache Kafka's
// console producer and consumer. Pure functions and plain values.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tools/client/fetcher.h"
#include "tools/client/json.h"
#include "tools/client/records.h"

namespace kurier::commands {

// Cuts a stream into lines; the last one need not end with a newline. The views live until the next call.
class LineSplitter {
 public:
  // Adds what was read.
  void add(std::string_view text);
  // The next whole line without its end ("\n" or "\r\n").
  std::optional<std::string_view> next();
  // What is left behind the last newline, when no more comes.
  std::optional<std::string_view> rest();

 private:
  std::string text_;
  std::size_t begin_ = 0;
};

struct InputFormat {
  std::optional<std::string> key_separator;  // none: a line is a value
  std::optional<std::string> null_marker;    // a key or value that is this is null
  std::vector<std::pair<std::string, Bytes>> headers;  // of every record
};

// kMalformed: a line without the separator, `line_number` says which.
Result<client::OutgoingRecord> parse_line(std::string_view line, const InputFormat& format, std::uint64_t line_number);

// "name=value".
Result<std::pair<std::string, std::string>> parse_assignment(std::string_view text, std::string_view option);
// Kafka's reader properties: parse.key, key.separator, null.marker.
Result<void> set_property(InputFormat& format, std::string_view property);

struct OutputFormat {
  bool timestamp = false;
  bool partition = false;
  bool offset = false;
  bool headers = false;
  bool key = false;
  bool value = true;
  std::string key_separator = "\t";  // between all fields
  std::string line_separator = "\n";
  std::string headers_separator = ",";
  std::string null_literal = "null";
};

// Kafka's formatter properties: print.timestamp, print.partition, print.offset, print.headers, print.key, print.value,
// key.separator, line.separator, headers.separator, null.literal.
Result<void> set_property(OutputFormat& format, std::string_view property);

[[nodiscard]] std::string to_text(const client::FetchedRecord& record, const OutputFormat& format);
[[nodiscard]] client::JsonObject to_json(const client::FetchedRecord& record);

}  // namespace kurier::commands
