# SPDX-License-Identifier: MIT
"""
training.py: runs the loads that a release build is optimised for, in the build APPS_BUILD, which is instrumented: a
key-value store with a bulk transfer (apps/training) over kernel sockets and over the stacks of the library, relays in
front of it, and the simulator. Each load has a fixed number of operations. No program or load of bench/ is among them.
"""
import os
import subprocess
import sys
import tempfile

import apps
from apps import Server, run

ADDRESSES = ["10.79.0.1", "10.79.0.2"]
PROTOCOLS = [["--udp"], []]


def wire_end(folder, libos, end):
    """The environment of one end of a link over shared memory."""
    group = f"DMTR_{libos.upper()}_"
    return {"DMTR_LIBOS": libos, f"{group}DEVICE": "shm", f"{group}ADDRESS": f"{ADDRESSES[end]}/24",
            f"{group}DEVICE_OPTIONS": f"path={folder}/wire,listen={'no' if end else 'yes'}"}


def store(server_env, client_env, protocol, address="127.0.0.1"):
    with Server("training", "--server", "--address", address, *protocol, env=server_env) as server:
        run("training", "--address", address, "--port", server.port, *protocol, env=client_env)


def relayed_store(env, protocol):
    """The relay forwards from a link over shared memory to kernel sockets."""
    with tempfile.TemporaryDirectory() as folder, Server("training", "--server", *protocol, env=env) as server:
        relay = ["--address", ADDRESSES[0], "--target", server.address, "--target-port", server.port,
                 "--target-network", "posix", *(["--tcp"] if protocol == [] else [])]
        with Server("dmtr-relay", *relay, env={**env, **wire_end(folder, "inet", 0)}) as front:
            run("training", "--address", ADDRESSES[0], "--port", front.port, *protocol,
                env=wire_end(folder, "inet", 1))


def simulate(program, *args):
    done = subprocess.run([os.path.join(apps.BUILD, "tests/simulation", program), *args], capture_output=True, text=True,
                          timeout=10 * apps.TIMEOUT_S, check=False)
    assert done.returncode == 0, f"{program}: status {done.returncode}, {done.stdout[-1000:]}{done.stderr[-1000:]}"


def train():
    engines = apps.engines("training", "--server")
    if "io_uring" not in engines:
        print("training: io_uring is not available here; its code is not trained")
    stacks = ["inet", "lwip"] if os.path.isdir(os.path.join(apps.BUILD, "src/libos/lwip/liblwip.a.p")) else ["inet"]
    for protocol in PROTOCOLS:
        for env in engines.values():
            store(env, env, protocol)
            relayed_store(env, protocol)
        for libos in stacks:
            with tempfile.TemporaryDirectory() as folder:
                store(wire_end(folder, libos, 0), wire_end(folder, libos, 1), protocol, ADDRESSES[0])
    simulate("simulation", "--runs", "100")


try:
    train()
except (AssertionError, OSError, subprocess.SubprocessError) as e:
    sys.exit(f"training: {e}")
