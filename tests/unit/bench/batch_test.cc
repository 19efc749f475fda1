#include "tools/bench/batch.h"

#include <catch2/catch.hpp>

#include "protocol/primitives.h"

using namespace kurier;
using namespace kurier::bench;

namespace {

// Reads every record as a broker does; the sum of the values' lengths.
std::size_t walk(const protocol::RecordBatchView& batch) {
  protocol::Reader reader(batch.payload());
  std::size_t value_bytes = 0;
  for (std::int32_t i = 0; i < batch.record_count(); ++i) {
    const auto body = static_cast<std::size_t>(reader.varint());
    const std::size_t end = reader.position() + body;
    REQUIRE(reader.int8() == 0);
    REQUIRE(reader.varlong() == 0);
    REQUIRE(reader.varint() == i);
    REQUIRE(reader.varint() == -1);
    const auto size = static_cast<std::size_t>(reader.varint());
    REQUIRE(reader.view(size).size() == size);
    value_bytes += size;
    REQUIRE(reader.varint() == 0);
    REQUIRE(reader.position() == end);
  }
  REQUIRE(reader.ok());
  REQUIRE(reader.remaining() == 0);
  return value_bytes;
}

}  // namespace

TEST_CASE("a batch has the size that was asked for, valid records and a valid checksum") {
  for (const std::size_t batch_bytes : {70UL, 200UL, 16'384UL, 65'536UL, 1'048'576UL}) {
    for (const std::size_t value_bytes : {0UL, 1UL, 100UL, 1'000UL}) {
      INFO(batch_bytes << " bytes, values of " << value_bytes);
      const BatchShape shape = shape_for(batch_bytes, value_bytes);
      const Bytes bytes = encode_batch(shape, value_bytes, Timestamp(1'700'000'000'000), 1);
      const auto batch = protocol::RecordBatchView::parse(bytes);
      REQUIRE(batch);
      REQUIRE(batch->size_bytes() == bytes.size());
      // Where the length of the last record grows by a byte, the size below is as near as one can come.
      REQUIRE(bytes.size() <= shape.batch_bytes);
      REQUIRE(bytes.size() + 2 >= shape.batch_bytes);
      REQUIRE(batch->crc_is_valid());
      REQUIRE(batch->record_count() == static_cast<std::int32_t>(shape.records));
      REQUIRE(batch->last_offset_delta() == batch->record_count() - 1);
      REQUIRE(batch->max_timestamp() == Timestamp(1'700'000'000'000));
      REQUIRE_FALSE(batch->has_producer_id());
      REQUIRE(walk(*batch) >= shape.records * value_bytes);
    }
  }
}

TEST_CASE("a batch that is too small for one record is as long as the record needs") {
  const BatchShape shape = shape_for(1, 100);
  REQUIRE(shape.records == 1);
  const Bytes bytes = encode_batch(shape, 100, Timestamp(0), 1);
  REQUIRE(walk(*protocol::RecordBatchView::parse(bytes)) == 100);
}

TEST_CASE("a stamped header goes with the records behind it: the checksum holds") {
  const Bytes original = encode_batch(shape_for(16'384, 1'000), 1'000, Timestamp(1'700'000'000'000), 3);
  BatchStamp stamp(original);
  for (const std::int32_t sequence : {0, 16, 2'147'483'640}) {
    Bytes batch = original;
    std::ranges::copy(stamp.header(ProducerId(4711), ProducerEpoch(3), sequence), batch.begin());
    const auto view = protocol::RecordBatchView::parse(batch);
    REQUIRE(view);
    REQUIRE(view->crc_is_valid());
    REQUIRE(view->producer_id() == ProducerId(4711));
    REQUIRE(view->producer_epoch() == ProducerEpoch(3));
    REQUIRE(view->base_sequence() == sequence);
  }
}
