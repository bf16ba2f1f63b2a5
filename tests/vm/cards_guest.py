# SPDX-License-Identifier: MIT
"""
What cards.py runs in its virtual machine: each card is given to vfio-pci, and the programs run on it by configuration
alone, against the kernel at the other end of its wire. The arguments are the kinds of the cards.
"""

import glob
import os
import socket
import subprocess
import sys
import threading
import time
import zlib

import apps
from apps import Server

CARDS = sys.argv[1:]
DRIVERS = ["bus_pci", "bus_vdev", "mempool_ring", "net_e1000", "net_virtio", "net_vmxnet3"]
BULK, CHUNK = 2 << 20, 1 << 16
PAUSES, PAUSE_S = 8, 0.3
VLAN = 7
POLLED = ["e1000e"]  # its driver promises interrupts that never come
SAME_DRIVER = ["e1000"]
WITHOUT_CHECKSUMS = ["virtio"]  # on a wire that carries nothing but frames
PAGES = 160  # of 2 MiB: more than the EAL wants


def pci(slot):
    return f"0000:00:{slot:02x}.0"


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def hide_other_drivers():
    """DPDK loads every driver that it finds, which takes an emulated processor seconds."""
    for path in glob.glob("/usr/lib/*/dpdk/pmds-*/librte_*"):
        if not any(f"librte_{name}." in path for name in DRIVERS):
            os.unlink(path)


def give_to_vfio(address):
    device = f"/sys/bus/pci/devices/{address}"
    if os.path.exists(f"{device}/driver"):
        write(f"{device}/driver/unbind", address)
    write(f"{device}/driver_override", "vfio-pci")
    write("/sys/bus/pci/drivers_probe", address)
    assert os.path.exists(f"/sys/bus/pci/drivers/vfio-pci/{address}"), f"{address} is not bound to vfio-pci"


def set_up():
    hide_other_drivers()
    write("/proc/sys/vm/nr_hugepages", str(PAGES))
    subprocess.run(["modprobe", "-a", "vfio-pci", "virtio_net"], check=True)
    for i in range(len(CARDS)):
        give_to_vfio(pci(0x10 + i))
        parent = f"/sys/bus/pci/devices/{pci(0x18 + i)}"
        [interface] = [name for entry in os.listdir(parent) if entry.startswith("virtio")
                       for name in os.listdir(f"{parent}/{entry}/net")]
        for line in (f"ip addr add {kernel(i)}/24 dev {interface}", f"ip link set {interface} up",
                     f"ip link add link {interface} name vlan{i} type vlan id {VLAN}",
                     f"ip addr add {kernel(i, 3)}/24 dev vlan{i}", f"ip link set vlan{i} up"):
            subprocess.run(line.split(), check=True)


def network(card, use):
    """Uses from the third on are in the VLAN."""
    return f"10.{79 if use < 3 else 80}.{card}"


def kernel(card, use=1):
    return f"{network(card, use)}.9"


def ours(card, use):
    """Each use of a card has an address of its own."""
    return f"{network(card, use)}.{use}"


def server(card, use, options, name, *args, **more):
    env = {"DMTR_LIBOS": "inet", "DMTR_INET_DEVICE": "dpdk", "DMTR_INET_ADDRESS": f"{ours(card, use)}/24",
           "DMTR_INET_DEVICE_OPTIONS": f"port={pci(0x10 + card)}{options}", "DMTR_LOG_LEVEL": "info", **more}
    return Server(name, *args, "--address", ours(card, use), env=env)


def echo_datagrams(card, use, options):
    with server(card, use, options, "echo-server", "--udp") as echo, \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(apps.TIMEOUT_S)
        sock.connect((echo.address, echo.port))
        for size in [1, 100, 1471, 1472] * 10 + [4000]:
            data = os.urandom(size)
            sock.send(data)
            assert sock.recv(size + 1) == data, size
        writer = "the stack" if CARDS[card] in WITHOUT_CHECKSUMS or "offloads=no" in options else "the port"
        assert f"checksums written by {writer}" in echo.stderr(), echo.stderr()


