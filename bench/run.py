#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Benchmarks: the library against programs on plain system calls, in one run, as ratios.

Writes report.json and report.html and prints the figures. Every comparison runs all contestants in each of several rounds,
with client and server on one processor each. Costs of single operations are also counted as instructions, which repeat.
With --release every row has a second one for the build of `make release`.
"""

import argparse
import glob
import json
import os
import platform
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time

from devices import device_sections
from harness import (Callgrind, Failed, LIBRARY_VARIABLES, Server, WakeLatency, interleave, percentile_curve, pick_cpus,
                     progress, read_json, run, set_goal, summary)
import report
from served import served_sections
from stacks import stack_sections

# Rounds, messages per round, seconds of a throughput round, seconds of idling, instruction iterations, bulk bytes,
# numbers of connections with echoes and of idle connections, microseconds of work for a request.
SCALES = {
    "full": {"rounds": 9, "messages": 20000, "seconds": 1.0, "idle": 5.0, "iterations": 2000, "connections": 1000,
             "tokens": [1, 10, 100, 1000, 10000, 100000], "heap": 1000000, "bulk": 1 << 30,
             "many": [1, 100, 10000, 100000], "held": 1000000, "work": [0, 5, 100]},
    "quick": {"rounds": 3, "messages": 5000, "seconds": 0.5, "idle": 2.0, "iterations": 1000, "connections": 1000,
              "tokens": [1, 1000, 100000], "heap": 300000, "bulk": 1 << 28,
              "many": [1, 10000], "held": 200000, "work": [0, 5, 100]},
    "smoke": {"rounds": 1, "messages": 200, "seconds": 0.1, "idle": 0.2, "iterations": 100, "connections": 20,
              "tokens": [1, 100], "heap": 10000, "bulk": 1 << 20, "many": [1, 100], "held": 2000, "work": [5]},
}


class Bench:
    """Settings for all sections."""

    def __init__(self, build, scale):
        self.build = build
        self.options = build_options(build)
        self.release = self.options.get("b_lto") and self.options.get("b_pgo") == "use"  # what `make release` builds
        self.scale = SCALES[scale]
        self.client_cpu, self.server_cpu = pick_cpus()
        self.ring_ns = []

    def path(self, *parts):
        return os.path.join(self.build, *parts)

    def baseline_server(self, mode, *args):
        return [self.path("bench/baseline/baseline-echo"), "--server", "--mode", mode, "--cpu", str(self.server_cpu),
                *args], {}

    def dmtr_server(self, engine, policy, *args):
        env = {"DMTR_WAIT_POLICY": policy, "DMTR_POSIX_ENGINE": engine}
        return [self.path("apps/echo/echo-server"), "--quiet", "--cpu", str(self.server_cpu), *args], env

    def baseline_client(self, mode, *args):
        return [self.path("bench/baseline/baseline-echo"), "--client", "--mode", mode, "--cpu", str(self.client_cpu),
                *args], {}

    def dmtr_client(self, engine, policy, *args):
        env = {"DMTR_WAIT_POLICY": policy, "DMTR_POSIX_ENGINE": engine}
        return [self.path("apps/echo/echo-client"), "--cpu", str(self.client_cpu), *args], env

    def ring(self):
        """The current round trip of the bare ring between the two processors."""
        count = max(self.scale["messages"], 1000)
        out = read_json(run([self.path("bench/ring"), "--cpu", str(self.client_cpu), "--other-cpu",
                             str(self.server_cpu), "--count", str(count)]))
        return out["p50"]

    def echo(self, server, client, after=None):
        """
        One server, one client: the client's result, its percentile curve, the server's processor time, and what
        `after` makes of the server when the client has ended.
        """
        (server_command, server_env), (client_command, client_env) = server, client
        with Server(server_command, server_env) as sv, tempfile.NamedTemporaryFile("r") as hist:
            before = sv.cpu_ns()
            out = run([*client_command, "--port", sv.port, "--quiet", "--json", "-", "--hist", hist.name], client_env)
            result = read_json(out)
            result["server_cpu_ns"] = sv.cpu_ns() - before
            result["curve"] = percentile_curve(hist.read())
            result["after"] = after(sv) if after else None
        return result


def latency_section(bench, key, title, contestants, reference, goal=None, messages=None, ring=True):
    """Round trips, one connection, one request at a time. contestants: {name: (server, client)}."""
    rings = []
    count = messages or bench.scale["messages"]
    args = ["--count", str(count), "--warmup", str(count // 10)]
    runs = {name: (server, (client[0] + args, client[1])) for name, (server, client) in contestants.items()}
    results = interleave(bench.scale["rounds"], runs, lambda c: bench.echo(*c),
                         (lambda _: rings.append(bench.ring())) if ring else None)
    p50 = {name: [r["latency_ns"]["p50"] / 1000 for r in rounds] for name, rounds in results.items()}
    rows = []
    for name, rounds in results.items():
        middle = sorted(rounds, key=lambda r: r["latency_ns"]["p50"])[len(rounds) // 2]
        row = {"name": name, **summary(p50[name], None if name == reference else p50[reference]),
               "p99": statistics.median(r["latency_ns"]["p99"] for r in rounds) / 1000,
               "p99.9": statistics.median(r["latency_ns"]["p99.9"] for r in rounds) / 1000,
               "curve": middle["curve"]}
        rows.append(set_goal(row, "ratio_max", goal[name]) if goal and name in goal else row)
    return {"key": key, "title": title, "kind": "latency", "unit": "us, p50", "reference": reference,
            "ring_us": statistics.median(rings) / 1000 if rings else None, "rows": rows}


def spin_sections(bench):
    client = bench.baseline_client("spin")
    servers = {"system calls, spin": bench.baseline_server("spin"),
               "dmtr io_uring, spin": bench.dmtr_server("io_uring", "spin"),
               "dmtr epoll, spin": bench.dmtr_server("epoll", "spin"),
               "system calls, io_uring spin": bench.baseline_server("uring-spin")}
    goal = {"dmtr io_uring, spin": 1.05, "dmtr epoll, spin": 1.05}
    yield latency_section(bench, "tcp_spin", "TCP echo, 64 bytes, spinning; the client is the spinning baseline",
                          {name: (server, client) for name, server in servers.items()}, "system calls, spin", goal)
    both = {"system calls, spin": (bench.baseline_server("spin"), client),
            "dmtr io_uring, spin": (bench.dmtr_server("io_uring", "spin"), bench.dmtr_client("io_uring", "spin")),
            "dmtr epoll, spin": (bench.dmtr_server("epoll", "spin"), bench.dmtr_client("epoll", "spin"))}
    yield latency_section(bench, "tcp_spin_both", "TCP echo, 64 bytes, spinning; client and server of one kind", both,
                          "system calls, spin", goal)
    udp = {"system calls, spin": bench.baseline_server("spin", "--udp"),
           "dmtr io_uring, spin": bench.dmtr_server("io_uring", "spin", "--udp"),
           "dmtr epoll, spin": bench.dmtr_server("epoll", "spin", "--udp")}
    client = bench.baseline_client("spin", "--udp")
    yield latency_section(bench, "udp_spin", "UDP echo, 64 bytes, spinning; the client is the spinning baseline",
                          {name: (server, client) for name, server in udp.items()}, "system calls, spin")


def block_sections(bench):
    client = bench.baseline_client("blocking")
    servers = {"system calls, epoll": bench.baseline_server("epoll"),
               "dmtr io_uring, block": bench.dmtr_server("io_uring", "block"),
               "dmtr epoll, block": bench.dmtr_server("epoll", "block"),
               "system calls, io_uring": bench.baseline_server("uring")}
    goal = {"dmtr io_uring, block": 1.05, "dmtr epoll, block": 1.05}
    runs = {name: (server, client) for name, server in servers.items()}
    messages = bench.scale["messages"] // 2
    with WakeLatency() as tuned:
        if tuned:
            yield latency_section(bench, "tcp_block",
                                  "TCP echo, 64 bytes, blocking, idle processors kept awake; the client blocks, too",
                                  runs, "system calls, epoll", goal, messages)
    yield latency_section(bench, "tcp_block_untuned",
                          "TCP echo, 64 bytes, blocking, as the machine is; the client blocks, too", runs,
                          "system calls, epoll", None if tuned else goal, messages // 2)


def throughput_section(bench):
    client, _ = bench.baseline_client("epoll", "--no-verify", "--connections", str(bench.scale["connections"]),
                                      "--duration", str(bench.scale["seconds"]))
    servers = {"system calls, epoll": bench.baseline_server("epoll"),
               "dmtr io_uring, block": bench.dmtr_server("io_uring", "block"),
               "dmtr epoll, block": bench.dmtr_server("epoll", "block"),
               "dmtr as it comes": ([bench.path("apps/echo/echo-server"), "--quiet", "--cpu", str(bench.server_cpu)],
                                    {})}
    results = interleave(bench.scale["rounds"], servers, lambda server: bench.echo(server, (client, {})))
    rate = {name: [r["messages_per_second"] for r in rounds] for name, rounds in results.items()}
    reference = "system calls, epoll"
    rows = []
    for name, rounds in results.items():
        row = {"name": name, **summary(rate[name], None if name == reference else rate[reference])}
        row["server_ns_per_message"] = statistics.median(
            r["server_cpu_ns"] / max(r["messages"], 1) for r in rounds)
        rows.append(set_goal(row, "ratio_min", 1.0) if name != reference else row)
    return {"key": "throughput", "kind": "rate", "unit": "messages/s", "reference": reference, "rows": rows,
            "title": f"TCP echo, 64 bytes, {bench.scale['connections']} connections, throughput"}


def cpu_section(bench):
    """The server's processor time per request of a busy server that sleeps when it has nothing to do."""
    client, _ = bench.baseline_client("epoll", "--no-verify", "--connections", "50", "--outstanding", "16",
                                      "--duration", str(bench.scale["seconds"]))
    reference = "system calls, epoll"
    servers = {reference: bench.baseline_server("epoll"),
               "dmtr io_uring, block": bench.dmtr_server("io_uring", "block"),
               "dmtr epoll, block": bench.dmtr_server("epoll", "block")}
    results = interleave(bench.scale["rounds"], servers, lambda server: bench.echo(server, (client, {})))
    cost = {name: [r["server_cpu_ns"] / max(r["messages"], 1) for r in rounds] for name, rounds in results.items()}
    rows = [{"name": reference, **summary(cost[reference])}]
    rows += [set_goal({"name": name, **summary(cost[name], cost[reference])}, "ratio_max", 1.0)
             for name in servers if name != reference]
    return {"key": "cpu", "kind": "counts", "unit": "ns a request", "rows": rows,
            "title": "Processor time of a server on kernel sockets, 50 connections with 16 requests each"}


