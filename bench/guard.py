#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""bench-guard: compares the instructions of single operations with bench/instructions.txt.

Counts with callgrind, in a plain release build. Fails if a count rises by more than 0.5%, and also if one falls by more
than 2%, until --update has written the file. With another compiler, C library or processor than the file names, it
skips (exit code 77)."""

import argparse
import json
import os
import platform
import re
import subprocess
import sys

from harness import Callgrind, Failed, run, together
from run import plain_build
from served import PROGRAM as GUARD, WITHIN as SERVED

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FILE = os.path.join(ROOT, "bench/instructions.txt")
RISE, FALL = 0.005, 0.02
SKIPPED = 77

PAIR, MANY = "bench/inet-pair", "bench/inet-many"

# Name, program, component, iterations, and the functions within which is counted.
ROWS = [
    ("stack, server side of a TCP echo", PAIR, "inet-tcp", 1000, ("server_turn",)),
    ("stack, server side of a UDP echo", PAIR, "inet-udp", 1000, ("server_turn",)),
    ("echo server, TCP, a lone request", GUARD, "tcp-1", 1600, SERVED),
    ("echo server, TCP, 16 requests in a turn", GUARD, "tcp-16", 1600, SERVED),
    ("echo server, UDP, a lone request", GUARD, "udp-1", 1600, SERVED),
    ("echo server, UDP, 16 requests in a turn", GUARD, "udp-16", 1600, SERVED),
    ("echo server, TCP, a request in 32 is lost", GUARD, "lost-request", 1600, SERVED),
    ("echo server, TCP, an answer in 32 is lost", GUARD, "lost-answer", 1600, SERVED),
    ("empty poll, one network", GUARD, "empty-1", 6400, SERVED),
    ("empty poll, two networks", GUARD, "empty-2", 6400, SERVED),
    ("memory queue: push, pop, two waits", GUARD, "queue-message", 1000,
     ("dmtr_push", "dmtr_pop", "dmtr_wait", "outside*")),
    ("message found by wait_any, 1 token", GUARD, "wait-any-1", 1000, SERVED),
    ("message found by wait_any, 1,000 tokens", GUARD, "wait-any-1000", 1000, SERVED),
    ("echo over 10,000 connections, both stacks", MANY, "echo-10000", 1000, ("measure",)),
]


def build_environment(build):
    """One line: what the counts depend on besides the source."""
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as f:
        compiler = next(word for word in json.load(f)[0]["command"].split() if "ccache" not in word)
    version = re.sub(r"^\S*cc(-\d+)? ", "gcc ", run([compiler, "--version"]).splitlines()[0])
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        vectors = "avx2" if re.search(r"^flags.* avx2 ", f.read(), re.M) else "no avx2"
    return f"{version}, {os.confstr('CS_GNU_LIBC_VERSION')}, {platform.machine()} with {vectors}"


def count_all(build):
    """{name: instructions}; two runs of callgrind for each row, as many at a time as there are processors."""
    def count(row):
        name, program, component, iterations, within = row
        counter = Callgrind(os.path.join(build, program))
        return name, round(counter.per_iteration(component, iterations, within)[0], 1)
    return dict(together(count, ROWS))


def read_file():
    """(environment, {name: instructions})"""
    environment, counts = None, {}
    with open(FILE, encoding="utf-8") as f:
        for line in f:
            if line.startswith("# with: "):
                environment = line[len("# with: "):].strip()
            elif not line.startswith("#"):
                name, count = line.rsplit(None, 1)
                counts[name] = float(count)
    return environment, counts


def write_file(environment, counts):
    with open(FILE, "w", encoding="utf-8") as f:
        f.write("# Instructions of single operations in a plain release build. scripts/run/bench-guard compares with\n"
                "# them; with --update it writes them. A commit that raises one changes only this file and says why.\n"
                f"# with: {environment}\n")
        f.writelines(f"{name:<48}{count:>10.1f}\n" for name, count in counts.items())


def verdict(name, count, expected):
    """None, or why the guard fails."""
    if expected is None:
        return "is not in the file"
    if count > expected * (1 + RISE):
        return f"has risen by {count / expected - 1:.1%}"
    if count < expected * (1 - FALL):
        return f"has fallen by {1 - count / expected:.1%}; lower the file"
    return None


def compare(counts, expected):
    """The number of failed rows; prints all."""
    failed = 0
    for name, count in counts.items():
        why = verdict(name, count, expected.get(name))
        failed += why is not None
        print(f"  {name:<48}{count:>10.1f}{expected.get(name, 0):>10.1f}  {why or ''}".rstrip())
    for name in expected.keys() - counts.keys():
        failed += 1
        print(f"  {name}: is in the file and is not counted")
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", help="count in this build without changes")
    parser.add_argument("--update", action="store_true", help="write the counts into the file")
    args = parser.parse_args()
    try:
        if not Callgrind.available():
            print("bench-guard: skipped: valgrind is not installed")
            return SKIPPED
        build = args.build or plain_build(ROOT, debug=False, targets=sorted({row[1] for row in ROWS}))
        here = build_environment(build)
        if args.update:
            write_file(here, count_all(build))
            return 0
        environment, expected = read_file()
        if here != environment:
            print(f"bench-guard: skipped: the counts are for {environment}; this is {here}")
            return SKIPPED
        failed = compare(count_all(build), expected)
    except (Failed, subprocess.CalledProcessError, OSError) as e:
        sys.exit(f"bench-guard: {e}")
    print(f"bench-guard: {failed} of {len(ROWS)} counts differ from the file; bench-guard --update writes it"
          if failed else f"bench-guard: all {len(ROWS)} counts are as in the file")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