def echo_streams(card, use, options):
    with server(card, use, options, "echo-server") as echo:
        for size in (1, 100, 1460, 100000):
            with echo.connect(apps.TIMEOUT_S) as sock:
                for _ in range(3):
                    data = os.urandom(size)
                    sock.sendall(data)
                    assert apps.receive(sock, size) == data, size
                sock.shutdown(socket.SHUT_WR)
                assert sock.recv(1) == b""


def transfer(card, use, options):
    """From the kernel through us and back to it."""
    received = []

    def take(listener):
        far, _ = listener.accept()
        size = check = 0
        with far:
            while data := far.recv(CHUNK):
                size, check = size + len(data), zlib.crc32(data, check)
        received.extend([size, check])

    with socket.create_server((kernel(card), 0)) as listener, \
            server(card, use, options, "dmtr-relay", "--tcp", "--target", kernel(card), "--target-port",
                   listener.getsockname()[1]) as relay:
        taker = threading.Thread(target=take, args=[listener], daemon=True)
        taker.start()
        check = 0
        with relay.connect(apps.TIMEOUT_S) as near:
            for _ in range(BULK // CHUNK):
                data = os.urandom(CHUNK)
                check = zlib.crc32(data, check)
                near.sendall(data)
            near.shutdown(socket.SHUT_WR)
            taker.join(apps.TIMEOUT_S)
    assert received == [BULK, check], received


def all_three(card, use, options):
    echo_datagrams(card, use, options)
    echo_streams(card, use, options)
    transfer(card, use, options)


def in_software(card, use, options):
    echo_datagrams(card, use, options)
    echo_streams(card, use, options)


def interrupts(card):
    """So many came so far."""
    with open("/proc/interrupts", encoding="ascii") as file:
        lines = [line.split() for line in file if "vfio" in line and pci(0x10 + card) in line]
    return sum(int(word) for words in lines for word in words[1:1 + os.cpu_count()])


def cpu_seconds(process):
    with open(f"/proc/{process.pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def sleeping(card, use):
    """A server that waits uses no processor, and what comes wakes it; or the device has found that nothing would."""
    with server(card, use, "", "echo-server", DMTR_WAIT_POLICY="block") as echo, echo.connect(apps.TIMEOUT_S) as sock:
        used, began, before = cpu_seconds(echo.process), time.monotonic(), interrupts(card)
        for number in range(PAUSES):
            time.sleep(PAUSE_S)
            data = b"%4d" % number
            sock.sendall(data)
            assert apps.receive(sock, len(data)) == data
        used, went = cpu_seconds(echo.process) - used, time.monotonic() - began
        came, said = interrupts(card) - before, echo.stderr()
    if CARDS[card] in POLLED:
        assert "promises interrupts but raises none" in said, said
    else:
        assert came >= PAUSES and used < went / 2, (came, used, went)


def without_hugepages():
    write("/proc/sys/vm/nr_hugepages", "0")
    transfer(0, 1, "")


def tests():
    for i, card in enumerate(CARDS):
        yield f"{card}: with what it can do for checksums", lambda i=i: all_three(i, 1, "")
        yield f"{card}: with checksums in software", lambda i=i: in_software(i, 2, ",offloads=no")
        yield f"{card}: in a VLAN, with tags by the card where it can", lambda i=i: echo_streams(i, 3, f",vlan={VLAN}")
        yield (f"{card}: in a VLAN, with tags in software",
               lambda i=i: echo_datagrams(i, 4, f",vlan={VLAN},offloads=no"))
        if card not in SAME_DRIVER:
            yield f"{card}: a wait sleeps until the card tells of frames", lambda i=i: sleeping(i, 1)
    yield "without hugepages", without_hugepages


set_up()
apps.main(list(tests()))
