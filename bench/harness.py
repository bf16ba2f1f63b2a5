# SPDX-License-Identifier: MIT
"""Runs measured programs: pinned servers and clients, counted instructions, interleaved rounds."""

import concurrent.futures
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

TIMEOUT_S = 120
LIBRARY_VARIABLES = ("DMTR_WAIT_POLICY", "DMTR_POSIX_ENGINE")


class Failed(Exception):
    """A measured program failed; the text names it and the reason."""


def pick_cpus():
    """The processors for client and server; different ones if there are two."""
    cpus = sorted(os.sched_getaffinity(0))
    return (cpus[1], cpus[0]) if len(cpus) > 1 else (cpus[0], cpus[0])


def run(command, env=None):
    """The output of a command that must succeed."""
    try:
        done = subprocess.run(command, env={**os.environ, **(env or {})}, capture_output=True, text=True,
                              timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as e:
        raise Failed(f"{' '.join(command)}: no end after {TIMEOUT_S} s") from e
    if done.returncode != 0:
        raise Failed(f"{' '.join(command)}: {done.stderr.strip() or done.returncode}")
    return done.stdout


class Server:
    """A server process, which ends with the block."""

    def __init__(self, command, env=None):
        self.command = command
        self.env = {**os.environ, **(env or {})}

    def __enter__(self):
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(self.command, env=self.env, stdout=subprocess.PIPE, stderr=self.errors,
                                        text=True)
        for line in self.process.stdout:
            found = re.match(r"listening on .*:(\d+)$", line)
            if found:
                self.port = found.group(1)
                return self
        self.process.wait()
        self.errors.seek(0)
        raise Failed(f"{' '.join(self.command)}: {self.errors.read().strip()}")

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.errors.close()

    def memory_bytes(self):
        """The private memory that the server uses."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as f:
            return 1024 * int(re.search(r"^RssAnon:\s+(\d+) kB", f.read(), re.M)[1])

    def counters(self, dmtr):
        """The counters of the server's first runtime, read with the program `dmtr` after their next update."""
        time.sleep(0.15)
        return next(r["counters"] for r in json.loads(run([dmtr, "ss", "--json"])) if r["pid"] == self.process.pid)

    def cpu_ns(self):
        """The processor time that the server has used."""
        with open(f"/proc/{self.process.pid}/schedstat", encoding="ascii") as f:
            return int(f.read().split()[0])


class WakeLatency:
    """Keeps idle processors out of deep sleep while it is open (root only)."""

    def __enter__(self):
        try:
            self.file = open("/dev/cpu_dma_latency", "wb", buffering=0)
            self.file.write(b"\0\0\0\0")
        except OSError:
            self.file = None
        return self.file is not None

    def __exit__(self, *_):
        if self.file:
            self.file.close()


def interleave(rounds, contestants, measure, between=None):
    """{name: [one result per round]}: each round runs every contestant, so that drift affects all of them."""
    results = {name: [] for name in contestants}
    for number in range(rounds):
        if between:
            between(number)
        for name, contestant in contestants.items():
            results[name].append(measure(contestant))
    return results


def summary(values, reference=None):
    """Median and spread; with a reference, the median of the rounds' ratios to it (0 if the reference is 0)."""
    out = {"median": statistics.median(values), "min": min(values), "max": max(values), "rounds": values}
    if reference is not None:
        out["ratio"] = statistics.median([v / r for v, r in zip(values, reference) if r] or [0.0])
    return out


def set_goal(row, kind, value, judged=True):
    """Adds a goal for the row's ratio or median; not judged if it is one of another kind of build. Returns the row."""
    row["goal"] = {kind: value}
    if judged:
        measured = row["ratio" if kind.startswith("ratio") else "median"]
        row["met"] = measured <= value if kind.endswith("max") else measured >= value
    return row


def together(function, items):
    """[function(item)], as many at a time as there are processors: for counts, which no other program changes."""
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return list(pool.map(function, items))


class Callgrind:
    """Counts of instructions and calls of a component of a program, which repeat exactly."""

    def __init__(self, program):
        self.program = program

    @staticmethod
    def available():
        return shutil.which("valgrind") is not None

    def profile(self, component, iterations, within, parse):
        """What `parse` makes of the lines of the profile inside the functions `within`."""
        with tempfile.TemporaryDirectory() as folder:
            out = os.path.join(folder, "out")
            run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "--collect-atstart=no",
                 *(f"--toggle-collect={f}" for f in within), self.program, "--component", component,
                 "--iterations", str(iterations)], {"DMTR_STATS_SHARE": "false"})
            with open(out, encoding="utf-8", errors="replace") as f:
                return parse(f)

    @staticmethod
    def totals(lines):
        """(instructions, {function: calls})"""
        total, names, calls, callee = 0, {}, {}, None
        for line in lines:
            if line.startswith(("summary:", "totals:")):
                total = int(line.split()[1])
            elif line.startswith(("fn=", "cfn=")):
                found = re.match(r"c?fn=\((\d+)\)(?: (.*))?", line)
                if found.group(2):
                    names[found.group(1)] = found.group(2).strip()
                if line.startswith("cfn="):
                    callee = names.get(found.group(1), "?")
            elif line.startswith("calls=") and callee:
                calls[callee] = calls.get(callee, 0) + int(line[6:].split()[0])
        return total, calls

    def per_iteration(self, component, iterations, within=("measure",)):
        """The same per iteration: the difference of two runs, so that start and end cancel out."""
        few_total, few = self.profile(component, iterations, within, self.totals)
        many_total, many = self.profile(component, 3 * iterations, within, self.totals)
        per = 2 * iterations
        calls = {name: (n - few.get(name, 0)) / per for name, n in many.items() if n != few.get(name, 0)}
        return (many_total - few_total) / per, calls


def percentile_curve(text):
    """[(percentile, ns)] from a --hist file."""
    return [tuple(float(x) for x in line.split(",")) for line in text.splitlines()[1:]]


def progress(text):
    print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)


def read_json(text):
    return json.loads(text)
