# SPDX-License-Identifier: MIT
"""Address conflicts with processes, threads, the kernel and other hosts, over a row of wires.py."""

import contextlib
import os
import socket
import struct
import subprocess

import apps
import wires
from wires import KERNEL_AT_DEVICE, OURS, ROW, device_namespace, environment, our_server, run_ours

OTHER_MAC = bytes.fromhex("020000000099")
ETH_P_ARP = 0x0806


def test_a_second_process_with_the_address_is_refused():
    with our_server("echo-server", "--udp", "--address", OURS) as server:
        _, errors = run_ours("echo-client", "--udp", "--address", wires.PEER, "--port", 7, status=1)
        assert f"process {server.process.pid} of user {os.geteuid()} already uses {OURS}" in errors, errors
        assert "inet.queues" in errors, errors


def test_threads_without_queues_are_refused():
    with device_namespace():
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


def test_two_processes_serve_different_addresses_of_one_interface():
    if ROW.device != "packet":
        raise apps.Skip("a second process cannot receive the same frames on this device")
    second = "10.77.0.4"
    with our_server("echo-server", "--address", OURS) as one, \
            our_server("echo-server", "--address", second, DMTR_INET_ADDRESS=f"{second}/24") as two:
        for server in (one, two):
            with server.connect() as sock:
                sock.sendall(b"x")
                assert apps.receive(sock, 1) == b"x"


def test_an_address_that_the_kernel_has_causes_a_warning():
    if ROW.device != "packet":
        raise apps.Skip("the kernel's address is at the other end of this wire")
    with our_server("echo-server", "--udp", "--address", KERNEL_AT_DEVICE,
                    DMTR_INET_ADDRESS=f"{KERNEL_AT_DEVICE}/24") as server:
        server.await_stderr(f"ip addr del {KERNEL_AT_DEVICE} dev dmtr1")


@contextlib.contextmanager
def open_arp_socket():
    """A socket at the second end that receives ARP frames."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ARP)) as sock:
        sock.bind(("dmtr0", ETH_P_ARP))
        sock.settimeout(30)
        yield sock


def receive_probe(sock):
    """Receives the next probe. Returns (MAC of the sender, probed address)."""
    while True:
        frame = sock.recv(2000)
        operation, mac, sender, _, target = struct.unpack("!H6s4s6s4s", frame[20:42])
        if operation == 1 and sender == bytes(4):
            return mac, socket.inet_ntoa(target)


def send_conflict(sock, mac):
    """Replies that another host has our address."""
    sock.send(mac + OTHER_MAC + struct.pack("!HHHBBH6s4s6s4s", ETH_P_ARP, 1, 0x0800, 6, 4, 2, OTHER_MAC,
                                            socket.inet_aton(OURS), mac, bytes(4)))


def test_an_address_conflict_with_another_host_is_reported():
    with open_arp_socket() as sock, our_server("echo-server", "--address", OURS) as server:
        with server.connect() as client:  # the server works while it probes
            client.sendall(b"x")
            assert apps.receive(client, 1) == b"x"
        mac, asked = receive_probe(sock)
        assert asked == OURS, asked
        send_conflict(sock, mac)
        server.await_stderr("02:00:00:00:00:99, already has address " + OURS)


def test_probing_can_be_disabled():
    with open_arp_socket() as sock, our_server("echo-server", "--udp", "--address", OURS, DMTR_INET_PROBE="no"):
        sock.settimeout(4)  # the first probe is due within a second
        try:
            mac, asked = receive_probe(sock)
            raise AssertionError(f"probe of {mac.hex()} for {asked}")
        except TimeoutError:
            pass


wires.main(apps.collect(globals()))
