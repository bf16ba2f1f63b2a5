"""
Libos inet against the kernel's network stack and programs made for that, in amounts: short connections, long transfers
on good and on bad wires, each MTU, and curl, nc, iperf3 and redis as peers. Most go through dmtr-relay, which is on
both sides of TCP at once: what a client sends it arrives, and leaves again to a server. The first argument is the
device, see kernel_link.py; the second one `full`, or `short` for a build that is slow.
"""

import contextlib
import http.server
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import zlib

import apps
from kernel_link import DEVICE, KERNEL, OPTIONS, OURS, need_link, our_server

FULL = sys.argv[2] == "full"
CONNECTIONS = 10000 if FULL else 500
TRANSFER = (1 << 30) if FULL else (8 << 20)
BAD_TRANSFER = (64 << 20) if FULL else (2 << 20)
CHUNK = 1 << 18


@contextlib.contextmanager
def on_a_thread(work, *args):
    """Whatever it raises is raised at the end of the block."""
    failures = []

    def guarded():
        try:
            work(*args)
        except Exception as e:
            failures.append(e)

    thread = threading.Thread(target=guarded, daemon=True)
    thread.start()
    yield
    thread.join(apps.TIMEOUT_S)
    assert not thread.is_alive(), "it does not end"
    if failures:
        raise failures[0]


def our_relay(port, **options):
    return our_server("dmtr-relay", "--tcp", "--address", OURS, "--target", KERNEL, "--target-port", port, **options)


