# SPDX-License-Identifier: MIT
"""Programs in Demikernel's manner (programs.c), server and client in processes of their own, over each network."""

import os
import socket
import subprocess
import sys
import tempfile

import apps

PROGRAM = sys.argv[1]
BOTH = ["tcp-push-pop", "tcp-ping-pong", "tcp-echo", "tcp-close", "tcp-wait", "tcp-restart", "udp-ping-pong"]
KERNEL = ["tcp-threads"]
ALONE = ["udp-loop"]  # one process


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def network(name, folder):
    """(address, environment of the server, of the client)"""
    if name != "inet":
        env = {"LIBOS": "catnap", "DMTR_POSIX_ENGINE": name}
        return "127.0.0.1", env, env
    env = {"LIBOS": "inet", "DMTR_INET_DEVICE": "shm"}
    return "10.77.0.1", \
        {**env, "DMTR_INET_DEVICE_OPTIONS": f"path={folder}/wire,listen=yes", "DMTR_INET_ADDRESS": "10.77.0.1/24"}, \
        {**env, "DMTR_INET_DEVICE_OPTIONS": f"path={folder}/wire", "DMTR_INET_ADDRESS": "10.77.0.2/24"}


def start(program, role, address, port, env):
    return subprocess.Popen([PROGRAM, program, role, address, str(port)], env={**os.environ, **env},
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(name, program):
    with tempfile.TemporaryDirectory() as folder:
        address, server_env, client_env = network(name, folder)
        port = free_port()
        processes = [start(program, "server", address, port, server_env)]
        try:
            first = processes[0].stdout.readline()
            assert first == "ready\n", processes[0].communicate(timeout=apps.TIMEOUT_S)[1]
            if program not in ALONE:
                processes.append(start(program, "client", address, port, client_env))
            for process in reversed(processes):
                _, errors = process.communicate(timeout=apps.TIMEOUT_S)
                assert process.returncode == 0, f"{process.args}: {process.returncode}, {errors}"
        finally:
            for process in processes:
                if process.poll() is None:
                    process.kill()
                    process.communicate()


def over(name, program):
    if name == "io_uring" and name not in apps.engines():
        apps.no_io_uring()
    run(name, program)


apps.main([(f"{program} over {name}", lambda row=(name, program): over(*row))
           for name in ("epoll", "io_uring", "inet")
           for program in BOTH + ALONE + ([] if name == "inet" else KERNEL)])
