# SPDX-License-Identifier: MIT
"""
The same programs over each row of the table in wires.py, selected by configuration only. The tests also kill the
peer, take the link down, remove the device, and share the interface with the kernel where the device allows it.
"""

import contextlib
import json
import os
import signal
import socket
import threading
import time

import apps
import wires
from load import transfer
from wires import KERNEL, KERNEL_AT_DEVICE, OURS, ROW, device_namespace, expect, our_relay, our_server, reachable

BULK = 4 << 20


def exchange(sock, size=20000):
    data = os.urandom(size)
    sock.sendall(data)
    assert apps.receive(sock, size) == data


def run_echo(*args, protocol=(), **options):
    with our_server("echo-server", *protocol, "--address", OURS, **options) as server:
        out, _ = wires.run_peer("echo-client", *protocol, "--address", OURS, "--port", server.port, "--count", 300,
                                "--warmup", 0, "--json", "-", "--quiet", *args)
        messages = json.loads(out)["messages"]
        assert messages == 300 or 0 < messages < 300 and "--udp" in protocol and not ROW.keeps_datagrams, out


def test_streams_datagrams_and_messages_are_echoed():
    for protocol in ([], ["--udp"], ["--framed"]):
        run_echo(protocol=protocol)


def test_messages_larger_than_a_frame_are_echoed_on_many_sockets():
    run_echo("--size", 100000, "--connections", 10)
    run_echo("--size", min(5000, ROW.largest), "--connections", 4, protocol=["--udp"])


def test_messages_are_echoed_with_blocking_waits():
    for protocol in ([], ["--udp"]):
        run_echo(protocol=protocol, DMTR_WAIT_POLICY="block")


def test_relayed_streams_arrive_complete():
    transfer(BULK)


def test_datagrams_are_relayed():
    with apps.Server("echo-server", "--udp", "--address", KERNEL) as target, our_relay(target.port) as relay:
        out, _ = apps.run("echo-client", "--udp", "--address", relay.address, "--port", relay.port, "--count", 200,
                          "--connections", 3, "--warmup", 0, "--json", "-", "--quiet")
        messages = json.loads(out)["messages"]
        assert messages == 200 or 0 < messages < 200 and not ROW.keeps_datagrams, out


if ROW.threads:  # some drivers do not support it
    def test_a_server_runs_on_several_threads():
        with our_server("echo-server", "--address", OURS, "--threads", 3, DMTR_INET_QUEUES="3") as server:
            out, _ = wires.run_peer("echo-client", "--address", OURS, "--port", server.port, "--count", 2000, "--size",
                                    3000, "--connections", 30, "--warmup", 0, "--json", "-", "--quiet")
            assert json.loads(out)["messages"] == 2000, out


if not ROW.copies:
    def test_no_payload_is_copied_in_either_direction():
        with our_server("echo-server", "--address", OURS) as server:
            with reachable(server, "--tcp") as near, near.connect() as sock:
                for _ in range(50):
                    exchange(sock)
                deadline, now = time.monotonic() + apps.TIMEOUT_S, {"inet_device_tx_frames": 0}
                while now["inet_device_tx_frames"] < 50 * 20000 // 1500:
                    assert time.monotonic() < deadline, now
                    (page,) = json.loads(apps.run("dmtr", "ss", "--json", "--pid", server.process.pid)[0])
                    now = page["counters"]
            copied = [now[name] for name in ("copied_bytes", "inet_device_rx_copied", "inet_device_tx_copied")]
            assert copied == [0, 0, 0], now


@contextlib.contextmanager
def transferring(server, **options):
    """A connection that transfers data in both directions while the block runs, or until it breaks."""
    with reachable(server, "--tcp", **options) as near, near.connect() as sock:
        exchange(sock)
        stop = threading.Event()

        def fill():
            with contextlib.suppress(OSError):
                while not stop.is_set():
                    sock.sendall(bytes(10000))

        def drain():
            with contextlib.suppress(OSError):
                while sock.recv(65536):
                    pass

        threads = [threading.Thread(target=work, daemon=True) for work in (fill, drain)]
        for thread in threads:
            thread.start()
        yield near
        stop.set()
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(apps.TIMEOUT_S)
            assert not thread.is_alive(), "the thread does not end"


def check_server(server):
    with reachable(server, "--tcp") as near, near.connect() as sock:
        exchange(sock)


if ROW.outlived:  # some drivers do not support it
    def test_a_server_survives_killed_peers():
        with our_server("echo-server", "--address", OURS) as server:
            for _ in range(2):
                if not ROW.peer:
                    with transferring(server):
                        pass
                else:
                    with transferring(server, ends_with=-signal.SIGKILL) as near:
                        near.stop(signal.SIGKILL)
                check_server(server)


def test_a_killed_server_can_be_restarted():
    for _ in range(2):
        with our_server("echo-server", "--address", OURS, ends_with=-signal.SIGKILL) as server:
            with transferring(server, **({"ends_with": None} if ROW.peer else {})):
                server.stop(signal.SIGKILL)
        if ROW.left:
            os.unlink(wires.in_folder(ROW.left))
    with our_server("echo-server", "--address", OURS) as server:
        check_server(server)


if not ROW.peer:
    def test_connections_survive_a_link_that_goes_down_and_up():
        for interface, place in [("dmtr0", contextlib.nullcontext)] + ([("dmtr1", device_namespace)] if ROW.link is
                                                                       wires.VETH else []):
            with our_server("echo-server", "--address", OURS) as server, server.connect() as sock:
                exchange(sock)
                with transferring(server), place():
                    expect(f"ip link set {interface} down")
                    sock.sendall(b"sent while it is down")
                    expect(f"ip link set {interface} up")
                    assert apps.receive(sock, 21) == b"sent while it is down"
                exchange(sock)

    def test_a_removed_device_is_reported():
        for policy in ("adaptive", "block"):
            with our_server("echo-server", "--address", OURS, ends_with=1 if ROW.loses else 0,
                            DMTR_WAIT_POLICY=policy) as server, transferring(server):
                expect("ip link delete dmtr0")
                if ROW.loses:
                    server.await_stderr("the network device is lost: Network is down")
                    server.await_end()
            assert wires.make_link() is None


if ROW.loses and ROW.link is wires.VETH:
    def test_a_server_with_retry_serves_again_when_its_device_returns():
        with our_server("echo-server", "--address", OURS, "--retry", "1") as server:
            check_server(server)
            expect("ip link delete dmtr0")
            server.await_stderr("the network device is lost")
            assert wires.make_link() is None
            server.await_line("listening on")
            wires.await_link()
            check_server(server)


if ROW.kernel_stays:
    def echo_each(listener):
        with contextlib.suppress(OSError):
            while True:
                sock, _ = listener.accept()
                with sock:
                    while data := sock.recv(65536):
                        sock.sendall(data)

    def test_kernel_traffic_on_the_interface_continues():
        with device_namespace():
            listener = socket.create_server((KERNEL_AT_DEVICE, 0))
        with listener:
            threading.Thread(target=echo_each, args=(listener,), daemon=True).start()
            wires.await_link()
            with socket.create_connection(listener.getsockname(), timeout=apps.TIMEOUT_S) as sock:
                exchange(sock)
                with our_server("echo-server", "--address", OURS, ends_with=-signal.SIGKILL) as server:
                    with transferring(server):
                        exchange(sock, 1000000)
                        server.stop(signal.SIGKILL)
                        exchange(sock, 1000000)
                exchange(sock)


wires.main(apps.collect(globals()))
