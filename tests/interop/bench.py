#!/usr/bin/env python3
"""kurier bench in small: every workload against kurier, produce and fetch against Apache Kafka; what it says is what happened."""
import json
import pathlib
import signal
import subprocess
import tempfile

from disk import ApacheKafka
from harness import Checks, Kurier, jars, kurier


def bench(node, workload, *arguments, pid=None, status=0, max_seconds=60):
    """The run's JSON; its complaint if it is to fail."""
    command = [str(node.binary), "bench", workload, "--address", node.address, "--max-seconds", str(max_seconds)]
    if pid:
        command += ["--pid", str(pid)]
    done = subprocess.run(command + [str(a) for a in arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=120)
    assert (done.returncode == 0) == (status == 0), f"{command}: exit status {done.returncode}: {done.stderr}"
    if status != 0:
        assert done.stdout == "", done.stdout
        return done.stderr
    assert done.stdout.count("\n") == 1, done.stdout
    run = json.loads(done.stdout)
    assert run["workload"] == workload
    return run


def log_bytes(node, topic):
    """Of the topic's segments; Apache Kafka preallocates nothing but indexes."""
    return sum(path.stat().st_size for path in pathlib.Path(node.directory / "log").glob(f"{topic}-*/*.log"))


def topics(node):
    listed = subprocess.run(["kcat", "-b", node.address, "-L", "-J"], stdout=subprocess.PIPE, check=True, timeout=60).stdout
    return [topic["topic"] for topic in json.loads(listed)["topics"]]


def is_spread(latency, count):
    assert latency["count"] == count, latency
    assert 0 < latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["p99_9"] <= latency["max"], latency


def produce(node, pid, topic, total, *arguments):
    run = bench(node, "produce", "--topic", topic, "--keep-topic", "--total-bytes", total, *arguments, pid=pid)
    assert total <= run["batch_bytes_total"] < total * 1.2 + 16 * run["batch_bytes"], run
    assert run["batch_bytes_total"] == run["batches"] * run["batch_bytes"]
    assert log_bytes(node, topic) == run["batch_bytes_total"], (log_bytes(node, topic), run)
    assert run["records"] == run["batches"] * run["records_per_batch"]
    if run["acks"] != 0:
        is_spread(run["produce_latency_us"], run["produce_requests"])
    broker = run["broker"]
    assert broker["user_s"] + broker["system_s"] >= 0 and broker["rss_bytes"] > 1e6 and broker["threads"] >= 1, broker
    return run


def produces(node, pid):
    produce(node, pid, "acks0", 3_000_000, "--acks", 0)
    produce(node, pid, "acks1", 20_000_000)
    produce(node, pid, "acksall", 3_000_000, "--acks", -1, "--batch-bytes", 1_000_000, "--partitions", 3)
    grouped = produce(node, pid, "grouped", 3_000_000, "--connections", 2, "--batches-per-request", 4, "--batch-bytes", 10_000)
    assert grouped["batches"] == 4 * grouped["produce_requests"]
    run = bench(node, "produce", "--topic", "primed", "--keep-topic", "--prime", "--partitions", 30, "--total-bytes", 100_000, pid=pid)
    first = log_bytes(node, "primed") - run["batch_bytes_total"]
    assert first >= 30 * run["batch_bytes"] and first % run["batch_bytes"] == 0, (first, run)
    assert all(path.stat().st_size >= run["batch_bytes"] for path in (node.directory / "log").glob("primed-*/*.log"))
    produce(node, pid, "idempotent", 3_000_000, "--acks", -1, "--idempotent", "--connections", 3, "--batch-bytes", 5_000)


def reads_back(node):
    """What was produced is what a stock client reads: as many records, each of the length that was asked for."""
    run = bench(node, "produce", "--topic", "readable", "--keep-topic", "--total-bytes", 100_000, "--batch-bytes", 10_000,
                "--value-bytes", 100, "--acks", -1, "--idempotent")
    read = subprocess.run(["kcat", "-b", node.address, "-C", "-t", "readable", "-e", "-q", "-f", "%S %K\n", "-X",
                           "check.crcs=true"], stdout=subprocess.PIPE, check=True, timeout=60, text=True).stdout.splitlines()
    assert len(read) == run["records"], (len(read), run)
    assert all(int(line.split()[0]) >= 100 and line.split()[1] == "-1" for line in read), set(read)


def fetches(node, pid):
    run = bench(node, "fetch", "--total-bytes", 10_000_000, "--passes", 2, "--consumers", 2, pid=pid)
    assert run["fetched_batch_bytes"] == 2 * run["batch_bytes_total"], run
    assert run["fetch_received_bytes"] > run["fetched_batch_bytes"], run
    small = bench(node, "fetch", "--total-bytes", 2_000_000, "--batch-bytes", 10_000, "--partition-max-bytes", 65_536, pid=pid)
    assert small["fetched_batch_bytes"] == small["batch_bytes_total"], small
    assert small["fetch_requests"] >= small["fetched_batch_bytes"] / (8 * 65_536), small


def both(node, pid):
    run = bench(node, "both", "--total-bytes", 10_000_000, pid=pid)
    assert run["fetched_batch_bytes"] == run["batch_bytes_total"] >= 10_000_000, run


def requests(node, pid):
    run = bench(node, "requests", "--requests", 2_000, "--connections", 4, pid=pid)
    assert run["records"] == run["produce_requests"] == 2_000 and run["records_per_batch"] == 1, run


def paced(node, pid):
    for workload, rate in (("latency", 800), ("tail", 400)):
        run = bench(node, workload, "--rate", rate, "--seconds", 1, "--warm-up-seconds", 0.5, pid=pid)
        assert run["produce_requests"] == run["fetched_batches"] == 1.5 * rate, run
        assert 1.4 < run["seconds"] < 10, run
        is_spread(run["produce_latency_us"], rate)
        is_spread(run["end_to_end_latency_us"], rate)
        is_spread(run["sent_late_us"], rate)


def omits_nothing(node):
    """A broker that stands still for a while: at a fixed rate every request that was due meanwhile is late."""
    run = subprocess.Popen([str(node.binary), "bench", "latency", "--address", node.address, "--rate", "200", "--seconds", "2",
                            "--warm-up-seconds", "0", "--topic", "stalled", "--keep-topic"], stdout=subprocess.PIPE)
    try:
        while log_bytes(node, "stalled") < 20_000:  # it runs
            assert run.poll() is None
        node.process.send_signal(19)  # SIGSTOP
        try:
            subprocess.run(["sleep", "0.5"], check=True)  # the stall itself
        finally:
            node.process.send_signal(18)  # SIGCONT
        result = json.loads(run.communicate(timeout=60)[0])
    finally:
        run.kill()
        run.wait()
    latency = result["produce_latency_us"]
    is_spread(latency, 400)
    # 100 of 400 were due during the stall, evenly late by up to 500 ms; one request alone would be 0.25 % of them.
    assert latency["max"] > 400_000 and latency["p90"] > 150_000, latency
    is_spread(result["end_to_end_latency_us"], 400)
    assert result["end_to_end_latency_us"]["p90"] > 150_000, result
    # The client itself went on sending: what is not sent because of the broker would not be late here, but missing.
    is_spread(result["sent_late_us"], 400)
    assert result["sent_late_us"]["p90"] < 150_000, result


def connections(node, pid):
    run = bench(node, "connections", "--connections", 200, pid=pid)
    assert 0 <= run["rss_bytes_per_connection"] < 100_000, run


def partitions(node, pid):
    run = bench(node, "partitions", "--partitions", 50, "--topic", "many", "--keep-topic", pid=pid)
    assert 0 < run["created_seconds"] <= run["led_seconds"] <= run["served_seconds"], run
    assert len(list(pathlib.Path(node.directory / "log").glob("many-*"))) == 50


def groups(node, pid):
    run = bench(node, "groups", "--groups", 5, "--members", 3, "--rounds", 2, "--heartbeats", 10, "--commits", 10, pid=pid)
    counts = {name: run[name]["count"] for name in ("first_joins", "joins", "heartbeats", "commits", "leaves")}
    assert counts == {"first_joins": 15, "joins": 30, "heartbeats": 150, "commits": 150, "leaves": 15}, run
    assert all(run[name]["per_s"] > 0 and run[name]["cpu_us_each"] >= 0 for name in counts), run


def coordinator_load():
    with tempfile.TemporaryDirectory(prefix="kurier-bench-") as directory:
        node = Kurier(directory)
        run = bench(node, "coordinator-load", "--groups", 20, "--partitions", 10, "--", node.binary, "serve",
                    "--set", f"listeners=PLAINTEXT://{node.address},CONTROLLER://127.0.0.1:{node.controller_port}",
                    "--set", f"log.dirs={directory}/log", "--set", f"kurier.state.dir={directory}/state")
        assert run["offsets"] == 200, run
        assert 0 < run["first_metadata_ms"] <= run["first_offset_fetch_ms"] <= run["all_offset_fetches_ms"], run


def deletes_its_topics(node):
    before = topics(node)
    bench(node, "produce", "--total-bytes", 1_000_000)
    bench(node, "partitions", "--partitions", 5)
    assert topics(node) == before, (before, topics(node))


def interrupted(node):
    """A stop signal in the middle: the topic goes as at any other end."""
    before = topics(node)
    load = subprocess.Popen([str(node.binary), "bench", "produce", "--address", node.address, "--topic", "interrupted",
                             "--total-bytes", "100000000000"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        while log_bytes(node, "interrupted") == 0:
            assert load.poll() is None
        load.send_signal(signal.SIGINT)
        said = load.communicate(timeout=60)
        assert load.returncode == 1 and said == ("", "kurier bench: ended by signal 2\n"), (load.returncode, said)
    finally:
        load.kill()
        load.wait()
    assert topics(node) == before, (before, topics(node))


def refuses(node):
    assert "--acks is 7" in bench(node, "produce", "--acks", 7, status=1)
    assert "--idempotent needs" in bench(node, "produce", "--idempotent", status=1)
    assert "TOPIC_ALREADY_EXISTS" in bench(node, "produce", "--topic", "acks1", status=1)
    assert "acks1" in topics(node)  # and what was there stays
    assert "INVALID" in bench(node, "produce", "--topic-config", "flush.messages=none", status=1)
    assert "MESSAGE_TOO_LARGE" in bench(node, "produce", "--batch-bytes", 2_000_000, "--total-bytes", 2_000_000, status=1)
    assert "--nonsense" in bench(node, "fetch", "--nonsense", status=1)
    assert "there is no such process" in bench(node, "produce", "--total-bytes", 1000, pid=2_000_000_000, status=1)
    nowhere = subprocess.run([str(node.binary), "bench", "produce", "--address", "no such host:9092"], stderr=subprocess.PIPE,
                             text=True, timeout=60)
    assert nowhere.returncode == 1 and "no address for host 'no such host'" in nowhere.stderr, nowhere
    gives_up = bench(node, "latency", "--seconds", 3600, max_seconds=0.5, status=1)
    assert "not finished after 0.5 s" in gives_up, gives_up


def hardware(node):
    with tempfile.TemporaryDirectory(prefix="kurier-bench-") as directory:
        done = subprocess.run([str(node.binary), "bench", "hardware", "--directory", directory, "--total-bytes", "10000000",
                               "--chunk-bytes", "30000", "--passes", "2", "--seconds", "0.05", "--rate", "500",
                               "--echo-seconds", "0.2"], stdout=subprocess.PIPE, check=True,
                              timeout=60)
        run = json.loads(done.stdout)
        for name in ("receive", "crc32c", "write", "sendfile", "pread_send"):
            assert len(run[name]) == 2, run
            assert all(one["mb_per_s"] > 0 and one["user_s_per_gb"] >= 0 and one["system_s_per_gb"] >= 0 for one in run[name]), run
        for name in ("fsync", "fdatasync"):
            assert len(run[name]) == 2 and all(one["per_s"] > 0 for one in run[name]), run
        assert len(run["echo_latency_us"]) == 2, run
        for one in run["echo_latency_us"]:
            is_spread(one, 100)
        assert not list(pathlib.Path(directory).iterdir())
        for arguments, reason in ((["--chunk-bytes", "0"], "--chunk-bytes is 0"), (["--rate", "0"], "--rate is 0"),
                                  (["--directory", directory + "/none"], "/none"),
                                  (["--total-bytes", "100000000000", "--max-seconds", "0.1"], "not finished in time")):
            refused = subprocess.run([str(node.binary), "bench", "hardware", *arguments], stdout=subprocess.PIPE,
                                     stderr=subprocess.PIPE, text=True, timeout=60)
            assert refused.returncode != 0 and refused.stdout == "" and reason in refused.stderr, refused


def restart():
    """kill -9 under load; the time until the topic is served again lies behind the first answer."""
    with tempfile.TemporaryDirectory(prefix="kurier-bench-") as directory:
        node = Kurier(directory).start()
        load = subprocess.Popen([str(node.binary), "bench", "produce", "--address", node.address, "--topic", "load", "--keep-topic",
                                 "--total-bytes", "100000000000"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while log_bytes(node, "load") < 20_000_000:
                assert load.poll() is None
            node.kill()
            assert load.wait(60) == 1
        finally:
            load.kill()
            load.wait()
            node.kill()
        command = ["--", node.binary, "serve", "--set",
                   f"listeners=PLAINTEXT://{node.address},CONTROLLER://127.0.0.1:{node.controller_port}",
                   "--set", f"log.dirs={directory}/log", "--set", f"kurier.state.dir={directory}/state"]
        run = bench(node, "start", "--topic", "load", *command)
        assert 0 < run["first_metadata_ms"] <= run["served_ms"] < 30_000 and run["exit_status"] == 0, run
        assert log_bytes(node, "load") >= 20_000_000
        said = bench(node, "start", "--topic", "not there", *command, max_seconds=2, status=1)
        assert "not every partition of topic 'not there' has a leader" in said, said


def start():
    with tempfile.TemporaryDirectory(prefix="kurier-bench-") as directory:
        node = Kurier(directory)
        run = bench(node, "start", "--hold-seconds", 0.2, "--", node.binary, "serve",
                    "--set", f"listeners=PLAINTEXT://{node.address},CONTROLLER://127.0.0.1:{node.controller_port}",
                    "--set", f"log.dirs={directory}/log", "--set", f"kurier.state.dir={directory}/state")
        assert 0 < run["first_metadata_ms"] < 10_000 and run["exit_status"] == 0 and run["broker"]["rss_bytes"] > 1e6, run
        assert "ended before it answered" in bench(node, "start", "--", node.binary, "serve", "--set", "no=1", status=1)


def apache_kafka(classpath):
    with tempfile.TemporaryDirectory(prefix="kurier-bench-") as directory:
        node = Kurier(directory)
        kafka = None
        try:
            node.start()  # formats
            assert node.stop() == 0
            kafka = ApacheKafka(classpath, node).wait_until_ready()
            pid = kafka.process.pid
            produce(node, pid, "plain", 20_000_000)
            produce(node, pid, "idempotent", 3_000_000, "--acks", -1, "--idempotent", "--connections", 3, "--batch-bytes", 5_000)
            fetches(node, pid)
            paced(node, pid)
            deletes_its_topics(node)
        finally:
            if kafka:
                kafka.stop()
                kafka.kill()


def main():
    checks = Checks()
    with kurier() as node:
        pid = node.process.pid
        checks.check("produce: every acks, grouped, idempotent; the log grows by what it says", produces, node, pid)
        checks.check("a stock client reads what it produced", reads_back, node)
        checks.check("fetch", fetches, node, pid)
        checks.check("produce and fetch at once", both, node, pid)
        checks.check("requests of one record", requests, node, pid)
        checks.check("latency and tail at a fixed rate", paced, node, pid)
        checks.check("a stall is not omitted", omits_nothing, node)
        checks.check("idle connections", connections, node, pid)
        checks.check("many partitions", partitions, node, pid)
        checks.check("groups: joins, heartbeats, commits", groups, node, pid)
        checks.check("the topics of a run are deleted", deletes_its_topics, node)
        checks.check("a stop signal ends a run, and deletes its topic", interrupted, node)
        checks.check("what cannot be measured is refused, with the reason", refuses, node)
        checks.check("hardware: what no broker can avoid", hardware, node)
    checks.check("start", start)
    checks.check("start after kill -9 under load, until the topic is served", restart)
    checks.check("a coordinator that loads", coordinator_load)
    classpath = jars("kafka")
    if classpath is None:
        checks.skip("Apache Kafka", "Java or Maven is missing")
    else:
        checks.check("Apache Kafka: produce, fetch, latency", apache_kafka, classpath)
    checks.finish()


if __name__ == "__main__":
    main()
