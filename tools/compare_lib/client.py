"""kurier bench as a function: one run, its JSON. The same binary is the client of every broker."""
import json
import subprocess

from compare_lib.brokers import Failed, default_binary


def command(workload, *arguments):
    return [str(default_binary()), "bench", workload, *map(str, arguments)]


def run(workload, *arguments, max_seconds=300):
    full = command(workload, "--max-seconds", max_seconds, *arguments)
    done = subprocess.run(full, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL,
                          timeout=max_seconds + 120)
    if done.returncode != 0:
        raise Failed(f"{' '.join(full)}: exit status {done.returncode}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def bench(broker, workload, *arguments, max_seconds=300):
    """Against a broker that runs, with its cost."""
    return run(workload, "--address", broker.address, "--pid", broker.pid, *arguments, max_seconds=max_seconds)
