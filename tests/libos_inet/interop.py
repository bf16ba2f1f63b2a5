# SPDX-License-Identifier: MIT
"""
Libos inet under load with the kernel's network stack as peer: many short connections, long transfers over clean and
lossy wires, each MTU, and curl, nc, iperf3 and redis. Most tests go through dmtr-relay, which accepts a connection from
the client and opens one to the server. Arguments: a row of wires.py; `full` or `short`.
"""

import contextlib
import http.server
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

import apps
import wires
from load import on_a_thread, transfer
from wires import KERNEL, OURS, ROW, device_namespace, expect, our_relay, our_server, reachable

FULL = sys.argv[2] == "full"
CONNECTIONS = 10000 if FULL else 500
TRANSFER = (1 << 30) if FULL else (8 << 20)
BAD_TRANSFER = (64 << 20) if FULL else (2 << 20)


def test_a_long_transfer_arrives_complete():
    transfer(TRANSFER)


def test_transfers_arrive_complete_over_a_wire_with_loss_duplication_and_reordering():
    transfer(BAD_TRANSFER, DMTR_INET_WRAPPERS="fault:loss=0.002,duplicate=0.002,reorder=0.01,reorder_ns=1000000,seed=7")


ETH_P_ALL, HEADER_BYTES, TAG_BYTES = 3, 14, 4


@contextlib.contextmanager
def record_longest_frame(lengths):
    """Appends to `lengths` the length of the longest frame that the kernel receives from us during the block."""
    seen, ended = [0], threading.Event()

    def watch(tap):
        while True:
            try:
                frame, where = tap.recvfrom(1 << 16)
            except TimeoutError:
                if ended.is_set():
                    return
                continue
            if where[2] != socket.PACKET_OUTGOING:
                seen[0] = max(seen[0], len(frame))

    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) as tap:
        tap.bind(("dmtr0", 0))
        tap.settimeout(0.05)
        with on_a_thread(watch, tap):
            try:
                yield
            finally:
                ended.set()
    lengths.append(seen[0])


if ROW.device == "tap":
    def test_tso_option_selects_long_frames_or_segments():
        lengths = []
        for choice in ("yes", "no"):
            with apps.Server("echo-server", "--address", KERNEL) as server, record_longest_frame(lengths):
                wires.run_ours("echo-client", "--address", KERNEL, "--port", server.port, "--size", 60000, "--count", 20,
                               "--quiet", DMTR_INET_TSO=choice)
        assert lengths[0] > 1500 + HEADER_BYTES + TAG_BYTES >= lengths[1], lengths

    def test_frames_merged_by_the_kernel_are_received():
        transfer(TRANSFER, DMTR_INET_DEVICE_OPTIONS=ROW.options + ",lro=yes")


LOSS = """
table netdev dmtr {
    chain loss {
        type filter hook ingress device dmtr0 priority 0
        numgen random mod 1000 < 5 drop
    }
}
"""


def set_mtu(size):
    """Sets the MTU of the wire. Returns the options that the device needs for it."""
    expect(f"ip link set dmtr0 mtu {size}")
    if ROW.link is wires.VETH:
        with device_namespace():
            expect(f"ip link set dmtr1 mtu {size}")
    return {"DMTR_INET_DEVICE_OPTIONS": f"{ROW.options},mtu={size}"} if ROW.device == "dpdk" else {}


if not ROW.peer:
    def test_transfers_arrive_complete_when_the_kernel_drops_our_frames():
        if not shutil.which("nft"):
            raise apps.Skip("no program nft")
        done = subprocess.run(["nft", "-f", "-"], input=LOSS, capture_output=True, text=True, check=False)
        if done.returncode:
            raise apps.Skip(f"nft: {done.stderr.strip().splitlines()[0]}")
        try:
            transfer(BAD_TRANSFER)
        finally:
            subprocess.run(["nft", "delete table netdev dmtr"], check=True)

    def test_connections_and_datagrams_pass_with_each_mtu():
        for size in ROW.mtus:
            options = set_mtu(size)
            transfer(4 << 20, **options)
            with our_server("echo-server", "--udp", "--address", OURS, **options) as server, \
                    socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.settimeout(30)
                sock.connect((OURS, server.port))
                for length in (size - 28, min(size - 27, ROW.largest), min(20000, ROW.largest)):
                    data = os.urandom(length)
                    sock.send(data)
                    assert sock.recv(70000) == data, (size, length)


if not ROW.peer and ROW.device != "dpdk":
    def test_connections_follow_the_link_mtu():
        data = os.urandom(20000)
        with our_server("echo-server", "--address", OURS, DMTR_INET_TSO="no") as server, server.connect() as sock:
            for size in (1500, 700, 1500):
                set_mtu(size)
                deadline, lengths = time.monotonic() + apps.TIMEOUT_S, []
                while size + HEADER_BYTES not in lengths:
                    assert time.monotonic() < deadline, f"{size}: {set(lengths)}"
                    with record_longest_frame(lengths):
                        sock.sendall(data)
                        assert apps.receive(sock, len(data)) == data


