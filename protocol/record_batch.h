// Record batches, magic 2: the unit of the log and of the wire. Views into bytes that somebody else holds; pure.
//
// Layout (big-endian): base offset 8, length 4 (of what follows), partition leader epoch 4, magic 1, crc 4 (crc32c of
// what follows), attributes 2, last offset delta 4, base timestamp 8, max timestamp 8, producer id 8, producer epoch 2,
// base sequence 4, record count 4, then the records, compressed together by the codec of the attributes.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"

namespace kurier::protocol {

enum class Codec : std::uint8_t { kNone = 0, kGzip = 1, kSnappy = 2, kLz4 = 3, kZstd = 4 };
enum class TimestampType : std::uint8_t { kCreateTime = 0, kLogAppendTime = 1 };

inline constexpr std::size_t kBatchPrefixBytes = 12;  // base offset and length
inline constexpr std::size_t kBatchHeaderBytes = 61;  // up to the first record
inline constexpr std::size_t kBatchEpochPosition = 12;
inline constexpr std::size_t kBatchMagicPosition = 16;
inline constexpr std::size_t kBatchCrcPosition = 17;
inline constexpr std::size_t kBatchAttributesPosition = 21;
inline constexpr std::size_t kBatchMaxTimestampPosition = 35;
inline constexpr std::int8_t kCurrentMagic = 2;

inline constexpr std::int16_t kCodecMask = 0x07;
inline constexpr std::int16_t kTimestampTypeMask = 0x08;
inline constexpr std::int16_t kTransactionalMask = 0x10;
inline constexpr std::int16_t kControlMask = 0x20;
inline constexpr std::int16_t kDeleteHorizonMask = 0x40;

// The sequence number `count` after `sequence`: they run from 0 to the largest int32 and begin again at 0.
[[nodiscard]] constexpr std::int32_t sequence_after(std::int32_t sequence, std::int32_t count) {
  constexpr std::int64_t kSequences = std::int64_t{1} << 31;
  return static_cast<std::int32_t>((std::int64_t{sequence} + count) % kSequences);
}

class RecordBatchView {
 public:
  // The batch at the front of `bytes`. kOutOfRange: it goes on beyond them (a torn tail, or a read that was cut);
  // kMalformed: a length that cannot be; kUnsupported: another magic.
  static Result<RecordBatchView> parse(ByteView bytes);
  // The same where only the header of kBatchHeaderBytes is at hand; payload() and crc_is_valid() may not be called.
  static Result<RecordBatchView> parse_header(ByteView header);

  [[nodiscard]] Offset base_offset() const { return Offset(load<std::int64_t>(0)); }
  [[nodiscard]] std::size_t size_bytes() const { return kBatchPrefixBytes + static_cast<std::size_t>(load<std::int32_t>(8)); }
  [[nodiscard]] LeaderEpoch leader_epoch() const { return LeaderEpoch(load<std::int32_t>(kBatchEpochPosition)); }
  [[nodiscard]] std::int8_t magic() const { return load<std::int8_t>(kBatchMagicPosition); }
  [[nodiscard]] std::uint32_t crc() const { return load<std::uint32_t>(kBatchCrcPosition); }
  [[nodiscard]] std::int16_t attributes() const { return load<std::int16_t>(kBatchAttributesPosition); }
  // Values above 4 are not codecs that exist; has_known_codec says so.
  [[nodiscard]] Codec codec() const { return static_cast<Codec>(attributes() & kCodecMask); }
  [[nodiscard]] bool has_known_codec() const { return (attributes() & kCodecMask) <= 4; }
  [[nodiscard]] TimestampType timestamp_type() const {
    return (attributes() & kTimestampTypeMask) != 0 ? TimestampType::kLogAppendTime : TimestampType::kCreateTime;
  }
  [[nodiscard]] bool is_transactional() const { return (attributes() & kTransactionalMask) != 0; }
  [[nodiscard]] bool is_control() const { return (attributes() & kControlMask) != 0; }
  [[nodiscard]] bool has_delete_horizon() const { return (attributes() & kDeleteHorizonMask) != 0; }
  [[nodiscard]] std::int32_t last_offset_delta() const { return load<std::int32_t>(23); }
  [[nodiscard]] Timestamp base_timestamp() const { return Timestamp(load<std::int64_t>(27)); }
  [[nodiscard]] Timestamp max_timestamp() const { return Timestamp(load<std::int64_t>(kBatchMaxTimestampPosition)); }
  [[nodiscard]] ProducerId producer_id() const { return ProducerId(load<std::int64_t>(43)); }
  [[nodiscard]] ProducerEpoch producer_epoch() const { return ProducerEpoch(load<std::int16_t>(51)); }
  [[nodiscard]] std::int32_t base_sequence() const { return load<std::int32_t>(53); }
  [[nodiscard]] std::int32_t last_sequence() const {
    return base_sequence() < 0 ? base_sequence() : sequence_after(base_sequence(), last_offset_delta());
  }
  [[nodiscard]] std::int32_t record_count() const { return load<std::int32_t>(57); }
  [[nodiscard]] bool has_producer_id() const { return producer_id().value() >= 0; }

  [[nodiscard]] Offset last_offset() const { return base_offset() + last_offset_delta(); }
  [[nodiscard]] Offset next_offset() const { return last_offset() + 1; }
  [[nodiscard]] ByteView bytes() const { return bytes_; }
  [[nodiscard]] ByteView payload() const { return bytes_.subspan(kBatchHeaderBytes); }
  [[nodiscard]] bool crc_is_valid() const;

 private:
  explicit RecordBatchView(ByteView bytes) : bytes_(bytes) {}
  template <class T>
  [[nodiscard]] T load(std::size_t position) const {
    return load_big_endian<T>(bytes_.data() + position);
  }

  ByteView bytes_;
};

// Sets base offset and leader epoch, which the crc does not cover.
void stamp_offset(MutableByteView batch, Offset base_offset, LeaderEpoch leader_epoch);
// message.timestamp.type=LogAppendTime: sets type and max timestamp and computes the crc anew.
void stamp_log_append_time(MutableByteView batch, Timestamp now);
// Computes the crc of a batch whose other fields are in place.
void stamp_crc(MutableByteView batch);

}  // namespace kurier::protocol
