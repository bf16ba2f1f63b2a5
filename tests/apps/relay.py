# SPDX-License-Identifier: MIT
"""dmtr-relay: forwards in both directions, separates clients, and respects its limits."""

import contextlib
import json
import socket
import struct
import time

import apps
from apps import Server, run


def client(port, timeout=apps.TIMEOUT_S):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(timeout)
    sock.connect(("127.0.0.1", port))
    return sock


def expect_silence(sock):
    sock.settimeout(0.3)
    with contextlib.suppress(socket.timeout):
        raise AssertionError(sock.recv(100))


def relay(env, target, *args):
    return Server("dmtr-relay", "--target", target.address, "--target-port", target.port, *args, env=env)


def test_datagrams_are_relayed_in_both_directions(env):
    with Server("echo-server", "--udp", env=env) as target, relay(env, target) as server:
        out, _ = run("echo-client", "--udp", "--port", server.port, "--count", 200, "--connections", 5, "--warmup", 0,
                     "--json", "-", "--quiet", env=env)
        assert json.loads(out)["messages"] == 200, out
        server.stop()
        assert "200 to the target, 200 back, 25600 bytes; 5 flows" in server.output, server.output


def test_datagrams_are_relayed_from_ipv6_to_ipv4(env):
    apps.need_ipv6()
    with Server("echo-server", "--udp", env=env) as target, relay(env, target, "--address", "::1") as server:
        run("echo-client", "--udp", "--address", "::1", "--port", server.port, "--count", 50, env=env)


def test_each_client_gets_its_own_replies(env):
    with Server("echo-server", "--udp", env=env) as target, relay(env, target) as server:
        with client(server.port) as a, client(server.port) as b:
            for i in range(20):
                a.send(b"a%d" % i)
                b.send(b"b%d" % i)
                assert a.recv(100) == b"a%d" % i and b.recv(100) == b"b%d" % i


def test_a_full_flow_table_refuses_clients_until_a_flow_expires(env):
    with Server("echo-server", "--udp", env=env) as target, \
            relay(env, target, "--max-flows", 1, "--idle", 1) as server, \
            client(server.port) as a, client(server.port) as b:
        a.send(b"a")
        assert a.recv(10) == b"a"
        b.send(b"refused")
        expect_silence(b)
        time.sleep(1.5)
        for _ in range(50):  # the idle flow may expire a moment later
            b.send(b"b")
            with contextlib.suppress(socket.timeout):
                assert b.recv(10) == b"b"
                break
        else:
            raise AssertionError("the idle flow did not expire")
        server.stop()
        assert "1 expired" in server.output and " 0 for want of a flow" not in server.output, server.output


def test_relaying_starts_when_an_absent_target_appears(env):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
    with Server("dmtr-relay", "--target", "127.0.0.1", "--target-port", port, env=env) as server, \
            client(server.port) as a:
        for _ in range(5):
            a.send(b"lost")
        expect_silence(a)
        a.settimeout(30)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as target:
            target.bind(("127.0.0.1", port))
            target.settimeout(30)
            a.send(b"found")
            data, peer = target.recvfrom(100)
            assert data == b"found"
            target.sendto(b"back", peer)
            assert a.recv(100) == b"back"


def stream_relay(env, target_port, *args):
    return Server("dmtr-relay", "--tcp", "--target", "127.0.0.1", "--target-port", target_port, *args, env=env)


def test_connections_are_relayed_in_both_directions(env):
    with Server("echo-server", env=env) as target, stream_relay(env, target.port) as server:
        out, _ = run("echo-client", "--port", server.port, "--count", 200, "--connections", 5, "--size", 100000,
                     "--warmup", 0, "--json", "-", "--quiet", env=env)
        assert json.loads(out)["messages"] == 200, out
        server.stop()
        assert "5 connections, 40000000 bytes; 0 refused" in server.output, server.output


def test_a_shutdown_is_relayed_in_each_direction(env):
    with socket.create_server(("127.0.0.1", 0)) as listener, stream_relay(env, listener.getsockname()[1]) as server, \
            server.connect() as near:
        far, _ = listener.accept()
        with far:
            far.settimeout(30)
            near.sendall(b"question")
            near.shutdown(socket.SHUT_WR)
            assert apps.receive(far, 100) == b"question"
            far.sendall(b"answer")
            far.shutdown(socket.SHUT_WR)
            assert apps.receive(near, 100) == b"answer"


def test_a_reset_is_relayed(env):
    with socket.create_server(("127.0.0.1", 0)) as listener, stream_relay(env, listener.getsockname()[1]) as server, \
            server.connect() as near:
        far, _ = listener.accept()
        far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        far.close()
        with contextlib.suppress(ConnectionResetError):
            raise AssertionError(near.recv(1))


def test_a_connection_that_the_target_refuses_is_reset(env):
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        with stream_relay(env, reserved.getsockname()[1]) as server, contextlib.suppress(ConnectionResetError), \
                server.connect() as near:
            raise AssertionError(near.recv(1))


def test_connections_beyond_the_limit_wait_until_another_closes(env):
    with Server("echo-server", env=env) as target, stream_relay(env, target.port, "--max-flows", 1) as server, \
            server.connect() as first, server.connect() as second:
        second.sendall(b"second")
        first.sendall(b"first")
        assert apps.receive(first, 5) == b"first"
        first.close()
        assert apps.receive(second, 6) == b"second"


def wrong_command_lines_are_refused():
    run("dmtr-relay", status=2)
    run("dmtr-relay", "--target", "127.0.0.1", status=2)
    run("dmtr-relay", "--target", "127.0.0.1", "--target-port", 1, "--max-flows", 0, status=2)


apps.main(apps.over_engines(apps.collect(globals())) + [
    ("wrong command lines are refused", wrong_command_lines_are_refused)])
