# SPDX-License-Identifier: MIT
"""transfers.py PROGRAM: threads transfer connections over device `packet`. Both ends are in a new network namespace."""

import ctypes
import os
import re
import subprocess
import sys

import apps

CLONE_NEWNET = 0x40000000
TRANSFERS = 10000
LINK = ["ip link add dmtr0 type veth peer name dmtr1", "ethtool -K dmtr0 tx off", "ethtool -K dmtr1 tx off",
        "ip link set dmtr0 up", "ip link set dmtr1 up"]


def enter_namespace():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        raise apps.Skip(f"cannot make a network namespace: {os.strerror(ctypes.get_errno())}")
    for line in LINK:
        try:
            done = subprocess.run(line.split(), capture_output=True, text=True, check=False)
        except FileNotFoundError as e:
            raise apps.Skip(f"no program {e.filename}") from e
        if done.returncode:
            raise apps.Skip(f"{line}: {done.stderr.strip()}")


def test_no_connection_is_lost_over_packet():
    enter_namespace()
    done = subprocess.run([sys.argv[1], str(TRANSFERS), "dmtr0", "dmtr1"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    counts = [int(n) for n in re.findall(r"(\d+) transfers", done.stdout)]
    assert len(counts) == 2 and min(counts) >= TRANSFERS, done.stdout


if __name__ == "__main__":
    apps.main([(name, test) for name, test in list(globals().items()) if name.startswith("test_")])
