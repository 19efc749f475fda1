#include "tools/commands/lines.h"

#include <fmt/core.h>

#include <algorithm>

namespace kurier::commands {
namespace {

std::optional<Bytes> bytes_or_null(std::string_view text, const InputFormat& format) {
  if (format.null_marker && text == *format.null_marker) return std::nullopt;
  return to_bytes(text);
}

std::string_view without_return(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

const char* name_of(protocol::TimestampType type) {
  return type == protocol::TimestampType::kLogAppendTime ? "LogAppendTime" : "CreateTime";
}

Result<bool> parse_bool(std::string_view name, std::string_view value) {
  if (value == "true") return true;
  if (value == "false") return false;
  return fail(Failure::kInvalid, fmt::format("property {}: '{}' is neither true nor false", name, value));
}

// Kafka's tools take "\t" as it is written; a shell's $'\t' arrives as one character and is taken, too.
std::string unescaped(std::string_view text) {
  if (text == "\\t") return "\t";
  if (text == "\\n") return "\n";
  return std::string(text);
}

}  // namespace

void LineSplitter::add(std::string_view text) {
  text_.erase(0, begin_);
  begin_ = 0;
  text_ += text;
}

std::optional<std::string_view> LineSplitter::next() {
  const std::size_t end = text_.find('\n', begin_);
  if (end == std::string::npos) return std::nullopt;
  const std::string_view line = std::string_view(text_).substr(begin_, end - begin_);
  begin_ = end + 1;
  return without_return(line);
}

std::optional<std::string_view> LineSplitter::rest() {
  if (begin_ >= text_.size()) return std::nullopt;
  const std::string_view line = std::string_view(text_).substr(begin_);
  begin_ = text_.size();
  return without_return(line);
}

Result<client::OutgoingRecord> parse_line(std::string_view line, const InputFormat& format, std::uint64_t line_number) {
  client::OutgoingRecord record;
  record.headers = format.headers;
  if (format.key_separator) {
    const std::size_t at = line.find(*format.key_separator);
    if (at == std::string_view::npos) {
      return fail(Failure::kMalformed, fmt::format("line {} has no key separator '{}': '{}'", line_number,
                                                   *format.key_separator, line.substr(0, 80)));
    }
    record.key = bytes_or_null(line.substr(0, at), format);
    line.remove_prefix(at + format.key_separator->size());
  }
  record.value = bytes_or_null(line, format);
  return record;
}

Result<std::pair<std::string, std::string>> parse_assignment(std::string_view text, std::string_view option) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    return fail(Failure::kInvalid, fmt::format("{} '{}' is not name=value", option, text));
  }
  return std::pair(std::string(text.substr(0, equals)), std::string(text.substr(equals + 1)));
}

Result<void> set_property(InputFormat& format, std::string_view property) {
  TRY_ASSIGN(const auto named, parse_assignment(property, "--property"));
  const auto& [name, value] = named;
  if (name == "parse.key") {
    TRY_ASSIGN(const bool has_key, parse_bool(name, value));
    if (!has_key) format.key_separator.reset();
    if (has_key && !format.key_separator) format.key_separator = "\t";
  } else if (name == "key.separator") {
    if (value.empty()) return fail(Failure::kInvalid, "property key.separator is empty");
    format.key_separator = unescaped(value);
  } else if (name == "null.marker") {
    format.null_marker = value;
  } else {
    return fail(Failure::kInvalid,
                fmt::format("there is no property '{}'; known: parse.key, key.separator, null.marker", name));
  }
  return {};
}

Result<void> set_property(OutputFormat& format, std::string_view property) {
  TRY_ASSIGN(const auto named, parse_assignment(property, "--property"));
  const auto& [name, value] = named;
  const std::pair<std::string_view, bool*> flags[] = {{"print.timestamp", &format.timestamp},
                                                      {"print.partition", &format.partition},
                                                      {"print.offset", &format.offset},
                                                      {"print.headers", &format.headers},
                                                      {"print.key", &format.key},
                                                      {"print.value", &format.value}};
  const std::pair<std::string_view, std::string*> texts[] = {{"key.separator", &format.key_separator},
                                                             {"line.separator", &format.line_separator},
                                                             {"headers.separator", &format.headers_separator},
                                                             {"null.literal", &format.null_literal}};
  std::string known;
  for (const auto& [flag, target] : flags) {
    known += (known.empty() ? "" : ", ") + std::string(flag);
    if (name != flag) continue;
    TRY_ASSIGN(*target, parse_bool(name, value));
    return {};
  }
  for (const auto& [text, target] : texts) {
    known += ", " + std::string(text);
    if (name != text) continue;
    *target = unescaped(value);
    return {};
  }
  return fail(Failure::kInvalid, fmt::format("there is no property '{}'; known: {}", name, known));
}

std::string to_text(const client::FetchedRecord& fetched, const OutputFormat& format) {
  const protocol::RecordView& record = fetched.record;
  const auto text_of = [&](const std::optional<ByteView>& bytes) {
    return bytes ? std::string(as_text(*bytes)) : format.null_literal;
  };
  std::vector<std::string> fields;
  if (format.timestamp) {
    fields.push_back(record.timestamp < Timestamp(0)
                         ? "NO_TIMESTAMP"
                         : fmt::format("{}:{}", name_of(fetched.timestamp_type), record.timestamp.value()));
  }
  if (format.partition) fields.push_back(fmt::format("Partition:{}", fetched.partition.second.value()));
  if (format.offset) fields.push_back(fmt::format("Offset:{}", record.offset.value()));
  if (format.headers) {
    std::string headers;
    protocol::HeaderReader reader(record);
    while (const auto header = reader.next()) {
      if (!headers.empty()) headers += format.headers_separator;
      headers += fmt::format("{}:{}", as_text(header->name), text_of(header->value));
    }
    fields.push_back(record.header_count == 0 ? "NO_HEADERS" : headers);
  }
  if (format.key) fields.push_back(text_of(record.key));
  if (format.value) fields.push_back(text_of(record.value));
  std::string line;
  for (std::size_t i = 0; i < fields.size(); ++i) line += (i > 0 ? format.key_separator : "") + fields[i];
  return line + format.line_separator;
}

client::JsonObject to_json(const client::FetchedRecord& fetched) {
  const protocol::RecordView& record = fetched.record;
  client::JsonObject json;
  const auto add = [](client::JsonObject& to, const char* name, const std::optional<ByteView>& bytes) {
    if (bytes) {
      to.add_bytes(name, *bytes);
    } else {
      to.add_null(name);
    }
  };
  json.add("topic", fetched.partition.first);
  json.add("partition", fetched.partition.second.value());
  json.add("offset", record.offset.value());
  json.add("timestamp", record.timestamp.value());
  json.add("timestamp_type", name_of(fetched.timestamp_type));
  add(json, "key", record.key);
  add(json, "value", record.value);
  std::vector<client::JsonObject> headers;
  protocol::HeaderReader reader(record);
  while (const auto header = reader.next()) {
    auto& one = headers.emplace_back();
    one.add_bytes("name", header->name);
    add(one, "value", header->value);
  }
  json.add("headers", headers);
  return json;
}

}  // namespace kurier::commands
