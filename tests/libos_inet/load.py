# SPDX-License-Identifier: MIT
"""Long transfers with checksums over a wire of wires.py."""

import contextlib
import os
import socket
import threading
import zlib

import apps
from wires import KERNEL, our_relay

CHUNK = 1 << 18


@contextlib.contextmanager
def on_a_thread(work, *args):
    """Runs work on a thread during the block. Raises its exception at the end of the block."""
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
    assert not thread.is_alive(), "the thread does not end"
    if failures:
        raise failures[0]


def send_numbered(sock, total):
    """Sends distinct chunks. Returns their checksum."""
    filling, check = os.urandom(CHUNK - 8), 0
    for number in range(total // CHUNK):
        chunk = number.to_bytes(8, "little") + filling
        check = zlib.crc32(chunk, check)
        sock.sendall(chunk)
    return check


def receive_all(sock, out):
    """Receives to the end of the stream. Appends the number of bytes and the checksum to out."""
    size = check = 0
    buffer = memoryview(bytearray(CHUNK))
    while n := sock.recv_into(buffer):
        check = zlib.crc32(buffer[:n], check)
        size += n
    out += [size, check]


def transfer(total, **options):
    """Sends from a kernel socket through our relay to another kernel socket."""
    with socket.create_server((KERNEL, 0)) as listener, \
            our_relay(listener.getsockname()[1], "--tcp", **options) as relay:
        listener.settimeout(apps.TIMEOUT_S)
        with relay.connect(apps.TIMEOUT_S) as near:
            far, _ = listener.accept()
            far.settimeout(apps.TIMEOUT_S)
            received = []
            with far, on_a_thread(receive_all, far, received):
                check = send_numbered(near, total)
                near.shutdown(socket.SHUT_WR)
            assert received == [total, check], received
