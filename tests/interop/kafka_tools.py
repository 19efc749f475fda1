#!/usr/bin/env python3
"""Apache Kafka's command-line tools against a running kurier, and its dump tool over the files that kurier wrote."""
import re
import subprocess
import tempfile
import time

from harness import Checks, java, jars, kurier

TOOLS = "org.apache.kafka.tools."
LIMIT = 1048588  # max.message.bytes, as it is by default
OVERHEAD = 61 + 1 + 1 + 1 + 1 + 1 + 3 + 3  # of a batch with one record: header, attributes, deltas, no key, no headers, two lengths


def topics(classpath, node):
    def topic(*arguments):
        return java(classpath, TOOLS + "TopicCommand", "--bootstrap-server", node.address, *arguments)

    topic("--create", "--topic", "made", "--partitions", "3", "--config", "retention.ms=1000000")
    assert topic("--list").split() == ["made"]
    described = topic("--describe", "--topic", "made")
    assert "PartitionCount: 3" in described and "retention.ms=1000000" in described, described
    topic("--alter", "--topic", "made", "--partitions", "5")
    assert "PartitionCount: 5" in topic("--describe", "--topic", "made")
    topic("--create", "--topic", "gone")
    topic("--delete", "--topic", "gone")
    assert topic("--list").split() == ["made"]


def console(classpath, node):
    lines = "".join(f"line {i}\n" for i in range(100))
    java(classpath, TOOLS + "ConsoleProducer", "--bootstrap-server", node.address, "--topic", "console", stdin=lines)
    back = java(classpath, TOOLS + "consumer.ConsoleConsumer", "--bootstrap-server", node.address, "--topic", "console",
                "--partition", "0", "--offset", "earliest", "--max-messages", "100")
    assert back == lines, back
    offsets = java(classpath, TOOLS + "GetOffsetShell", "--bootstrap-server", node.address, "--topic", "console")
    assert offsets.split() == ["console:0:100"], offsets


def cluster(classpath, node):
    versions = java(classpath, TOOLS + "BrokerApiVersionsCommand", "--bootstrap-server", node.address)
    assert "Fetch(1): 4 to 18" in versions, versions
    quorum = java(classpath, TOOLS + "MetadataQuorumCommand", "--bootstrap-server", node.address, "describe", "--status")
    assert re.search(r"LeaderId:\s+1", quorum), quorum
    meta = (node.directory / "log/meta.properties").read_text()
    cluster_id = re.search(r"cluster.id=(\S+)", meta)[1]
    assert cluster_id in java(classpath, TOOLS + "ClusterTool", "cluster-id", "--bootstrap-server", node.address)
    endpoints = java(classpath, TOOLS + "ClusterTool", "list-endpoints", "--bootstrap-server", node.address)
    assert str(node.port) in endpoints, endpoints


def producers(classpath, node):
    verified = java(classpath, TOOLS + "VerifiableProducer", "--bootstrap-server", node.address, "--topic", "verified",
                    "--max-messages", "1000")
    assert verified.count("producer_send_success") == 1000, verified[-500:]
    performed = java(classpath, TOOLS + "ProducerPerformance", "--bootstrap-server", node.address, "--topic", "performed",
                     "--num-records", "20000", "--record-size", "100", "--throughput", "-1")
    assert "20000 records sent" in performed, performed


def produced(classpath, node, topic, lines, *arguments):
    return java(classpath, TOOLS + "ConsoleProducer", "--bootstrap-server", node.address, "--topic", topic, *arguments, stdin=lines)


def consumed(classpath, node, topic, count, *arguments, offset="earliest"):
    return java(classpath, TOOLS + "consumer.ConsoleConsumer", "--bootstrap-server", node.address, "--topic", topic, "--partition", 0,
                "--offset", offset, "--max-messages", count, "--isolation-level", "read_committed", *arguments)