ALLOCATES = re.compile(r"^(malloc|calloc|realloc|posix_memalign|aligned_alloc|mmap|heap_alloc.*|sys_calloc|sys_map)(@|$)")


def instruction_section(bench, counter):
    """Instructions of single operations, and the allocations of a message."""
    operations = [("queue-message", "the same and dmtr_sgafree", None),
                  ("wheel-arm-cancel", "timer armed and cancelled", 60), ("hist-record", "histogram sample", 15),
                  ("timer-drop", "dmtr_timer and dmtr_drop", None), ("malloc-64", "dmtr_malloc and dmtr_free", None),
                  ("sgaalloc-64", "dmtr_sgaalloc and dmtr_sgafree", None), ("now", "dmtr_now_ns", None)]
    iterations = bench.scale["iterations"]
    count, calls = counter.per_iteration("queue-message", iterations, ("dmtr_push", "dmtr_pop", "dmtr_wait"))
    allocations = sum(n for f, n in calls.items() if ALLOCATES.match(f.split("'")[0]))
    rows = [set_goal({"name": "message through a queue in memory: push, pop, both waits", "median": count}, "max", 260,
                     bench.release),
            set_goal({"name": "allocations on that path", "median": allocations}, "max", 0)]
    loop, _ = counter.per_iteration("nothing", iterations)
    for name, text, most in operations:
        count = counter.per_iteration(name, iterations)[0] - loop
        row = {"name": text, "median": count}
        rows.append(set_goal(row, "max", most) if most else row)
    return {"key": "instructions", "kind": "counts", "unit": "instructions", "rows": rows,
            "title": "Instructions per operation, counted by callgrind"}


