# SPDX-License-Identifier: MIT
"""
The wires for the tests of libos inet: a table with a row for each device. A wire has two ends. At the first end run
programs over libos inet and the device. At the second end is the kernel's stack or, for devices that connect two
processes, libos inet again. The test and the second end are in one new network namespace, the device in another. The
first argument of a test names its row.
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
KERNEL_AT_DEVICE = "10.77.0.3"  # address of the kernel on the interface of the device

# AF_PACKET and AF_XDP do not add checksums to the kernel's frames, so the kernel must send them complete.
QUEUES = "numrxqueues 2 numtxqueues 2"
VETH = [f"ip link add dmtr0 {QUEUES} type veth peer name dmtr1 {QUEUES} netns {{there}}", "ethtool -K dmtr0 tx off",
        "ethtool -L dmtr0 rx 1 tx 1"]
TAP = ["ip tuntap add dmtr0 mode tap multi_queue"]


@dataclasses.dataclass
class Row:
    device: str
    options: str  # {folder}: a new folder for each wire; {end}: 0 or 1
    peer: str = None  # options at the second end; None: the kernel is at the second end
    link: list = ()  # commands that make the interfaces
    env: dict = dataclasses.field(default_factory=dict)
    largest: int = 65507  # largest datagram
    mtus: tuple = (576, 1500, 9000)
    kernel_stays: bool = False  # the kernel continues to use the interface
    keeps_datagrams: bool = True
    copies: bool = True  # the library copies payload
    loses: bool = True  # the device detects that its interface was removed
    threads: bool = True  # several threads can share the device
    outlived: bool = True  # the program at the other end survives when this one is killed
    left: str = None  # file that a killed program leaves and the test must remove
    user: int = None  # user who runs the programs, without capabilities


ROWS = {
    "shm": Row("shm", "path={folder}/wire,listen=yes", "path={folder}/wire"),
    "shm-wrapped": Row("shm", "path={folder}/wire,listen=yes", "path={folder}/wire", keeps_datagrams=False, env={
        "DMTR_INET_WRAPPERS": "fault:loss=0.002,duplicate=0.002,reorder=0.01,reorder_ns=100000,short=0.01,seed=7;trace;"
                              "pcap:file={folder}/frames{end}"}),
    "tap": Row("tap", "name=dmtr0,queues=yes", link=TAP),
    "packet": Row("packet", "name=dmtr1", link=VETH, kernel_stays=True),
    "xdp-native": Row("xdp", "name=dmtr1,mode=native", link=VETH, copies=False, kernel_stays=True),
    "xdp-generic": Row("xdp", "name=dmtr1,mode=generic", link=VETH, copies=False, kernel_stays=True),
    # When the peer ends, DPDK's memif unmaps rings that are still in use.
    "dpdk-memif": Row("dpdk", "vdev=net_memif0;role=server;socket=@{folder}/wire",
                      "vdev=net_memif0;role=client;socket=@{folder}/wire", copies=False, outlived=False),
    "dpdk-vhost": Row("dpdk", "vdev=net_vhost0;iface={folder}/wire", "vdev=virtio_user0;path={folder}/wire",
                      copies=False, user=NOBODY, left="{folder}/wire"),
    # The driver lets the kernel reassemble fragments, and then drops the large packet.
    "dpdk-af_packet": Row("dpdk", "vdev=net_af_packet0;iface=dmtr1;qdisc_bypass=1", link=VETH, largest=1472,
                          copies=False, mtus=(1500,), kernel_stays=True, loses=False),
    # The driver leaks the handle of its memory, and stops receiving if several threads use its queue in turn.
    "dpdk-af_xdp": Row("dpdk", "vdev=net_af_xdp0;iface=dmtr1;force_copy=1", link=VETH, mtus=(576, 1500), threads=False,
                       loses=False, env={"LSAN_OPTIONS": "detect_leaks=0"}),
    # The port has the MAC address of the kernel's end, so we need another one.
    "dpdk-tap": Row("dpdk", "vdev=net_tap0;iface=dmtr0", link=TAP, copies=False, mtus=(576, 1500),
                    loses=False, env={"DMTR_INET_MAC": "02:00:00:00:00:0a"}),
}

NAME = sys.argv[1]
ROW = ROWS[NAME]
# Address of the test's kernel sockets.
KERNEL = "127.0.0.1" if ROW.peer else PEER


def command(line):
    """Runs a command. Returns None, or the reason why it failed."""
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
        raise apps.Skip(f"cannot make a network namespace: {os.strerror(ctypes.get_errno())}")
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY)


@contextlib.contextmanager
def inside(namespace):
    assert LIBC.setns(namespace, CLONE_NEWNET) == 0
    try:
        yield
    finally:
        assert LIBC.setns(TEST_NAMESPACE, CLONE_NEWNET) == 0


def device_namespace():
    """The namespace of the device, for sockets and processes that are opened in the block."""
    return inside(DEVICE_NAMESPACE)


def make_namespaces():
    """Makes the namespaces. Returns None, or the reason why not. The test itself is at the second end."""
    global DEVICE_NAMESPACE, TEST_NAMESPACE
    if ROW.peer:
        TEST_NAMESPACE = DEVICE_NAMESPACE = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        return None
    try:
        DEVICE_NAMESPACE = new_namespace()
        why = command("ip link set lo up")
        # A TAP interface exists in the namespace that opens it.
        TEST_NAMESPACE = DEVICE_NAMESPACE if ROW.link is TAP else new_namespace()
    except apps.Skip as e:
        return str(e)
    if ROW.link is TAP and not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "/dev/net/tun is not accessible"
    return why or command("ip link set lo up")


# ---- wires ----

def make_link():
    """Makes the interfaces. Returns None, or the reason why not."""
    there = f"/proc/{os.getpid()}/fd/{DEVICE_NAMESPACE}"
    for line in (*ROW.link, f"ip addr add {PEER}/24 dev dmtr0", "ip link set dmtr0 up"):
        why = command(line.format(there=there))
        if why:
            return why
    if ROW.link is not VETH:
        return None
    with device_namespace():
        return (command("ethtool -L dmtr1 rx 1 tx 1") or command(f"ip addr add {KERNEL_AT_DEVICE}/24 dev dmtr1")
                or command("ip link set dmtr1 up"))


@contextlib.contextmanager
def wire():
    """Makes a new wire for the duration of the block."""
    global FOLDER
    if MISSING:
        raise apps.Skip(MISSING)
    with tempfile.TemporaryDirectory() as FOLDER:
        if ROW.user:
            os.chown(FOLDER, ROW.user, ROW.user)
        why = (make_link() if ROW.link else None) or find_refusal()
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
    """Returns the environment of a program over libos inet at one end, 0 or 1."""
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
    """Waits until the link is up. Before, the kernel drops frames."""
    if ROW.link:
        await_up("dmtr0")
    if ROW.link is VETH:
        with device_namespace():
            await_up("dmtr1")


@contextlib.contextmanager
def our_server(*args, end=0, ends_with=0, **options):
    """Runs a server over libos inet with further options."""
    if not ROW.outlived and ends_with == 0:
        ends_with = None  # its peer may have ended just before
    server = Server(*args, env=environment(end, **options), ends_with=ends_with, user=ROW.user)
    with contextlib.ExitStack() as stack:
        with device_namespace():
            stack.enter_context(server)
        await_link()
        yield server


def run_ours(*args, end=0, status=0, **options):
    """Runs a program over libos inet. Returns (stdout, stderr)."""
    with device_namespace():
        return apps.run(*args, env=environment(end, **options), status=status, user=ROW.user)


def run_peer(*args):
    """Runs a program at the second end. Returns (stdout, stderr)."""
    return run_ours(*args, end=1) if ROW.peer else apps.run(*args)


@contextlib.contextmanager
def our_relay(port, *protocol, **options):
    """
    Runs a relay that forwards to a port of the kernel over libos inet and the wire. Yields a server that kernel sockets
    can connect to. If both ends are libos inet, this is a second relay.
    """
    if not ROW.peer:
        with our_server("dmtr-relay", *protocol, "--address", OURS, "--target", KERNEL, "--target-port", port,
                        **options) as server:
            yield server
        return
    with our_server("dmtr-relay", *protocol, "--address", OURS, "--target", KERNEL, "--target-network", "posix",
                    "--target-port", port, **options) as far, reachable(far, *protocol, **options) as server:
        yield server


@contextlib.contextmanager
def reachable(server, *protocol, ends_with=0, **options):
    """Yields a server that kernel sockets connect to in order to reach `server` at the first end."""
    if not ROW.peer:
        yield server
        return
    with our_server("dmtr-relay", *protocol, "--network", "posix", "--address", KERNEL, "--target", OURS,
                    "--target-network", "inet", "--target-port", server.port, end=1, ends_with=ends_with,
                    **options) as near:
        yield near


# ---- missing features of the machine ----

@functools.cache
def find_refusal():
    """Returns the device's message if bpf(2) or AF_XDP is not permitted here, else None. The peer has no listener."""
    if ROW.device != "xdp":
        return None
    with device_namespace():
        done = subprocess.run([apps.program("echo-client"), "--address", PEER, "--port", "9", "--count", "1"],
                              env={**os.environ, **environment(0)}, capture_output=True, text=True,
                              timeout=apps.TIMEOUT_S, check=False)
    return done.stderr.strip() if re.search("may not be|AF_XDP is not|no AF_XDP", done.stderr) else None


def prepare_user():
    """Copies the programs to a folder that another user can read."""
    if os.geteuid() != 0:
        ROW.user = None  # other users have no capabilities
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
    why = make_namespaces()
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
    """Runs each test on a new wire."""
    def on_a_wire(test):
        with wire():
            test()

    apps.main([(name, lambda test=test: on_a_wire(test)) for name, test in tests])
