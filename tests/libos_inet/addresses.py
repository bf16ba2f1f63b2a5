# SPDX-License-Identifier: MIT
"""One address on one interface: who is refused, what is said of the kernel and of other hosts, over a row of wires.py."""

import contextlib
import os
import socket
import struct
import subprocess

import apps
import wires
from wires import BESIDE, OURS, ROW, beside_device, environment, our_server, run_ours

OTHER_MAC = bytes.fromhex("020000000099")
ETH_P_ARP = 0x0806


def test_a_second_process_with_the_address_is_refused():
    with our_server("echo-server", "--udp", "--address", OURS) as server:
        _, errors = run_ours("echo-client", "--udp", "--address", wires.PEER, "--port", 7, status=1)
        assert f"process {server.process.pid} of user {os.geteuid()} already uses {OURS}" in errors, errors
        assert "inet.queues" in errors, errors


def test_threads_without_queues_are_refused():
    with beside_device():
        done = subprocess.run([apps.program("echo-server"), "--threads", "2", "--address", OURS],
                              env={**os.environ, **environment(0)}, capture_output=True, text=True,
                              timeout=apps.TIMEOUT_S, check=False)
    assert done.returncode == 1, done
    assert "this process" in done.stderr and "inet.queues" in done.stderr, done.stderr


def test_threads_with_queues_share_the_address():
    with our_server("echo-server", "--threads", "2", "--address", OURS, DMTR_INET_QUEUES="2") as server:
        for _ in range(8):
            with server.connect() as sock:
                sock.sendall(b"x")
                assert apps.receive(sock, 1) == b"x"


def test_another_address_on_the_interface_is_served_beside():
    if ROW.device != "packet":
        raise apps.Skip("a second process cannot hear the same frames here")
    second = "10.77.0.4"
    with our_server("echo-server", "--address", OURS) as one, \
            our_server("echo-server", "--address", second, DMTR_INET_ADDRESS=f"{second}/24") as two:
        for server in (one, two):
            with server.connect() as sock:
                sock.sendall(b"x")
                assert apps.receive(sock, 1) == b"x"


def test_an_address_of_the_kernels_is_warned_of():
    if ROW.device != "packet":
        raise apps.Skip("the kernel's address is at the other end of this wire")
    with our_server("echo-server", "--udp", "--address", BESIDE, DMTR_INET_ADDRESS=f"{BESIDE}/24") as server:
        server.await_stderr(f"ip addr del {BESIDE} dev dmtr1")


@contextlib.contextmanager
def raw():
    """A socket at the second end that hears ARP."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ARP)) as sock:
        sock.bind(("dmtr0", ETH_P_ARP))
        sock.settimeout(30)
        yield sock


def hear_probe(sock):
    """(sender's MAC, address asked for) of the next probe."""
    while True:
        frame = sock.recv(2000)
        operation, mac, sender, _, target = struct.unpack("!H6s4s6s4s", frame[20:42])
        if operation == 1 and sender == bytes(4):
            return mac, socket.inet_ntoa(target)


def answer(sock, mac):
    """Says that another host has our address."""
    sock.send(mac + OTHER_MAC + struct.pack("!HHHBBH6s4s6s4s", ETH_P_ARP, 1, 0x0800, 6, 4, 2, OTHER_MAC,
                                            socket.inet_aton(OURS), mac, bytes(4)))


def test_another_host_with_the_address_is_told():
    with raw() as sock, our_server("echo-server", "--address", OURS) as server:
        with server.connect() as client:  # while we probe
            client.sendall(b"x")
            assert apps.receive(client, 1) == b"x"
        mac, asked = hear_probe(sock)
        assert asked == OURS, asked
        answer(sock, mac)
        server.await_stderr("02:00:00:00:00:99, already has address " + OURS)


def test_probing_may_be_switched_off():
    with raw() as sock, our_server("echo-server", "--udp", "--address", OURS, DMTR_INET_PROBE="no"):
        sock.settimeout(4)  # the first probe is due within a second
        try:
            mac, asked = hear_probe(sock)
            raise AssertionError(f"probe of {mac.hex()} for {asked}")
        except TimeoutError:
            pass


wires.main(apps.collect(globals()))
