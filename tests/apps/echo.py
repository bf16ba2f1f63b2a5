# SPDX-License-Identifier: MIT
"""echo-server and echo-client end to end over each engine of posix, and their behaviour on errors."""

import contextlib
import json
import os
import signal
import socket
import struct
import tempfile
import threading

import apps
from apps import Server, receive, run

STEP = 0x9e3779b97f4a7c15


def message(number, size):
    """Returns request `number` of the client's first connection."""
    first = (1 << 44) + 1 + number
    words = [(first + i * STEP) % 2 ** 64 for i in range(size // 8 + 1)]
    return b"".join(struct.pack("<Q", w) for w in words)[:size]


def measure(server, *args, env=None):
    """Runs a client that must succeed. Returns its JSON output."""
    out, _ = run("echo-client", "--address", server.address, "--port", server.port, "--warmup", 5, "--json", "-",
                 "--quiet", *args, env=env)
    return json.loads(out)


def check_echo(env, *args, count=300, client=()):
    with Server("echo-server", *args, env=env) as server:
        kind = [a for a in args if a in ("--udp", "--framed")]
        result = measure(server, "--count", count, *kind, *client, env=env)
        assert result["messages"] == count and result["verified"] and result["lost"] == 0, result
        times = [result["latency_ns"][k] for k in ("min", "p50", "p90", "p99", "p99.9", "p99.99", "max")]
        assert times == sorted(times) and times[0] > 0, result
    return server


def test_tcp_over_ipv4_echoes_every_byte(env):
    server = check_echo(env)
    assert "1 connections, 0 accept errors, 305 messages" in server.output, server.output


def test_tcp_over_ipv6_echoes_every_byte(env):
    apps.need_ipv6()
    check_echo(env, "--address", "::1")


def test_tcp_with_many_connections_and_requests_in_flight(env):
    check_echo(env, count=4000, client=("--connections", 50, "--outstanding", 8, "--size", 777))


def test_a_server_on_several_threads(env):
    check_echo(env, "--threads", 3, client=["--connections", 30])


def test_tcp_with_large_messages(env):
    check_echo(env, count=20, client=("--size", 1 << 20, "--outstanding", 3))


def test_udp_over_ipv4_and_ipv6(env):
    check_echo(env, "--udp", client=("--connections", 3, "--size", 1200))
    if apps.has_ipv6():
        check_echo(env, "--udp", "--address", "::1")


def test_udp_with_the_largest_datagrams(env):
    check_echo(env, "--udp", count=20, client=("--size", 65507))


def test_framed_messages(env):
    check_echo(env, "--framed", client=("--size", 100000, "--outstanding", 2), count=50)


def test_the_file_holds_the_echoed_messages(env):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "messages")
        check_echo(env, "--file", path, count=40)
        with open(path, "rb") as f:
            assert f.read() == b"".join(message(i, 64) for i in range(45))
        check_echo(env, "--udp", "--file", path, count=40)
        assert os.path.getsize(path) == 2 * 45 * 64


def test_a_full_disk_closes_the_connection_and_not_the_server(env):
    with Server("echo-server", "--file", "/dev/full", env=env) as server:
        for _ in range(2):
            with server.connect() as sock:
                sock.sendall(b"x" * 64)
                assert sock.recv(64) == b""
    assert "2 file errors" in server.output, server.output


def test_runs_with_duration_or_rate_end(env):
    with Server("echo-server", env=env) as server:
        assert measure(server, "--duration", 0.3, env=env)["messages"] > 0
        result = measure(server, "--rate", 1000, "--count", 200, "--connections", 4, env=env)
        assert result["messages"] == 200 and result["messages_per_second"] < 1500, result


def test_a_server_with_work_answers_after_it(env):
    with Server("echo-server", "--work", 3000, env=env) as server:
        assert measure(server, "--count", 20, env=env)["latency_ns"]["min"] >= 3000000


def test_the_percentile_curve_is_monotonic(env):
    with Server("echo-server", env=env) as server, tempfile.NamedTemporaryFile("r") as hist:
        measure(server, "--count", 200, "--hist", hist.name, env=env)
        lines = [tuple(map(float, line.split(","))) for line in hist.read().splitlines()[1:]]
    assert lines == sorted(lines) and lines[0][0] == 0 and lines[-1][0] == 100, lines


def test_bytes_sent_one_by_one_are_echoed(env):
    with Server("echo-server", env=env) as server, server.connect() as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        data = bytes(range(200))
        for byte in data:
            sock.sendall(bytes([byte]))
        assert receive(sock, len(data)) == data
        measure(server, "--count", 50, env=env)


def framed(data):
    return struct.pack(">IIII", 0x10102010, len(data) + 4, 1, len(data)) + data


def test_a_framed_message_sent_byte_by_byte_is_echoed(env):
    with Server("echo-server", "--framed", env=env) as server, server.connect() as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        data = framed(b"slowly but surely")
        for byte in data:
            sock.sendall(bytes([byte]))
        assert receive(sock, len(data)) == data


def test_a_malformed_message_closes_only_its_connection(env):
    with Server("echo-server", "--framed", env=env) as server:
        with server.connect() as good:
            for garbage in (b"GET / HTTP/1.0\r\n\r\n", b"\0" * 64, struct.pack(">III", 0x10102010, 0xffffffff, 1),
                            struct.pack(">III", 0x10102010, 8, 11)):
                with server.connect() as sock:
                    sock.sendall(garbage)
                    with contextlib.suppress(ConnectionResetError):
                        assert sock.recv(64) == b""
            good.sendall(framed(b"still here"))
            assert receive(good, 26) == framed(b"still here")
        measure(server, "--framed", "--count", 50, env=env)
    assert "4 malformed" in server.output, server.output


def test_reset_connections_leave_no_queues_open(env):
    with Server("echo-server", env=env) as server:
        for _ in range(100):
            with server.connect() as sock:
                sock.sendall(b"x" * 10000)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        measure(server, "--count", 50, env=env)
        shown = json.loads(run("dmtr", "ss", "--json", "--pid", server.process.pid)[0])
        counters = shown[0]["counters"]
        assert counters["queues_opened"] - counters["queues_closed"] <= 2, counters


def send_until_full(sock):
    """Sends until the peer accepts nothing for a second. Returns the number of bytes sent."""
    sock.settimeout(1)
    total = 0
    with contextlib.suppress(socket.timeout):
        while total < 256 << 20:
            total += sock.send(bytes([total // 65536 % 251]) * (65536 - total % 65536))
    return total


def test_a_client_that_does_not_read_is_limited_and_others_are_served(env):
    with Server("echo-server", "--push-limit", 65536, env=env) as server, server.connect() as sock:
        total = send_until_full(sock)
        assert total < 64 << 20, total
        measure(server, "--count", 200, env=env)
        sock.settimeout(30)  # when the client reads at last, it gets all data
        for at in range(0, total, 65536):
            size = min(65536, total - at)
            assert receive(sock, size) == bytes([at // 65536 % 251]) * size
    assert " 0 held" not in server.output, server.output


def test_connections_beyond_the_limit_wait_until_another_closes(env):
    with Server("echo-server", "--max-connections", 1, env=env) as server:
        with server.connect() as first, server.connect() as second:
            first.sendall(b"first")
            assert receive(first, 5) == b"first"
            second.sendall(b"second")
            second.settimeout(0.2)
            with contextlib.suppress(socket.timeout):
                raise AssertionError(second.recv(6))
            first.close()
            second.settimeout(30)
            assert receive(second, 6) == b"second"


def test_sigint_and_sigterm_end_the_server_cleanly(env):
    for how in (signal.SIGINT, signal.SIGTERM):
        with Server("echo-server", env=env) as server, server.connect() as sock:
            sock.sendall(b"x")
            assert sock.recv(1) == b"x"
            assert server.stop(how) == 0
            assert "1 messages, 1 bytes" in server.output, server.output


def test_the_client_reports_that_the_server_has_closed(env):
    with Server("echo-server", env=env) as server:
        threading.Timer(0.5, server.process.terminate).start()
        _, errors = run("echo-client", "--port", server.port, "--duration", 60, env=env, status=1)
        assert "closed the connection" in errors or "reset" in errors, errors


def fake_server(answer):
    """A listener whose one connection is given to `answer` on a thread of its own; its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        with listener, listener.accept()[0] as sock:
            answer(sock)
    threading.Thread(target=serve, daemon=True).start()
    return listener.getsockname()[1]


def test_the_client_times_out_without_a_reply(env):
    port = fake_server(lambda sock: [None for _ in iter(lambda: sock.recv(4096), b"")])
    _, errors = run("echo-client", "--port", port, "--timeout", 0.5, env=env, status=1)
    assert "no reply for 0.5 s" in errors, errors
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        _, errors = run("echo-client", "--udp", "--port", deaf.getsockname()[1], "--timeout", 0.5, env=env, status=1)
    assert "no reply for 0.5 s" in errors, errors


def test_the_client_detects_a_wrong_byte(env):
    def flip(sock):
        data = bytearray(receive(sock, 64))
        data[63] ^= 1
        sock.sendall(data)
        sock.recv(1)
    _, errors = run("echo-client", "--port", fake_server(flip), env=env, status=1)
    assert "wrong bytes" in errors, errors


def test_the_client_detects_extra_bytes(env):
    def twice(sock):
        data = receive(sock, 64)
        sock.sendall(data + data)
        sock.recv(1)
    _, errors = run("echo-client", "--port", fake_server(twice), env=env, status=1)
    assert "more bytes than were sent" in errors, errors


def test_a_refused_connection_is_reported(env):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        _, errors = run("echo-client", "--port", unused.getsockname()[1], env=env, status=1)
    assert "refused" in errors, errors


def test_a_port_in_use_is_reported(env):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        _, errors = run("echo-server", "--port", taken.getsockname()[1], env=env, status=1)
    assert "in use" in errors, errors


def wrong_command_lines_are_refused():
    for args in (["--port", "1", "--size", "0"], ["--port", "x"], [], ["--nonsense"], ["--port", "1", "operand"],
                 ["--port", "1", "--duration", "-1"], ["--port", "1", "--udp", "--framed"], ["--port"]):
        _, errors = run("echo-client", *args, status=2)
        assert errors, args
    run("echo-client", "--port", 1, "--udp", "--size", 7, status=2)
    run("echo-server", "--udp", "--framed", status=2)
    assert "--outstanding N" in run("echo-client", "--help")[0]


def library_options_are_accepted():
    with Server("echo-server", "--dmtr-set", "wait.policy=spin", "--dmtr-set=log.level=error"):
        pass
    _, errors = run("echo-server", "--dmtr-set", "wait.polcy=spin", status=1)
    assert 'did you mean "wait.policy"?' in errors, errors


apps.main(apps.over_engines(apps.collect(globals())) + [
    ("wrong command lines are refused", wrong_command_lines_are_refused),
    ("library options are accepted", library_options_are_accepted)])
