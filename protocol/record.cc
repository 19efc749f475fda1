#include "protocol/record.h"

namespace kurier::protocol {
namespace {

// Numbers of clients may be anything: sums wrap, as Java's do.
std::int64_t wrapping_sum(std::int64_t left, std::int64_t right) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(left) + static_cast<std::uint64_t>(right));
}

void append_unsigned_varint(Bytes& to, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) to.push_back(static_cast<std::byte>(value | 0x80));
  to.push_back(static_cast<std::byte>(value));
}

void append_view(Bytes& to, ByteView view) {
  append_varint(to, static_cast<std::int32_t>(view.size()));
  to.insert(to.end(), view.begin(), view.end());
}

void append_nullable_view(Bytes& to, const std::optional<ByteView>& view) {
  if (view) return append_view(to, *view);
  append_varint(to, -1);
}

std::size_t varint_bytes(std::int64_t value) {
  auto zigzag = (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
  std::size_t bytes = 1;
  while (zigzag >>= 7) ++bytes;
  return bytes;
}

std::size_t nullable_view_bytes(const std::optional<ByteView>& view) {
  return view ? varint_bytes(static_cast<std::int64_t>(view->size())) + view->size() : 1;
}

struct LongVarint {
  std::uint64_t value = 0;
  const std::byte* end = nullptr;  // behind it; null: it has no end
};

LongVarint long_varint(const std::byte* at, const std::byte* end, unsigned bytes_max) {
  std::uint64_t value = 0;
  for (unsigned i = 0; i < bytes_max && at != end; ++i) {
    const auto byte = static_cast<std::uint64_t>(*at++);
    value |= (byte & 0x7f) << (7 * i);
    if ((byte & 0x80) == 0) return {value, at};
  }
  return {};
}

}  // namespace

std::int8_t VarintReader::int8() {
  const ByteView byte = view(1);
  return byte.empty() ? std::int8_t{0} : static_cast<std::int8_t>(byte.front());
}

// Nearly all are of one byte.
inline std::uint64_t VarintReader::unsigned_varint(unsigned bytes_max) {
  if (at_ != end_ && static_cast<std::uint8_t>(at_[0]) < 0x80) return static_cast<std::uint64_t>(*at_++);
  const LongVarint found = long_varint(at_, end_, bytes_max);
  if (found.end == nullptr) {
    fail();
  } else {
    at_ = found.end;
  }
  return found.value;
}

std::int32_t VarintReader::varint() {
  const auto value = static_cast<std::uint32_t>(unsigned_varint(5));
  return static_cast<std::int32_t>((value >> 1) ^ (0U - (value & 1U)));
}

std::int64_t VarintReader::varlong() {
  const std::uint64_t value = unsigned_varint(10);
  return static_cast<std::int64_t>((value >> 1) ^ (0ULL - (value & 1ULL)));
}

ByteView VarintReader::view(std::size_t count) {
  if (count > remaining()) {
    fail();
    return {};
  }
  const ByteView found(at_, count);
  at_ += count;
  return found;
}

std::optional<ByteView> VarintReader::nullable_view() {
  const std::int32_t size = varint();
  if (size < 0) return std::nullopt;
  return view(static_cast<std::size_t>(size));
}

namespace {

bool read_body(VarintReader body, RecordView& record, std::int64_t& timestamp_delta) {
  record.attributes = body.int8();
  timestamp_delta = body.varlong();
  record.offset_delta = body.varint();
  record.key = body.nullable_view();
  record.value = body.nullable_view();
  record.header_count = body.varint();
  record.headers = body.rest();
  return body.ok() && headers_fit(record.headers, record.header_count);
}

}  // namespace

bool headers_fit(ByteView headers, std::int32_t count) {
  if (count < 0) return false;
  VarintReader reader(headers);
  for (std::int32_t i = 0; i < count && reader.ok(); ++i) {
    if (!reader.nullable_view()) return false;  // its name
    reader.nullable_view();
  }
  return reader.ok() && reader.remaining() == 0;
}

std::optional<HeaderReader::Header> HeaderReader::next() {
  if (left_ <= 0 || !reader_.ok()) return std::nullopt;
  --left_;
  Header header;
  header.name = reader_.nullable_view().value_or(ByteView{});
  header.value = reader_.nullable_view();
  return header;
}

std::string_view read_record(VarintReader& reader, RecordView& record, std::int64_t& timestamp_delta) {
  const std::int32_t length = reader.varint();
  if (!reader.ok()) return "the batch ends before its last record";
  if (length < 0) return "a record has a negative length";
  const ByteView body = reader.view(static_cast<std::size_t>(length));
  if (!reader.ok()) return "a record goes on beyond the end of the batch";
  if (!read_body(VarintReader(body), record, timestamp_delta)) return "what is in a record does not fit its length";
  return {};
}

RecordReader::RecordReader(const RecordBatchView& batch, ByteView payload)
    : reader_(payload),
      count_(batch.record_count()),
      base_offset_(batch.base_offset()),
      base_timestamp_(batch.base_timestamp()),
      log_append_time_(batch.timestamp_type() == TimestampType::kLogAppendTime ? std::optional(batch.max_timestamp())
                                                                               : std::nullopt) {
  if (count_ < 0) fail("the batch has a negative number of records");
}

const RecordView* RecordReader::fail(std::string_view why) {
  error_ = why;
  return nullptr;
}

const RecordView* RecordReader::next() {
  if (!ok() || records_read_ >= count_) return nullptr;
  std::int64_t timestamp_delta = 0;
  if (const std::string_view why = read_record(reader_, record_, timestamp_delta); !why.empty()) return fail(why);
  record_.timestamp = log_append_time_.value_or(Timestamp(wrapping_sum(base_timestamp_.value(), timestamp_delta)));
  record_.offset = Offset(wrapping_sum(base_offset_.value(), record_.offset_delta));
  ++records_read_;
  if (records_read_ == count_ && reader_.remaining() > 0)
    return fail("there are bytes behind the last record of the batch");
  return &record_;
}

void append_varint(Bytes& to, std::int32_t value) { append_varlong(to, value); }

void append_varlong(Bytes& to, std::int64_t value) {
  append_unsigned_varint(to, (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63));
}

void append_record(Bytes& to, const RecordView& record, std::int32_t offset_delta, std::int64_t timestamp_delta) {
  std::size_t size = 1 + varint_bytes(timestamp_delta) + varint_bytes(offset_delta) + nullable_view_bytes(record.key) +
                     nullable_view_bytes(record.value) + varint_bytes(record.header_count);
  for (HeaderReader headers(record); const auto header = headers.next();) {
    size += nullable_view_bytes(header->name) + nullable_view_bytes(header->value);
  }
  append_varint(to, static_cast<std::int32_t>(size));
  to.push_back(std::byte{0});
  append_varlong(to, timestamp_delta);
  append_varint(to, offset_delta);
  append_nullable_view(to, record.key);
  append_nullable_view(to, record.value);
  append_varint(to, record.header_count);
  for (HeaderReader headers(record); const auto header = headers.next();) {
    append_view(to, header->name);
    append_nullable_view(to, header->value);
  }
}

}  // namespace kurier::protocol