def console_codec(classpath, node, codec, acks):
    """Keys, headers and nulls in one codec; acks=all is idempotent. The topic comes by use."""
    topic = f"console-{codec}"
    lines = "h1:a,h2:b,h1:c\tkey\tvalue\nNULL\tkey\tNULL\nh:NULL\tNULL\tvalue\nh:\t\t\n" + "x:y\tk\t" + "repeated " * 1000 + "\n"
    fields = [word for field in ("parse.key=true", "parse.headers=true", "null.marker=NULL") for word in ("--reader-property", field)]
    produced(classpath, node, topic, lines, *fields, "--compression-codec", codec, "--command-property", f"acks={acks}")
    shown = [word for field in ("print.key=true", "print.headers=true", "print.offset=true", "null.literal=NULL")
             for word in ("--formatter-property", field)]
    back = consumed(classpath, node, topic, 5, *shown).split("\n")
    expected = ["Offset:0\th1:a,h2:b,h1:c\tkey\tvalue", "Offset:1\tNO_HEADERS\tkey\tNULL", "Offset:2\th:NULL\tNULL\tvalue",
                "Offset:3\th:\t\t", "Offset:4\tx:y\tk\t" + "repeated " * 1000, ""]
    assert back == expected, [line[:100] for line in back]
    assert consumed(classpath, node, topic, 1, offset="4").startswith("repeated "), "by offset"
    log = (node.directory / f"log/{topic}-0/00000000000000000000.log").read_bytes()
    kept = {attributes & 7 for attributes in attributes_of(log)}
    assert kept == {["none", "gzip", "snappy", "lz4", "zstd"].index(codec)}, kept


def attributes_of(log):
    position = 0
    while position < len(log):
        yield int.from_bytes(log[position + 21:position + 23], "big")
        position += 12 + int.from_bytes(log[position + 8:position + 12], "big")


def console_limit(classpath, node):
    """A batch of exactly max.message.bytes, then one that is a byte longer and refused, then an ordinary one."""
    java(classpath, TOOLS + "TopicCommand", "--bootstrap-server", node.address, "--create", "--topic", "limit",
         "--config", "segment.bytes=4194304")
    wide = ["--command-property", "max.request.size=4000000", "--sync"]
    largest = "l" * (LIMIT - OVERHEAD)
    produced(classpath, node, "limit", largest + "\n", *wide)
    try:
        produced(classpath, node, "limit", largest + "l\n", *wide)
        raise RuntimeError("a batch beyond the limit was accepted")
    except AssertionError as refused:
        assert "RecordTooLargeException: The request included a message larger than the max" in str(refused), str(refused)[-500:]
    produced(classpath, node, "limit", "after\n", *wide)
    assert consumed(classpath, node, "limit", 2) == largest + "\nafter\n"
    offsets = java(classpath, TOOLS + "GetOffsetShell", "--bootstrap-server", node.address, "--topic", "limit")
    assert offsets.split() == ["limit:0:2"], offsets


