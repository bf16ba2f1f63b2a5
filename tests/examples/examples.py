# SPDX-License-Identifier: MIT
"""The example programs, run as a user would; the arguments are the programs. Speaks TAP."""

import os
import re
import socket
import subprocess
import sys
import tempfile

TIMEOUT_S = 120  # only guards against hanging
PROGRAMS = {os.path.basename(path).replace("example-", ""): path for path in sys.argv[1:]}


def run(name, *args):
    done = subprocess.run([PROGRAMS[name], *args], capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 0, f"status {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout


def test_hello():
    assert run("hello") == "hello\n"


def test_udp():
    assert run("udp") == "pong\n"


def test_files():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "lines.txt")
        assert run("files", path) == "100 lines\n"
        with open(path, encoding="utf-8") as f:
            assert f.read() == "".join(f"line {i}\n" for i in range(100))


def test_event_loop():
    assert run("event_loop") == "received 3 messages\n"


def test_threads():
    assert run("threads") == "served 3 connections\n"


def exchange(sock, data):
    sock.sendall(data)
    received = b""
    while len(received) < len(data):
        part = sock.recv(len(data))
        assert part, "the connection has ended"
        received += part
    assert received == data


def test_clients():
    with subprocess.Popen([PROGRAMS["clients"], "0", "10"], stdout=subprocess.PIPE, text=True) as server:
        try:
            port = int(re.search(r"port (\d+)", server.stdout.readline())[1])
            socks = [socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S) for _ in range(10)]
            for i in range(3):
                for sock in socks:
                    exchange(sock, os.urandom(1 + 40000 * i))
            for sock in socks:
                sock.close()
            out, _ = server.communicate(timeout=TIMEOUT_S)
        finally:
            server.kill()
    assert server.returncode == 0 and out.splitlines() == ["120003 bytes"] * 10, out


TESTS = [(name[5:].replace("_", " "), value) for name, value in list(globals().items()) if name.startswith("test_")]
print(f"1..{len(TESTS)}")
for number, (name, test) in enumerate(TESTS, 1):
    try:
        test()
        print(f"ok {number} - {name}", flush=True)
    except Exception as e:  # any other failure is one, too
        print(f"# {type(e).__name__}: {e}".replace("\n", "\n# "))
        print(f"not ok {number} - {name}", flush=True)
