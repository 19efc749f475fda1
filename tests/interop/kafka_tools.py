#!/usr/bin/env python3
"""Apache Kafka's command-line tools against a running kurier, and its dump tool over the files that kurier wrote."""
import re

from harness import Checks, java, jars, kurier

TOOLS = "org.apache.kafka.tools."


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


def dump(classpath, path, *arguments):
    text = java(classpath, "org.apache.kafka.tools.DumpLogSegments", "--files", path, *arguments)
    bad = [line for line in text.splitlines() if re.search(r"isvalid: false|Mismatch|Exception|Found|corrupt", line, re.I)]
    assert not bad, f"{path}: {bad[:5]}"
    return text


def dump_everything(classpath, node):
    assert node.stop() == 0
    seen = set()
    for path in sorted((node.directory / "log").glob("*/*")):
        if path.suffix not in (".log", ".index", ".timeindex", ".snapshot", ".checkpoint"):
            continue
        is_metadata = path.parent.name == "__cluster_metadata-0"
        arguments = ["--cluster-metadata-decoder"] if is_metadata and path.suffix in (".log", ".checkpoint") else []
        dump(classpath, path, *arguments)
        seen.add(path.suffix)
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
        checks.check("the dump tool finds no fault in any file", dump_everything, classpath, node)
    checks.finish()


if __name__ == "__main__":
    main()
