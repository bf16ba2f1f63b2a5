# SPDX-License-Identifier: MIT
"""
kernel_goodput.py TAP_WIRE [CONTROL...]: what the kernel's TCP gets where tests/simulation/goodput.c measures ours. Two
network namespaces, a TAP interface in each, tap_wire between them. By hand, as root; takes real time.
"""
import ctypes
import os
import socket
import subprocess
import sys
import time

CLONE_NEWNET = 0x40000000
RATE_BPS, QUEUE_BYTES, SECONDS = 50_000_000, 625_000, 30
SENDER, RECEIVER, PORT = "10.77.1.1", "10.77.1.2", 80
CASES = [(10000, 20), (1000, 20), (10000, 100), (30000, 20)]
SO_CONGESTION = 13


def ip(command):
    subprocess.run(["ip", *command.split()], check=True)


def unshare():
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        sys.exit(f"no network namespace: {os.strerror(ctypes.get_errno())}")


def configure(name, address):
    ip("link set lo up")
    subprocess.run(["ethtool", "-K", name, "tx", "off"], check=True, capture_output=True)
    ip(f"addr add {address}/24 dev {name}")
    ip(f"link set {name} up")


def send(control, seconds):
    """In the sender's namespace, until its time is over."""
    with socket.socket() as sock:
        sock.setsockopt(socket.IPPROTO_TCP, SO_CONGESTION, control.encode())
        sock.connect((RECEIVER, PORT))
        sock.settimeout(1)
        end, block = time.monotonic() + seconds, bytes(65536)
        while time.monotonic() < end:
            try:
                sock.send(block)
            except TimeoutError:
                continue


def fork(function, *args):
    pid = os.fork()
    if pid:
        return pid
    try:
        function(*args)
        os._exit(0)
    finally:
        os._exit(1)


def sender(name, go, control):
    unshare()
    os.write(go[1], b"x")
    os.read(go[2], 1)
    configure(name, SENDER)
    time.sleep(0.5)
    send(control, SECONDS)


def measure(wire, control, loss, delay_ms):
    to_parent, to_child = os.pipe(), os.pipe()
    pid = fork(sender, "wire0", (None, to_parent[1], to_child[0]), control)
    with subprocess.Popen([wire, "wire0", "wire1", str(loss), str(delay_ms * 500_000), str(RATE_BPS), str(QUEUE_BYTES)],
                          stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        os.read(to_parent[0], 1)
        ip(f"link set wire0 netns {pid}")
        configure("wire1", RECEIVER)
        with socket.create_server((RECEIVER, PORT)) as server:
            os.write(to_child[1], b"x")
            connection, _ = server.accept()
            got, begin = 0, time.monotonic()
            while data := connection.recv(1 << 20):
                got += len(data)
            took = time.monotonic() - begin
        os.waitpid(pid, 0)
        process.kill()
    return got * 8 / took / 1000


def main():
    unshare()
    for control in sys.argv[2:] or ["reno", "cubic"]:
        for loss, delay_ms in CASES:
            print(f"{control:9s} {loss / 1e4:6.2f} {delay_ms:6d} {measure(sys.argv[1], control, loss, delay_ms):12.0f}",
                  flush=True)


main()
