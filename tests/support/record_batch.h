// Batches of real records for tests.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "protocol/compression.h"
#include "protocol/record.h"
#include "tests/support/raw_batch.h"

namespace kurier::test {

struct TestRecord {
  std::optional<std::string> key = "key";
  std::optional<std::string> value = "value";
  std::int64_t timestamp_delta = 0;
  std::vector<std::pair<std::string, std::optional<std::string>>> headers = {};
  std::int32_t offset_delta = -1;  // -1: as they come

  friend bool operator==(const TestRecord&, const TestRecord&) = default;
};

inline Bytes payload_of(const std::vector<TestRecord>& records) {
  Bytes payload;
  for (std::size_t i = 0; i < records.size(); ++i) {
    const TestRecord& record = records[i];
    Bytes headers;
    const auto add = [&](const std::optional<std::string>& text) {
      protocol::append_varint(headers, text ? static_cast<std::int32_t>(text->size()) : -1);
      if (text) headers.insert(headers.end(), as_bytes(*text).begin(), as_bytes(*text).end());
    };
    for (const auto& [name, value] : record.headers) add(name), add(value);
    protocol::RecordView view;
    if (record.key) view.key = as_bytes(*record.key);
    if (record.value) view.value = as_bytes(*record.value);
    view.header_count = static_cast<std::int32_t>(record.headers.size());
    view.headers = headers;
    protocol::append_record(payload, view,
                            record.offset_delta >= 0 ? record.offset_delta : static_cast<std::int32_t>(i),
                            record.timestamp_delta);
  }
  return payload;
}

// Timestamps of damaged records may be anything.
inline std::int64_t wrapping_sum(std::int64_t left, std::int64_t right) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(left) + static_cast<std::uint64_t>(right));
}

// What a reader returned, to be compared.
inline TestRecord copy_of(const protocol::RecordView& record, Timestamp base) {
  const auto text = [](const std::optional<ByteView>& view) {
    return view ? std::optional(std::string(as_text(*view))) : std::nullopt;
  };
  TestRecord copy{text(record.key),
                  text(record.value),
                  wrapping_sum(record.timestamp.value(), -base.value()),
                  {},
                  record.offset_delta};
  for (protocol::HeaderReader headers(record); const auto header = headers.next();) {
    copy.headers.emplace_back(std::string(as_text(header->name)), text(header->value));
  }
  return copy;
}

// A batch of `records` as a producer makes it; `options.records` is ignored.
inline Bytes batch_of(const std::vector<TestRecord>& records, BatchOptions options = {},
                      protocol::Codec codec = protocol::Codec::kNone) {
  options.records = static_cast<std::int32_t>(records.size());
  options.attributes = static_cast<std::int16_t>(options.attributes | static_cast<int>(codec));
  Bytes batch = raw_batch(options, protocol::compress(codec, payload_of(records), protocol::default_level(codec)));
  std::int64_t latest = 0;
  for (const TestRecord& record : records) latest = std::max(latest, record.timestamp_delta);
  protocol::stamp_max_timestamp(batch, Timestamp(wrapping_sum(options.timestamp.value(), latest)));
  return batch;
}

}  // namespace kurier::test
