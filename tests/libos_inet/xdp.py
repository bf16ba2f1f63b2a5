# SPDX-License-Identifier: MIT
"""
Libos inet over device xdp, on an interface and an address that the kernel also uses. Argument: one of xdp's rows in
wires.py.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time

import apps
import wires
from apps import Server
from wires import KERNEL_AT_DEVICE as SHARED
from wires import OURS, PEER, command, device_namespace, expect, run_ours

ADDRESSES = f"{SHARED}/24,{OURS}/24"


def our_server(*args, **more):
    return wires.our_server("echo-server", *args, DMTR_INET_ADDRESS=ADDRESSES, **more)


@contextlib.contextmanager
def two_queues():
    """Sets two queues at both ends: the driver requires as many receive queues as the other end has transmit queues."""
    def each(number):
        deadline = time.monotonic() + 30  # the kernel releases the queues of closed sockets late
        with device_namespace():
            while (why := command(f"ethtool -L dmtr1 rx {number} tx {number}")) and time.monotonic() < deadline:
                time.sleep(0.01)
        assert why is None, why
        expect(f"ethtool -L dmtr0 rx {number} tx {number}")

    each(2)
    yield
    each(1)


def xdp_program_is_attached():
    with device_namespace():
        return "xdp" in subprocess.run(["ip", "link", "show", "dmtr1"], capture_output=True, text=True,
                                       check=True).stdout


class KernelEcho:
    """An echo server of kernel sockets on the shared address, at our end of the wire."""

    def __enter__(self):
        with device_namespace():
            self.listener = socket.create_server((SHARED, 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()
        wires.await_link()
        return self

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                threading.Thread(target=self.echo, args=(connection,), daemon=True).start()

    @staticmethod
    def echo(connection):
        with contextlib.suppress(OSError), connection:
            while data := connection.recv(65536):
                connection.sendall(data)

    def __exit__(self, *_):
        self.listener.close()


def connect(address, port):
    return socket.create_connection((address, port), timeout=60)


def exchange(sock, size=20000):
    data = os.urandom(size)
    sock.sendall(data)
    assert apps.receive(sock, size) == data


def test_kernel_and_library_serve_the_same_address():
    with KernelEcho() as kernel, our_server("--address", SHARED) as ours:
        assert xdp_program_is_attached()
        with connect(SHARED, kernel.port) as to_kernel, connect(SHARED, ours.port) as to_us:
            for _ in range(50):
                exchange(to_kernel)
                exchange(to_us)
        for _ in range(100):
            with connect(SHARED, kernel.port) as to_kernel, connect(SHARED, ours.port) as to_us:
                exchange(to_kernel, 100)
                exchange(to_us, 100)
    assert not xdp_program_is_attached()


def test_a_second_address_is_served_by_the_library_only():
    with KernelEcho() as kernel, our_server("--address", OURS) as ours:
        for address in (SHARED, OURS):
            if shutil.which("ping"):
                expect(f"ping -c 3 -W 30 {address}")
        with connect(SHARED, kernel.port) as to_kernel, connect(OURS, ours.port) as to_us:
            exchange(to_kernel, 500000)
            exchange(to_us, 500000)


def test_datagrams_reach_our_open_port_on_the_shared_address():
    with our_server("--udp", "--address", SHARED) as ours, \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(60)
        sock.connect((SHARED, ours.port))
        for size in (1, 100, 1472):
            data = os.urandom(size)
            sock.send(data)
            assert sock.recv(2000) == data


def test_our_client_connects_from_the_shared_address():
    with Server("echo-server", "--address", PEER) as server:
        for policy in ("adaptive", "block"):
            out, _ = run_ours("echo-client", "--address", PEER, "--port", server.port, "--count", 500, "--warmup", 0,
                              "--size", 3000, "--connections", 4, "--json", "-", "--quiet", DMTR_WAIT_POLICY=policy,
                              DMTR_INET_ADDRESS=ADDRESSES)
            assert json.loads(out)["messages"] == 500, out


def test_kernel_traffic_continues_after_our_server_is_killed_and_restarted():
    with KernelEcho() as kernel, connect(SHARED, kernel.port) as to_kernel:
        for _ in range(3):
            with our_server("--address", SHARED, ends_with=-signal.SIGKILL) as ours:
                with connect(SHARED, ours.port) as to_us:
                    exchange(to_kernel)
                    exchange(to_us)
                    ours.stop(signal.SIGKILL)
                    exchange(to_kernel)
            assert not xdp_program_is_attached()
        exchange(to_kernel)
        with our_server("--address", SHARED) as ours, connect(SHARED, ours.port) as to_us:
            exchange(to_us)
            exchange(to_kernel)


def test_two_threads_use_one_queue_each():
    with two_queues(), KernelEcho() as kernel, \
            our_server("--address", SHARED, "--threads", 2, DMTR_INET_QUEUES="2") as ours:
        connections = [connect(SHARED, ours.port) for _ in range(20)]
        with connect(SHARED, kernel.port) as to_kernel:
            for connection in connections:
                with connection:
                    exchange(connection)
                    exchange(to_kernel)


def test_unserved_queues_are_reported():
    with two_queues():
        _, errors = run_ours("echo-server", "--address", SHARED, status=1, DMTR_INET_ADDRESS=ADDRESSES)
        assert "ethtool -L dmtr1" in errors, errors


wires.main(apps.collect(globals()))
