// The codecs of record batches: gzip, snappy, lz4 and zstd, each in the framing that Kafka's clients write and read.
//
// Pure functions on bytes, any thread. What a client has compressed may be anything: memory grows with what really
// comes out, up to the bound that the caller gives, never with a size that the bytes announce.
#pragma once

#include <cstddef>

#include "base/bytes.h"
#include "base/result.h"
#include "protocol/record_batch.h"

namespace kurier::protocol {

// No batch is decompressed beyond this, whatever max.decompressed.message.bytes allows.
inline constexpr std::size_t kDecompressedBytesMax = 128 << 20;

// kMalformed: it is no such data, or ends early. kExhausted: it is longer than `bytes_max`, or than the limit above.
// Bytes behind the end of the compressed data are ignored where Apache Kafka ignores them (gzip, snappy, lz4).
[[nodiscard]] Result<Bytes> decompress(Codec codec, ByteView data, std::size_t bytes_max);

// `level` as in compression.gzip.level, compression.lz4.level and compression.zstd.level; has no effect on the others.
[[nodiscard]] Bytes compress(Codec codec, ByteView data, int level);
[[nodiscard]] int default_level(Codec codec);

}  // namespace kurier::protocol
