#include "protocol/compression.h"

#include <lz4frame.h>
#include <snappy.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <functional>
#include <memory>
#include <string>

#include "base/check.h"

namespace kurier::protocol {
namespace {

constexpr int kGzipWindowBits = 15 + 16;  // zlib's way to ask for gzip's framing
constexpr int kGzipMemoryLevel = 8;
constexpr int kLz4DefaultLevel = 9;

// xerial's framing of snappy: this, version 1, compatible with 1, then blocks, each behind its length (int32).
constexpr std::array<unsigned char, 8> kXerialMagic{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0};
constexpr std::size_t kXerialHeaderBytes = 16;
constexpr std::size_t kXerialBlockBytes = 32 * 1024;
// A copy of at most 64 bytes takes at least 3.
constexpr std::size_t kSnappyRatioMax = 22;

std::unexpected<Error> malformed(Codec codec, std::string_view why) {
  return fail(Failure::kMalformed, std::string(to_string(codec)) + " data cannot be decompressed: " + std::string(why));
}

// Output that grows as it is filled, up to a bound.
class Output {
 public:
  explicit Output(std::size_t bytes_max) : bytes_max_(bytes_max) {}

  // Room for at least one byte more; empty at the bound.
  MutableByteView room() {
    if (used_ == bytes_.size()) bytes_.resize(std::min(bytes_max_, std::max<std::size_t>(4096, 2 * bytes_.size())));
    return MutableByteView(bytes_).subspan(used_);
  }
  void filled(std::size_t count) { used_ += count; }
  [[nodiscard]] bool is_full() const { return used_ == bytes_max_; }
  [[nodiscard]] std::unexpected<Error> exhausted() const {
    return fail(Failure::kExhausted, "a batch of more than " + std::to_string(bytes_max_) + " bytes when decompressed");
  }
  Bytes take() {
    bytes_.resize(used_);
    return std::move(bytes_);
  }

