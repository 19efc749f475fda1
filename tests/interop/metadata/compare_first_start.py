#!/usr/bin/env python3
"""Formats and starts Apache Kafka, and ours through metadata_tool, and compares the metadata records one by one.

compare_first_start.py METADATA_TOOL KAFKA_LIBS [BASE_PORT]
Ids, epochs of brokers, offsets and timestamps are normalised; Kafka's NoOpRecords are left out. Both dumps are made by
Apache Kafka's DumpLogSegments. Skipped (and said so) where Java or the jars are missing.
"""
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from file_events import await_files  # noqa: E402

CLUSTER = "MkU3OEVBNTcwNTJENDM2Qg"
BOOTSTRAP = "00000000000000000000-0000000000.checkpoint"
LOG = "00000000000000000000.log"
REGISTRATIONS_END = 4  # batches: a new leader, bootstrap, the controller, the broker
counts = {"passed": 0, "failed": 0, "skipped": 0}


def finish():
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    sys.exit(1 if counts["failed"] else 0)


def compare(what, kafka, ours):
    if kafka == ours:
        counts["passed"] += 1
        print(f"passed  {what}")
        return
    counts["failed"] += 1
    print(f"FAILED  {what}\n  kafka: {kafka}\n  ours:  {ours}")


def java(libs, *arguments, **options):
    return ["java", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-cp", f"{libs}/*", *arguments]


def dump(libs, path):
    """The batches of a file: (is control, epoch, [(type, value)])."""
    done = subprocess.run(java(libs, "org.apache.kafka.tools.DumpLogSegments", "--cluster-metadata-decoder", "--files", str(path)),
                          capture_output=True, text=True)
    # The tool of 4.3.1 prints everything and then fails to close its file with 4.4's classes: the status says nothing.
    assert "baseOffset:" in done.stdout, f"dumping {path}: {done.stdout}{done.stderr}"
    text = done.stdout
    batches = []
    for line in text.splitlines():
        if line.startswith("baseOffset:"):
            assert "isvalid: true" in line, line
            batches.append(("isControl: true" in line, re.search(r"partitionLeaderEpoch: (\d+)", line)[1], []))
        elif line.startswith("| offset:"):
            payload = re.search(r"payload: (.*)$", line)
            if payload:
                record = json.loads(payload[1])
                batches[-1][2].append((f"{record['type']} v{record['version']}", normalised(record["data"])))
            else:
                control = re.search(r"headerKeys: \[\] (\w+):? (\{.*)$", line)
                batches[-1][2].append((control[1], normalised(json.loads(control[2]))))
    # They come by the clock, in a batch of their own or at the end of another's.
    without = [(is_control, epoch, [record for record in records if record[0] != "NO_OP_RECORD v0"]) for is_control, epoch, records in batches]
    return [batch for batch in without if batch[2]]


def normalised(value, key=""):
    if isinstance(value, dict):
        return {k: normalised(v, k) for k, v in sorted(value.items())}
    if isinstance(value, list):
        # Features are a hash map in Kafka: their order says nothing.
        values = [normalised(v, key) for v in value]
        return sorted(values, key=lambda v: v["name"]) if key == "features" else values
    if key in ("incarnationId", "voterDirectoryId", "topicId", "logDirs", "directories"):
        return "<id>"
    if key in ("brokerEpoch", "lastContainedLogTimestamp"):
        return "<number>"
    return value


def after(batches):
    records = [record for batch in batches[REGISTRATIONS_END:] for record in batch[2]]
    return sorted(records, key=json.dumps)


def start_kafka(libs, directory, port):
    properties = directory / "server.properties"
    properties.write_text(f"""process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=localhost:{port + 1}
listeners=PLAINTEXT://localhost:{port},CONTROLLER://localhost:{port + 1}
advertised.listeners=PLAINTEXT://localhost:{port},CONTROLLER://localhost:{port + 1}
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
offsets.topic.replication.factor=1
log.dirs={directory}/kafka
""")
    subprocess.run(java(libs, "kafka.tools.StorageTool", "format", "--standalone", "-t", CLUSTER, "-c", str(properties)),
                   check=True, capture_output=True)
    run_kafka(libs, directory, properties)


def run_kafka(libs, directory, properties):
    output = open(directory / "kafka.out", "ab+")
    begin = output.tell()
    server = subprocess.Popen(java(libs, "kafka.Kafka", str(properties)), stdout=output, stderr=output)
    path = directory / "kafka/__cluster_metadata-0" / LOG
    before = path.stat().st_size if path.exists() else 0
    unfenced = 1 if before == 0 else 2

    def has_started():  # when the broker is unfenced, which the log itself says
        if server.poll() is not None:
            return True
        return path.exists() and path.stat().st_size > 0 and sum('"fenced": -1' in json.dumps(b) for b in dump(libs, path)) >= unfenced

    await_files(path.parent, has_started)
    del begin
    server.terminate()
    server.wait(60)


def main():
    tool, libs = sys.argv[1], sys.argv[2]
    port = int(sys.argv[3]) if len(sys.argv) > 3 else 19110
    if shutil.which("java") is None or not list(pathlib.Path(libs).glob("kafka-metadata-*.jar")):
        counts["skipped"] += 1
        print("skipped: no Java, or no jars of Apache Kafka")
        finish()
    with tempfile.TemporaryDirectory() as temporary:
        directory = pathlib.Path(temporary)
        start_kafka(libs, directory, port)
        for _ in range(1):
            subprocess.run([tool, str(directory / "ours"), CLUSTER, str(port), str(port + 1)], check=True)
        for name in (BOOTSTRAP, LOG):
            kafka, ours = (dump(libs, directory / side / "__cluster_metadata-0" / name) for side in ("kafka", "ours"))
            if name == LOG:
                # What heartbeats lead to falls into batches, and an order, as time would have it: another in every run.
                compare(f"{name}: records after the registrations", after(kafka), after(ours))
                kafka, ours = kafka[:REGISTRATIONS_END], ours[:REGISTRATIONS_END]
            compare(f"{name}: number of batches", len(kafka), len(ours))
            for i, (theirs, mine) in enumerate(zip(kafka, ours)):
                compare(f"{name}: batch {i} {[kind for kind, _ in theirs[2]]}", theirs, mine)
        for name in ("quorum-state", "partition.metadata"):
            kafka, ours = ((directory / side / "__cluster_metadata-0" / name).read_text() for side in ("kafka", "ours"))
            compare(name, kafka, ours)
        keys = [sorted(line.split("=")[0] for line in (directory / side / "meta.properties").read_text().splitlines()
                       if not line.startswith("#")) for side in ("kafka", "ours")]
        compare("meta.properties: keys", *keys)
        # Apache Kafka starts on what we wrote, and we start on what it makes of it.
        shutil.rmtree(directory / "kafka")
        (directory / "ours").rename(directory / "kafka")
        run_kafka(libs, directory, directory / "server.properties")
        batches = dump(libs, directory / "kafka/__cluster_metadata-0" / LOG)
        compare("Apache Kafka leads our log in epoch 2", "2", batches[-1][1])
        again = subprocess.run([tool, str(directory / "kafka"), CLUSTER, str(port), str(port + 1)], capture_output=True, text=True)
        compare("we start on what Apache Kafka wrote", (0, ""), (again.returncode, again.stderr))
    finish()


if __name__ == "__main__":
    main()
