// What is in a batch? Records of message format 2: a reader that walks them as views, and a writer.
//
// Pure functions on bytes, any thread. The reader works on the uncompressed payload of a batch, believes nothing in it
// and allocates nothing; its error is sticky. Integers are zigzag varints. Format:
// https://kafka.apache.org/documentation/#record
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "base/ids.h"
#include "protocol/record_batch.h"

namespace kurier::protocol {

// Reads varints and views from bytes. After the first failure everything is zero or empty.
class VarintReader {
 public:
  explicit VarintReader(ByteView bytes) : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  [[nodiscard]] bool ok() const { return !failed_; }
  [[nodiscard]] std::size_t remaining() const { return static_cast<std::size_t>(end_ - at_); }
  std::int8_t int8();
  std::int32_t varint();   // at most 5 bytes
  std::int64_t varlong();  // at most 10 bytes
  ByteView view(std::size_t count);
  // A length and as many bytes; none where the length is negative.
  std::optional<ByteView> nullable_view();
  [[nodiscard]] ByteView rest() const { return {at_, remaining()}; }

 private:
  std::uint64_t unsigned_varint(unsigned bytes_max);
  void fail() { failed_ = true, at_ = end_; }

  const std::byte* at_;
  const std::byte* end_;
  bool failed_ = false;
};

struct RecordView {
  std::int8_t attributes = 0;     // none is in use
  std::int32_t offset_delta = 0;  // from the batch's base offset
  Offset offset;
  Timestamp timestamp;  // of a batch with log append time: the batch's maximum
  std::optional<ByteView> key;
  std::optional<ByteView> value;
  std::int32_t header_count = 0;
  ByteView headers;  // for HeaderReader
};

// The headers of a record that a RecordReader returned, which has checked them.
class HeaderReader {
 public:
  struct Header {
    ByteView name;
    std::optional<ByteView> value;
  };
  explicit HeaderReader(const RecordView& record) : reader_(record.headers), left_(record.header_count) {}
  std::optional<Header> next();

 private:
  VarintReader reader_;
  std::int32_t left_;
};

// Whether `headers` are as many as that, and nothing else.
[[nodiscard]] bool headers_fit(ByteView headers, std::int32_t count);

// Reads the next record but for `offset` and `timestamp`, which only the batch tells; why it does not fit, if it does not.
[[nodiscard]] std::string_view read_record(VarintReader& reader, RecordView& record, std::int64_t& timestamp_delta);

class RecordReader {
 public:
  // `payload`: the batch's records, uncompressed; it must outlive the reader.
  RecordReader(const RecordBatchView& batch, ByteView payload);

  // The next record, valid until the next call. None behind the last one, or when something does not fit.
  const RecordView* next();
  // Whether everything fits: as many records as the batch says, each as long as it says, and nothing behind them.
  [[nodiscard]] bool ok() const { return error_.empty(); }
  [[nodiscard]] std::string_view error() const { return error_; }
  [[nodiscard]] std::int32_t records_read() const { return records_read_; }

 private:
  const RecordView* fail(std::string_view why);

  VarintReader reader_;
  const std::int32_t count_;
  const Offset base_offset_;
  const Timestamp base_timestamp_;
  const std::optional<Timestamp> log_append_time_;
  std::int32_t records_read_ = 0;
  RecordView record_;
  std::string_view error_;
};

void append_varint(Bytes& to, std::int32_t value);
void append_varlong(Bytes& to, std::int64_t value);
// Writes a record with its key, value and headers; of the rest only the deltas count.
void append_record(Bytes& to, const RecordView& record, std::int32_t offset_delta, std::int64_t timestamp_delta);

}  // namespace kurier::protocol
