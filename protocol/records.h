// Records: the value of a field that carries record batches. The protocol layer does not look inside.
//
// Decoding leaves a view into the frame, which must outlive it. Encoding writes the view, then the owned bytes, then the
// file slices; usually only one of the three is there.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "base/bytes.h"
#include "base/transport.h"

namespace kurier::protocol {

struct Records {
  ByteView view;
  Bytes owned;
  std::vector<FileSlice> slices;
  bool is_null = true;  // as Kafka's default is; has no effect once there are bytes

  [[nodiscard]] std::size_t size_bytes() const {
    std::size_t size = view.size() + owned.size();
    for (const FileSlice& slice : slices) size += slice.size_bytes;
    return size;
  }
  // Null on the wire.
  [[nodiscard]] bool is_nothing() const { return is_null && size_bytes() == 0; }

  friend bool operator==(const Records& left, const Records& right) {
    const auto byte_at = [](const Records& records, std::size_t i) {
      return i < records.view.size() ? records.view[i] : records.owned[i - records.view.size()];
    };
    const std::size_t in_memory = left.view.size() + left.owned.size();
    if (left.is_nothing() != right.is_nothing() || in_memory != right.view.size() + right.owned.size()) return false;
    for (std::size_t i = 0; i < in_memory; ++i) {
      if (byte_at(left, i) != byte_at(right, i)) return false;
    }
    return std::ranges::equal(left.slices, right.slices, [](const FileSlice& a, const FileSlice& b) {
      return a.file == b.file && a.position == b.position && a.size_bytes == b.size_bytes;
    });
  }
};

// Records in memory of which the caller keeps the bytes, and records that own theirs.
[[nodiscard]] inline Records records_view(ByteView view) { return {.view = view, .owned = {}, .slices = {}, .is_null = false}; }
[[nodiscard]] inline Records records_owned(Bytes bytes) {
  return {.view = {}, .owned = std::move(bytes), .slices = {}, .is_null = false};
}

}  // namespace kurier::protocol
