# SPDX-License-Identifier: MIT
"""
The wires that libos inet is tested over: one table, a row for each device. A wire has two ends. At the first are
programs over libos inet and the device; at the second the kernel's stack, or, over devices that connect two processes,
libos inet again. What leads to the kernel lies in a network namespace of the test's own, and the device in a second
one. The first argument of a test names its row.
"""

import contextlib
import ctypes
import dataclasses
import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

import apps
from apps import Server

CLONE_NEWNET = 0x40000000
NOBODY = 65534
LIBC = ctypes.CDLL(None, use_errno=True)

OURS, PEER = "10.77.0.1", "10.77.0.2"
BESIDE = "10.77.0.3"  # the kernel's, on the interface that the device is on

# Nobody behind AF_PACKET or AF_XDP finishes the kernel's frames: it must do so itself.
QUEUES = "numrxqueues 2 numtxqueues 2"
VETH = [f"ip link add dmtr0 {QUEUES} type veth peer name dmtr1 {QUEUES} netns {{there}}", "ethtool -K dmtr0 tx off",
        "ethtool -L dmtr0 rx 1 tx 1"]
TAP = ["ip tuntap add dmtr0 mode tap multi_queue"]


@dataclasses.dataclass
class Row:
    device: str
    options: str  # {folder} is a new one for each wire, {end} 0 or 1
    peer: str = None  # options at the second end; without them the kernel is there
    link: list = ()  # commands that make the way to the kernel
    env: dict = dataclasses.field(default_factory=dict)
    largest: int = 65507  # datagram
    mtus: tuple = (576, 1500, 9000)
    kernel_stays: bool = False  # the kernel goes on using the interface
    keeps_datagrams: bool = True
    copies: bool = True  # payload, in the library, in either direction
    loses: bool = True  # is told when its interface is taken away
    threads: bool = True  # may share it
    outlived: bool = True  # by the program at the other end, when it is killed
    left: str = None  # what stays of a killed program and must be removed
    user: int = None  # whose programs are to run, without any capability


ROWS = {
    "shm": Row("shm", "path={folder}/wire,listen=yes", "path={folder}/wire"),
    "shm-wrapped": Row("shm", "path={folder}/wire,listen=yes", "path={folder}/wire", keeps_datagrams=False, env={
        "DMTR_INET_WRAPPERS": "fault:loss=0.002,duplicate=0.002,reorder=0.01,reorder_ns=100000,short=0.01,seed=7;trace;"
                              "pcap:file={folder}/frames{end}"}),
    "tap": Row("tap", "name=dmtr0,queues=yes", link=TAP),
    "packet": Row("packet", "name=dmtr1", link=VETH, kernel_stays=True),
    "xdp-native": Row("xdp", "name=dmtr1,mode=native", link=VETH, copies=False, kernel_stays=True),
    "xdp-generic": Row("xdp", "name=dmtr1,mode=generic", link=VETH, copies=False, kernel_stays=True),
    # DPDK's memif unmaps its rings under those who use them when the other end goes.
    "dpdk-memif": Row("dpdk", "vdev=net_memif0;role=server;socket=@{folder}/wire",
                      "vdev=net_memif0;role=client;socket=@{folder}/wire", copies=False, outlived=False),
    "dpdk-vhost": Row("dpdk", "vdev=net_vhost0;iface={folder}/wire", "vdev=virtio_user0;path={folder}/wire",
                      copies=False, user=NOBODY, left="{folder}/wire"),
    # It has the kernel put fragments together, and then has no room for what comes out.
    "dpdk-af_packet": Row("dpdk", "vdev=net_af_packet0;iface=dmtr1;qdisc_bypass=1", link=VETH, largest=1472,
                          copies=False, mtus=(1500,), kernel_stays=True, loses=False),
    # It forgets the handle of its memory, and receives no more when several threads use its queue in turn.
    "dpdk-af_xdp": Row("dpdk", "vdev=net_af_xdp0;iface=dmtr1;force_copy=1", link=VETH, mtus=(576, 1500), threads=False,
                       loses=False, env={"LSAN_OPTIONS": "detect_leaks=0"}),
    # The port's own address is the kernel's on the other end.
    "dpdk-tap": Row("dpdk", "vdev=net_tap0;iface=dmtr0", link=TAP, copies=False, mtus=(576, 1500),
                    loses=False, env={"DMTR_INET_MAC": "02:00:00:00:00:0a"}),
}