def token_section(bench, counter):
    """The cost of one completion by the number of outstanding tokens."""
    kinds = {"wait_any": "wait-any", "wait_next_n": "wait-next", "wait_any, all in turn": "wait-any-turn",
             "wait_next_n, all in turn": "wait-next-turn"}
    program = bench.path("bench/latency/dmtr-latency")
    pin = ["--cpu", str(bench.server_cpu)]
    series = []
    for name, prefix in kinds.items():
        components = {n: f"{prefix}-{n}" for n in bench.scale["tokens"]}
        rounds = interleave(bench.scale["rounds"], components, lambda c: read_json(
            run([program, "--component", c, "--json", "-", *pin]))["components"][0]["median_ns"])
        points = [{"tokens": n, "ns": statistics.median(values)} for n, values in rounds.items()]
        for point in points if counter else []:
            if "turn" not in prefix:
                point["instructions"], _ = counter.per_iteration(components[point["tokens"]], bench.scale["iterations"])
        entry = {"name": name, "points": points}
        for unit in ("instructions", "ns"):
            values = [p[unit] for p in points if unit in p]
            if values:
                entry[f"spread_{unit}"] = max(values) / min(values) - 1
        if "spread_instructions" in entry:
            entry["goal"], entry["met"] = {"spread_max": 0.2}, entry["spread_instructions"] <= 0.2
        series.append(entry)
    return {"key": "tokens", "kind": "series", "unit": "ns", "series": series,
            "title": "Cost of a completion (with its push, pop and sgafree) against outstanding tokens"}