 private:
  const std::size_t bytes_max_;
  Bytes bytes_;
  std::size_t used_ = 0;
};

// At the bound a decoder may still have to read what ends its data, but may not produce another byte: that goes here.
struct Overflow {
  std::array<std::byte, 1> byte{};
};

Result<Bytes> gunzip(ByteView data, std::size_t bytes_max) {
  z_stream stream{};
  if (inflateInit2(&stream, kGzipWindowBits) != Z_OK) return fail(Failure::kExhausted, "no memory for gzip");
  const std::unique_ptr<z_stream, decltype(&inflateEnd)> ends(&stream, &inflateEnd);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(data.data()));
  stream.avail_in = static_cast<uInt>(data.size());
  Output output(bytes_max);
  Overflow overflow;
  while (true) {
    const bool full = output.is_full();
    const MutableByteView room = full ? MutableByteView(overflow.byte) : output.room();
    stream.next_out = reinterpret_cast<Bytef*>(room.data());
    stream.avail_out = static_cast<uInt>(room.size());
    const int status = inflate(&stream, Z_NO_FLUSH);
    const std::size_t produced = room.size() - stream.avail_out;
    if (full && produced > 0) return output.exhausted();
    output.filled(produced);
    if (status == Z_STREAM_END) {
      // Another member may follow; anything else is ignored.
      if (stream.avail_in < 2 || stream.next_in[0] != 0x1f || stream.next_in[1] != 0x8b) return output.take();
      if (inflateReset(&stream) != Z_OK) return malformed(Codec::kGzip, "another member cannot begin");
    } else if (status != Z_OK || (stream.avail_in == 0 && stream.avail_out > 0)) {
      return malformed(Codec::kGzip, stream.msg != nullptr ? stream.msg : "it ends too early");
    }
  }
}

Result<void> unsnappy_block(ByteView block, Bytes& output, std::size_t bytes_max) {
  const char* const from = reinterpret_cast<const char*>(block.data());
  std::size_t size = 0;
  if (!snappy::GetUncompressedLength(from, block.size(), &size))
    return malformed(Codec::kSnappy, "its length cannot be read");
  if (size / kSnappyRatioMax > block.size()) return malformed(Codec::kSnappy, "it announces more than it can hold");
  if (size > bytes_max - output.size()) return Output(bytes_max).exhausted();
  const std::size_t at = output.size();
  output.resize(at + size);
  if (!snappy::RawUncompress(from, block.size(), reinterpret_cast<char*>(output.data()) + at)) {
    return malformed(Codec::kSnappy, "a block is damaged");
  }
  return {};
}

bool is_xerial(ByteView data) {
  return data.size() >= kXerialHeaderBytes && std::memcmp(data.data(), kXerialMagic.data(), kXerialMagic.size()) == 0;
}

Result<Bytes> unsnappy(ByteView data, std::size_t bytes_max) {
  Bytes output;
  if (!is_xerial(data)) {
    TRY(unsnappy_block(data, output, bytes_max));
    return output;
  }
  while (data.size() >= sizeof(std::int32_t)) {
    if (is_xerial(data)) {  // streams may follow each other
      data = data.subspan(kXerialHeaderBytes);
      continue;
    }
    const auto length = load_big_endian<std::uint32_t>(data.data());
    data = data.subspan(sizeof(std::int32_t));
    if (length > data.size()) return malformed(Codec::kSnappy, "a block goes on beyond the end");
    TRY(unsnappy_block(data.first(length), output, bytes_max));
    data = data.subspan(length);
  }
  return output;
}

Result<Bytes> unlz4(ByteView data, std::size_t bytes_max) {
  LZ4F_dctx* made = nullptr;
  if (LZ4F_isError(LZ4F_createDecompressionContext(&made, LZ4F_VERSION)))
    return fail(Failure::kExhausted, "no memory for lz4");
  const std::unique_ptr<LZ4F_dctx, decltype(&LZ4F_freeDecompressionContext)> context(made,
                                                                                     &LZ4F_freeDecompressionContext);
  Output output(bytes_max);
  Overflow overflow;
  while (true) {
    const bool full = output.is_full();
    const MutableByteView room = full ? MutableByteView(overflow.byte) : output.room();
    std::size_t produced = room.size();
    std::size_t consumed = data.size();
    const std::size_t left = LZ4F_decompress(context.get(), room.data(), &produced, data.data(), &consumed, nullptr);
    if (LZ4F_isError(left)) return malformed(Codec::kLz4, LZ4F_getErrorName(left));
    if (full && produced > 0) return output.exhausted();
    output.filled(produced);
    data = data.subspan(consumed);
    if (left == 0) return output.take();  // the end of the frame; what follows is ignored
    if (consumed == 0 && produced == 0) return malformed(Codec::kLz4, "it ends too early");
  }
}

Result<Bytes> unzstd(ByteView data, std::size_t bytes_max) {
  const std::unique_ptr<ZSTD_DStream, decltype(&ZSTD_freeDStream)> stream(ZSTD_createDStream(), &ZSTD_freeDStream);
  if (!stream) return fail(Failure::kExhausted, "no memory for zstd");
  ZSTD_inBuffer input{data.data(), data.size(), 0};
  Output output(bytes_max);
  Overflow overflow;
  while (true) {
    const bool full = output.is_full();
    const MutableByteView room = full ? MutableByteView(overflow.byte) : output.room();
    ZSTD_outBuffer to{room.data(), room.size(), 0};
    const std::size_t consumed_before = input.pos;
    const std::size_t left = input.size == 0 ? 0 : ZSTD_decompressStream(stream.get(), &to, &input);
    if (ZSTD_isError(left)) return malformed(Codec::kZstd, ZSTD_getErrorName(left));
    if (full && to.pos > 0) return output.exhausted();
    output.filled(to.pos);
    if (left == 0 && input.pos == input.size) return output.take();  // the end of the last frame
    if (to.pos == 0 && input.pos == consumed_before) return malformed(Codec::kZstd, "it ends too early");
  }
}

Bytes gzip(ByteView data, int level) {
  z_stream stream{};
  KURIER_CHECK(deflateInit2(&stream, level, Z_DEFLATED, kGzipWindowBits, kGzipMemoryLevel, Z_DEFAULT_STRATEGY) == Z_OK);
  Bytes output(deflateBound(&stream, data.size()));
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(data.data()));
  stream.avail_in = static_cast<uInt>(data.size());
  stream.next_out = reinterpret_cast<Bytef*>(output.data());
  stream.avail_out = static_cast<uInt>(output.size());
  KURIER_CHECK(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  output.resize(output.size() - stream.avail_out);
  deflateEnd(&stream);
  return output;
}

Bytes snappy_blocks(ByteView data) {
  Bytes output(kXerialHeaderBytes);
  std::memcpy(output.data(), kXerialMagic.data(), kXerialMagic.size());
  store_big_endian(output.data() + 8, std::int32_t{1});
  store_big_endian(output.data() + 12, std::int32_t{1});
  while (!data.empty()) {
    const ByteView block = data.first(std::min(data.size(), kXerialBlockBytes));
    data = data.subspan(block.size());
    const std::size_t at = output.size();
    std::size_t size = snappy::MaxCompressedLength(block.size());
    output.resize(at + sizeof(std::int32_t) + size);
    snappy::RawCompress(reinterpret_cast<const char*>(block.data()), block.size(),
                        reinterpret_cast<char*>(output.data()) + at + sizeof(std::int32_t), &size);
    store_big_endian(output.data() + at, static_cast<std::int32_t>(size));
    output.resize(at + sizeof(std::int32_t) + size);
  }
  return output;
}

Bytes lz4(ByteView data, int level) {
  LZ4F_preferences_t preferences{};
  preferences.frameInfo.blockSizeID = LZ4F_max64KB;
  preferences.frameInfo.blockMode = LZ4F_blockIndependent;
  // Apache Kafka uses the fast compressor for the default level and the thorough one, whose levels begin at 3 here, for
  // every other.
  preferences.compressionLevel = level == kLz4DefaultLevel ? 0 : std::max(level, 3);
  Bytes output(LZ4F_compressFrameBound(data.size(), &preferences));
  const std::size_t size = LZ4F_compressFrame(output.data(), output.size(), data.data(), data.size(), &preferences);
  KURIER_CHECK(!LZ4F_isError(size));
  output.resize(size);
  return output;
}

Bytes zstd(ByteView data, int level) {
  Bytes output(ZSTD_compressBound(data.size()));
  const std::size_t size = ZSTD_compress(output.data(), output.size(), data.data(), data.size(), level);
  KURIER_CHECK(!ZSTD_isError(size));
  output.resize(size);
  return output;
}

}  // namespace