if ROW.device in ("tap", "packet"):
    def test_counters_of_stack_and_device_are_shown():
        with our_server("echo-server", "--address", OURS) as server:
            def shown():
                (page,) = json.loads(apps.run("dmtr", "ss", "--json", "--pid", server.process.pid)[0])
                return page["counters"]

            with server.connect() as sock:
                sock.sendall(b"x" * 100)
                assert apps.receive(sock, 100) == b"x" * 100
            with socket.socket() as refused, contextlib.suppress(ConnectionRefusedError):
                refused.settimeout(30)
                refused.connect((OURS, 9))
            deadline = time.monotonic() + apps.TIMEOUT_S
            while shown()["inet_tcp_no_port"] == 0:
                assert time.monotonic() < deadline, shown()
            now = shown()
            assert 5 <= now["inet_frames_in"] <= now["inet_device_rx_frames"] and now["inet_arp_replies_out"] > 0, now
            assert now["inet_frames_out"] >= 5 <= now["inet_device_tx_frames"] and now["inet_tcp_resets_out"] == 1, now


def echo_each(listener, count):
    for _ in range(count):
        sock, _ = listener.accept()
        with sock:
            while data := sock.recv(100):
                sock.sendall(data)


def test_relay_handles_many_short_connections():
    with socket.create_server((KERNEL, 0), backlog=128) as listener, \
            our_relay(listener.getsockname()[1], "--tcp") as relay, on_a_thread(echo_each, listener, CONNECTIONS):
        listener.settimeout(apps.TIMEOUT_S)
        for i in range(CONNECTIONS):
            with relay.connect() as sock:
                message = b"%d" % i
                sock.sendall(message)
                assert apps.receive(sock, len(message)) == message
                sock.shutdown(socket.SHUT_WR)
                assert sock.recv(1) == b""


def run_tool(*command, **more):
    """Runs a third-party program. Returns its output."""
    done = subprocess.run([str(part) for part in command], capture_output=True, timeout=apps.TIMEOUT_S, check=False,
                          **more)
    assert done.returncode == 0, f"{command}: status {done.returncode}, {done.stdout[-500:]}{done.stderr[-500:]}"
    return done.stdout


def need_program(name):
    if not shutil.which(name):
        raise apps.Skip(f"no program {name}")


class Pages(http.server.BaseHTTPRequestHandler):
    """Serves one page, and echoes posted data."""
    page = os.urandom(3 << 20)

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer(self.page)

    def do_POST(self):
        self.answer(self.rfile.read(int(self.headers["Content-Length"])))

    def log_message(self, *_):
        pass


def test_curl_gets_and_posts_through_the_relay():
    need_program("curl")
    with http.server.ThreadingHTTPServer((KERNEL, 0), Pages) as server, on_a_thread(server.serve_forever):
        try:
            with our_relay(server.server_port, "--tcp") as relay:
                url = f"http://{relay.address}:{relay.port}/"
                curl = ["curl", "--silent", "--show-error", "--fail", "--noproxy", "*", url]
                assert run_tool(*curl) == Pages.page
                assert run_tool(*curl, "--header", "Expect:", "--data-binary", "@-", input=Pages.page) == Pages.page
        finally:
            server.shutdown()


def test_nc_receives_its_data_from_the_echo_server():
    need_program("nc")
    data = os.urandom(3 << 20)
    with our_server("echo-server", "--address", OURS) as server, reachable(server, "--tcp") as near:
        assert run_tool("nc", "-N", near.address, near.port, input=data) == data


def find_free_port():
    with socket.socket() as sock:
        sock.bind((KERNEL, 0))
        return sock.getsockname()[1]


@contextlib.contextmanager
def foreign_server(port, *command, program=None):
    """Runs a third-party server and waits until it listens. `program`: its file, if not the first word of command."""
    words, silent = [str(part) for part in command], subprocess.DEVNULL
    with subprocess.Popen(words, executable=program, stdout=silent, stderr=silent) as process:
        try:
            deadline = time.monotonic() + apps.TIMEOUT_S
            listening = f":{port:04X} 00000000:0000 0A"
            while True:
                with open("/proc/self/net/tcp", encoding="ascii") as sockets:
                    if listening in sockets.read():
                        break
                assert process.poll() is None and time.monotonic() < deadline, f"{command}: does not listen"
                time.sleep(0.01)
            yield
        finally:
            process.terminate()


def test_iperf3_runs_through_the_relay_in_both_directions():
    need_program("iperf3")
    for direction in ([], ["--reverse"], ["--parallel", 4]):
        port = find_free_port()  # a new server each time: iperf3 stays busy for a while after a client has ended
        with foreign_server(port, "iperf3", "--server", "--bind", KERNEL, "--port", port), \
                our_relay(port, "--tcp") as relay:
            run_tool("iperf3", "--client", relay.address, "--port", relay.port, "--bytes", "64M" if FULL else "8M",
                     *direction)


def test_redis_runs_through_the_relay():
    """redis-check-rdb is the same file as redis-server; the package redis-server would also start a service."""
    need_program("redis-check-rdb")
    need_program("redis-benchmark")
    port, requests = find_free_port(), 20000 if FULL else 1000
    with tempfile.TemporaryDirectory() as folder, \
            foreign_server(port, "redis-server", "--port", port, "--bind", KERNEL, "--dir", folder, "--save", "",
                           "--protected-mode", "no", program=shutil.which("redis-check-rdb")), \
            our_relay(port, "--tcp") as relay:
        out = run_tool("redis-benchmark", "-h", relay.address, "-p", relay.port, "-n", requests, "-c", 50, "-t",
                       "set,get,lpush,mset", "--csv", "-P", 4)
        assert len(out.splitlines()) == 5, out  # a heading and a line for each command
        stored = os.urandom(1 << 20).hex().encode()
        client = ["redis-cli", "-h", relay.address, "-p", relay.port]
        assert run_tool(*client, "-x", "set", "large", input=stored) == b"OK\n"
        assert run_tool(*client, "get", "large") == stored + b"\n"


wires.main(apps.collect(globals()))