def idle_section(bench):
    """Processor time of a server with a client that sends nothing."""
    command = [bench.path("apps/echo/echo-server"), "--quiet"]
    env = {"DMTR_WAIT_POLICY": "adaptive"}
    with Server(command, env) as sv, socket.create_connection(("127.0.0.1", int(sv.port)), timeout=10) as client:
        client.sendall(b"x" * 64)
        client.recv(64)
        time.sleep(0.2)
        before, began = sv.cpu_ns(), time.monotonic()
        time.sleep(bench.scale["idle"])
        share = (sv.cpu_ns() - before) / ((time.monotonic() - began) * 1e9) * 100
    row = set_goal({"name": "adaptive", "median": share}, "max", 1.0)
    return {"key": "idle", "kind": "counts", "unit": "% of a core", "title": "An idle server", "rows": [row]}


def heap_libraries(bench):
    yield "glibc", None
    yield "dmtr", bench.path("src/preload/libdmtr-malloc.so")
    folders = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"]
    for name in ("mimalloc", "jemalloc"):
        found = sorted(path for f in folders for path in glob.glob(os.path.join(f, f"lib{name}.so*")))
        if found:
            yield name, found[0]


def heap_section(bench):
    libraries = {name: {"LD_PRELOAD": path} if path else {} for name, path in heap_libraries(bench)}
    program = bench.path("bench/heap-bench")
    rows = []
    for pattern in ("pair", "mixed", "large"):
        results = interleave(bench.scale["rounds"], libraries, lambda env, p=pattern: read_json(
            run(["taskset", "-c", str(bench.server_cpu), program, "--pattern", p, "--count",
                 str(bench.scale["heap"])], env))["ns"])
        for name, values in results.items():
            rows.append({"name": f"{pattern}: {name}",
                         **summary(values, None if name == "glibc" else results["glibc"])})
    return {"key": "heap", "kind": "counts", "unit": "ns", "rows": rows,
            "title": "malloc and free, preloaded: pairs of 64 bytes; 16 bytes to 4 KiB at random; 64 KiB"}