NAME = sys.argv[1]
ROW = ROWS[NAME]
# Where the test's own sockets of the kernel listen and connect from.
KERNEL = "127.0.0.1" if ROW.peer else PEER


def command(line):
    """None, or why it failed."""
    if not shutil.which(line.split()[0]):
        return f"no program {line.split()[0]}"
    done = subprocess.run(line.split(), capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else f"{line}: {done.stderr.strip()}"


def expect(line):
    why = command(line)
    assert why is None, why


# ---- namespaces ----

def new_namespace():
    if LIBC.unshare(CLONE_NEWNET) != 0:
        raise apps.Skip(f"no network namespace of our own: {os.strerror(ctypes.get_errno())}")
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY)


@contextlib.contextmanager
def inside(namespace):
    assert LIBC.setns(namespace, CLONE_NEWNET) == 0
    try:
        yield
    finally:
        assert LIBC.setns(HERE, CLONE_NEWNET) == 0


def beside_device():
    """In the namespace of the device: sockets and processes that begin here are there."""
    return inside(THERE)


def enter():
    """A reason why not, or None. The test itself stays at the second end."""
    global THERE, HERE
    if ROW.peer:
        HERE = THERE = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        return None
    try:
        THERE = new_namespace()
        why = command("ip link set lo up")
        HERE = THERE if ROW.link is TAP else new_namespace()  # a TAP interface is where it is opened
    except apps.Skip as e:
        return str(e)
    if ROW.link is TAP and not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "/dev/net/tun is not to be had"
    return why or command("ip link set lo up")


# ---- wires ----

def make_link():
    """A reason why not, or None."""
    there = f"/proc/{os.getpid()}/fd/{THERE}"
    for line in (*ROW.link, f"ip addr add {PEER}/24 dev dmtr0", "ip link set dmtr0 up"):
        why = command(line.format(there=there))
        if why:
            return why
    if ROW.link is not VETH:
        return None
    with beside_device():
        return (command("ethtool -L dmtr1 rx 1 tx 1") or command(f"ip addr add {BESIDE}/24 dev dmtr1")
                or command("ip link set dmtr1 up"))


@contextlib.contextmanager
def wire():
    """A new one, until the block ends."""
    global FOLDER
    if MISSING:
        raise apps.Skip(MISSING)
    with tempfile.TemporaryDirectory() as FOLDER:
        if ROW.user:
            os.chown(FOLDER, ROW.user, ROW.user)
        why = (make_link() if ROW.link else None) or refused()
        try:
            if why:
                raise apps.Skip(why)
            yield
        finally:
            if ROW.link:
                command("ip link delete dmtr0")


def in_folder(text):
    return text.replace("{folder}", FOLDER)


def environment(end, **more):
    """Of a program at one end, 0 or 1, over libos inet."""
    options, address = ((ROW.options, OURS), (ROW.peer, PEER))[end]
    env = {"DMTR_LIBOS": "inet", "DMTR_INET_DEVICE": ROW.device, "DMTR_INET_DEVICE_OPTIONS": options,
           "DMTR_INET_ADDRESS": f"{address}/24", **ROW.env, **more}
    return {key: in_folder(value).replace("{end}", str(end)) for key, value in env.items()}


def await_up(interface):
    deadline = time.monotonic() + 60
    while "state UP" not in subprocess.run(["ip", "-o", "link", "show", interface], capture_output=True, text=True,
                                           check=True).stdout:
        assert time.monotonic() < deadline, "the link does not come up"
        time.sleep(0.01)


def await_link():
    """The kernel drops what is sent until it has taken note that the link has come up."""
    if ROW.link:
        await_up("dmtr0")
    if ROW.link is VETH:
        with beside_device():
            await_up("dmtr1")


