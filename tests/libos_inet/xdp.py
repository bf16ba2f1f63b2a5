"""
Libos inet over the device xdp on an interface that the kernel goes on using, in a network namespace of the test's own;
the kernel at the other end of the wire is in a second one. The argument says where the program runs: native, generic.
"""

import contextlib
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import apps
from apps import Server, run

CLONE_NEWNET = 0x40000000
MODE = sys.argv[1]
SHARED, OURS, PEER = "10.78.0.1", "10.78.0.3", "10.78.0.2"  # SHARED is on the interface, OURS is not
LIBC = ctypes.CDLL(None, use_errno=True)


def command(line):
    done = subprocess.run(line.split(), capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else f"{line}: {done.stderr.strip()}"


@contextlib.contextmanager
def at_the_peer():
    """In the namespace of the other end: sockets and processes that begin here are there."""
    assert LIBC.setns(THERE, CLONE_NEWNET) == 0
    try:
        yield
    finally:
        assert LIBC.setns(HERE, CLONE_NEWNET) == 0


def new_namespace():
    if LIBC.unshare(CLONE_NEWNET) != 0:
        raise apps.Skip(f"no network namespace of our own: {os.strerror(ctypes.get_errno())}")
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY)


def expect(why):
    assert why is None, why


def set_queues(number):
    """At both ends: in the driver, ours must receive on as many as the other sends on. A reason why not, or None."""
    deadline = time.monotonic() + 30  # the kernel gives the queues of closed sockets back late
    while (why := command(f"ethtool -L dmtr1 rx {number} tx {number}")) and time.monotonic() < deadline:
        time.sleep(0.01)
    with at_the_peer():
        return why or command(f"ethtool -L dmtr0 rx {number} tx {number}")


def set_up():
    """A reason why not, or None."""
    for program in ("ip", "ethtool"):
        if not shutil.which(program):
            return f"no program {program}"
    queues = "numrxqueues 2 numtxqueues 2"
    why = (command(f"ip link add dmtr1 {queues} type veth peer name dmtr0 {queues}")
           or command("ethtool -K dmtr0 tx off")  # nobody behind AF_XDP finishes the kernel's frames
           or command(f"ip link set dmtr0 netns /proc/{os.getpid()}/fd/{THERE}")
           or command(f"ip addr add {SHARED}/24 dev dmtr1") or command("ip link set dmtr1 up"))
    if why:
        return why
    with at_the_peer():
        why = command(f"ip addr add {PEER}/24 dev dmtr0") or command("ip link set dmtr0 up")
    return why or set_queues(1)


def environment(**more):
    return {"DMTR_LIBOS": "inet", "DMTR_INET_DEVICE": "xdp", "DMTR_INET_ADDRESS": f"{SHARED}/24,{OURS}/24",
            "DMTR_INET_DEVICE_OPTIONS": f"name=dmtr1,mode={MODE}", **more}


try:
    THERE, HERE = new_namespace(), new_namespace()
    MISSING = set_up() or apps.xdp_refused(environment(), PEER)
except apps.Skip as e:
    MISSING = str(e)


def need_link():
    if MISSING:
        raise apps.Skip(MISSING)


@contextlib.contextmanager
def our_server(*args, **more):
    with Server("echo-server", *args, env=environment(**more)) as server:
        deadline = time.monotonic() + 60
        while "state UP" not in subprocess.run(["ip", "-o", "link", "show", "dmtr1"], capture_output=True, text=True,
                                               check=True).stdout:
            assert time.monotonic() < deadline, "the link does not come up"
            time.sleep(0.01)
        yield server


def program_is_there():
    return "xdp" in subprocess.run(["ip", "link", "show", "dmtr1"], capture_output=True, text=True, check=True).stdout


class KernelEcho:
    """An echo server on the kernel's stack, on our side, on the shared address."""

    def __enter__(self):
        self.listener = socket.create_server((SHARED, 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()
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
    with at_the_peer():
        return socket.create_connection((address, port), timeout=60)


def exchange(sock, size=20000):
    data = os.urandom(size)
    sock.sendall(data)
    assert apps.receive(sock, size) == data


def test_kernel_and_we_serve_the_same_address():
    need_link()
    with KernelEcho() as kernel, our_server("--address", SHARED) as ours:
        assert program_is_there()
        with connect(SHARED, kernel.port) as to_kernel, connect(SHARED, ours.port) as to_us:
            for _ in range(50):
                exchange(to_kernel)
                exchange(to_us)
        for _ in range(100):
            with connect(SHARED, kernel.port) as to_kernel, connect(SHARED, ours.port) as to_us:
                exchange(to_kernel, 100)
                exchange(to_us, 100)
    assert not program_is_there()


def test_an_address_of_our_own_is_served_beside_the_kernels():
    need_link()
    with KernelEcho() as kernel, our_server("--address", OURS) as ours:
        for address in (SHARED, OURS):
            with at_the_peer():
                if shutil.which("ping"):
                    expect(command(f"ping -c 3 -W 30 {address}"))
        with connect(SHARED, kernel.port) as to_kernel, connect(OURS, ours.port) as to_us:
            exchange(to_kernel, 500000)
            exchange(to_us, 500000)


def test_datagrams_reach_our_open_port_on_the_shared_address():
    need_link()
    with our_server("--udp", "--address", SHARED) as ours, at_the_peer(), \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(60)
        sock.connect((SHARED, ours.port))
        for size in (1, 100, 1472):
            data = os.urandom(size)
            sock.send(data)
            assert sock.recv(2000) == data


def test_we_connect_from_the_shared_address():
    need_link()
    with at_the_peer():
        server = Server("echo-server", "--address", PEER).__enter__()
    try:
        for policy in ("adaptive", "block"):
            out, _ = run("echo-client", "--address", PEER, "--port", server.port, "--count", 500, "--warmup", 0,
                         "--size", 3000, "--connections", 4, "--json", "-", "--quiet",
                         env=environment(DMTR_WAIT_POLICY=policy))
            assert json.loads(out)["messages"] == 500, out
    finally:
        server.__exit__(None)


def test_killed_server_leaves_the_kernel_its_traffic_and_is_started_again():
    need_link()
    with KernelEcho() as kernel, connect(SHARED, kernel.port) as to_kernel:
        for _ in range(3):
            with Server("echo-server", "--address", SHARED, env=environment(), ends_with=-signal.SIGKILL) as ours:
                with connect(SHARED, ours.port) as to_us:
                    exchange(to_kernel)
                    exchange(to_us)
                    ours.stop(signal.SIGKILL)
                    exchange(to_kernel)
            assert not program_is_there()
        exchange(to_kernel)
        with our_server("--address", SHARED) as ours, connect(SHARED, ours.port) as to_us:
            exchange(to_us)
            exchange(to_kernel)


def test_two_threads_have_a_queue_each():
    need_link()
    expect(set_queues(2))
    try:
        with KernelEcho() as kernel, our_server("--address", SHARED, "--threads", 2, DMTR_INET_QUEUES="2") as ours:
            connections = [connect(SHARED, ours.port) for _ in range(20)]
            with connect(SHARED, kernel.port) as to_kernel:
                for connection in connections:
                    with connection:
                        exchange(connection)
                        exchange(to_kernel)
    finally:
        expect(set_queues(1))


def test_missing_queues_are_named():
    need_link()
    expect(set_queues(2))
    try:
        _, errors = run("echo-server", "--address", SHARED, env=environment(), status=1)
        assert "ethtool -L dmtr1" in errors, errors
    finally:
        expect(set_queues(1))


apps.main(apps.collect(globals()))
