#!/usr/bin/env python3
"""Compares kurier's tables of properties with those inside Apache Kafka's jars.

usage: compare_config.py CONFIG_DUMP JARS_DIRECTORY

CONFIG_DUMP is the program `config_dump` of the build; JARS_DIRECTORY holds kafka_2.13-4.4.0.jar and what it needs.
Without Java or the jars everything is skipped. Ends with `N passed, N failed, N skipped`; exit status 0 if none failed.
"""
import os
import shutil
import subprocess
import sys
import tempfile


def finish(passed, failed, skipped):
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    sys.exit(1 if failed else 0)


def lines_of(command):
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return [line.split("\t") for line in output.splitlines()]


def apache_kafka(jars):
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "ConfigDump.java")
    class_path = os.path.join(jars, "*")
    with tempfile.TemporaryDirectory() as classes:
        subprocess.run(["javac", "-cp", class_path, "-d", classes, source], check=True)
        return lines_of(["java", "-cp", class_path + os.pathsep + classes, "ConfigDump"])


def rows(lines, kind):
    return {line[1]: line[2:] for line in lines if line[0] == kind}


def order(lines, kind):
    return [line[1] for line in lines if line[0] == kind]


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    program, jars = sys.argv[1:]
    if not shutil.which("javac") or not os.path.exists(os.path.join(jars, "kafka_2.13-4.4.0.jar")):
        print("skipped: needs javac and Apache Kafka 4.4.0's jars")
        finish(0, 0, 1)
    ours, theirs = lines_of([program]), apache_kafka(jars)
    passed = failed = 0
    for kind in ["broker", "topic", "alias", "listed topic"]:
        mine, expected = rows(ours, kind), rows(theirs, kind)
        for name in sorted(mine.keys() | expected.keys()):
            if mine.get(name) == expected.get(name):
                passed += 1
            else:
                failed += 1
                print(f"{kind} {name}: kurier {mine.get(name)}, Apache Kafka {expected.get(name)}")
    for kind in ["broker", "topic", "listed topic", "listed broker"]:
        if order(ours, kind) == order(theirs, kind) and order(ours, kind):
            passed += 1
        else:
            failed += 1
            pairs = enumerate(zip(order(ours, kind), order(theirs, kind)))
            print(f"{kind}: another order, first", next((p for p in pairs if p[1][0] != p[1][1]), "at the end"))
    finish(passed, failed, 0)


main()
