# SPDX-License-Identifier: MIT
"""Libos inet with the kernel's network stack as peer, over each row of wires.py with the kernel at its second end."""

import contextlib
import json
import os
import socket
import struct

import apps
import wires
from apps import Server
from wires import KERNEL, OURS, ROW, our_server, run_ours


def echo_request(sequence, payload, kind=8):
    """An ICMP echo request, or with kind 0 its reply."""
    packet = struct.pack("!BBHHH", kind, 0, 0, os.getpid() & 0xffff, sequence) + payload
    total = sum(struct.unpack(f"!{len(packet) // 2}H", packet))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return packet[:2] + struct.pack("!H", ~total & 0xffff) + packet[4:]


def test_ping_is_answered():
    with our_server("echo-server", "--udp", "--address", OURS):
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as sock:
            sock.settimeout(30)
            for sequence in range(3):
                payload = os.urandom(500)
                sock.sendto(echo_request(sequence, payload), (OURS, 0))
                assert sock.recv(2000)[20:] == echo_request(sequence, payload, kind=0)


def test_kernel_sockets_exchange_datagrams_with_our_server():
    with our_server("echo-server", "--udp", "--address", OURS) as server, \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(30)
        sock.connect((OURS, server.port))
        for size in (size for size in (1, 1472, 1473, 20000, 65507) if size <= ROW.largest):
            data = os.urandom(size)
            sock.send(data)
            assert sock.recv(70000) == data, size


def test_kernel_sockets_connect_to_our_server():
    with our_server("echo-server", "--address", OURS) as server:
        for size in (1, 1000, 100000):
            with server.connect() as sock:
                data = os.urandom(size)
                sock.sendall(data)
                assert apps.receive(sock, size) == data
                sock.shutdown(socket.SHUT_WR)
                assert sock.recv(1) == b""


def test_our_server_accepts_many_short_connections_from_the_kernel():
    with our_server("echo-server", "--address", OURS) as server:
        for i in range(300):
            with server.connect() as sock:
                sock.sendall(b"%d" % i)
                assert apps.receive(sock, len(b"%d" % i)) == b"%d" % i


def test_our_client_connects_to_kernel_sockets():
    for protocol in (["--udp"], []):
        with Server("echo-server", *protocol, "--address", KERNEL) as server:
            out, _ = run_ours("echo-client", *protocol, "--address", KERNEL, "--port", server.port, "--count", 500,
                              "--warmup", 0, "--size", min(3000, ROW.largest), "--connections", 4, "--json", "-",
                              "--quiet")
            result = json.loads(out)  # the kernel may delay the first replies until it sees the link
            assert result["messages"] + result["late"] == 500, out


def test_refused_connections_are_reported_on_both_sides():
    run_ours("echo-client", "--address", KERNEL, "--port", 9, "--count", 1, status=1)
    with our_server("echo-server", "--udp", "--address", OURS), contextlib.suppress(ConnectionRefusedError):
        socket.create_connection((OURS, 9), timeout=apps.TIMEOUT_S).close()
        raise AssertionError("connected to a closed port")


wires.main(apps.collect(globals()))
