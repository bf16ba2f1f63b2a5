"""
Libos inet against the kernel's network stack, in a network namespace of the test's own. The argument says over which
device: tap, or packet or xdp (in the driver, or generic) on one end of a veth pair, or dpdk over one of DPDK's drivers.
"""

import contextlib
import json
import os
import socket
import struct

import apps
from apps import Server, run
from kernel_link import DEVICE, ENV, KERNEL, LARGEST, MODE, OURS, need_link, our_server


def echo_request(sequence, payload, kind=8):
    """An ICMP echo request, or with kind 0 its reply."""
    packet = struct.pack("!BBHHH", kind, 0, 0, os.getpid() & 0xffff, sequence) + payload
    total = sum(struct.unpack(f"!{len(packet) // 2}H", packet))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return packet[:2] + struct.pack("!H", ~total & 0xffff) + packet[4:]


if DEVICE in ("tap", "packet") or MODE == "tap":  # on the veth pair xdp and dpdk have one queue
    def test_a_server_on_several_threads():
        """With TAP each thread has a queue of the interface; AF_PACKET is shared."""
        need_link()
        with our_server("echo-server", "--address", OURS, "--threads", 3, DMTR_INET_QUEUES="3") as server:
            socks = [server.connect() for _ in range(30)]
            for size in (1, 5000):
                for sock in socks:
                    data = os.urandom(size)
                    sock.sendall(data)
                    assert apps.receive(sock, size) == data
            for sock in socks:
                sock.close()
        assert "30 connections" in server.output, server.output


def test_ping_is_answered():
    need_link()
    with our_server("echo-server", "--udp", "--address", OURS):
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as sock:
            sock.settimeout(30)
            for sequence in range(3):
                payload = os.urandom(500)
                sock.sendto(echo_request(sequence, payload), (OURS, 0))
                assert sock.recv(2000)[20:] == echo_request(sequence, payload, kind=0)


def test_kernel_sockets_send_datagrams_to_us():
    need_link()
    with our_server("echo-server", "--udp", "--address", OURS) as server, \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(30)
        sock.connect((OURS, server.port))
        for size in (size for size in (1, 1472, 1473, 20000, 65507) if size <= LARGEST):
            data = os.urandom(size)
            sock.send(data)
            assert sock.recv(70000) == data, size


def test_kernel_sockets_connect_to_us():
    need_link()
    with our_server("echo-server", "--address", OURS) as server:
        for size in (1, 1000, 100000):
            with server.connect() as sock:
                data = os.urandom(size)
                sock.sendall(data)
                assert apps.receive(sock, size) == data
                sock.shutdown(socket.SHUT_WR)
                assert sock.recv(1) == b""


def test_many_short_connections_of_the_kernel():
    need_link()
    with our_server("echo-server", "--address", OURS) as server:
        for i in range(300):
            with server.connect() as sock:
                sock.sendall(b"%d" % i)
                assert apps.receive(sock, len(b"%d" % i)) == b"%d" % i


def test_we_connect_to_the_kernels_sockets():
    need_link()
    for protocol in (["--udp"], []):
        with Server("echo-server", *protocol, "--address", KERNEL) as server:
            out, _ = run("echo-client", *protocol, "--address", KERNEL, "--port", server.port, "--count", 500,
                         "--warmup", 0, "--size", min(3000, LARGEST), "--connections", 4, "--json", "-", "--quiet", env=ENV)
            assert json.loads(out)["messages"] == 500, out


def test_a_refused_connection_is_told_both_ways():
    need_link()
    run("echo-client", "--address", KERNEL, "--port", 9, "--count", 1, env=ENV, status=1)
    with our_server("echo-server", "--udp", "--address", OURS), contextlib.suppress(ConnectionRefusedError):
        socket.create_connection((OURS, 9), timeout=30).close()
        raise AssertionError("connected to nobody")


def test_datagrams_are_relayed():
    need_link()
    with Server("echo-server", "--udp", "--address", KERNEL) as target, \
            our_server("dmtr-relay", "--address", OURS, "--target", KERNEL, "--target-port", target.port) as relay:
        out, _ = run("echo-client", "--udp", "--address", OURS, "--port", relay.port, "--count", 200,
                     "--connections", 3, "--warmup", 0, "--json", "-", "--quiet")
        assert json.loads(out)["messages"] == 200, out


apps.main(apps.collect(globals()))