def send_numbered(sock, total):
    """Chunks that are all different; their checksum."""
    filling, check = os.urandom(CHUNK - 8), 0
    for number in range(total // CHUNK):
        chunk = number.to_bytes(8, "little") + filling
        check = zlib.crc32(chunk, check)
        sock.sendall(chunk)
    return check


def receive_all(sock, out):
    """Bytes and checksum until the end of the stream."""
    size = check = 0
    buffer = memoryview(bytearray(CHUNK))
    while n := sock.recv_into(buffer):
        check = zlib.crc32(buffer[:n], check)
        size += n
    out += [size, check]


def transfer(total, **options):
    """Kernel to us, us to kernel."""
    with socket.create_server((KERNEL, 0)) as listener, our_relay(listener.getsockname()[1], **options) as relay:
        listener.settimeout(apps.TIMEOUT_S)
        with relay.connect(apps.TIMEOUT_S) as near:
            far, _ = listener.accept()
            far.settimeout(apps.TIMEOUT_S)
            received = []
            with far, on_a_thread(receive_all, far, received):
                check = send_numbered(near, total)
                near.shutdown(socket.SHUT_WR)
            assert received == [total, check], received


def test_a_long_transfer_arrives_complete():
    need_link()
    transfer(TRANSFER)


def test_transfers_arrive_complete_over_a_wire_that_loses_repeats_and_reorders():
    need_link()
    transfer(BAD_TRANSFER, DMTR_INET_WRAPPERS="fault:loss=0.002,duplicate=0.002,reorder=0.01,reorder_ns=1000000,seed=7")


ETH_P_ALL, HEADER_BYTES, TAG_BYTES = 3, 14, 4


@contextlib.contextmanager
def longest_of_ours(lengths):
    """The length of the longest frame of ours that the kernel has seen is added to `lengths`."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) as tap:
        tap.bind(("dmtr0", 0))
        tap.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)  # what does not fit is not needed
        tap.setblocking(False)
        yield
        longest = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                frame, where = tap.recvfrom(1 << 16)
                if where[2] != socket.PACKET_OUTGOING:
                    longest = max(longest, len(frame))
        lengths.append(longest)


if DEVICE == "tap":
    def test_long_data_leaves_in_frames_that_the_kernel_cuts_and_need_not():
        need_link()
        lengths = []
        for choice in ("yes", "no"):
            with longest_of_ours(lengths):
                transfer(4 << 20, DMTR_INET_TSO=choice)
        assert lengths[0] > 1500 + HEADER_BYTES + TAG_BYTES >= lengths[1], lengths

    def test_frames_that_the_kernel_has_put_together_are_taken():
        need_link()
        transfer(TRANSFER, DMTR_INET_DEVICE_OPTIONS=OPTIONS["tap"] + ",lro=yes")


LOSS = """
table netdev dmtr {
    chain loss {
        type filter hook ingress device dmtr0 priority 0
        numgen random mod 1000 < 5 drop
    }
}
"""


def test_transfers_arrive_complete_when_the_kernel_loses_what_we_send():
    need_link()
    if not shutil.which("nft"):
        raise apps.Skip("no program nft")
    done = subprocess.run(["nft", "-f", "-"], input=LOSS, capture_output=True, text=True, check=False)
    if done.returncode:
        raise apps.Skip(f"nft: {done.stderr.strip().splitlines()[0]}")
    try:
        transfer(BAD_TRANSFER)
    finally:
        subprocess.run(["nft", "delete table netdev dmtr"], check=True)


@contextlib.contextmanager
def mtu(size):
    """Of the link, until the block ends."""
    interfaces = ["dmtr0"] if DEVICE == "tap" else ["dmtr0", "dmtr1"]

    def each(value):
        for interface in interfaces:
            subprocess.run(["ip", "link", "set", interface, "mtu", str(value)], check=True)

    each(size)
    try:
        yield
    finally:
        each(1500)


def test_each_mtu_carries_connections_and_datagrams():
    need_link()
    for size in (576, 1500, 9000):
        with mtu(size):
            transfer(4 << 20)
            with our_server("echo-server", "--udp", "--address", OURS) as server, \
                    socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.settimeout(30)
                sock.connect((OURS, server.port))
                for length in (size - 28, size - 27, 20000):
                    data = os.urandom(length)
                    sock.send(data)
                    assert sock.recv(70000) == data, (size, length)


def test_connections_follow_the_links_mtu():
    need_link()
    data = os.urandom(20000)
    with our_server("echo-server", "--address", OURS, DMTR_INET_TSO="no") as server, server.connect() as sock:
        for size in (1500, 700, 1500):
            with mtu(size):
                deadline, lengths = time.monotonic() + apps.TIMEOUT_S, []
                while size + HEADER_BYTES not in lengths:
                    assert time.monotonic() < deadline, f"{size}: {set(lengths)}"
                    with longest_of_ours(lengths):
                        sock.sendall(data)
                        assert apps.receive(sock, len(data)) == data


def echo_each(listener, count):
    for _ in range(count):
        sock, _ = listener.accept()
        with sock:
            while data := sock.recv(100):
                sock.sendall(data)


def test_short_connections_to_us_and_from_us():
    need_link()
    with socket.create_server((KERNEL, 0), backlog=128) as listener, \
            our_relay(listener.getsockname()[1]) as relay, on_a_thread(echo_each, listener, CONNECTIONS):
        listener.settimeout(apps.TIMEOUT_S)
        for i in range(CONNECTIONS):
            with relay.connect() as sock:
                message = b"%d" % i
                sock.sendall(message)
                assert apps.receive(sock, len(message)) == message
                sock.shutdown(socket.SHUT_WR)
                assert sock.recv(1) == b""


def tool(*command, **more):
    """The output of somebody else's program."""
    done = subprocess.run([str(part) for part in command], capture_output=True, timeout=apps.TIMEOUT_S, check=False,
                          **more)
    assert done.returncode == 0, f"{command}: status {done.returncode}, {done.stdout[-500:]}{done.stderr[-500:]}"
    return done.stdout


def need_program(name):
    need_link()
    if not shutil.which(name):
        raise apps.Skip(f"no program {name}")


class Pages(http.server.BaseHTTPRequestHandler):
    """One page, and the echo of what is posted."""
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


def test_curl_gets_and_posts_through_us():
    need_program("curl")
    with http.server.ThreadingHTTPServer((KERNEL, 0), Pages) as server, on_a_thread(server.serve_forever):
        try:
            with our_relay(server.server_port) as relay:
                curl = ["curl", "--silent", "--show-error", "--fail", "--noproxy", "*", f"http://{OURS}:{relay.port}/"]
                assert tool(*curl) == Pages.page
                assert tool(*curl, "--header", "Expect:", "--data-binary", "@-", input=Pages.page) == Pages.page
        finally:
            server.shutdown()


def test_nc_gets_back_what_it_sends_us():
    need_program("nc")
    data = os.urandom(3 << 20)
    with our_server("echo-server", "--address", OURS) as server:
        assert tool("nc", "-N", OURS, server.port, input=data) == data


def free_port():
    with socket.socket() as sock:
        sock.bind((KERNEL, 0))
        return sock.getsockname()[1]


@contextlib.contextmanager
def their_server(port, *command, program=None):
    """Somebody else's server, once it listens; `program` where it is not called as the command's first word says."""
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


def test_iperf3_measures_through_us_in_both_directions():
    need_program("iperf3")
    for direction in ([], ["--reverse"], ["--parallel", 4]):
        port = free_port()  # a server of its own, because one is busy for a while after a client has gone
        with their_server(port, "iperf3", "--server", "--bind", KERNEL, "--port", port), our_relay(port) as relay:
            tool("iperf3", "--client", OURS, "--port", relay.port, "--bytes", "64M" if FULL else "8M", *direction)


def test_redis_is_served_through_us():
    """The server is the program redis-check-rdb by another name; the package with that name would start a service."""
    need_program("redis-check-rdb")
    need_program("redis-benchmark")
    port, requests = free_port(), 20000 if FULL else 1000
    with tempfile.TemporaryDirectory() as folder, \
            their_server(port, "redis-server", "--port", port, "--bind", KERNEL, "--dir", folder, "--save", "",
                         "--protected-mode", "no", program=shutil.which("redis-check-rdb")), our_relay(port) as relay:
        out = tool("redis-benchmark", "-h", OURS, "-p", relay.port, "-n", requests, "-c", 50, "-t",
                   "set,get,lpush,mset", "--csv", "-P", 4)
        assert len(out.splitlines()) == 5, out  # a heading and a line for each command
        stored = os.urandom(1 << 20).hex().encode()
        assert tool("redis-cli", "-h", OURS, "-p", relay.port, "-x", "set", "large", input=stored) == b"OK\n"
        assert tool("redis-cli", "-h", OURS, "-p", relay.port, "get", "large") == stored + b"\n"


apps.main(apps.collect(globals()))
