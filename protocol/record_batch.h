// What does the header of a record batch say? A view over the bytes of one batch of message format 2, and the two
// changes that a broker makes to a batch in place: its place in the log, and log-append time.
//
// Pure functions on bytes, any thread. The view borrows: the bytes must outlive it. `parse` checks the length, the magic
// and the codec, so every accessor is safe afterwards; it believes the other numbers and does not compute the checksum
// (`crc_is_valid`). The checksum covers everything from the attributes on, so that stamping an offset and a leader epoch
// leaves it valid. Format: https://kafka.apache.org/documentation/#recordbatch
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"

namespace kurier::protocol {

// Where each field of the header begins, in bytes from the start of the batch. All are big-endian.
namespace batch_layout {
inline constexpr std::size_t kBaseOffset = 0;        // int64
inline constexpr std::size_t kLength = 8;            // int32: the bytes that follow it
inline constexpr std::size_t kLeaderEpoch = 12;      // int32
inline constexpr std::size_t kMagic = 16;            // int8
inline constexpr std::size_t kCrc = 17;              // uint32: crc32c from kAttributes to the end
inline constexpr std::size_t kAttributes = 21;       // int16
inline constexpr std::size_t kLastOffsetDelta = 23;  // int32
inline constexpr std::size_t kBaseTimestamp = 27;    // int64
inline constexpr std::size_t kMaxTimestamp = 35;     // int64
inline constexpr std::size_t kProducerId = 43;       // int64
inline constexpr std::size_t kProducerEpoch = 51;    // int16
inline constexpr std::size_t kBaseSequence = 53;     // int32
inline constexpr std::size_t kRecordCount = 57;      // int32
inline constexpr std::size_t kHeaderBytes = 61;      // the records begin here
}  // namespace batch_layout

// Base offset and length: what comes before the part that the length counts.
inline constexpr std::size_t kLogOverheadBytes = 12;
inline constexpr std::size_t kBatchHeaderBytes = batch_layout::kHeaderBytes;
inline constexpr std::int8_t kCurrentMagic = 2;

// Bits of the attributes.
inline constexpr std::int16_t kCodecMask = 0x07;
inline constexpr std::int16_t kTimestampTypeMask = 0x08;
inline constexpr std::int16_t kTransactionalMask = 0x10;
inline constexpr std::int16_t kControlMask = 0x20;
inline constexpr std::int16_t kDeleteHorizonMask = 0x40;

enum class Codec : std::uint8_t { kNone = 0, kGzip = 1, kSnappy = 2, kLz4 = 3, kZstd = 4 };
enum class TimestampType : std::uint8_t { kCreateTime = 0, kLogAppendTime = 1 };

[[nodiscard]] const char* to_string(Codec codec);  // as in compression.type: "none", "gzip", …

class RecordBatchView {
 public:
  // The first batch in `bytes`; more may follow. kOutOfRange: what is there is fine so far but the batch goes on beyond
  // the end (a reader asks for more bytes, recovery cuts a torn tail). kMalformed: it is no batch of format 2.
  [[nodiscard]] static Result<RecordBatchView> parse(ByteView bytes);
  // The same where only the header is at hand, as when a log is scanned: payload() and crc_is_valid() may not be called.
  [[nodiscard]] static Result<RecordBatchView> parse_header(ByteView header);