Result<Bytes> decompress(Codec codec, ByteView data, std::size_t bytes_max) {
  bytes_max = std::min(bytes_max, kDecompressedBytesMax);
  switch (codec) {
    case Codec::kNone: break;
    case Codec::kGzip: return gunzip(data, bytes_max);
    case Codec::kSnappy: return unsnappy(data, bytes_max);
    case Codec::kLz4: return unlz4(data, bytes_max);
    case Codec::kZstd: return unzstd(data, bytes_max);
  }
  return to_bytes(data);
}

Bytes compress(Codec codec, ByteView data, int level) {
  switch (codec) {
    case Codec::kNone: break;
    case Codec::kGzip: return gzip(data, level);
    case Codec::kSnappy: return snappy_blocks(data);
    case Codec::kLz4: return lz4(data, level);
    case Codec::kZstd: return zstd(data, level);
  }
  return to_bytes(data);
}

int default_level(Codec codec) {
  switch (codec) {
    case Codec::kNone:
    case Codec::kSnappy: return 0;
    case Codec::kGzip: return Z_DEFAULT_COMPRESSION;
    case Codec::kLz4: return kLz4DefaultLevel;
    case Codec::kZstd: return ZSTD_CLEVEL_DEFAULT;
  }
  return 0;
}

}  // namespace kurier::protocol
