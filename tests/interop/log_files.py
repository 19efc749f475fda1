"""The headers of the batches in a partition's log files, for what a client does not show: codec, producer id, sequence."""
import collections
import struct

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]

Batch = collections.namedtuple("Batch", "base_offset size_bytes codec producer_id epoch base_sequence records")


def batches(node, topic, partition):
    found = []
    for path in sorted((node.directory / "log" / f"{topic}-{partition}").glob("*.log")):
        data = path.read_bytes()
        at = 0
        while at < len(data):
            base_offset, length, _, _, _, attributes, last_delta, _, _, producer_id, epoch, base_sequence, records = struct.unpack_from(
                ">qiibIhiqqqhii", data, at)
            assert records == last_delta + 1, (path, at)
            found.append(Batch(base_offset, length + 12, CODECS[attributes & 7], producer_id, epoch, base_sequence, records))
            at += length + 12
    return found
