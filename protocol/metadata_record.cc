#include "protocol/metadata_record.h"

#include <fmt/core.h>

namespace kurier::protocol {
namespace {
constexpr std::uint32_t kFrameVersion = 1;
}

Result<DecodedMetadataRecord> decode_metadata_record(ByteView bytes) {
  Reader reader(bytes);
  const std::uint32_t frame = reader.uvarint();
  const std::uint32_t type = reader.uvarint();
  const std::uint32_t version = reader.uvarint();
  if (!reader.ok()) return fail(Failure::kMalformed, "a metadata record: " + reader.error());
  if (frame != kFrameVersion) return fail(Failure::kUnsupported, fmt::format("a metadata record in frame version {}", frame));
  DecodedMetadataRecord decoded;
  if (!make_metadata_record(type, decoded.record)) {
    return fail(Failure::kUnsupported, fmt::format("a metadata record of the unknown type {}", type));
  }
  return std::visit(
      [&](auto& record) -> Result<DecodedMetadataRecord> {
        if (version > static_cast<std::uint32_t>(record.kMaxVersion)) {
          return fail(Failure::kUnsupported, fmt::format("a {} of version {}; versions up to {} are known", record.kName,
                                                         version, record.kMaxVersion));
        }
        decoded.version = static_cast<std::int16_t>(version);
        record.decode(reader, decoded.version);
        if (!reader.ok()) return fail(Failure::kMalformed, fmt::format("a {}: {}", record.kName, reader.error()));
        if (reader.remaining() > 0) {
          return fail(Failure::kMalformed, fmt::format("a {} with {} bytes too many", record.kName, reader.remaining()));
        }
        return std::move(decoded);
      },
      decoded.record);
}

Result<Bytes> encode_metadata_record(const MetadataRecord& record, std::int16_t version) {
  return std::visit(
      [&](const auto& its) -> Result<Bytes> {
        Writer writer;
        writer.uvarint(kFrameVersion);
        writer.uvarint(static_cast<std::uint32_t>(its.kRecordType));
        writer.uvarint(static_cast<std::uint32_t>(version));
        its.encode(writer, version);
        if (!writer.ok()) return fail(Failure::kInvalid, writer.error());
        return writer.take_bytes();
      },
      record);
}

std::string to_string(const MetadataRecord& record) {
  return std::visit([](const auto& its) { return to_string(its); }, record);
}

}  // namespace kurier::protocol