@contextlib.contextmanager
def our_server(*args, end=0, ends_with=0, **options):
    """A program over libos inet that listens, with further options."""
    if not ROW.outlived and ends_with == 0:
        ends_with = None  # its peer may have gone just before
    server = Server(*args, env=environment(end, **options), ends_with=ends_with, user=ROW.user)
    with contextlib.ExitStack() as stack:
        with beside_device():
            stack.enter_context(server)
        await_link()
        yield server


def run_ours(*args, end=0, status=0, **options):
    """(stdout, stderr) of a program over libos inet."""
    with beside_device():
        return apps.run(*args, env=environment(end, **options), status=status, user=ROW.user)


def run_peer(*args):
    """The same at the second end."""
    return run_ours(*args, end=1) if ROW.peer else apps.run(*args)


@contextlib.contextmanager
def our_relay(port, *protocol, **options):
    """
    Forwards to a port of the kernel, through libos inet and over the wire. Yields what the kernel's sockets can connect
    to: where both ends are libos inet a second relay leads there.
    """
    if not ROW.peer:
        with our_server("dmtr-relay", *protocol, "--address", OURS, "--target", KERNEL, "--target-port", port,
                        **options) as server:
            yield server
        return
    with our_server("dmtr-relay", *protocol, "--address", OURS, "--target", KERNEL, "--target-network", "posix",
                    "--target-port", port, **options) as far, reach(far, *protocol, **options) as server:
        yield server


@contextlib.contextmanager
def reach(server, *protocol, ends_with=0, **options):
    """What the kernel's sockets connect to in order to reach a server at the first end."""
    if not ROW.peer:
        yield server
        return
    with our_server("dmtr-relay", *protocol, "--network", "posix", "--address", KERNEL, "--target", OURS,
                    "--target-network", "inet", "--target-port", server.port, end=1, ends_with=ends_with,
                    **options) as near:
        yield near


# ---- what is missing ----

@functools.cache
def refused():
    """Why bpf(2) or AF_XDP may not be used here, as the device says it, or None. Nobody listens at the peer."""
    if ROW.device != "xdp":
        return None
    with beside_device():
        done = subprocess.run([apps.program("echo-client"), "--address", PEER, "--port", "9", "--count", "1"],
                              env={**os.environ, **environment(0)}, capture_output=True, text=True,
                              timeout=apps.TIMEOUT_S, check=False)
    return done.stderr.strip() if re.search("may not be|AF_XDP is not|no AF_XDP", done.stderr) else None


def prepare_user():
    """Programs where another user can read them."""
    if os.geteuid() != 0:
        ROW.user = None  # it has no capabilities anyhow
        return
    global COPIES
    COPIES = tempfile.TemporaryDirectory()
    os.chmod(COPIES.name, 0o755)
    for name in ("echo-server", "echo-client", "dmtr-relay", "dmtr"):
        target = apps.program(name).replace(apps.BUILD, COPIES.name, 1)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copy(apps.program(name), target)
    shutil.copy(os.path.join(apps.BUILD, "libdmtr.so.0"), COPIES.name)
    apps.BUILD = COPIES.name


def find_missing():
    why = enter()
    if why or ROW.device not in ("dpdk", "xdp"):
        return why
    if ROW.user:
        prepare_user()
    if ROW.device == "dpdk":
        found = os.path.exists(os.path.join(os.environ["DMTR_PLUGIN_PATH"], "netdev-dpdk.so"))
    else:
        _, errors = apps.run("echo-client", "--udp", "--port", 7,
                             env={"DMTR_LIBOS": "inet", "DMTR_INET_DEVICE": "nonsense"}, status=1)
        found = f" {ROW.device}" in errors
    if not found:
        return f"this build has no device {ROW.device}"
    return None


MISSING = find_missing()


def main(tests):
    """Runs tests, each on a wire of its own."""
    def on_a_wire(test):
        with wire():
            test()

    apps.main([(name, lambda test=test: on_a_wire(test)) for name, test in tests])
