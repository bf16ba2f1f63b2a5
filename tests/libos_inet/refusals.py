# SPDX-License-Identifier: MIT
"""If a device cannot be opened, the program's message names what is missing and the command that repairs it."""

import os
import re
import shutil
import subprocess

import apps

# Runs a command without capabilities, even as root.
POWERLESS = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]

# device, its options, command that runs the program, text that the message must contain
REFUSALS = [
    ("none", "none", [], "inet.device=NAME"),
    ("nonsense", "none", [], "there are: sim null shm tap packet xdp"),
    ("shm", "path=/nowhere/wire,listen=yes", [], "create its directory"),
    ("tap", f"name=dmtr{os.getpid()}", POWERLESS, "setcap cap_net_admin+ep"),
    ("packet", "name=nowhere0", [], "ip link"),
    ("packet", "name=lo", POWERLESS, "setcap cap_net_raw+ep"),
    ("xdp", "name=nowhere0", [], "ip link"),
    ("xdp", "name=lo,mode=slow", [], "auto, native or generic"),
    ("xdp", "name=lo", POWERLESS, "setcap cap_net_admin,cap_net_raw,cap_bpf+ep"),
    ("dpdk", "port=0000:99:00.0", [], "dpdk-devbind.py --bind=vfio-pci 0000:99:00.0"),
    ("dpdk", "vdev=net_nonsense0", [], "vdev="),
    ("dpdk", "none", [], "port="),
]


def expect_refusal(device, options, prefix, expected):
    if prefix and os.geteuid() != 0:
        prefix = []  # other users have no capabilities
    if prefix and not shutil.which(prefix[0]):
        raise apps.Skip(f"no program {who[0]}")
    env = {"DMTR_LIBOS": "inet", "DMTR_INET_DEVICE": device, "DMTR_INET_DEVICE_OPTIONS": options,
           "DMTR_INET_ADDRESS": "10.77.0.1/24", "LSAN_OPTIONS": "detect_leaks=0"}
    done = subprocess.run([*prefix, apps.program("echo-client"), "--udp", "--address", "10.77.0.2", "--port", "7"],
                          env={**os.environ, **env}, capture_output=True, text=True, timeout=apps.TIMEOUT_S,
                          check=False)
    if device == "dpdk" and not os.path.exists(os.path.join(os.environ["DMTR_PLUGIN_PATH"], "netdev-dpdk.so")):
        raise apps.Skip("this build is without DPDK")
    if re.search("modprobe tun|cannot be loaded", done.stderr):
        raise apps.Skip(done.stderr.strip())
    assert done.returncode == 1 and expected in done.stderr, done.stderr


apps.main([(f"{device} {options}{' without capabilities' if prefix else ''}",
            lambda row=(device, options, prefix, expected): expect_refusal(*row))
           for device, options, prefix, expected in REFUSALS])
