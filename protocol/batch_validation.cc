#include "protocol/batch_validation.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/crc32c.h"
#include "protocol/compression.h"
#include "protocol/record.h"
#include "protocol/record_summary.h"

namespace kurier::protocol {
namespace {

constexpr std::int32_t kLengthMin = 14;  // of the oldest format's smallest record: all formats are framed alike
constexpr std::size_t kBytesUpToMagic = batch_layout::kMagic + 1;
constexpr std::int16_t kZstdSinceVersion = 7;  // of Produce
constexpr std::int16_t kKnownAttributes =
    kCodecMask | kTimestampTypeMask | kTransactionalMask | kControlMask | kDeleteHorizonMask;
constexpr Timestamp kNoTimestamp{-1};
constexpr std::int64_t kNoProducerId = -1;
constexpr std::int64_t kNoBound = std::numeric_limits<std::int64_t>::max();
constexpr std::size_t kDecompressedDefaultMax = 2'147'483'639;

BatchVerdict refuse(ErrorCode error, std::string reason, bool tells_log_start = true) {
  BatchVerdict verdict;
  verdict.error = error;
  verdict.reason = std::move(reason);
  verdict.tells_log_start = tells_log_start;
  return verdict;
}

// Bounds and timestamps may be any numbers: arithmetic wraps, as Java's does.
std::int64_t wrapping_difference(std::int64_t left, std::int64_t right) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(left) - static_cast<std::uint64_t>(right));
}
std::int64_t wrapping_sum(std::int64_t left, std::int64_t right) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(left) + static_cast<std::uint64_t>(right));
}

// --- Framing: how many batches are there?
// -----------------------------------------------------------------------------

struct Framed {
  std::size_t size_bytes = 0;  // 0: no whole batch
  std::string corrupt;         // why there can be none
};

Framed first_batch(ByteView bytes) {
  if (bytes.size() < kLogOverheadBytes) return {};
  const auto length = load_big_endian<std::int32_t>(bytes.data() + batch_layout::kLength);
  if (length < kLengthMin)
    return {0, fmt::format("Record size {} is less than the minimum record overhead ({})", length, kLengthMin)};
  if (bytes.size() < kBytesUpToMagic) return {};
  const auto magic = load_big_endian<std::int8_t>(bytes.data() + batch_layout::kMagic);
  if (magic < 0 || magic > kCurrentMagic) return {0, fmt::format("Invalid magic found in record: {}", magic)};
  const std::size_t size_bytes = kLogOverheadBytes + static_cast<std::size_t>(length);
  return {bytes.size() < size_bytes ? 0 : size_bytes, {}};
}

// The header of what may be shorter than one: what Apache Kafka reads before it has looked at the size.
std::int16_t attributes_of(ByteView batch) {
  return load_big_endian<std::int16_t>(batch.data() + batch_layout::kAttributes);
}

// --- The header ------------------------------------------------------------------------------------------------------

std::uint32_t crc_of(ByteView batch) { return crc32c(batch.subspan(batch_layout::kAttributes)); }

BatchVerdict check_whole(ByteView bytes, const BatchRules& rules, const std::optional<BatchReading>& reading) {
  const auto base_offset = load_big_endian<std::int64_t>(bytes.data() + batch_layout::kBaseOffset);
  if (base_offset != 0)
    return refuse(ErrorCode::kInvalidRecord, fmt::format("the base offset is {}, not 0", base_offset));
  if (bytes.size() > rules.batch_bytes_max) {
    return refuse(
        ErrorCode::kMessageTooLarge,
        fmt::format("a batch of {} bytes, more than max.message.bytes={}", bytes.size(), rules.batch_bytes_max), false);
  }
  if (bytes.size() < kBatchHeaderBytes)
    return refuse(ErrorCode::kCorruptMessage, "a batch shorter than its header", false);
  const auto stored = load_big_endian<std::uint32_t>(bytes.data() + batch_layout::kCrc);
  const std::uint32_t computed = reading ? reading->crc : crc_of(bytes);
  if (stored != computed) {
    return refuse(ErrorCode::kCorruptMessage,
                  fmt::format("the stored crc is {}, the computed one {}", stored, computed), false);
  }
  if ((attributes_of(bytes) & kCodecMask) > static_cast<int>(Codec::kZstd)) {
    return refuse(ErrorCode::kUnknownServerError,
                  fmt::format("unknown codec in the attributes {}", attributes_of(bytes)));
  }
  return {};
}

