# SPDX-License-Identifier: MIT
"""Shared by the tests of the programs: their paths, running them, and TAP output."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

BUILD = os.environ["APPS_BUILD"]
TIMEOUT_S = 120  # limit for programs that hang


class Skip(Exception):
    """The machine lacks a feature; the text names it."""


def program(name):
    folders = {"echo-server": "apps/echo", "echo-client": "apps/echo", "baseline-echo": "bench/baseline",
               "dmtr-relay": "apps/relay", "training": "apps/training", "dmtr-latency": "bench/latency", "dmtr": "apps/dmtr"}
    return os.path.join(BUILD, folders[name], name)


def run_as(user):
    """Returns arguments of Popen that run a process as the user with this number. None: no change."""
    return {} if user is None else {"user": user, "group": user, "extra_groups": []}


def run(name, *args, env=None, status=0, user=None):
    """Runs a program that must end with this status. Returns (stdout, stderr)."""
    done = subprocess.run([program(name), *map(str, args)], env={**os.environ, **(env or {})}, capture_output=True,
                          text=True, timeout=TIMEOUT_S, check=False, **run_as(user))
    assert done.returncode == status, f"{name} {args}: status {done.returncode}, {done.stdout}{done.stderr}"
    return done.stdout, done.stderr


class Server:
    """
    Runs a server during the block. Afterwards .output holds its stdout. Checks the exit status, unless ends_with is
    None.
    """

    def __init__(self, name, *args, env=None, ends_with=0, user=None):
        self.command = [program(name), *map(str, args)]
        self.env = {**os.environ, **(env or {})}
        self.ends_with = ends_with
        self.user = user

    def __enter__(self):
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(self.command, env=self.env, stdout=subprocess.PIPE, stderr=self.errors,
                                        text=True, **run_as(self.user))
        self.output = ""
        for line in self.process.stdout:
            self.output += line
            found = re.match(r"listening on \w+ \[?(.*?)\]?:(\d+)$", line)
            if found:
                self.address, self.port = found.group(1), int(found.group(2))
                return self
        self.process.wait(TIMEOUT_S)
        raise AssertionError(f"{self.command}: {self.stderr()}")

    def stderr(self):
        with open(f"/proc/self/fd/{self.errors.fileno()}", encoding="utf-8") as again:  # a separate file offset
            return again.read()

    def await_stderr(self, text):
        deadline = time.monotonic() + TIMEOUT_S
        while text not in self.stderr():
            assert time.monotonic() < deadline, f"{self.command}: {self.stderr()}"
            time.sleep(0.01)

    def await_line(self, text):
        for line in self.process.stdout:
            self.output += line
            if text in line:
                return
        raise AssertionError(f"{self.command}: {self.stderr()}")

    def await_end(self):
        self.output += self.process.stdout.read()
        return self.process.wait(TIMEOUT_S)

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        return self.await_end()

    def __exit__(self, kind, *_):
        status = self.process.returncode
        if status is None:
            status = self.stop()
        self.process.stdout.close()
        errors = self.stderr()
        self.errors.close()
        if kind is None and self.ends_with is not None:
            assert status == self.ends_with, f"{self.command}: status {status}, {errors}"
        elif kind is not None:  # the test has failed: print what may explain it
            print(f"# {' '.join(self.command)}: status {status}", *errors.splitlines(), sep="\n# ")

    def connect(self, timeout=TIMEOUT_S):
        return socket.create_connection((self.address, self.port), timeout=timeout)


def await_signals(pid):
    """Waits until the process has a handler for SIGTERM."""
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        with open(f"/proc/{pid}/status", encoding="utf-8") as f:
            caught = int(re.search(r"^SigCgt:\s+(\w+)", f.read(), re.MULTILINE)[1], 16)
        if caught >> (signal.SIGTERM - 1) & 1:
            return
        assert time.monotonic() < deadline, "the process does not catch SIGTERM"
        time.sleep(0.01)


def receive(sock, size):
    """Receives size bytes, or fewer if the stream ends."""
    data = b""
    while len(data) < size:
        part = sock.recv(size - len(data))
        if not part:
            break
        data += part
    return data


def has_ipv6():
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as s:
        s.bind(("::1", 0))
        return True
    return False


def need_ipv6():
    if not has_ipv6():
        raise Skip("no IPv6 here")


def engines(*server):
    """Returns an environment for each engine of posix that this server starts with here. io_uring may be forbidden."""
    out = {"epoll": {"DMTR_POSIX_ENGINE": "epoll"}}
    env = {"DMTR_POSIX_ENGINE": "io_uring"}
    try:
        with Server(*(server or ["echo-server"]), env=env):
            out["io_uring"] = env
    except AssertionError as e:
        if "io_uring" not in str(e):
            raise
    return out


def no_io_uring():
    raise Skip("io_uring is not available here")


def main(tests, before=()):
    """Runs [(name, function)] and prints TAP. `before`: TAP lines, without a plan, of tests that have run already."""
    done = sum(line.startswith(("ok ", "not ok ")) for line in before)
    failed = any(line.startswith("not ok ") for line in before)
    print("\n".join([f"1..{done + len(tests)}", *before]))
    for number, (name, test) in enumerate(tests, done + 1):
        try:
            test()
            print(f"ok {number} - {name}")
        except Skip as e:
            print(f"ok {number} - {name} # SKIP {e}")
        except Exception:  # any exception fails the test
            failed = True
            print(f"not ok {number} - {name}")
            for line in traceback.format_exc().splitlines():
                print(f"# {line}")
        sys.stdout.flush()
    sys.exit(failed)


def collect(namespace):
    """Returns (name, function) for each function test_... of a test file."""
    return [(name[5:].replace("_", " "), value) for name, value in namespace.items() if name.startswith("test_")]


def over_engines(tests):
    """Returns each test once for each engine. The test takes the engine's environment as argument."""
    found = engines()
    missing = [] if "io_uring" in found else [("io_uring", no_io_uring)]
    return [(f"{engine}: {name}", lambda test=test, env=env: test(env))
            for engine, env in found.items() for name, test in tests] + missing
