"""
A network namespace of the test's own, in which the kernel's stack and libos inet meet. The first argument of the test
says over which device: tap, or packet or xdp-MODE on one end of a veth pair, or dpdk-DRIVER.
"""

import contextlib
import ctypes
import os
import shutil
import subprocess
import sys
import time

import apps
from apps import Server

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
    """
    A program on our stack, with further options. The kernel drops what it sends until it has taken note that the link
    has come up.
    """
    with Server(*args, env={**ENV, **options}) as server:
        deadline = time.monotonic() + 30
        while "state UP" not in subprocess.run(["ip", "-o", "link", "show", "dmtr0"], capture_output=True, text=True,
                                               check=True).stdout:
            assert time.monotonic() < deadline, "the link does not come up"
            time.sleep(0.01)
        yield server