BatchVerdict check_header(const RecordBatchView& batch) {
  const std::int64_t offsets = batch.last_offset_delta() + std::int64_t{1};
  if (offsets <= 0 || batch.record_count() <= 0 || offsets != batch.record_count()) {
    return refuse(ErrorCode::kInvalidRecord, fmt::format("{} records whose last offset delta is {}",
                                                         batch.record_count(), batch.last_offset_delta()));
  }
  if (batch.is_control()) return refuse(ErrorCode::kInvalidRecord, "a client may not write control batches");
  if (batch.has_producer_id() && batch.base_sequence() < 0) {
    return refuse(ErrorCode::kInvalidRecord,
                  fmt::format("sequence {} of producer {}", batch.base_sequence(), batch.producer_id().value()));
  }
  return {};
}

bool is_out_of_range(Timestamp timestamp, const BatchRules& rules, Timestamp now) {
  const std::int64_t age = wrapping_difference(now.value(), timestamp.value());
  return age > rules.before_ms_max || wrapping_difference(0, age) > rules.after_ms_max;
}

// Whether a compressed batch that stays as it is has to be decompressed nonetheless.
bool must_look_inside(const RecordBatchView& batch, const BatchRules& rules, Timestamp now) {
  const bool create_time = rules.timestamp_type == TimestampType::kCreateTime;
  const bool says_append_time = batch.timestamp_type() == TimestampType::kLogAppendTime;
  // Keys of compacted topics; each record's earliest time; the size: only the records themselves tell.
  if (rules.compact || (create_time && rules.before_ms_max != kNoBound)) return true;
  if (rules.decompressed_bytes_max < kDecompressedDefaultMax) return true;
  // It will be refused, with a list of its records.
  if (says_append_time && (!create_time || batch.max_timestamp() == kNoTimestamp)) return true;
  return create_time && batch.max_timestamp() != kNoTimestamp && is_out_of_range(batch.max_timestamp(), rules, now);
}

// --- The records -----------------------------------------------------------------------------------------------------

class RecordRules {
 public:
  RecordRules(const RecordBatchView& batch, const BatchRules& rules, Timestamp now, bool compressed, bool keeps_offsets)
      : batch_(batch), rules_(rules), now_(now), compressed_(compressed), keeps_offsets_(keeps_offsets) {}

  // The verdict on them. Nearly always they are fine; whoever has to say what is not walks them once more.
  BatchVerdict check(ByteView payload, const std::optional<BatchReading>& reading) {
    const auto records = reading ? reading->records : summarize_records(payload, batch_.record_count());
    return are_fine(records) ? BatchVerdict{} : examine(payload);
  }

  [[nodiscard]] Timestamp max_timestamp() const { return max_timestamp_; }

 private:
  // False also where a record may be out of range only because the times are so far apart that differences wrap.
  bool are_fine(const std::optional<RecordsSummary>& records) {
    if (batch_.timestamp_type() == TimestampType::kLogAppendTime) return false;
    if (!records || (rules_.compact && !records->all_have_keys)) return false;
    const std::int64_t base = batch_.base_timestamp().value();
    std::int64_t earliest = 0;
    std::int64_t latest = 0;
    if (__builtin_add_overflow(base, records->timestamp_delta_min, &earliest) ||
        __builtin_add_overflow(base, records->timestamp_delta_max, &latest)) {
      return false;
    }
    if (rules_.timestamp_type == TimestampType::kCreateTime && !are_in_range(earliest, latest)) return false;
    max_timestamp_ = std::max(max_timestamp_, Timestamp(latest));
    return true;
  }

  [[nodiscard]] bool are_in_range(std::int64_t earliest, std::int64_t latest) const {
    std::int64_t age_max = 0;
    std::int64_t age_min = 0;
    return !__builtin_sub_overflow(now_.value(), earliest, &age_max) &&
           !__builtin_sub_overflow(now_.value(), latest, &age_min) && age_max <= rules_.before_ms_max &&
           age_min >= -rules_.after_ms_max;
  }

