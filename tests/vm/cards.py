# SPDX-License-Identifier: MIT
"""
Network cards in a virtual machine, with the programs over libos inet and the device dpdk on each. A wire of its own ties
each card to an interface of the kernel in the machine, which cards_guest.py talks from. Every frame that a card put on
its wire is looked at here, by itself: all checksums must be right, whoever wrote them.
"""

import collections
import ipaddress
import os
import struct
import sys
import tempfile

import apps
import vm

KINDS = {
    "e1000e": "e1000e",
    "e1000": "e1000",
    "vmxnet3": "vmxnet3",
    "virtio": "virtio-net-pci,iommu_platform=on,disable-legacy=on",  # else it passes by the I/O MMU
}
CARDS = sys.argv[1:] or list(KINDS)
HERE = os.path.dirname(os.path.realpath(__file__))
LIMIT_S = 900  # only guards against hanging
# Of each card: the last part of its address then, what is sent, and in which VLAN.
USES = [(1, "tcp", None), (1, "udp", None), (2, "tcp", None), (2, "udp", None), (3, "tcp", 7), (4, "udp", 7)]
FRAMES_LEAST = 20  # of a protocol, from each address of a card
ETH_IP4, ETH_VLAN = 0x0800, 0x8100
PROTOCOLS = {6: "tcp", 17: "udp"}
UDP = 17
CHECKSUM_OF_UDP = slice(6, 8)


def machine(folder):
    """What the virtual machine has: an I/O MMU, and for each card its wire, the other end, and a record of what passes."""
    out = ["-device", "intel-iommu,intremap=on,aw-bits=48"]
    for i, card in enumerate(CARDS):
        record = os.path.join(folder, card)
        out += ["-netdev", f"hubport,id=card{i},hubid={i}", "-netdev", f"hubport,id=kernel{i},hubid={i}",
                "-device", f"{KINDS[card]},netdev=card{i},addr={0x10 + i:#x},mac=02:00:00:00:{i:02x}:01,romfile=",
                "-device", f"virtio-net-pci,netdev=kernel{i},addr={0x18 + i:#x},mac=02:00:00:00:{i:02x}:02,romfile=",
                "-object", f"filter-dump,id=record{i},netdev=card{i},file={record}"]
    return out


def frames(path):
    """Of a file in the pcap format of this machine's byte order."""
    with open(path, "rb") as file:
        assert struct.unpack("=I", file.read(24)[:4])[0] == 0xA1B2C3D4, path
        while head := file.read(16):
            yield file.read(struct.unpack("=IIII", head)[2])


def is_right(*parts):
    """Whether the ones' complement sum over all parts, of which only the last may be odd, is that of a right checksum."""
    data = b"".join(parts)
    return int.from_bytes(data + bytes(len(data) % 2), "big") % 0xFFFF == 0


def look_at(frame, seen):
    """Counts a frame by sender and protocol; why it is wrong, or None."""
    kind, at = struct.unpack_from("!H", frame, 12)[0], 14
    tag = None
    if kind == ETH_VLAN:
        tag, kind = struct.unpack_from("!HH", frame, 14)
        at = 18
    if kind != ETH_IP4:
        return None
    header = (frame[at] & 15) * 4
    length, _, fragment, _, protocol = struct.unpack_from("!HHHBB", frame, at + 2)
    addresses, payload = frame[at + 12:at + 20], frame[at + header:at + length]
    sender = str(ipaddress.ip_address(addresses[:4]))
    if not is_right(frame[at:at + header]):
        return f"{sender}: the checksum of an IPv4 header"
    if fragment & 0x3FFF or protocol not in PROTOCOLS:
        return None
    seen[sender, PROTOCOLS[protocol], tag] += 1
    if protocol == UDP and payload[CHECKSUM_OF_UDP] == bytes(2):
        return f"{sender}: a datagram without a checksum"
    if not is_right(addresses, struct.pack("!HH", protocol, len(payload)), payload):
        return f"{sender}: a checksum of {PROTOCOLS[protocol]}"
    return None


def check_wire(path, place):
    seen, wrong = collections.Counter(), []
    for number, frame in enumerate(frames(path), 1):
        if why := look_at(frame, seen):
            wrong.append(f"frame {number}: {why}: {frame[:64].hex()}")
    assert not wrong, "\n".join([f"{len(wrong)} frames are wrong", *wrong[:5]])
    for use, protocol, tag in USES:
        count = seen[f"10.{80 if tag else 79}.{place}.{use}", protocol, tag]
        assert count >= FRAMES_LEAST, f"{count} frames of {protocol} in use {use}: {seen}"
    assert not any(sender.startswith("10.80.") and tag != 7 for sender, _, tag in seen), seen


def run_in_machine(folder):
    """The results of the tests there, as lines of TAP without their plan."""
    env = {name: os.environ[name] for name in ("APPS_BUILD", "DMTR_PLUGIN_PATH", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE")}
    command = [sys.executable, os.path.join(HERE, "cards_guest.py"), *CARDS]
    status, output = vm.run(command, machine(folder), memory=1536, limit_s=LIMIT_S, env=env)
    lines = output.splitlines()
    assert lines and lines[0].startswith("1.."), f"status {status}: {output}"
    return lines[1:]


def main():
    try:
        vm.need()
    except vm.Missing as e:
        print(f"1..0 # SKIP {e}")
        return
    with tempfile.TemporaryDirectory(prefix="dmtr-wires-") as folder:
        there = run_in_machine(folder)
        apps.main([(f"{card}: every checksum on the wire is right",
                    lambda path=os.path.join(folder, card), place=place: check_wire(path, place))
                   for place, card in enumerate(CARDS)], before=there)


main()