def sections(bench):
    """Yields each section when it is done, and a skipped one with the reason if it cannot run here."""
    counter = Callgrind(bench.path("bench/latency/dmtr-latency")) if Callgrind.available() else None
    yield from spin_sections(bench)
    yield from block_sections(bench)
    yield throughput_section(bench)
    yield cpu_section(bench)
    if counter:
        yield instruction_section(bench, counter)
    else:
        yield {"key": "instructions", "kind": "skipped", "title": "Instructions per operation",
               "reason": "valgrind is not installed"}
    yield token_section(bench, counter)
    yield idle_section(bench)
    yield heap_section(bench)
    yield from served_sections(bench, counter is not None)
    yield from stack_sections(bench, counter is not None)
    yield from device_sections(bench)


def sections_of_builds(benches):
    """As sections, of several builds in turn: {name: Bench}. The rows of all but the first have the build's name."""
    runs = {name: sections(bench) for name, bench in benches.items()}
    while True:
        first = None
        for name, bench in benches.items():
            os.environ["DMTR_PLUGIN_PATH"] = bench.path("src/netdev")
            section = next(runs[name], None)
            if not first:
                first = section
                if not section:
                    return
                continue
            if not section or section["key"] != first["key"]:
                raise Failed(f"{first['title']}: the build {name} has other sections")
            for rows in ("rows", "series"):
                for row in section.get(rows, []):
                    first[rows].append({**row, "name": f"{row['name']} [{name}]"})
        yield first


def machine():
    model = "unknown processor"
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        for line in f:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return {"processor": model, "cores": os.cpu_count(), "kernel": platform.release(),
            "time": time.strftime("%Y-%m-%d %H:%M:%S %z")}


def production_build(root):
    """The build that scripts/run/release makes, made anew if the source has changed since."""
    build = os.path.join(root, "build-release")
    if os.path.exists(build):
        done = subprocess.run(["ninja", "-C", build, "-n"], capture_output=True, text=True, check=False)
        if "no work to do" in done.stdout:
            return build
    subprocess.run([os.path.join(root, "scripts/run/release")], check=True, stdout=sys.stderr)
    return build


def build_options(folder):
    """The options of meson for a build; {}: there is none."""
    try:
        with open(os.path.join(folder, "meson-info/intro-buildoptions.json"), encoding="utf-8") as f:
            return {o["name"]: o["value"] for o in json.load(f)}
    except OSError:
        return {}


def plain_build(root, debug, targets=()):
    """
    The build to measure: build/ if it is a plain release, and has debug information if `debug`, else a separate one.
    `targets`: what to build; () is all.
    """
    build = os.path.join(root, "build")
    o = build_options(build)
    plain = o.get("buildtype") == "release" and o.get("b_sanitize") == "none" and not o.get("b_coverage") \
        and not o.get("b_lto") and o.get("b_pgo") == "off" \
        and not o.get("fault") and not o.get("checks") and o.get("apps")
    if not plain or debug and not o["debug"]:
        build = os.path.join(root, "build-bench")
        if not build_options(build):
            subprocess.run(["meson", "setup", build, root, "-Dtests=disabled", "-Ddebug=true"], check=True,
                           stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", build, *targets], check=True, stdout=subprocess.DEVNULL)
    return build


def main():
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_const", const="quick", dest="scale", help="about a minute")
    size.add_argument("--smoke", action="store_const", const="smoke", dest="scale",
                      help="only check that it runs; the figures mean nothing")
    parser.add_argument("--build", help="measure this build without changes")
    parser.add_argument("--release", action="store_true", help="measure the build of `make release`, too")
    parser.add_argument("--output", default=os.path.join(root, "build", "bench"), help="folder of the report")
    args = parser.parse_args()
    for name in LIBRARY_VARIABLES:
        os.environ.pop(name, None)
    try:
        scale = args.scale or "full"
        benches = {"plain": Bench(args.build or plain_build(root, debug=True), scale)}
        if args.release:
            benches["release"] = Bench(production_build(root), scale)
        result = {"machine": machine(), "scale": scale, "sections": []}
        for section in sections_of_builds(benches):
            result["sections"].append(section)
            print(report.text(section), flush=True)
        os.makedirs(args.output, exist_ok=True)
        report.write(result, args.output)
    except (Failed, subprocess.CalledProcessError, OSError) as e:
        sys.exit(f"bench: {e}")
    progress(f"report in {os.path.join(args.output, 'report.html')}")


if __name__ == "__main__":
    main()