  // Walks all, and lists what is wrong with them.
  BatchVerdict examine(ByteView payload) {
    RecordReader reader(batch_, payload);
    std::int32_t misplaced = -1;
    for (std::int32_t index = 0; const RecordView* record = reader.next(); ++index) {
      if (record->offset_delta != index && misplaced < 0) misplaced = index;
      check_key(index, *record) && check_timestamp(index, *record);
      max_timestamp_ = std::max(max_timestamp_, record->timestamp);
    }
    if (!reader.ok()) {
      return refuse(ErrorCode::kInvalidRecord, fmt::format("record {}: {}", reader.records_read(), reader.error()));
    }
    if (errors_ > 0) return refuse_records();
    if (keeps_offsets_ && misplaced >= 0) {
      return refuse(ErrorCode::kInvalidRecord,
                    fmt::format("record {} does not have the offset delta {}", misplaced, misplaced));
    }
    return {};
  }

  bool check_key(std::int32_t index, const RecordView& record) {
    if (!rules_.compact || record.key) return true;
    return add(index, [&] {
      return fmt::format("Compacted topic cannot accept message without key in topic partition {}-{}", rules_.topic,
                         rules_.partition.value());
    });
  }

  bool check_timestamp(std::int32_t index, const RecordView& record) {
    if (rules_.timestamp_type == TimestampType::kCreateTime && record.timestamp != kNoTimestamp) {
      if (!is_out_of_range(record.timestamp, rules_, now_)) return true;
      is_about_time_ = true;
      return add(index, [&] {
        return fmt::format(
            "Timestamp {} of message with offset {} is out of range. The timestamp should be within [{}, {}]",
            record.timestamp.value(), record.offset.value(), wrapping_difference(now_.value(), rules_.before_ms_max),
            wrapping_sum(now_.value(), rules_.after_ms_max));
      });
    }
    if (batch_.timestamp_type() != TimestampType::kLogAppendTime) return true;
    is_about_time_ = true;
    return add(index, [&] {
      // Apache Kafka looks at compressed records only in part, and counts a missing key or value as it is on the wire.
      const std::int64_t nothing = compressed_ ? -1 : 0;
      const auto size = [&](const std::optional<ByteView>& view) {
        return view ? static_cast<std::int64_t>(view->size()) : nothing;
      };
      return fmt::format(
          "Invalid timestamp type in message {}DefaultRecord(offset={}, timestamp={}, key={} bytes, value={} bytes). "
          "Producer "
          "should not set timestamp type to LogAppendTime.",
          compressed_ ? "Partial" : "", record.offset.value(), record.timestamp.value(), size(record.key),
          size(record.value));
    });
  }

  template <class Text>
  bool add(std::int32_t index, Text&& text) {
    ++errors_;
    if (verdict_.record_errors.size() < kRecordErrorsMax) verdict_.record_errors.push_back({index, text()});
    return false;
  }

  BatchVerdict refuse_records() {
    verdict_.tells_log_start = true;
    if (is_about_time_) {
      verdict_.error = ErrorCode::kInvalidTimestamp;
      verdict_.message = "One or more records have been rejected due to invalid timestamp";
    } else {
      verdict_.error = ErrorCode::kInvalidRecord;
      verdict_.message = fmt::format(
          "One or more records have been rejected due to {} record errors in total, and only showing the first three "
          "errors at "
          "most: [",
          errors_);
      for (std::size_t i = 0; i < std::min<std::size_t>(3, verdict_.record_errors.size()); ++i) {
        const auto& record = verdict_.record_errors[i];
        verdict_.message +=
            fmt::format("{}RecordError(batchIndex={}, message='{}')", i == 0 ? "" : ", ", record.index, record.message);
      }
      verdict_.message += ']';
    }
    verdict_.reason = verdict_.record_errors.front().message;
    return std::move(verdict_);
  }

  const RecordBatchView& batch_;
  const BatchRules& rules_;
  const Timestamp now_;
  const bool compressed_;
  const bool keeps_offsets_;
  std::size_t errors_ = 0;
  bool is_about_time_ = false;
  Timestamp max_timestamp_ = kNoTimestamp;
  BatchVerdict verdict_;
};

// --- What is changed in an accepted batch
// -----------------------------------------------------------------------------