def console_waits(classpath, node):
    """The consumer is there before the record, or while it comes: it has to get it in a long poll."""
    java(classpath, TOOLS + "TopicCommand", "--bootstrap-server", node.address, "--create", "--topic", "awaited")
    consumer = subprocess.Popen(["java", "-Xmx128m", "-cp", f"{classpath}/*", TOOLS + "consumer.ConsoleConsumer", "--bootstrap-server",
                                 node.address, "--topic", "awaited", "--partition", "0", "--offset", "earliest", "--max-messages", "1",
                                 "--command-property", "fetch.max.wait.ms=20000"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                text=True)
    try:
        produced(classpath, node, "awaited", "here\n")
        assert consumer.communicate(timeout=60)[0] == "here\n"
    finally:
        consumer.kill()
        consumer.wait()


def offsets_by_time(classpath, node):
    base = int(time.time() * 1000) - 3_600_000
    java(classpath, TOOLS + "VerifiableProducer", "--bootstrap-server", node.address, "--topic", "timed", "--max-messages", 50,
         "--acks", 1, "--value-prefix", 7, "--repeating-keys", 3, "--message-create-time", base)

    def offset(when):
        answer = java(classpath, TOOLS + "GetOffsetShell", "--bootstrap-server", node.address, "--topic-partitions", "timed:0", "--time",
                      when)
        return answer.strip()

    assert [offset(when) for when in (-1, -2, -3, -4)] == ["timed:0:50", "timed:0:0", "timed:0:49", "timed:0:0"]
    shown = consumed(classpath, node, "timed", 50, "--formatter-property", "print.timestamp=true", "--formatter-property", "print.key=true")
    rows = [re.fullmatch(r"CreateTime:(\d+)\t(\d)\t7\.(\d+)", line).groups() for line in shown.splitlines()]
    assert [int(value) for _, _, value in rows] == list(range(50)) and {key for _, key, _ in rows} == {"0", "1", "2"}, rows
    times = [int(row[0]) for row in rows]
    assert times[0] >= base and times == sorted(times), times
    for when in (base - 1, times[20], times[-1]):
        assert offset(when) == f"timed:0:{next(i for i, each in enumerate(times) if each >= when)}", (when, times)
    assert offset(times[-1] + 1) == "", "a time after the last record has no offset"


def performance(classpath, node):
    """Payloads from a file, each codec, each acks."""
    with tempfile.NamedTemporaryFile("w", suffix=".payloads") as payloads:
        payloads.write("\n".join("payload %d " % i * 20 for i in range(50)))
        payloads.flush()
        for codec, acks in (("gzip", 0), ("snappy", 1), ("lz4", "all"), ("zstd", "all")):
            performed = java(classpath, TOOLS + "ProducerPerformance", "--bootstrap-server", node.address, "--topic", f"paid-{codec}",
                             "--num-records", 2000, "--payload-file", payloads.name, "--throughput", -1, "--command-property",
                             f"compression.type={codec}", f"acks={acks}")
            assert "2000 records sent" in performed, performed
            assert consumed(classpath, node, f"paid-{codec}", 2000).count("\n") == 2000, codec


def dump(classpath, path, *arguments):
    text = java(classpath, "org.apache.kafka.tools.DumpLogSegments", "--files", path, *arguments)
    bad = [line for line in text.splitlines() if re.search(r"isvalid: false|Mismatch|Exception|Found|corrupt", line, re.I)]
    assert not bad, f"{path}: {bad[:5]}"
    return text


def dump_everything(classpath, node):
    assert node.stop() == 0
    files = [path for path in sorted((node.directory / "log").glob("*/*"))
             if path.suffix in (".log", ".index", ".timeindex", ".snapshot", ".checkpoint")]
    seen = {path.suffix for path in files}
    of_metadata = [path for path in files if path.parent.name == "__cluster_metadata-0" and path.suffix in (".log", ".checkpoint")]
    dump(classpath, ",".join(map(str, of_metadata)), "--cluster-metadata-decoder")
    text = dump(classpath, ",".join(str(path) for path in files if path not in of_metadata))
    assert text.count("Dumping ") == len(files) - len(of_metadata), text[-1000:]
    assert seen == {".log", ".index", ".timeindex", ".snapshot", ".checkpoint"}, seen


def main():
    checks = Checks()
    classpath = jars("tools")
    if classpath is None:
        checks.skip("Apache Kafka's tools", "Java or Maven is missing")
        checks.finish()
    with kurier(["log.segment.bytes=1048576"]) as node:
        checks.check("topics", topics, classpath, node)
        checks.check("console producer and consumer, offsets", console, classpath, node)
        checks.check("api versions, quorum, cluster", cluster, classpath, node)
        checks.check("verifiable producer, producer perf", producers, classpath, node)
        for codec, acks in (("none", "all"), ("gzip", "1"), ("snappy", "all"), ("lz4", "0"), ("zstd", "all")):
            checks.check(f"console producer and consumer, {codec}, acks={acks}", console_codec, classpath, node, codec, acks)
        checks.check("console producer at the size limit", console_limit, classpath, node)
        checks.check("console consumer waits for a record", console_waits, classpath, node)
        checks.check("verifiable producer's times, get-offsets by time", offsets_by_time, classpath, node)
        checks.check("producer perf, codecs and acks", performance, classpath, node)
        checks.check("the dump tool finds no fault in any file", dump_everything, classpath, node)
    checks.finish()


if __name__ == "__main__":
    main()
