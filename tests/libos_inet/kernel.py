"""
Libos inet against the kernel's network stack, in a network namespace of the test's own. The argument says over which
device: tap, or packet or xdp (in the driver, or generic) on one end of a veth pair, or dpdk over one of DPDK's drivers.
"""

import contextlib
import ctypes
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import time

import apps
from apps import Server, run

CLONE_NEWNET = 0x40000000
OURS, KERNEL = "10.77.0.1", "10.77.0.2"


DEVICE, MODE = (sys.argv[1].split("-") + [None])[:2]
# The kernel must finish its frames itself: nobody behind AF_PACKET or AF_XDP does it for us.
VETH = ["ip link add dmtr0 type veth peer name dmtr1", "ethtool -K dmtr0 tx off", "ip link set dmtr1 up"]
TAP = ["ip tuntap add dmtr0 mode tap multi_queue"]
LINKS = {
    "tap": TAP,
    "packet": VETH,
    "xdp": VETH,
    "dpdk": TAP if MODE == "tap" else VETH,
}
VDEVS = {"af_packet": "net_af_packet0;iface=dmtr1;qdisc_bypass=1", "af_xdp": "net_af_xdp0;iface=dmtr1;force_copy=1",
         "tap": "net_tap0;iface=dmtr0"}
OPTIONS = {"tap": "name=dmtr0,queues=yes", "packet": "name=dmtr1", "xdp": f"name=dmtr1,mode={MODE}",
           "dpdk": f"vdev={VDEVS.get(MODE)}"}


def enter_namespace():
    """A reason why not, or None."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        return f"no network namespace of our own: {os.strerror(ctypes.get_errno())}"
    if DEVICE == "tap" and not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "/dev/net/tun is not to be had"
    for command in ["ip link set lo up", *LINKS[DEVICE], f"ip addr add {KERNEL}/24 dev dmtr0", "ip link set dmtr0 up"]:
        if not shutil.which(command.split()[0]):
            return f"no program {command.split()[0]}"
        done = subprocess.run(command.split(), capture_output=True, text=True, check=False)
        if done.returncode:
            return f"{command}: {done.stderr.strip()}"
    return None


ENV = {"DMTR_LIBOS": "inet", "DMTR_INET_DEVICE": DEVICE, "DMTR_INET_DEVICE_OPTIONS": OPTIONS[DEVICE],
       "DMTR_INET_ADDRESS": f"{OURS}/24"}
# DPDK's af_packet has the kernel put fragments together, and then has no room for what comes out.
LARGEST = 1472 if MODE == "af_packet" else 65507
if (DEVICE, MODE) == ("dpdk", "af_xdp"):
    ENV["LSAN_OPTIONS"] = "detect_leaks=0"  # DPDK's driver forgets the handle of its memory
if (DEVICE, MODE) == ("dpdk", "tap"):
    ENV["DMTR_INET_MAC"] = "02:00:00:00:00:0a"  # the port's own is the kernel's on the other end
MISSING = enter_namespace()
if DEVICE == "xdp" and not MISSING:
    MISSING = apps.xdp_refused(ENV, KERNEL)


def need_link():
    if MISSING:
        raise apps.Skip(MISSING)


@contextlib.contextmanager
def our_server(*args, **options):
    """A program on our stack, with further options. The kernel drops what it sends until it has taken note that the link has come up."""
    with Server(*args, env={**ENV, **options}) as server:
        deadline = time.monotonic() + 30
        while "state UP" not in subprocess.run(["ip", "-o", "link", "show", "dmtr0"], capture_output=True, text=True,
                                               check=True).stdout:
            assert time.monotonic() < deadline, "the link does not come up"
            time.sleep(0.01)
        yield server


def echo_request(sequence, payload, kind=8):
    """An ICMP echo request, or with kind 0 its reply."""
    packet = struct.pack("!BBHHH", kind, 0, 0, os.getpid() & 0xffff, sequence) + payload
    total = sum(struct.unpack(f"!{len(packet) // 2}H", packet))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return packet[:2] + struct.pack("!H", ~total & 0xffff) + packet[4:]


if DEVICE != "xdp":  # the veth pair has one queue
    def test_a_server_on_several_threads():
        """With TAP each thread has a queue of the interface; AF_PACKET is shared."""
        need_link()
        if MODE in ("af_packet", "af_xdp"):
            raise apps.Skip("the port of DPDK has one queue here")
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