// The timestamp type and the maximum timestamp, in place. Attributes that nobody knows go with a change, as in Apache
// Kafka.
void stamp_time(MutableByteView batch, TimestampType type, Timestamp max_timestamp) {
  std::byte* const attributes_at = batch.data() + batch_layout::kAttributes;
  std::byte* const timestamp_at = batch.data() + batch_layout::kMaxTimestamp;
  const auto attributes = load_big_endian<std::int16_t>(attributes_at);
  const int wanted = type == TimestampType::kLogAppendTime ? kTimestampTypeMask : 0;
  if ((attributes & kTimestampTypeMask) == wanted &&
      load_big_endian<std::int64_t>(timestamp_at) == max_timestamp.value())
    return;
  store_big_endian(attributes_at,
                   static_cast<std::int16_t>((attributes & kKnownAttributes & ~kTimestampTypeMask) | wanted));
  store_big_endian(timestamp_at, max_timestamp.value());
  stamp_crc(batch);
}

// The records of `payload` in a new batch of `codec`. Their offsets are counted anew.
BatchVerdict rebuild(const RecordBatchView& batch, ByteView payload, Codec codec, const BatchRules& rules,
                     Timestamp now, Timestamp max_timestamp) {
  if (batch.producer_id().value() != kNoProducerId &&
      (batch.producer_epoch().value() == -1 || batch.base_sequence() < 0)) {
    return refuse(ErrorCode::kUnknownServerError, "a producer id without epoch or sequence");
  }
  Bytes records;
  records.reserve(payload.size());
  std::optional<Timestamp> base_timestamp;
  RecordReader reader(batch, payload);
  for (std::int32_t index = 0; const RecordView* record = reader.next(); ++index) {
    if (record->timestamp < kNoTimestamp) return refuse(ErrorCode::kUnknownServerError, "a negative timestamp");
    if (!base_timestamp) base_timestamp = record->timestamp;
    append_record(records, *record, index, wrapping_difference(record->timestamp.value(), base_timestamp->value()));
  }
  const Bytes compressed = compress(codec, records, rules.level);
  const bool append_time = rules.timestamp_type == TimestampType::kLogAppendTime;
  BatchVerdict verdict;
  Bytes& out = verdict.rebuilt;
  out.resize(kBatchHeaderBytes);
  out.insert(out.end(), compressed.begin(), compressed.end());
  std::ranges::copy(batch.bytes().first(kBatchHeaderBytes), out.begin());
  store_big_endian(out.data() + batch_layout::kLength, static_cast<std::int32_t>(out.size() - kLogOverheadBytes));
  store_big_endian(out.data() + batch_layout::kAttributes,
                   static_cast<std::int16_t>(static_cast<int>(codec) | (append_time ? kTimestampTypeMask : 0) |
                                             (batch.attributes() & kTransactionalMask)));
  store_big_endian(out.data() + batch_layout::kBaseTimestamp, base_timestamp.value_or(kNoTimestamp).value());
  store_big_endian(out.data() + batch_layout::kMaxTimestamp, (append_time ? now : max_timestamp).value());
  stamp_crc(out);
  verdict.batch = out;
  if (out.size() > rules.batch_bytes_max) {
    return refuse(ErrorCode::kMessageTooLarge,
                  fmt::format("a batch of {} bytes as {}, more than max.message.bytes={}", out.size(), to_string(codec),
                              rules.batch_bytes_max),
                  false);
  }
  return verdict;
}

// A verdict on a batch whose header is fine.
BatchVerdict check_records(MutableByteView bytes, const RecordBatchView& batch, const BatchRules& rules, Timestamp now,
                           const std::optional<BatchReading>& reading) {
  const Codec source = batch.codec();
  const Codec target = rules.codec.value_or(source);
  const bool compressed = source != Codec::kNone;
  const bool append_time = rules.timestamp_type == TimestampType::kLogAppendTime;
  Timestamp max_timestamp = batch.max_timestamp();
  if (!compressed || source != target || must_look_inside(batch, rules, now)) {
    Bytes decompressed;
    if (compressed) {
      auto result = decompress(source, batch.payload(), rules.decompressed_bytes_max);
      if (!result) {
        const bool too_long = result.error().failure == Failure::kExhausted;
        return refuse(too_long ? ErrorCode::kInvalidRecord : ErrorCode::kUnknownServerError,
                      std::move(result.error().context));
      }
      decompressed = std::move(*result);
    }
    const ByteView payload = compressed ? ByteView(decompressed) : batch.payload();
    RecordRules records(batch, rules, now, compressed && source == target, source == target);
    BatchVerdict verdict = records.check(payload, compressed ? std::nullopt : reading);
    if (!verdict.accepted()) return verdict;
    max_timestamp = records.max_timestamp();
    if (source != target) return rebuild(batch, payload, target, rules, now, max_timestamp);
  }
  stamp_time(bytes, rules.timestamp_type, append_time ? now : max_timestamp);
  BatchVerdict verdict;
  verdict.batch = bytes;
  return verdict;
}

}  // namespace