  [[nodiscard]] Offset base_offset() const { return Offset(load<std::int64_t>(batch_layout::kBaseOffset)); }
  [[nodiscard]] std::size_t size_bytes() const {
    return kLogOverheadBytes + static_cast<std::size_t>(load<std::int32_t>(batch_layout::kLength));
  }
  [[nodiscard]] LeaderEpoch leader_epoch() const { return LeaderEpoch(load<std::int32_t>(batch_layout::kLeaderEpoch)); }
  [[nodiscard]] std::int8_t magic() const { return load<std::int8_t>(batch_layout::kMagic); }
  [[nodiscard]] std::uint32_t crc() const { return load<std::uint32_t>(batch_layout::kCrc); }
  [[nodiscard]] std::int16_t attributes() const { return load<std::int16_t>(batch_layout::kAttributes); }
  [[nodiscard]] Codec codec() const { return static_cast<Codec>(attributes() & kCodecMask); }
  [[nodiscard]] TimestampType timestamp_type() const {
    return has(kTimestampTypeMask) ? TimestampType::kLogAppendTime : TimestampType::kCreateTime;
  }
  [[nodiscard]] bool is_transactional() const { return has(kTransactionalMask); }
  [[nodiscard]] bool is_control() const { return has(kControlMask); }
  // KIP-534: the cleaner stored the time from which tombstones may go in the base timestamp.
  [[nodiscard]] bool has_delete_horizon() const { return has(kDeleteHorizonMask); }
  [[nodiscard]] std::int32_t last_offset_delta() const { return load<std::int32_t>(batch_layout::kLastOffsetDelta); }
  [[nodiscard]] Timestamp base_timestamp() const { return Timestamp(load<std::int64_t>(batch_layout::kBaseTimestamp)); }
  [[nodiscard]] Timestamp max_timestamp() const { return Timestamp(load<std::int64_t>(batch_layout::kMaxTimestamp)); }
  [[nodiscard]] ProducerId producer_id() const { return ProducerId(load<std::int64_t>(batch_layout::kProducerId)); }
  [[nodiscard]] ProducerEpoch producer_epoch() const {
    return ProducerEpoch(load<std::int16_t>(batch_layout::kProducerEpoch));
  }
  [[nodiscard]] bool has_producer_id() const { return producer_id() > ProducerId(-1); }
  [[nodiscard]] std::int32_t base_sequence() const { return load<std::int32_t>(batch_layout::kBaseSequence); }
  // The sequence number of the last record, -1 without one; numbers go from 2^31 - 1 to 0.
  [[nodiscard]] std::int32_t last_sequence() const;
  [[nodiscard]] std::int32_t record_count() const { return load<std::int32_t>(batch_layout::kRecordCount); }
  [[nodiscard]] Offset last_offset() const { return base_offset() + last_offset_delta(); }
  [[nodiscard]] Offset next_offset() const { return last_offset() + 1; }
  [[nodiscard]] ByteView payload() const { return bytes_.subspan(kBatchHeaderBytes); }  // compressed as codec() says
  [[nodiscard]] ByteView bytes() const { return bytes_; }
  [[nodiscard]] bool crc_is_valid() const;

 private:
  explicit RecordBatchView(ByteView bytes) : bytes_(bytes) {}
  template <class T>
  [[nodiscard]] T load(std::size_t position) const {
    return load_big_endian<T>(bytes_.data() + position);
  }
  [[nodiscard]] bool has(std::int16_t mask) const { return (attributes() & mask) != 0; }

  ByteView bytes_;
};

// `sequence` + `count`, wrapping from 2^31 - 1 to 0 as sequence numbers do. Both are at least 0.
[[nodiscard]] constexpr std::int32_t increment_sequence(std::int32_t sequence, std::int32_t count) {
  constexpr std::int32_t kMax = std::numeric_limits<std::int32_t>::max();
  return sequence > kMax - count ? count - (kMax - sequence) - 1 : sequence + count;
}

// Gives a batch its place in the log. `batch` is one that was parsed.
void stamp_offset(MutableByteView batch, Offset base_offset, LeaderEpoch leader_epoch);

// message.timestamp.type=LogAppendTime: every record of the batch now has `now`; the checksum is computed anew.
void stamp_log_append_time(MutableByteView batch, Timestamp now);

// Sets the maximum timestamp that the records really have; the checksum is computed anew if it was another.
void stamp_max_timestamp(MutableByteView batch, Timestamp max_timestamp);

// Computes the checksum of a batch and stores it.
void stamp_crc(MutableByteView batch);

}  // namespace kurier::protocol
