#include "replication/raft/raft_records.h"

#include <fmt/core.h>

#include "protocol/primitives.h"
#include "protocol/record_batch.h"

namespace kurier::replication {

using protocol::Reader;
using protocol::RecordBatchView;
using protocol::Writer;

namespace {

Writer flexible_writer() {
  Writer writer;
  writer.set_flexible(true);
  writer.int16(0);  // the version of the message, which every control record repeats
  return writer;
}

void no_tagged_fields(Writer& writer) { writer.uvarint(0); }

void skip_tagged_fields(Reader& reader) {
  std::vector<protocol::UnknownTaggedField> ignored;
  reader.tagged_fields(ignored, [](std::uint32_t) { return false; });
}

Result<void> finished(const Reader& reader, std::string_view what) {
  if (reader.ok()) return {};
  return fail(Failure::kMalformed, fmt::format("{}: {}", what, reader.error()));
}

Result<void> expect_version(std::int16_t version, std::string_view what) {
  if (version == 0) return {};
  return fail(Failure::kUnsupported, fmt::format("{} of version {}, written by a newer Kafka", what, version));
}

// The records of a batch, framed; keys[i] is empty for none.
Bytes build(std::span<const Bytes> keys, std::span<const ByteView> values, Offset base_offset, LeaderEpoch epoch,
            Timestamp now, std::int16_t attributes) {
  Writer body;
  for (std::size_t i = 0; i < values.size(); ++i) {
    Writer record;
    record.int8(0);
    record.varlong(0);
    record.varint(static_cast<std::int32_t>(i));
    if (keys.empty()) {
      record.varint(-1);
    } else {
      record.varint(static_cast<std::int32_t>(keys[i].size()));
      record.raw(keys[i]);
    }
    record.varint(static_cast<std::int32_t>(values[i].size()));
    record.raw(values[i]);
    record.varint(0);
    const Bytes framed = record.take_bytes();
    body.varint(static_cast<std::int32_t>(framed.size()));
    body.raw(framed);
  }
  const Bytes records = body.take_bytes();
  Writer batch;
  batch.int64(base_offset.value());
  batch.int32(static_cast<std::int32_t>(protocol::kBatchHeaderBytes - protocol::kLogOverheadBytes + records.size()));
  batch.int32(epoch.value());
  batch.int8(protocol::kCurrentMagic);
  batch.uint32(0);
  batch.int16(attributes);
  batch.int32(static_cast<std::int32_t>(values.size()) - 1);
  batch.int64(now.value());
  batch.int64(now.value());
  batch.int64(-1);
  batch.int16(-1);
  batch.int32(-1);
  batch.int32(static_cast<std::int32_t>(values.size()));
  batch.raw(records);
  Bytes bytes = batch.take_bytes();
  protocol::stamp_crc(bytes);
  return bytes;
}

}  // namespace

ControlRecord leader_change_record(BrokerId leader, std::span<const BrokerId> voters) {
  Writer writer = flexible_writer();
  writer.int32(leader.value());
  for (int list = 0; list < 2; ++list) {  // the voters, then those that granted their votes: in our quorum the same
    writer.array_count(voters.size());
    for (BrokerId voter : voters) {
      writer.int32(voter.value());
      no_tagged_fields(writer);
    }
  }
  no_tagged_fields(writer);
  return {ControlType::kLeaderChange, writer.take_bytes()};
}

ControlRecord kraft_version_record(std::int16_t kraft_version) {
  Writer writer = flexible_writer();
  writer.int16(kraft_version);
  no_tagged_fields(writer);
  return {ControlType::kKRaftVersion, writer.take_bytes()};
}

ControlRecord voters_record(std::span<const Voter> voters) {
  Writer writer = flexible_writer();
  writer.array_count(voters.size());
  for (const Voter& voter : voters) {
    writer.int32(voter.id.value());
    writer.uuid(voter.directory_id);
    writer.array_count(voter.endpoints.size());
    for (const VoterEndpoint& endpoint : voter.endpoints) {
      writer.string(endpoint.name);
      writer.string(endpoint.host);
      writer.uint16(endpoint.port);
      no_tagged_fields(writer);
    }
    writer.int16(voter.kraft_version_min);
    writer.int16(voter.kraft_version_max);
    no_tagged_fields(writer);
    no_tagged_fields(writer);
  }
  no_tagged_fields(writer);
  return {ControlType::kVoters, writer.take_bytes()};
}

ControlRecord snapshot_header_record(Timestamp last_contained) {
  Writer writer = flexible_writer();
  writer.int64(last_contained.value());
  no_tagged_fields(writer);
  return {ControlType::kSnapshotHeader, writer.take_bytes()};
}

ControlRecord snapshot_footer_record() {
  Writer writer = flexible_writer();
  no_tagged_fields(writer);
  return {ControlType::kSnapshotFooter, writer.take_bytes()};
}

Result<std::int16_t> parse_kraft_version(ByteView value) {
  Reader reader(value);
  reader.set_flexible(true);
  TRY(expect_version(reader.int16(), "KRaftVersionRecord"));
  const std::int16_t kraft_version = reader.int16();
  TRY(finished(reader, "KRaftVersionRecord"));
  if (kraft_version < 0 || kraft_version > 1) {
    return fail(Failure::kUnsupported,
                fmt::format("kraft.version {} is not known here (0 to 1); start a newer version", kraft_version));
  }
  return kraft_version;
}

Result<std::vector<Voter>> parse_voters(ByteView value) {
  Reader reader(value);
  reader.set_flexible(true);
  TRY(expect_version(reader.int16(), "VotersRecord"));
  std::vector<Voter> voters(reader.array_count());
  for (Voter& voter : voters) {
    voter.id = BrokerId(reader.int32());
    voter.directory_id = reader.uuid();
    voter.endpoints.resize(reader.array_count());
    for (VoterEndpoint& endpoint : voter.endpoints) {
      endpoint.name = reader.string();
      endpoint.host = reader.string();
      endpoint.port = reader.uint16();
      skip_tagged_fields(reader);
    }
    voter.kraft_version_min = reader.int16();
    voter.kraft_version_max = reader.int16();
    skip_tagged_fields(reader);
    skip_tagged_fields(reader);
  }
  TRY(finished(reader, "VotersRecord"));
  return voters;
}

Result<Timestamp> parse_snapshot_header(ByteView value) {
  Reader reader(value);
  reader.set_flexible(true);
  TRY(expect_version(reader.int16(), "SnapshotHeaderRecord"));
  const Timestamp timestamp(reader.int64());
  TRY(finished(reader, "SnapshotHeaderRecord"));
  return timestamp;
}

Bytes build_batch(std::span<const Bytes> values, Offset base_offset, LeaderEpoch epoch, Timestamp now) {
  std::vector<ByteView> views(values.begin(), values.end());
  return build({}, views, base_offset, epoch, now, 0);
}

Bytes build_control_batch(std::span<const ControlRecord> records, Offset base_offset, LeaderEpoch epoch, Timestamp now) {
  std::vector<Bytes> keys;
  std::vector<ByteView> values;
  for (const ControlRecord& record : records) {
    Writer key;
    key.int16(0);
    key.int16(static_cast<std::int16_t>(record.type));
    keys.push_back(key.take_bytes());
    values.push_back(record.value);
  }
  return build(keys, values, base_offset, epoch, now, protocol::kControlMask);
}

namespace {

Result<void> walk_batch(const RecordBatchView& batch, const std::function<Result<void>(const RaftRecord&)>& visit) {
  const auto malformed = [&batch](std::string_view why) {
    return fail(Failure::kCorrupt, fmt::format("metadata batch at offset {}: {}", batch.base_offset().value(), why));
  };
  if (batch.codec() != protocol::Codec::kNone) return malformed("compressed metadata is not written by any Kafka");
  Reader reader(batch.payload());
  for (std::int32_t i = 0; i < batch.record_count(); ++i) {
    const std::int32_t size = reader.varint();
    if (size < 0) return malformed("a record of negative size");
    Reader record(reader.view(static_cast<std::size_t>(size)));
    if (!reader.ok()) return malformed(reader.error());
    record.int8();
    const std::int64_t timestamp_delta = record.varlong();
    const std::int32_t offset_delta = record.varint();
    const std::int32_t key_size = record.varint();
    const ByteView key = key_size > 0 ? record.view(static_cast<std::size_t>(key_size)) : ByteView{};
    const std::int32_t value_size = record.varint();
    const ByteView value = value_size > 0 ? record.view(static_cast<std::size_t>(value_size)) : ByteView{};
    if (!record.ok()) return malformed(record.error());
    RaftRecord out{batch.base_offset() + offset_delta, batch.leader_epoch(), batch.base_timestamp() + timestamp_delta,
                   std::nullopt, value};
    if (batch.is_control()) {
      if (key.size() < 4) return malformed("a control record without a type");
      out.control = static_cast<ControlType>(load_big_endian<std::int16_t>(key.data() + 2));
    }
    TRY(visit(out));
  }
  return {};
}

}  // namespace

Result<std::size_t> walk_batches(ByteView bytes, const std::function<Result<void>(const RaftRecord&)>& visit) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const auto batch = RecordBatchView::parse(bytes.subspan(done));
    if (!batch || !batch->crc_is_valid()) break;
    TRY(walk_batch(*batch, visit));
    done += batch->size_bytes();
  }
  return done;
}

}  // namespace kurier::replication