BatchVerdict validate_framing(ByteView records, const BatchRules& rules) {
  const Framed first = first_batch(records);
  if (!first.corrupt.empty()) {
    BatchVerdict verdict = refuse(ErrorCode::kCorruptMessage, first.corrupt, false);
    verdict.message = first.corrupt;
    return verdict;
  }
  if (first.size_bytes == 0) return refuse(ErrorCode::kInvalidRecord, "there is no whole batch", false);
  const ByteView batch = records.first(first.size_bytes);
  const bool is_current = load_big_endian<std::int8_t>(batch.data() + batch_layout::kMagic) == kCurrentMagic;
  if (is_current && (attributes_of(batch) & kTransactionalMask) != 0 && !rules.has_transactional_id) {
    return refuse(ErrorCode::kTransactionalIdAuthorizationFailed, "a transactional batch without a transactional id",
                  false);
  }
  if (!is_current) return refuse(ErrorCode::kInvalidRecord, "a batch of an old message format", false);
  const int codec = attributes_of(batch) & kCodecMask;
  if (rules.produce_version < kZstdSinceVersion && codec >= static_cast<int>(Codec::kZstd)) {
    const bool is_zstd = codec == static_cast<int>(Codec::kZstd);
    return refuse(is_zstd ? ErrorCode::kUnsupportedCompressionType : ErrorCode::kUnknownServerError,
                  fmt::format("codec {} with Produce version {}", codec, rules.produce_version), false);
  }
  // Less than a batch behind it is ignored.
  const Framed second = first_batch(records.subspan(first.size_bytes));
  if (!second.corrupt.empty()) return refuse(ErrorCode::kCorruptMessage, "behind the batch: " + second.corrupt, false);
  if (second.size_bytes > 0) return refuse(ErrorCode::kInvalidRecord, "more than one batch", false);
  return {};
}

std::optional<BatchReading> read_batch(ByteView records, std::int32_t records_max) {
  const std::size_t size_bytes = first_batch(records).size_bytes;
  if (size_bytes < kBatchHeaderBytes) return std::nullopt;
  const auto batch = RecordBatchView::parse(records.first(size_bytes));
  if (!batch || batch->record_count() > records_max) return std::nullopt;
  BatchReading reading{.crc = crc_of(batch->bytes()), .records = {}};
  if (batch->codec() == Codec::kNone) reading.records = summarize_records(batch->payload(), batch->record_count());
  return reading;
}

BatchVerdict validate_batch(MutableByteView records, const BatchRules& rules, Timestamp now,
                            const std::optional<BatchReading>& reading) {
  if (BatchVerdict verdict = validate_framing(records, rules); !verdict.accepted()) return verdict;
  const MutableByteView bytes = records.first(first_batch(records).size_bytes);
  if (BatchVerdict verdict = check_whole(bytes, rules, reading); !verdict.accepted()) return verdict;
  const auto batch = RecordBatchView::parse(bytes);
  if (!batch) return refuse(ErrorCode::kCorruptMessage, batch.error().context, false);
  if (BatchVerdict verdict = check_header(*batch); !verdict.accepted()) return verdict;
  BatchVerdict verdict = check_records(bytes, *batch, rules, now, reading);
  if (verdict.accepted() && verdict.batch.size() > rules.segment_bytes) {
    return refuse(
        ErrorCode::kRecordListTooLarge,
        fmt::format("a batch of {} bytes does not fit into a segment of {}", verdict.batch.size(), rules.segment_bytes),
        false);
  }
  return verdict;
}

}  // namespace kurier::protocol
