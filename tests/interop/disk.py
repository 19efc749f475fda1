#!/usr/bin/env python3
"""One directory, served by kurier and by Apache Kafka in turn: the same topics, ids and records, clean and after kill -9."""
import json
import pathlib
import subprocess
import tempfile

from harness import Checks, Kurier, jars

RECORDS = {"plain": "none", "zipped": "gzip", "zstandard": "zstd"}


class ApacheKafka:
    """Started on the directory of a Kurier, with its ports."""

    def __init__(self, classpath, node, settings=(), bootstrap=True):
        self.node = node
        properties = node.directory / "kafka.properties"
        properties.write_text(f"""process.roles=broker,controller
node.id=1
{f"controller.quorum.bootstrap.servers=127.0.0.1:{node.controller_port}" if bootstrap else ""}
listeners=PLAINTEXT://127.0.0.1:{node.port},CONTROLLER://127.0.0.1:{node.controller_port}
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs={','.join(map(str, node.log_dirs))}
""" + "".join(setting + "\n" for setting in settings))
        self.log = open(node.directory / "kafka.out", "wb")
        self.process = subprocess.Popen(["java", "-Xmx512m", "-cp", f"{classpath}/*", "kafka.Kafka", str(properties)],
                                        stdout=self.log, stderr=subprocess.STDOUT)

    def wait_until_ready(self):
        # kcat itself tries until the broker answers; a broker that ends instead is seen at once.
        waiting = subprocess.Popen(["kcat", "-b", self.node.address, "-L", "-m", "60", "-X", "log_level=0"],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        status = waiting.wait(90)
        said = (self.node.directory / "kafka.out").read_text(errors="replace")
        assert status == 0 and self.process.poll() is None, "Apache Kafka did not start:\n" + said[-3000:]
        return self

    def stop(self):
        self.process.terminate()
        self.process.wait(60)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.log.close()


def kcat(node, *arguments, stdin=None):
    return subprocess.run(["kcat", "-b", node.address, *arguments], input=stdin, check=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=60).stdout


def lines(who, count=1000):
    return b"".join(b"%s %d\n" % (who.encode(), i) for i in range(count))


def produce(node, who):
    for topic, codec in RECORDS.items():
        kcat(node, "-P", "-t", topic, "-z", codec, "-X", "acks=all", "-X", "enable.idempotence=true", stdin=lines(who))


def expect(node, *writers):
    for topic in RECORDS:
        found = kcat(node, "-C", "-t", topic, "-e", "-q")
        wanted = b"".join(lines(who) for who in writers)
        assert found == wanted, f"{topic}: {len(found)} bytes, expected {len(wanted)}"


def topic_ids(node):
    return {path.parent.name: path.read_text() for path in pathlib.Path(node.directory / "log").glob("*-*/partition.metadata")}


def turn_about(classpath, how_kurier_ends, how_kafka_ends):
    with tempfile.TemporaryDirectory(prefix="kurier-disk-") as directory:
        node = Kurier(directory)
        kafka = None
        try:
            node.start()
            produce(node, "first")
            ids = topic_ids(node)
            if how_kurier_ends == "clean":
                assert node.stop() == 0
            else:
                node.kill()
            kafka = ApacheKafka(classpath, node).wait_until_ready()
            expect(node, "first")
            produce(node, "second")
            assert topic_ids(node) == ids
            if how_kafka_ends == "clean":
                kafka.stop()
            kafka.kill()
            node.start()
            expect(node, "first", "second")
            produce(node, "third")
            expect(node, "first", "second", "third")
            assert topic_ids(node) == ids
            assert node.stop() == 0
        finally:
            node.kill()
            if kafka:
                kafka.kill()


def kafka_formats(kafka_classpath):
    """Apache Kafka formats and serves first, kurier goes on."""
    with tempfile.TemporaryDirectory(prefix="kurier-disk-") as directory:
        node = Kurier(directory)
        kafka = ApacheKafka(kafka_classpath, node)  # fails: not formatted; it has written its properties
        kafka.process.wait(60)
        kafka.kill()
        subprocess.run(["java", "-cp", f"{kafka_classpath}/*", "kafka.tools.StorageTool", "format", "--standalone", "-t",
                        "MkU3OEVBNTcwNTJENDM2Qg", "-c", str(node.directory / "kafka.properties")], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        kafka = ApacheKafka(kafka_classpath, node)
        try:
            kafka.wait_until_ready()
            produce(node, "first")
            kafka.stop()
            node.start()
            assert any("MkU3OEVBNTcwNTJENDM2Qg" in line for line in node.output)
            expect(node, "first")
            produce(node, "second")
            expect(node, "first", "second")
            assert node.stop() == 0
        finally:
            kafka.kill()
            node.kill()


def of_release(kafka_classpath, release):
    """A cluster at the levels of an older release, with static voters: only what those levels know may be written."""
    with tempfile.TemporaryDirectory(prefix="kurier-disk-") as directory:
        node = Kurier(directory)
        voters = f"controller.quorum.voters=1@127.0.0.1:{node.controller_port}"
        node.settings = [voters, "metadata.log.max.record.bytes.between.snapshots=100"]
        properties = node.directory / "format.properties"
        properties.write_text(f"""process.roles=broker,controller
node.id=1
{voters}
listeners=PLAINTEXT://127.0.0.1:{node.port},CONTROLLER://127.0.0.1:{node.controller_port}
controller.listener.names=CONTROLLER
log.dirs={','.join(map(str, node.log_dirs))}
""")
        subprocess.run(["java", "-cp", f"{kafka_classpath}/*", "kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qg",
                        "-c", str(properties), "--release-version", release], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        metadata = node.log_dirs[0] / "__cluster_metadata-0"
        kafka = None
        try:
            node.start()
            produce(node, "first")
            assert node.stop() == 0
            assert len(list(metadata.glob("*.checkpoint"))) > 1, "no snapshot was written at these levels"
            ours = json.loads((metadata / "quorum-state").read_text())
            kafka = ApacheKafka(kafka_classpath, node, [voters], bootstrap=False).wait_until_ready()
            expect(node, "first")
            produce(node, "second")
            kafka.stop()
            theirs = json.loads((metadata / "quorum-state").read_text())
            assert theirs["leaderEpoch"] > ours["leaderEpoch"]
            assert dict(ours, leaderEpoch=0) == dict(theirs, leaderEpoch=0), (ours, theirs)
            node.start()
            expect(node, "first", "second")
            produce(node, "third")
            assert node.stop() == 0
        finally:
            node.kill()
            if kafka:
                kafka.kill()


def main():
    checks = Checks()
    classpath = jars("kafka")
    if classpath is None:
        checks.skip("the same directory under Apache Kafka", "Java or Maven is missing")
        checks.finish()
    for kurier_ends, kafka_ends in (("clean", "clean"), ("kill -9", "kill -9")):
        checks.check(f"kurier ({kurier_ends}), Apache Kafka ({kafka_ends}), kurier", turn_about, classpath, kurier_ends, kafka_ends)
    checks.check("formatted and first served by Apache Kafka", kafka_formats, classpath)
    for release in ("3.3", "3.6", "3.9"):
        checks.check(f"at the levels of {release}: kurier, Apache Kafka, kurier", of_release, classpath, release)
    checks.finish()


if __name__ == "__main__":
    main()
